/* SPDX-License-Identifier: Apache-2.0 */
/* keys.h — the newest folded offset of each key of a channel: what conflation asks.
 *
 * Place:   asked by reads; written by apply, once a fold and key; knows the table `keys`.
 * Thread:  that of the transaction handed in.
 * Bounds:  a row for each key of a channel that keeps a message with it.
 *
 * Messages without a key have no row here: the newest of them is channel_row.keyless_last. A key
 * whose newest message was deleted has no row; what is older then counts as the newest.
 */
#pragma once

#include "storage/store.h"

/* ERR_NOT_FOUND leaves `why` alone. */
MUST_USE enum error_code keys_find(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                   struct span key, uint64_t *ret_offset, struct error *why);

MUST_USE enum error_code keys_put(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                  struct span key, uint64_t offset, struct error *why);

/* Removes the row of `key` if it says `offset`. */
MUST_USE enum error_code keys_remove(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                     struct span key, uint64_t offset, struct error *why);

/* --- many at once --- */

/* Gathers what a fold says of keys, so that each costs one row however often it came. The caller
 * flushes before its transaction commits; beyond KEYS_BATCH_MAX keys a put flushes by itself. */
#define KEYS_BATCH_MAX 4096 /* keys at a time: 2 MiB */
struct keys_batch;

MUST_USE enum error_code keys_batch_create(const struct store *store, MDB_txn *txn,
                                           struct keys_batch **ret_batch, struct error *why);

/* Offsets of a channel come in order. */
MUST_USE enum error_code keys_batch_put(struct keys_batch *batch, uint64_t channel_id,
                                        struct span key, uint64_t offset, struct error *why);
MUST_USE enum error_code keys_batch_flush(struct keys_batch *batch, struct error *why);

/* Accepts NULL. */
void keys_batch_destroy(struct keys_batch *batch);
