/* SPDX-License-Identifier: Apache-2.0 */
/* prune.h — takes rows away that speak of offsets which retention has passed.
 *
 * Place:   called by sweep behind each walk; knows the tables `deleted` and `keys`.
 * Thread:  the store thread.
 * Bounds:  PRUNE_ROWS_MAX rows a step.
 */
#pragma once

#include "storage/store.h"

#define PRUNE_ROWS_MAX 20000

struct prune {
    bool is_running;
    size_t table;      /* the one that is walked … */
    size_t key_length; /* … from this key on; 0: from its first */
    uint8_t key[KEY_CONFLATED_BYTES_MAX];
};

/* Begins at the first row. */
void prune_begin(struct prune *prune);

/* One step inside a write transaction. `ret_changed`: rows went. */
MUST_USE enum error_code prune_step(struct prune *prune, const struct store *store, MDB_txn *txn,
                                    bool *ret_changed, struct error *why);
