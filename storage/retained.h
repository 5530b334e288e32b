/* SPDX-License-Identifier: Apache-2.0 */
/* retained.h — the retained message of each channel, which outlives the channel's retention.
 *
 * Place:   written by apply; read by retaining; knows the table `retained`.
 * Thread:  that of the transaction handed in.
 * Bounds:  one record a channel.
 */
#pragma once

#include "broker/support/buffer.h"
#include "storage/record.h"
#include "storage/store.h"

/* Puts a record's body (record.c, without the channel's name) in place of the one before. */
MUST_USE enum error_code retained_put(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                      struct span body, struct error *why);

/* ERR_NOT_FOUND leaves `why` alone: there is none. */
MUST_USE enum error_code retained_remove(const struct store *store, MDB_txn *txn,
                                         uint64_t channel_id, struct error *why);

/* The record; its spans live in `buffer`. ERR_NOT_FOUND leaves `why` alone. */
MUST_USE enum error_code retained_get(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                      struct buffer *buffer, struct record *ret_record,
                                      struct error *why);

/* The first channel from `channel_id` on that has one. ERR_NOT_FOUND leaves `why` alone: none. */
MUST_USE enum error_code retained_next(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                       uint64_t *ret_channel_id, struct error *why);
