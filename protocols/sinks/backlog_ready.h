/* SPDX-License-Identifier: Apache-2.0 */
/* backlog_ready.h — what may begin a shipment: at once, by position, or at a time of its own.
 *
 * Place:   of backlog.c.
 * Thread:  pure; no clock.
 * Bounds:  16 bytes for each item that was reserved.
 *
 * An item is put here when nothing is before it: the first of its lane of which nothing is under
 * way, one without a lane (parallel mode, a pipeline), or the first of a bond, for all of it.
 *
 * `count` and `bytes` say how much a shipment could hold, so that one that waits for more is not
 * put together and taken apart at each message. They may be too high (something in the middle of a
 * lane may have to wait), which costs that work, and nothing else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/heap.h"
#include "broker/support/macros.h"
#include "protocols/sinks/backlog.h"
#include "protocols/sinks/backlog_lane.h"

/* Zeroed memory is an empty one. */
struct backlog_ready {
    struct heap free;    /* by position */
    struct heap waiting; /* by when it is due */
    size_t count;        /* free, with what stands behind them in their lanes */
    size_t bytes;        /* of payloads, likewise */
    uint64_t held_since_ms;
};

MUST_USE enum error_code backlog_ready_reserve(struct backlog_ready *ready, size_t items);
void backlog_ready_finish(struct backlog_ready *ready); /* it is empty then, and usable */

/* `due_ms` 0: at once. */
void backlog_ready_put(struct backlog_ready *ready, struct backlog_item *item, uint64_t due_ms);

/* The lane counts no more. */
void backlog_ready_forget_lane(struct backlog_ready *ready, struct backlog_lane *lane);

/* It begins nothing any more, and neither does its lane. */
void backlog_ready_remove(struct backlog_ready *ready, struct backlog_item *item);

/* It is taken, and its lane still counts, for what may be taken with it. */
void backlog_ready_take(struct backlog_ready *ready, struct backlog_item *item);

/* An item that is not under way comes to a lane, or goes from it. */
void backlog_ready_add_rest(struct backlog_ready *ready, const struct backlog_item *item);
void backlog_ready_drop_rest(struct backlog_ready *ready, const struct backlog_item *item);

/* What has waited long enough is free. */
void backlog_ready_promote(struct backlog_ready *ready, uint64_t now_ms);

/* The first that is free; NULL: none. */
struct backlog_item *backlog_ready_first(const struct backlog_ready *ready);

/* When the next one is due; UINT64_MAX: none waits. */
uint64_t backlog_ready_due_ms(const struct backlog_ready *ready);

/* That one waits for company, until `ret_due_ms`. A clock that goes back lets it wait `age_ms_max`
 * once more. */
bool backlog_ready_is_held(struct backlog_ready *ready, uint64_t now_ms, size_t messages_max,
                           size_t bytes_max, uint64_t age_ms_max, uint64_t *ret_due_ms);
