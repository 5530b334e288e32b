/* SPDX-License-Identifier: Apache-2.0 */
/* hash.h — a keyed hash for tables whose keys come from strangers.
 *
 * Place:   used by map.c, and wherever bytes from the wire choose a bucket.
 * Thread:  pure; a key is a value.
 * Bounds:  none.
 *
 * SipHash-1-3 (Aumasson and Bernstein, 2012): without the key nobody can choose colliding names.
 */
#pragma once

#include <stdint.h>

#include "broker/support/span.h"

struct hash_key {
    uint64_t words[2];
};

/* Draws a key at random. */
void hash_key_draw(struct hash_key *ret_key);

uint64_t hash_bytes(const struct hash_key *key, struct span bytes);
