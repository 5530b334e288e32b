/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/items.h"

#include <string.h>

/* Behind the quote that ends the string whose text begins at `at`; 0: it is not there. */
static size_t skip_string(const uint8_t *bytes, size_t length, size_t at) {
    for (size_t from = at;;) {
        const uint8_t *quote = memchr(bytes + from, '"', length - from);
        if (quote == NULL) {
            return 0;
        }
        size_t end = (size_t)(quote - bytes);
        size_t back = end;
        while (back > at && bytes[back - 1] == '\\') {
            back--;
        }
        if ((end - back) % 2 == 0) {
            return end + 1;
        }
        from = end + 1;
    }
}

size_t items_find_end(const uint8_t *bytes, size_t length, size_t depth) {
    size_t at = 0;
    while (at < length) {
        uint8_t byte = bytes[at++];
        if (byte == '"') {
            at = skip_string(bytes, length, at);
            if (at == 0) {
                return 0;
            }
        } else if (byte == '{' || byte == '[') {
            depth++;
        } else if ((byte == '}' || byte == ']') && --depth == 0) {
            return at;
        }
    }
    return 0;
}
