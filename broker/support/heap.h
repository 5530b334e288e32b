/* SPDX-License-Identifier: Apache-2.0 */
/* heap.h — what is due first: an intrusive binary heap for due times of any clock.
 *
 * Place:   the registry of sessions and revocations, whose clock is the log's and may jump by years
 *          (a wheel would turn through all of them); the timers of the sinks; groups, by position.
 * Thread:  its owner's; no locks.
 * Bounds:  8 bytes a node that was reserved; the nodes are the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"

/* Embedded in what waits. Zeroed memory is a node that is in no heap. */
struct heap_node {
    uint64_t due;
    size_t place; /* from 1; 0: in no heap */
};

/* Embedded by value; zeroed memory is an empty heap. All members belong to the heap. */
struct heap {
    struct heap_node **nodes; /* no node is due before its parent */
    size_t count;
    size_t capacity;
};

/* Frees what the heap itself takes. */
void heap_finish(struct heap *heap);

/* Makes room for `count` nodes in all, so that heap_put() needs none. ERR_MEMORY. */
MUST_USE enum error_code heap_reserve(struct heap *heap, size_t count);

/* Puts the node in, or moves it to its new due time. There must be room. */
void heap_put(struct heap *heap, struct heap_node *node, uint64_t due);

/* Harmless for a node that is in no heap. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* The node that is due first; NULL: none. */
struct heap_node *heap_first(const struct heap *heap);
