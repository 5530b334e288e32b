/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/media_type.h"

#include "broker/limits.h"
#include "protocols/http/head.h"

/* ASCII without control characters: what is kept of a type goes out again, in JSON and headers. */
static bool is_visible(struct span text) {
    for (size_t i = 0; i < text.length; i++) {
        if ((text.bytes[i] < 0x20 && text.bytes[i] != '\t') || text.bytes[i] > 0x7E) {
            return false;
        }
    }
    return true;
}

/* A quoted string (RFC 9110, 5.6.4) at the front of `rest`; its inside is returned. */
static bool take_quoted(struct span *rest, struct span *ret_value) {
    size_t at = 1;
    while (at < rest->length && rest->bytes[at] != '"') {
        at += rest->bytes[at] == '\\' ? 2 : 1;
    }
    if (at >= rest->length) {
        return false;
    }
    *ret_value = span_of(rest->bytes + 1, at - 1);
    *rest = span_of(rest->bytes + at + 1, rest->length - at - 1);
    return true;
}

/* One parameter; false with `ret_is_broken` when what stands there is none. */
static bool take_parameter(struct span *rest, struct span *ret_name, struct span *ret_value,
                           bool *ret_is_broken) {
    *ret_is_broken = false;
    *rest = span_trim(*rest);
    while (rest->length > 0 && rest->bytes[0] == ';') {
        *rest = span_trim(span_of(rest->bytes + 1, rest->length - 1));
    }
    if (rest->length == 0) {
        return false;
    }
    *ret_is_broken = true;
    *ret_name = span_split(rest, '=');
    if (!head_is_token(*ret_name)) {
        return false;
    }
    if (rest->length > 0 && rest->bytes[0] == '"') {
        if (!take_quoted(rest, ret_value)) {
            return false;
        }
        *rest = span_trim(*rest);
        *ret_is_broken = rest->length > 0 && rest->bytes[0] != ';';
        return !*ret_is_broken;
    }
    *ret_value = span_trim(span_split(rest, ';'));
    *ret_is_broken = !head_is_token(*ret_value);
    return !*ret_is_broken;
}

bool media_type_next_parameter(struct span *rest, struct span *ret_name, struct span *ret_value) {
    bool is_broken;
    return take_parameter(rest, ret_name, ret_value, &is_broken);
}

bool media_type_parse(struct span text, struct media_type *ret_type) {
    struct span parameters = span_trim(text);
    if (parameters.length > MEDIA_TYPE_BYTES_MAX || !is_visible(parameters)) {
        return false;
    }
    struct span subtype = span_trim(span_split(&parameters, ';'));
    struct span type = span_split(&subtype, '/');
    if (!head_is_token(type) || !head_is_token(subtype)) {
        return false;
    }
    *ret_type = (struct media_type){type, subtype, parameters};
    struct span rest = parameters, name, value;
    bool is_broken;
    while (take_parameter(&rest, &name, &value, &is_broken)) {
    }
    return !is_broken;
}

bool media_type_is_range(const struct media_type *type) {
    return span_is_equal(type->type, SPAN("*")) || span_is_equal(type->subtype, SPAN("*"));
}

bool media_type_is(struct span text, const char *type) {
    return span_is_equal_nocase(span_trim(span_split(&text, ';')), span_of_string(type));
}
