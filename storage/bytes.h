/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.h — numbers as bytes: little-endian in values, big-endian in keys, varints in runs.
 *
 * Place:   used by the codecs of storage/ alone.
 * Thread:  pure.
 * Bounds:  a varint takes BYTES_VARINT_MAX bytes at most.
 *
 * Keys are big-endian because LMDB orders keys as bytes. A varint holds seven bits a byte, the
 * lowest first; the top bit says that another byte follows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BYTES_VARINT_MAX 10

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
    for (; number >= 128; number >>= 7) {
        *to++ = (uint8_t)(number | 128);
    }
    *to++ = (uint8_t)number;
    return to;
}

/* Moves `at` behind the varint. False: it is cut off, or does not fit 64 bits. */
static inline bool bytes_get_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret_number) {
    uint64_t number = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        if (shift == 63 && byte > 1) {
            return false;
        }
        number |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *ret_number = number;
            return true;
        }
    }
    return false;
}
