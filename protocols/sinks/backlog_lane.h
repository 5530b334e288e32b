/* SPDX-License-Identifier: Apache-2.0 */
/* backlog_lane.h — what must stay in order among itself: the messages of a channel, of a key of a
 * channel, or all.
 *
 * Place:   of backlog.c.
 * Thread:  pure.
 * Bounds:  a lane for each message that waits, at most; one that is empty is gone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/config/config.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "broker/support/map.h"
#include "broker/support/message.h"

struct backlog_lane {
    struct map_node in_lanes;
    struct list items; /* in order of position, those under way first */
    size_t under_way;
    size_t rest_count; /* of those that are not under way … */
    size_t rest_bytes; /* … their payloads */
    bool is_free;      /* its first may begin something, and it is counted as that */
    uint8_t key[];
};

/* Zeroed memory has none. */
struct backlog_lanes {
    struct map map;
    bool is_made;
};

/* The message's lane, made if it is not there. NULL: no memory. */
struct backlog_lane *backlog_lanes_open(struct backlog_lanes *lanes, enum sink_order order,
                                        const struct message *message);

/* Frees it if it is empty. Accepts NULL. */
void backlog_lanes_close(struct backlog_lanes *lanes, struct backlog_lane *lane);

/* All are closed. */
void backlog_lanes_finish(struct backlog_lanes *lanes);

size_t backlog_lanes_bytes(const struct backlog_lanes *lanes); /* about */
