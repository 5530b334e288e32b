/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/via.h"

#include "broker/support/string_map.h"

void via_format(uint64_t log_id, char ret_text[VIA_ID_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < VIA_ID_BYTES; i++) {
        ret_text[i] = digits[(log_id >> (4 * (VIA_ID_BYTES - 1 - i))) & 0xF];
    }
}

struct span via_find(struct span headers) {
    struct span name, value;
    while (string_map_next(&headers, &name, &value)) {
        if (span_is_equal(name, SPAN(VIA_HEADER))) {
            return value;
        }
    }
    return (struct span){0};
}

bool via_has(struct span value, uint64_t log_id) {
    char text[VIA_ID_BYTES];
    via_format(log_id, text);
    while (value.length > 0) {
        if (span_is_equal_nocase(span_trim(span_split(&value, ',')), span_of(text, sizeof(text)))) {
            return true;
        }
    }
    return false;
}

enum error_code via_put(struct buffer *buffer, struct span value, uint64_t log_id) {
    char text[1 + VIA_ID_BYTES] = {','};
    size_t start = buffer->length, logs = 0;
    for (struct span rest = value; rest.length > 0; logs++) {
        span_split(&rest, ',');
    }
    if (logs >= VIA_LOGS_MAX) {
        return ERR_FULL;
    }
    via_format(log_id, text + 1);
    enum error_code code = value.length > 0 ? buffer_put(buffer, value) : OK;
    if (code == OK) {
        code = buffer_put(buffer, span_of(text + (logs == 0), sizeof(text) - (logs == 0)));
    }
    if (code != OK) {
        buffer->length = start;
    }
    return code;
}
