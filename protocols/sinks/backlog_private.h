/* SPDX-License-Identifier: Apache-2.0 */
/* backlog_private.h — the body of a backlog, for the files that are its parts.
 *
 * Place:   backlog.c, which changes it, and backlog_holds.c, which looks at it.
 * Thread:  pure.
 * Bounds:  backlog.h's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/list.h"
#include "broker/support/message.h"
#include "protocols/sinks/backlog.h"
#include "protocols/sinks/backlog_lane.h"
#include "protocols/sinks/backlog_ready.h"

struct backlog {
    struct backlog_options options;
    bool has_lanes;
    bool has_advanced;
    bool wants_again;
    struct list items;
    struct place passed; /* before the first item, as backlog_item.passed … */
    uint64_t last;       /* … and .last */
    uint64_t newest;     /* up to there all has been put */
    uint64_t now_ms;     /* of the last backlog_take() */
    size_t count;        /* with those that are detached */
    size_t bytes;
    size_t under_way; /* likewise */
    size_t detached;
    struct backlog_ready ready;
    struct list open_bonds;
    struct backlog_lanes lanes;
};

#define ITEM_OF(node, member) CONTAINER_OF(node, struct backlog_item, member)
