/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/name.h"

#include "broker/limits.h"
#include "broker/support/utf8.h"

/* C0 and DEL are one byte each; C1, U+0080 to U+009F, is C2 80 to C2 9F. */
static bool has_control_character(struct span text) {
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.bytes[i];
        bool is_c1 = byte == 0xC2 && i + 1 < text.length && text.bytes[i + 1] < 0xA0;
        if (byte < 0x20 || byte == 0x7F || is_c1) {
            return true;
        }
    }
    return false;
}

static bool has_empty_segment(struct span text) {
    size_t length = 0;
    for (size_t i = 0; i <= text.length; i++) {
        if (i < text.length && text.bytes[i] != '/') {
            length++;
        } else if (length == 0) {
            return true;
        } else {
            length = 0;
        }
    }
    return false;
}

enum error_code channel_text_check(struct span text, bool may_have_empty_segments,
                                   struct error *why) {
    if (text.length == 0 || text.length > CHANNEL_NAME_BYTES_MAX) {
        return error_set(why, ERR_BAD_CHANNEL, "A channel has 1 to %d bytes, not %zu",
                         CHANNEL_NAME_BYTES_MAX, text.length);
    }
    if (!utf8_is_valid(text)) {
        return error_set(why, ERR_BAD_CHANNEL, "The channel is not UTF-8");
    }
    if (has_control_character(text)) {
        return error_set(why, ERR_BAD_CHANNEL, "The channel has a control character");
    }
    if (!may_have_empty_segments && has_empty_segment(text)) {
        return error_set(why, ERR_BAD_CHANNEL,
                         "A segment of the channel is empty; in a URL such a channel is "
                         "reached through ?channel= or a message body");
    }
    return OK;
}

enum error_code channel_name_check(struct span name, bool may_have_empty_segments,
                                   struct error *why) {
    enum error_code code = channel_text_check(name, may_have_empty_segments, why);
    for (size_t i = 0; code == OK && i < name.length; i++) {
        uint8_t byte = name.bytes[i];
        if (byte == '+' || byte == '#' || byte == '*') {
            code = error_set(why, ERR_BAD_CHANNEL,
                             "A channel's name has no '%c'; a pattern, to read many, has `*` and "
                             "`**`",
                             byte);
        }
    }
    return code;
}

bool channel_name_is_reserved(struct span name) {
    return name.length > 0 && name.bytes[0] == '$';
}
