/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/message_text.h"

#include "broker/limits.h"
#include "broker/support/string_map.h"
#include "broker/support/utf8.h"

static bool has_control_character(struct span text) {
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.bytes[i];
        bool is_c1 = i > 0 && text.bytes[i - 1] == 0xC2 && byte >= 0x80 && byte <= 0x9F;
        if (byte < 0x20 || byte == 0x7F || is_c1) {
            return true;
        }
    }
    return false;
}

enum error_code message_text_check(struct span text, size_t bytes_max, struct error *why) {
    if (text.length == 0 || text.length > bytes_max) {
        return error_set(why, ERR_BAD_REQUEST, "1 to %zu bytes are taken here", bytes_max);
    }
    if (!utf8_is_valid(text)) {
        return error_set(why, ERR_BAD_UTF8, "this is not UTF-8");
    }
    return has_control_character(text)
               ? error_set(why, ERR_BAD_REQUEST, "control characters are not taken here")
               : OK;
}

enum error_code message_headers_put(struct buffer *map, struct span name, struct span value,
                                    struct error *why) {
    size_t count = 0;
    if (string_map_find(buffer_borrow(map), name, &count)) {
        return error_set(why, ERR_BAD_REQUEST, "this header came twice");
    }
    if (count >= MESSAGE_HEADERS_MAX) {
        return error_set(why, ERR_HEADERS_TOO_LARGE, "a message has %d headers at most",
                         MESSAGE_HEADERS_MAX);
    }
    enum error_code code = string_map_put(map, name, value);
    return code == ERR_TOO_LARGE
               ? error_set(why, ERR_HEADERS_TOO_LARGE, "a message's headers have %d bytes at most",
                           MESSAGE_HEADERS_BYTES_MAX)
               : code;
}
