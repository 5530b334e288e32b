/* SPDX-License-Identifier: Apache-2.0 */
/* checksum.h — the checksum of the journal: zlib's CRC-32 (RFC 1952, section 8).
 *
 * Place:   called by the journal and its codec.
 * Thread:  pure.
 * Bounds:  none.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

/* Continues from `seed` (0 at the start), so that parts can be summed one after the other. */
static inline uint32_t checksum(uint32_t seed, const void *bytes, size_t length) {
    return (uint32_t)crc32_z(seed, bytes, length);
}
