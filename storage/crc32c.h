/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c.h — the checksum of the journal: CRC-32C (Castagnoli), as in RFC 3720, appendix B.4.
 *
 * Place:   called by the journal's codec.
 * Thread:  pure.
 * Bounds:  none; about 2 GB/s without special instructions.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Continues from `seed` (0 at the start), so that parts can be summed one after the other. */
uint32_t crc32c(uint32_t seed, const void *bytes, size_t length);
