/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.h — where a query begins and ends in its channel, and what it asks for in vain.
 *
 * Place:   called by read; knows view.
 * Thread:  the view's maker.
 * Bounds:  a few searches.
 */
#pragma once

#include "storage/storage.h"
#include "storage/view.h"

/* Messages with after < offset < before. */
struct resolved {
    uint64_t after;
    uint64_t before;
    bool has_gap;
    struct gap gap;
    bool tells_holes; /* what has expired at the front is a gap, not just passed over */
};

MUST_USE enum error_code resolve_query(const struct view *view, const struct storage_query *query,
                                       struct resolved *ret_resolved, struct error *why);
