/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/input.h"

#include <stdio.h>
#include <stdlib.h>

#include "clients/cli/client.h"

/* Reads up to `end` (or the end, where it is EOF) into `buffer`. False: nothing was left. */
static bool read_until(FILE *stream, int end, char *buffer, size_t *ret_length,
                       bool *ret_is_large) {
    size_t length = 0;
    int byte = getc(stream);
    bool has_any = byte != EOF;
    while (byte != EOF && byte != end && length < CLIENT_MESSAGE_BYTES_MAX) {
        buffer[length++] = (char)byte;
        byte = getc(stream);
    }
    *ret_length = length;
    *ret_is_large = byte != EOF && byte != end;
    return has_any;
}

bool input_each(bool has_lines, input_on_message *on_message, void *context) {
    char *buffer = malloc(CLIENT_MESSAGE_BYTES_MAX);
    if (buffer == NULL) {
        fputs("tidings: out of memory\n", stderr);
        return false;
    }
    bool is_large = false;
    size_t length = 0;
    bool is_good = true;
    unsigned long long line = 0;
    while (is_good && read_until(stdin, has_lines ? '\n' : EOF, buffer, &length, &is_large)) {
        line++;
        is_good = !is_large && on_message(context, buffer, length);
    }
    if (is_large) {
        fprintf(stderr, "tidings: larger than %d bytes\n", CLIENT_MESSAGE_BYTES_MAX);
    }
    if (!is_good && has_lines) {
        fprintf(stderr, "tidings: ended at line %llu; those before it are stored\n", line);
    }
    if (is_good && ferror(stdin)) {
        fputs("tidings: standard input cannot be read\n", stderr);
        is_good = false;
    }
    free(buffer);
    return is_good;
}
