/* SPDX-License-Identifier: Apache-2.0 */
/* deleted.h — which offsets of a channel were deleted by command.
 *
 * Place:   written by apply, asked by reads, cleared by prune; knows the table `deleted`.
 * Thread:  that of the transaction handed in.
 * Bounds:  a row for each range; ranges that touch are one.
 *
 * A deleted offset stays in the index until retention passes it, so that offsets have no hole. In
 * the segments and in `cold` a stub stands for it (rows.c): chunks_read() gives a record of the
 * kind MESSAGE_DELETE with its place and its times, and no more. A row comes with the fold of the
 * delete, the stub in the same fold or in a later transaction: a reader asks here first.
 */
#pragma once

#include "storage/store.h"

/* The range that holds `offset`. ERR_NOT_FOUND leaves `why` alone: it was not deleted. */
MUST_USE enum error_code deleted_find(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                      uint64_t offset, uint64_t *ret_from, uint64_t *ret_to,
                                      struct error *why);

/* The range that holds `offset`, or the first one behind it. ERR_NOT_FOUND likewise: none. */
MUST_USE enum error_code deleted_find_next(const struct store *store, MDB_txn *txn,
                                           uint64_t channel_id, uint64_t offset,
                                           struct deleted_row *ret_row, struct error *why);

/* Adds a range, joined with those that it touches. */
MUST_USE enum error_code deleted_put(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                     const struct deleted_row *row, struct error *why);
