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

/* Whether a place of generation g lies behind where g + 1 began: then it was lost, and its position
 * has been given to another record since. *ret_begin is where g + 1 began, 0: it was not lost. */
MUST_USE enum error_code resolve_lost_tail(const struct store *store, MDB_txn *txn,
                                           const struct meta_row *meta, const struct place *place,
                                           uint64_t *ret_begin, struct error *why);
