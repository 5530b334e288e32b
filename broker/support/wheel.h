/* SPDX-License-Identifier: Apache-2.0 */
/* wheel.h — timers by the hundred thousand: arming one costs the same however many there are.
 *
 * Place:   each worker has one for its connections; turned from its loop.
 * Thread:  its owner's; no locks.
 * Bounds:  the timers are the caller's; the wheel is 5 KiB. Due times up to years ahead are kept.
 *
 * A timer is never early and at most WHEEL_TICK_MS (and the caller's own delay) late.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/list.h"

#define WHEEL_TICK_MS 64
#define WHEEL_SLOTS 64
#define WHEEL_LEVELS 5

/* Embedded in what waits. Zeroed memory with on_due set is a timer that is not armed. */
struct wheel_timer {
    struct list node;
    uint64_t due_tick;
    void (*on_due)(struct wheel_timer *timer);
};

/* Embedded by value; all members belong to the wheel. */
struct wheel {
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
    uint64_t tick; /* the last one that was turned */
    size_t timer_count;
    bool is_turning;
};

/* `now_ms` comes from clock_monotonic_ms(), here and below. */
void wheel_init(struct wheel *wheel, uint64_t now_ms);

/* Disarms what is left, without calling anything. */
void wheel_finish(struct wheel *wheel);

bool wheel_is_armed(const struct wheel_timer *timer);

/* Harmless for a timer that is not armed. */
void wheel_disarm(struct wheel *wheel, struct wheel_timer *timer);

/* Arms, or arms anew. A due time that has passed fires at the next tick. */
void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint64_t due_ms);

/* Calls on_due of each timer that is due, disarmed before the call; a callback may arm, disarm and
 * free any timer, its own too. Not to be called from a callback. */
void wheel_turn(struct wheel *wheel, uint64_t now_ms);
