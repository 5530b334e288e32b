/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/varint.h"

size_t varint_write(uint64_t number, uint8_t ret_bytes[VARINT_BYTES_MAX]) {
    size_t count = 0;
    for (; number >= 128; number >>= 7) {
        ret_bytes[count++] = (uint8_t)(number | 128);
    }
    ret_bytes[count++] = (uint8_t)number;
    return count;
}

enum error_code varint_put(struct buffer *buffer, uint64_t number) {
    uint8_t bytes[VARINT_BYTES_MAX];
    return buffer_put(buffer, span_of(bytes, varint_write(number, bytes)));
}

bool varint_take(struct span *rest, uint64_t *ret_number) {
    uint64_t number = 0;
    for (size_t i = 0; i < rest->length && i < VARINT_BYTES_MAX; i++) {
        uint8_t byte = rest->bytes[i];
        if (i == VARINT_BYTES_MAX - 1 && byte > 1) {
            return false;
        }
        number |= (uint64_t)(byte & 127) << (7 * i);
        if (byte < 128) {
            *rest = span_of(rest->bytes + i + 1, rest->length - i - 1);
            *ret_number = number;
            return true;
        }
    }
    return false;
}
