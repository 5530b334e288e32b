/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/escape.h"

#include <stdbool.h>
#include <string.h>

#define NUMBER_DIGITS_MAX 20

static const char digits[] = "0123456789ABCDEF";

void escape_put_text(struct bytes *output, const char *text) {
    bytes_put(output, text, strlen(text));
}

void escape_put_number(struct bytes *output, uint64_t number) {
    char text[NUMBER_DIGITS_MAX];
    size_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    bytes_put(output, text + at, sizeof(text) - at);
}

static bool is_unreserved(uint8_t byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

/* What stays as it is goes out in one piece. */
static void put_percent(struct bytes *output, const uint8_t *bytes, size_t length, uint8_t also) {
    size_t from = 0;
    for (size_t i = 0; i < length; i++) {
        if (is_unreserved(bytes[i]) || bytes[i] == also) {
            continue;
        }
        char code[3] = {'%', digits[bytes[i] >> 4], digits[bytes[i] & 15]};
        bytes_put(output, bytes + from, i - from);
        bytes_put(output, code, sizeof(code));
        from = i + 1;
    }
    bytes_put(output, bytes + from, length - from);
}

void escape_put_path(struct bytes *output, const char *text) {
    put_percent(output, (const uint8_t *)text, strlen(text), '/');
}

void escape_put_value(struct bytes *output, const uint8_t *bytes, size_t length) {
    put_percent(output, bytes, length, '~'); /* which stays anyway */
}

void escape_put_json(struct bytes *output, const char *text) {
    size_t from = 0, length = strlen(text);
    bytes_put(output, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (byte >= ' ' && byte != '"' && byte != '\\') {
            continue;
        }
        char code[6] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
        bytes_put(output, text + from, i - from);
        bytes_put(output, code, sizeof(code));
        from = i + 1;
    }
    bytes_put(output, text + from, length - from);
    bytes_put(output, "\"", 1);
}

void escape_put_pattern(struct bytes *output, const char *text, char separator, char one,
                        char many) {
    size_t length = strlen(text);
    char *put = (char *)bytes_reserve(output, length);
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        bool is_many = text[i] == '*' && text[i + 1] == '*';
        put[used++] = text[i] == '/' ? separator : is_many ? many : text[i] == '*' ? one : text[i];
        i += is_many;
    }
    output->length += used;
}
