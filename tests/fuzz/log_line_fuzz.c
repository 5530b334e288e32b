/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/log_line.h"

#include "broker/support/json.h"
#include "tests/fuzz/fuzz.h"

/* The text of a pair `key=text`, which must come next: a word, or a literal of JSON. */
static struct span take_pair(struct span *rest, const char *key) {
    CLAIM(span_has_prefix(*rest, span_of_string(key)));
    *rest = span_of(rest->bytes + strlen(key), rest->length - strlen(key));
    CLAIM(rest->length > 0 && rest->bytes[0] == '=');
    size_t end = 1;
    bool is_quoted = rest->length > 1 && rest->bytes[1] == '"';
    for (bool is_inside = is_quoted; end < rest->length; end++) {
        uint8_t byte = rest->bytes[end];
        if (!is_inside && (byte == ' ' || byte == '\n')) {
            break;
        }
        is_inside = is_quoted && (end == 1 || (is_inside && byte != '"'));
        end += is_inside && byte == '\\';
    }
    CLAIM(end < rest->length);
    struct span text = span_of(rest->bytes + 1, end - 1);
    *rest = span_of(rest->bytes + end + 1, rest->length - end - 1);
    return text;
}

/* Whatever the texts are, a line is one line, JSON is JSON, and both formats say the same. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    char line[LOG_LINE_BYTES_MAX], json[LOG_LINE_BYTES_MAX];
    struct span origin = span_of(bytes, length);
    struct span host = span_split(&origin, '\n');
    struct log_values_ORIGIN_REFUSED values = {
        .peer = "peer", .code = "code", .host = host, .origin = origin};
    enum log_event event = LOG_EVENT_ORIGIN_REFUSED;
    size_t line_length = log_line_write(LOG_FORMAT_LOGFMT, event, 0, 0, &values, line);
    size_t json_length = log_line_write(LOG_FORMAT_JSON, event, 0, 0, &values, json);
    CLAIM(memchr(line, '\n', line_length) == line + line_length - 1);
    CLAIM(memchr(json, '\n', json_length) == json + json_length - 1);
    struct json_value object;
    struct json_member member;
    CLAIM(json_parse(span_of(json, json_length), &object, NULL, NULL) == OK);
    struct json_walk walk = json_walk_of(object);
    struct span rest = span_of(line, line_length);
    while (json_object_next(&walk, &member)) {
        char key[32];
        CLAIM(member.name.length <= sizeof(key));
        memcpy(key, member.name.bytes + 1, member.name.length - 2);
        key[member.name.length - 2] = '\0';
        struct span text = take_pair(&rest, key);
        bool is_quoted = text.length > 0 && text.bytes[0] == '"';
        struct span literal = member.value.text;
        CLAIM(span_is_equal(text,
                            is_quoted ? literal : span_of(literal.bytes + 1, literal.length - 2)));
    }
    CLAIM(rest.length == 0);
    return 0;
}
