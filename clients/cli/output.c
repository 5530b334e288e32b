/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/output.h"

#include <jansson.h>
#include <string.h>

#include "clients/cli/envelope.h"

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

void output_message(FILE *stream, const char *envelope, size_t length, bool whole) {
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

static void write_offsets(FILE *stream, const json_t *gap) {
    const json_t *from = json_object_get(gap, "from");
    const json_t *to = json_object_get(gap, "to");
    if (json_is_integer(from) && json_is_integer(to)) {
        fprintf(stream, "offsets %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT " are missing",
                json_integer_value(from), json_integer_value(to));
    } else {
        fputs("messages are missing", stream);
    }
}

void output_gap(FILE *stream, const char *channel, const char *text, size_t length) {
    json_t *gap = json_loadb(text, length, 0, NULL);
    const char *reason = json_string_value(json_object_get(gap, "reason"));
    fprintf(stream, "gap: %s: ", channel);
    write_offsets(stream, gap);
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
