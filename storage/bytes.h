/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.h — numbers as bytes: little-endian in values, big-endian in keys, varints in runs.
 *
 * Place:   used by the codecs of storage/ alone; calls varint.h.
 * Thread:  pure.
 * Bounds:  a varint takes VARINT_BYTES_MAX bytes at most.
 *
 * Keys are big-endian because LMDB orders keys as bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/varint.h"

static inline uint64_t bytes_get_little(const uint8_t *at, size_t width) {
    uint64_t number = 0;
    for (size_t i = width; i > 0; i--) {
        number = number << 8 | at[i - 1];
    }
    return number;
}

static inline uint8_t *bytes_put_little(uint8_t *to, uint64_t number, size_t width) {
    for (size_t i = 0; i < width; i++, number >>= 8) {
        to[i] = (uint8_t)number;
    }
    return to + width;
}

static inline uint64_t bytes_get_big(const uint8_t *at, size_t width) {
    uint64_t number = 0;
    for (size_t i = 0; i < width; i++) {
        number = number << 8 | at[i];
    }
    return number;
}

static inline uint8_t *bytes_put_big(uint8_t *to, uint64_t number, size_t width) {
    for (size_t i = width; i > 0; i--, number >>= 8) {
        to[i - 1] = (uint8_t)number;
    }
    return to + width;
}

static inline size_t bytes_varint_size(uint64_t number) {
    size_t size = 1;
    for (; number >= 128; number >>= 7) {
        size++;
    }
    return size;
}

static inline uint8_t *bytes_put_varint(uint8_t *to, uint64_t number) {
    return to + varint_write(number, to);
}

/* Moves `at` behind the varint. False: it is cut off, or does not fit 64 bits. */
static inline bool bytes_get_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret_number) {
    struct span rest = span_of(*at, (size_t)(end - *at));
    bool is_taken = varint_take(&rest, ret_number);
    *at = rest.bytes;
    return is_taken;
}
