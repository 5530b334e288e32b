/* SPDX-License-Identifier: Apache-2.0 */
/* index.h — where a channel's folded messages are: found by offset, position, time or bytes.
 *
 * Place:   used by view (reads), apply and sweep; knows the table `index` of the store.
 * Thread:  that of the transaction handed in.
 * Bounds:  a look-up is one descent; a search is O(log n) descents and one short run.
 *
 * All four figures grow with the offset, so each question is "the first offset that reaches x".
 */
#pragma once

#include "storage/store.h"

enum index_metric {
    INDEX_POSITION,
    INDEX_TIME,
    INDEX_BYTES_BEFORE, /* counted bytes of the channel before the message */
};

/* The run that holds `offset`. ERR_CORRUPT: there is none. Its span lives as the transaction. */
MUST_USE enum error_code index_get_run(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                       uint64_t offset, struct run *ret_run, struct error *why);

/* The entry of one offset and, if `ret_run` is not NULL, its run. ERR_CORRUPT: there is none. */
MUST_USE enum error_code index_get_entry(const struct store *store, MDB_txn *txn,
                                         uint64_t channel_id, uint64_t offset, struct run *ret_run,
                                         struct run_entry *ret_entry, struct error *why);

/* The first offset from `low` through `high` (all of which are in the index) whose metric is at
 * least `value`; `high` + 1 if none is. */
MUST_USE enum error_code index_search(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                      enum index_metric metric, uint64_t value, uint64_t low,
                                      uint64_t high, uint64_t *ret_offset, struct error *why);

MUST_USE enum error_code index_put_run(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                       struct run_builder *builder, struct error *why);
MUST_USE enum error_code index_delete_run(const struct store *store, MDB_txn *txn,
                                          uint64_t channel_id, uint64_t offset_first,
                                          struct error *why);
