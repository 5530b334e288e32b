/* SPDX-License-Identifier: Apache-2.0 */
/* repeats.h — publishes that named an idempotency key: so that a repeat stores nothing.
 *
 * Place:   written by apply, read by storage_each_repeat(); knows the table `repeats`.
 * Thread:  that of the transaction handed in.
 * Bounds:  IDEMPOTENCY_KEYS_MAX publishes, none older than IDEMPOTENCY_AGE_MS of log time; the
 *          oldest go first, REPEATS_PRUNED_MAX a fold.
 *
 * The byte layout of a row stands at the top of repeats.c.
 */
#pragma once

#include "broker/support/message.h"
#include "storage/storage.h"
#include "storage/store.h"

#define REPEATS_PRUNED_MAX 20000

/* Gathers the messages of one publish. */
struct repeats_publish;

/* Accepts what apply meets, in order: a message with a hash begins a publish, the last one of it
 * (group_rest is 0) writes the row and counts it in `meta`. Commands have no place in it. *publish
 * is NULL at first; the caller destroys it. */
MUST_USE enum error_code repeats_add(struct repeats_publish **publish, const struct store *store,
                                     MDB_txn *txn, const struct message *message,
                                     struct meta_row *meta, struct error *why);

/* Accepts NULL. */
void repeats_publish_destroy(struct repeats_publish *publish);

/* Removes what is too old by the time in `meta`, and what is too many. */
MUST_USE enum error_code repeats_prune(const struct store *store, MDB_txn *txn,
                                       struct meta_row *meta, struct error *why);

/* Calls on_repeat for each that is not too old by the time in `meta`, oldest first. */
MUST_USE enum error_code repeats_each(const struct store *store, MDB_txn *txn,
                                      const struct meta_row *meta, storage_on_repeat *on_repeat,
                                      void *context, struct error *why);
