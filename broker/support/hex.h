/* SPDX-License-Identifier: Apache-2.0 */
/* hex.h — one hexadecimal digit.
 *
 * Place:   percent-encoding, hashes of keys, subjects of certificates.
 * Thread:  pure.
 * Bounds:  none of its own.
 */
#pragma once

#include <stdint.h>

/* 0 to 15, of either case; -1: it is none. */
int hex_digit(uint8_t byte);
