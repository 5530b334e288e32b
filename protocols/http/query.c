/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/query.h"

#include "broker/support/percent.h"

bool query_next(struct span *rest, struct span *ret_name, struct span *ret_value) {
    while (rest->length > 0) {
        struct span pair = span_split(rest, '&');
        if (pair.length > 0) {
            *ret_name = span_split(&pair, '=');
            *ret_value = pair;
            return true;
        }
    }
    return false;
}

bool query_name_is(struct span encoded_name, const char *word) {
    struct span wanted = span_of_string(word);
    for (size_t i = 0; i < wanted.length; i++) {
        uint8_t byte;
        if (encoded_name.length == 0 || !percent_take_byte(&encoded_name, PERCENT_QUERY, &byte) ||
            byte != wanted.bytes[i]) {
            return false;
        }
    }
    return encoded_name.length == 0;
}

size_t query_count(struct span query, const char *name) {
    struct span encoded_name, value;
    size_t count = 0;
    while (query_next(&query, &encoded_name, &value)) {
        count += query_name_is(encoded_name, name);
    }
    return count;
}

enum error_code query_find(struct span query, const char *name, struct buffer *buffer,
                           bool *ret_is_found, struct error *why) {
    struct span encoded_name, value;
    *ret_is_found = false;
    while (query_next(&query, &encoded_name, &value)) {
        if (!query_name_is(encoded_name, name)) {
            continue;
        }
        enum error_code code = percent_put_decoded(buffer, value, PERCENT_QUERY);
        if (code == ERR_BAD_REQUEST) {
            return error_set_field(why, code, name, "`%s` has a broken escape", name);
        }
        *ret_is_found = code == OK;
        return code;
    }
    return OK;
}
