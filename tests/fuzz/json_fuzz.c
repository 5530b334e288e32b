/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/json.h"

#include <jansson.h>

#include "tests/fuzz/fuzz.h"

static void check_string(struct span literal) {
    struct buffer text, escaped, again;
    buffer_init(&text, FUZZ_BUFFER_BYTES_MAX);
    buffer_init(&escaped, FUZZ_BUFFER_BYTES_MAX);
    buffer_init(&again, FUZZ_BUFFER_BYTES_MAX);
    if (json_string_put(&text, literal) == OK) {
        CLAIM(text.length <= literal.length - 2);
        CLAIM(json_escape_put(&escaped, buffer_borrow(&text)) == OK);
        CLAIM(json_check(buffer_borrow(&escaped), NULL, NULL) == OK);
        CLAIM(json_string_put(&again, buffer_borrow(&escaped)) == OK);
        CLAIM(span_is_equal(buffer_borrow(&text), buffer_borrow(&again)));
    }
    (void)json_string_is(literal, "data");
    buffer_finish(&text);
    buffer_finish(&escaped);
    buffer_finish(&again);
}

/* Every part of what was accepted is JSON of its own. Deep input is walked two levels only: each
 * level looks at all bytes again. */
static void check_value(struct json_value value, unsigned depth) {
    struct json_walk walk = json_walk_of(value);
    struct json_member member;
    struct json_value element;
    CLAIM(json_check(value.text, NULL, NULL) == OK);
    if (value.kind == JSON_KIND_STRING) {
        check_string(value.text);
    }
    while (depth < 2 && value.kind == JSON_KIND_OBJECT && json_object_next(&walk, &member)) {
        check_string(member.name);
        check_value(member.value, depth + 1);
    }
    while (depth < 2 && value.kind == JSON_KIND_ARRAY && json_array_next(&walk, &element)) {
        check_value(element, depth + 1);
    }
    CLAIM(depth >= 2 || walk.rest.length == 0 ||
          strspn((const char *)walk.rest.bytes, " \t\r\n") >= walk.rest.length);
}

/* Where jansson and RFC 8259 part: numbers that a double cannot hold, and halves of surrogates. */
static bool is_jansson_stricter(struct span text, const json_error_t *error) {
    return json_error_code(error) == json_error_numeric_overflow ||
           memmem(text.bytes, text.length, "\\u", 2) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span input = span_of(bytes, length);
    struct json_value value;
    size_t position = 0;
    const char *fault = NULL;
    json_error_t error;
    json_t *theirs = json_loadb((const char *)bytes, length,
                                JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    if (json_parse(input, &value, &position, &fault) == OK) {
        CLAIM(theirs != NULL || is_jansson_stricter(input, &error));
        check_value(value, 0);
    } else {
        CLAIM(fault != NULL && position <= length);
        /* To jansson a NUL is the end of the text. */
        CLAIM(theirs == NULL || strstr(fault, "64") != NULL || memchr(bytes, '\0', length) != NULL);
    }
    json_decref(theirs);
    return 0;
}
