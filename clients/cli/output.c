/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "clients/cli/envelope.h"

bool output_is_open(void) {
    bool is_open = fcntl(STDOUT_FILENO, F_GETFD) >= 0;
    if (!is_open) {
        fprintf(stderr, "tidings: standard output cannot be written: %s\n", strerrordesc_np(errno));
    }
    return is_open;
}

void output_safely(FILE *stream, const char *text) {
    for (; text != NULL && *text != '\0'; text++) {
        fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, stream);
    }
}

/* JSON has line ends between its tokens only, where a blank means the same. */
static void write_json_line(FILE *stream, const char *bytes, size_t length) {
    size_t start = 0;
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n' || bytes[i] == '\r') {
            fwrite(bytes + start, 1, i - start, stream);
            fputc(' ', stream);
            start = i + 1;
        }
    }
    fwrite(bytes + start, 1, length - start, stream);
    fputc('\n', stream);
}

static bool write_text(FILE *stream, const struct envelope_value *value) {
    json_t *text = json_loadb(value->bytes, value->length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    bool is_text = json_is_string(text);
    if (is_text) {
        fwrite(json_string_value(text), 1, json_string_length(text), stream);
        fputc('\n', stream);
    }
    json_decref(text);
    return is_text;
}

/* A JSON string is written with its quotes when it was published as JSON: then there is no type, or
 * one that ends in json. */
static bool is_json_type(const struct envelope_value *type) {
    return type->length >= 5 && memcmp(type->bytes + type->length - 5, "json\"", 5) == 0;
}

static void write_message(FILE *stream, const char *envelope, size_t length, bool whole) {
    struct envelope_value value = {envelope, length};
    struct envelope_value type;
    if (whole) {
        write_json_line(stream, envelope, length);
        return;
    }
    if (envelope_find(envelope, length, "data", &value)) {
        bool is_text = envelope_find(envelope, length, "type", &type) && !is_json_type(&type);
        if (is_text && write_text(stream, &value)) {
            return;
        }
    } else if (envelope_find(envelope, length, "data_base64", &value) &&
               write_text(stream, &value)) {
        return;
    }
    write_json_line(stream, value.bytes, value.length);
}

/* A write may fail before the flush, which then has nothing left to do: the stream remembers it. */
bool output_message(FILE *stream, const char *envelope, size_t length, bool whole) {
    write_message(stream, envelope, length, whole);
    return fflush(stream) == 0 && ferror(stream) == 0;
}

#define OFFSET "%" JSON_INTEGER_FORMAT

/* 0, which is no offset, where there is no such member. */
static json_int_t offset_of(const json_t *gap, const char *name) {
    return json_integer_value(json_object_get(gap, name));
}

static void write_missing(FILE *stream, json_int_t from, json_int_t to) {
    if (from == 0 || to == 0) {
        fputs("messages are missing", stream);
    } else if (from == to) {
        fprintf(stream, "offset " OFFSET " is missing", from);
    } else {
        fprintf(stream, "offsets " OFFSET " to " OFFSET " are missing", from, to);
    }
}

/* Nothing is missing: what was asked for is beyond the end, and reading goes on at the end. */
static void write_ahead(FILE *stream, const json_t *gap) {
    json_int_t from = offset_of(gap, "from");
    json_int_t to = offset_of(gap, "to");
    json_int_t last = offset_of(gap, "last");
    json_int_t end = last > 0 ? last : from - 1;
    fputs("the channel has not come to ", stream);
    if (to > 0) {
        fprintf(stream, "offset " OFFSET, to);
    } else {
        fputs("what was asked for", stream);
    }
    if (end > 0) {
        fprintf(stream, "; it ends at " OFFSET, end);
    } else if (end == 0) {
        fputs("; it is empty", stream);
    }
}

void output_gap(FILE *stream, const char *channel, const char *text, size_t length) {
    json_t *gap = json_loadb(text, length, 0, NULL);
    const char *reason = json_string_value(json_object_get(gap, "reason"));
    const char *named = json_string_value(json_object_get(gap, "channel"));
    named = named != NULL ? named : json_string_value(json_object_get(gap, "pattern"));
    fprintf(stream, "gap: %s: ", named != NULL ? named : channel);
    if (reason != NULL && strcmp(reason, "ahead") == 0) {
        write_ahead(stream, gap);
    } else {
        write_missing(stream, offset_of(gap, "from"), offset_of(gap, "to"));
    }
    fprintf(stream, " (%s)\n", reason == NULL ? "for no reason told" : reason);
    json_decref(gap);
}

bool output_close(FILE *stream, const char *channel, const char *text, size_t length) {
    json_t *close = json_loadb(text, length, 0, NULL);
    const char *code = json_string_value(json_object_get(close, "code"));
    bool may_reconnect = !json_is_false(json_object_get(close, "reconnect"));
    fprintf(stream, "tidings: %s: closed by the broker (%s)%s\n", channel,
            code == NULL ? "for no reason told" : code, may_reconnect ? "" : " for good");
    json_decref(close);
    return may_reconnect;
}
