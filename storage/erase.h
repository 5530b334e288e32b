/* SPDX-License-Identifier: Apache-2.0 */
/* erase.h — takes the bytes of deleted messages out of the store, after the fold of the delete.
 *
 * Place:   apply puts the work, storage.c does it step by step; knows index, chunks and keys.
 * Thread:  the store thread.
 * Bounds:  ERASE_CHUNKS_MAX values and one transaction a step; a row for each delete in work.
 *
 * Each record becomes a stub in its place, so that the index stays without a hole and no page has
 * to be put together anew. What it leaves in pages that hold nothing is the work of scrub.h.
 *
 * WEAKNESS: what retention had passed before the delete came is in no index any more, and goes with
 * its segment; cure: a delete of a whole channel could walk the segments by position.
 */
#pragma once

#include "storage/segments.h"
#include "storage/store.h"

#define ERASE_CHUNKS_MAX 8192 /* 16 MiB of records at most */

/* These offsets of a channel are to be erased. */
MUST_USE enum error_code erase_put(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                   uint64_t from, uint64_t to, struct error *why);

/* Whether some of a channel is yet to be erased: its index is needed until then. */
bool erase_has_work(const struct store *store, MDB_txn *txn, uint64_t channel_id);

/* One step, in a transaction of its own. `ret_more`: there is more of it. */
MUST_USE enum error_code erase_step(struct store *store, const struct segments *segments,
                                    bool *ret_more, struct error *why);
