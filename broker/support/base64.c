/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/base64.h"

#include <stdbool.h>

struct alphabet {
    char characters[64];
    bool is_padded;
};

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
static const struct alphabet STANDARD = {.characters = LETTERS "+/", .is_padded = true};
static const struct alphabet URL = {.characters = LETTERS "-_", .is_padded = false};

#define NO_VALUE 0xFF

static uint8_t value_of(const struct alphabet *alphabet, uint8_t character) {
    if (character >= 'A' && character <= 'Z') {
        return (uint8_t)(character - 'A');
    }
    if (character >= 'a' && character <= 'z') {
        return (uint8_t)(character - 'a' + 26);
    }
    if (character >= '0' && character <= '9') {
        return (uint8_t)(character - '0' + 52);
    }
    if (character == (uint8_t)alphabet->characters[62]) {
        return 62;
    }
    return character == (uint8_t)alphabet->characters[63] ? 63 : NO_VALUE;
}

static size_t encode(const struct alphabet *alphabet, struct span bytes, char *ret_text) {
    const char *characters = alphabet->characters;
    const uint8_t *next = bytes.bytes;
    char *text = ret_text;
    size_t rest = bytes.length;
    for (; rest >= 3; rest -= 3, next += 3) {
        uint32_t group = (uint32_t)next[0] << 16 | (uint32_t)next[1] << 8 | next[2];
        *text++ = characters[group >> 18];
        *text++ = characters[group >> 12 & 63];
        *text++ = characters[group >> 6 & 63];
        *text++ = characters[group & 63];
    }
    if (rest > 0) {
        uint32_t group = (uint32_t)next[0] << 16 | (rest == 2 ? (uint32_t)next[1] << 8 : 0);
        *text++ = characters[group >> 18];
        *text++ = characters[group >> 12 & 63];
        if (rest == 2) {
            *text++ = characters[group >> 6 & 63];
        } else if (alphabet->is_padded) {
            *text++ = '=';
        }
        if (alphabet->is_padded) {
            *text++ = '=';
        }
    }
    return (size_t)(text - ret_text);
}

/* Two or three characters that stand for one or two bytes. */
static bool decode_last(const struct alphabet *alphabet, struct span text, uint8_t *ret_bytes) {
    uint8_t values[3] = {0};
    for (size_t i = 0; i < text.length; i++) {
        values[i] = value_of(alphabet, text.bytes[i]);
        if (values[i] == NO_VALUE) {
            return false;
        }
    }
    ret_bytes[0] = (uint8_t)(values[0] << 2 | values[1] >> 4);
    if (text.length == 2) {
        return (values[1] & 0x0F) == 0;
    }
    ret_bytes[1] = (uint8_t)(values[1] << 4 | values[2] >> 2);
    return (values[2] & 0x03) == 0;
}

/* Without padding. */
static bool decode(const struct alphabet *alphabet, struct span text, uint8_t *ret_bytes,
                   size_t *ret_length) {
    size_t groups = text.length / 4;
    size_t last = text.length % 4;
    if (last == 1) {
        return false;
    }
    for (size_t i = 0; i < groups; i++) {
        uint32_t group = 0;
        for (size_t k = 0; k < 4; k++) {
            uint8_t value = value_of(alphabet, text.bytes[4 * i + k]);
            if (value == NO_VALUE) {
                return false;
            }
            group = group << 6 | value;
        }
        ret_bytes[3 * i] = (uint8_t)(group >> 16);
        ret_bytes[3 * i + 1] = (uint8_t)(group >> 8);
        ret_bytes[3 * i + 2] = (uint8_t)group;
    }
    *ret_length = groups * 3 + (last > 0 ? last - 1 : 0);
    return last == 0 ||
           decode_last(alphabet, span_of(text.bytes + 4 * groups, last), ret_bytes + 3 * groups);
}

static enum error_code put(const struct alphabet *alphabet, struct buffer *buffer,
                           struct span bytes) {
    enum error_code code = bytes.length > SIZE_MAX / 2
                               ? ERR_TOO_LARGE
                               : buffer_reserve(buffer, BASE64_TEXT_BYTES(bytes.length));
    if (code == OK) {
        buffer->length += encode(alphabet, bytes, (char *)buffer->bytes + buffer->length);
    }
    return code;
}

static enum error_code put_decoded(const struct alphabet *alphabet, struct buffer *buffer,
                                   struct span text) {
    if (alphabet->is_padded) {
        if (text.length % 4 != 0) {
            return ERR_BAD_REQUEST;
        }
        for (size_t i = 0; i < 2 && text.length > 0 && text.bytes[text.length - 1] == '='; i++) {
            text.length--;
        }
    }
    size_t length;
    enum error_code code = buffer_reserve(buffer, text.length / 4 * 3 + 3);
    if (code != OK) {
        return code;
    }
    if (!decode(alphabet, text, buffer->bytes + buffer->length, &length)) {
        return ERR_BAD_REQUEST;
    }
    buffer->length += length;
    return OK;
}

enum error_code base64_put(struct buffer *buffer, struct span bytes) {
    return put(&STANDARD, buffer, bytes);
}

enum error_code base64_put_decoded(struct buffer *buffer, struct span text) {
    return put_decoded(&STANDARD, buffer, text);
}

enum error_code base64_url_put(struct buffer *buffer, struct span bytes) {
    return put(&URL, buffer, bytes);
}

enum error_code base64_url_put_decoded(struct buffer *buffer, struct span text) {
    return put_decoded(&URL, buffer, text);
}

size_t base64_url_encode(struct span bytes, char *ret_text) {
    return encode(&URL, bytes, ret_text);
}

enum error_code base64_url_decode(struct span text, uint8_t *ret_bytes, size_t *ret_length) {
    return decode(&URL, text, ret_bytes, ret_length) ? OK : ERR_BAD_REQUEST;
}
