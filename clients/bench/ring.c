/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/ring.h"

#include <stdlib.h>
#include <string.h>

#include "clients/bench/fail.h"

#define CAPACITY_FIRST 64u

struct ring_entry *ring_at(const struct ring *ring, size_t index) {
    return &ring->entries[(ring->from + index) & (ring->capacity - 1)];
}

static void grow(struct ring *ring) {
    size_t capacity = ring->capacity == 0 ? CAPACITY_FIRST : ring->capacity * 2;
    struct ring_entry *entries = malloc(capacity * sizeof(entries[0]));
    if (entries == NULL) {
        bench_fail("out of memory for what is due");
    }
    for (size_t index = 0; index < ring->count; index++) {
        entries[index] = *ring_at(ring, index);
    }
    free(ring->entries);
    ring->entries = entries;
    ring->capacity = capacity;
    ring->from = 0;
}

void ring_put(struct ring *ring, struct ring_entry entry) {
    if (ring->count == ring->capacity) {
        grow(ring);
    }
    ring->count++;
    *ring_at(ring, ring->count - 1) = entry;
}

void ring_drop(struct ring *ring, size_t count) {
    size_t taken = count < ring->count ? count : ring->count;
    ring->count -= taken;
    ring->from = ring->capacity > 0 ? (ring->from + taken) & (ring->capacity - 1) : 0;
}

void ring_finish(struct ring *ring) {
    free(ring->entries);
    *ring = (struct ring){0};
}
