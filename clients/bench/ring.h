/* SPDX-License-Identifier: Apache-2.0 */
/* ring.h — entries in a row: what is due on a connection and not sent, or sent and not answered.
 *
 * Place:   outlet.c has two a connection.
 * Thread:  the publishers'.
 * Bounds:  the caller's; the ring doubles when it is full.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ring_entry {
    uint64_t due_ns;
    uint32_t channel;
    uint32_t count; /* messages */
};

struct ring {
    struct ring_entry *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t from;
    size_t count;
};

/* The entry `index` behind the oldest; there must be one. */
struct ring_entry *ring_at(const struct ring *ring, size_t index);

void ring_put(struct ring *ring, struct ring_entry entry);

/* Takes the oldest `count` away. */
void ring_drop(struct ring *ring, size_t count);

void ring_finish(struct ring *ring);
