/* SPDX-License-Identifier: Apache-2.0 */
/* rider.h — one that waits for a page of the log: alone, or on the page of another.
 *
 * Place:   a stream has one; it asks the read threads (reads.h).
 * Thread:  its worker's.
 * Bounds:  one page under way a rider; a page's question outlives the riders that leave.
 *
 * Readers of one feed share pages: one that asks while a page from an earlier place is under way
 * rides on it, if a page like the last one it saw would reach its place. So a thousand readers that
 * come back at once to a pattern walk the log together, and none waits for one far behind it.
 */
#pragma once

#include <stdbool.h>

#include "broker/delivery/reader.h"
#include "broker/runtime/reads.h"
#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"

struct page_read;
struct worker;

/* Embedded by value; all members belong to the rider. */
struct rider {
    struct page_read *page_read; /* NULL: it does not wait */
    struct list in_riders;
    uint64_t reach; /* how many positions the last page went forward; at first without end */
};

/* The page has come. Its query is the one that it was asked with: perhaps another rider's. All who
 * ride on the pages of one worker have the same. */
typedef void rider_on_page(struct rider *rider, const struct read *read);

void rider_init(struct rider *rider);

/* A page is under way. */
bool rider_is_waiting(const struct rider *rider);

/* Asks for what the reader reads, with the start, the flags and the limit (0: a full page) of
 * `query`. `may_share`: the query is a plain one from the reader's place on. ERR_MEMORY: on_page
 * does not follow. */
MUST_USE enum error_code rider_ask(struct rider *rider, const struct reader *reader,
                                   struct worker *worker, const struct storage_query *query,
                                   bool may_share, rider_on_page *on_page);

/* on_page does not follow any more. Before the reader leaves its feeds. */
void rider_leave(struct rider *rider);
