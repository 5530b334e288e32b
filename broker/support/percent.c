/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/percent.h"

#include "broker/support/hex.h"

bool percent_take_byte(struct span *text, enum percent_kind kind, uint8_t *ret_byte) {
    uint8_t byte = text->bytes[0];
    size_t taken = 1;
    if (byte == '%') {
        int high = text->length < 3 ? -1 : hex_digit(text->bytes[1]);
        int low = high < 0 ? -1 : hex_digit(text->bytes[2]);
        if (low < 0) {
            return false;
        }
        byte = (uint8_t)(high << 4 | low);
        taken = 3;
    } else if (byte == '+' && kind == PERCENT_QUERY) {
        byte = ' ';
    }
    *ret_byte = byte;
    *text = span_of(text->bytes + taken, text->length - taken);
    return true;
}

enum error_code percent_put_decoded(struct buffer *buffer, struct span text,
                                    enum percent_kind kind) {
    enum error_code code = buffer_reserve(buffer, text.length);
    if (code != OK) {
        return code;
    }
    uint8_t *out = buffer->bytes + buffer->length;
    while (text.length > 0) {
        if (!percent_take_byte(&text, kind, out++)) {
            return ERR_BAD_REQUEST;
        }
    }
    buffer->length = (size_t)(out - buffer->bytes);
    return OK;
}

static bool is_unreserved(uint8_t byte) {
    uint8_t lower = byte | 0x20;
    return (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
           byte == '.' || byte == '_' || byte == '~';
}

enum error_code percent_put_encoded(struct buffer *buffer, struct span bytes,
                                    enum percent_kind kind) {
    static const char DIGITS[] = "0123456789ABCDEF";
    if (bytes.length > SIZE_MAX / 3) {
        return ERR_TOO_LARGE;
    }
    size_t needed = bytes.length;
    for (size_t i = 0; i < bytes.length; i++) {
        needed += is_unreserved(bytes.bytes[i]) ? 0 : 2;
    }
    enum error_code code = buffer_reserve(buffer, needed);
    if (code != OK) {
        return code;
    }
    uint8_t *out = buffer->bytes + buffer->length;
    for (size_t i = 0; i < bytes.length; i++) {
        uint8_t byte = bytes.bytes[i];
        if (is_unreserved(byte) || (byte == '/' && kind == PERCENT_PATH)) {
            *out++ = byte;
        } else {
            *out++ = '%';
            *out++ = (uint8_t)DIGITS[byte >> 4];
            *out++ = (uint8_t)DIGITS[byte & 15];
        }
    }
    buffer->length = (size_t)(out - buffer->bytes);
    return OK;
}
