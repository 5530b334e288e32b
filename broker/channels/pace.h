/* SPDX-License-Identifier: Apache-2.0 */
/* pace.h — what waits for a moment that is near, to the millisecond.
 *
 * Place:   feeds wait here whose channels have a flush_interval; turned by their worker.
 * Thread:  its worker's.
 * Bounds:  PACE_SLOTS lists, 16 KiB a worker; what waits is its owner's. Nothing is held for longer
 *          than FLUSH_INTERVAL_MS_MAX.
 *
 * One slot a millisecond, so that holding costs the same however much is held. A node may leave by
 * list_remove() at any time.
 */
#pragma once

#include <stdint.h>

#include "broker/limits.h"
#include "broker/support/list.h"

#define PACE_SLOTS 1024
#define PACE_WORDS (PACE_SLOTS / 64)

static_assert(FLUSH_INTERVAL_MS_MAX < PACE_SLOTS, "each moment ahead has a slot of its own");

/* Embedded by value; all members belong to the pace. */
struct pace {
    uint64_t now_ms;
    uint64_t occupied[PACE_WORDS]; /* a bit a slot: it may hold something */
    struct list slots[PACE_SLOTS];
};

void pace_init(struct pace *pace);

/* Holds the node, which is in no list, until `due_ms`: behind now_ms, and less than PACE_SLOTS. */
void pace_hold(struct pace *pace, struct list *node, uint64_t due_ms);

/* It is `now_ms`: what is due goes to the end of `ret_due`, in the order of the moments. */
void pace_turn(struct pace *pace, uint64_t now_ms, struct list *ret_due);

/* It is `now_ms`, and nothing is held any more. */
void pace_release(struct pace *pace, uint64_t now_ms, struct list *ret_due);

/* How many milliseconds after now_ms the next is due; 0: nothing is held. */
uint64_t pace_wait_ms(struct pace *pace);
