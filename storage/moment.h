/* SPDX-License-Identifier: Apache-2.0 */
/* moment.h — the whole log at one moment: what views of many channels are made from.
 *
 * Place:   taken by each call that reads more than one channel; asked by view, matching, walk.
 * Thread:  its maker's.
 * Bounds:  one snapshot and two references. Not kept across a return: a snapshot that lives on
 *          makes the file grow.
 */
#pragma once

#include "storage/open_batch.h"
#include "storage/store.h"

struct moment {
    struct store *store;
    MDB_txn *txn;
    struct meta_row meta;
    struct batch_moment batch;
};

/* Batch and snapshot under one lock: what has left the batch is in the snapshot. Ended by
 * moment_finish(). */
MUST_USE enum error_code moment_init(struct moment *moment, struct store *store,
                                     struct open_batch *batch, struct error *why);
void moment_finish(struct moment *moment);
