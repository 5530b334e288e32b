/* SPDX-License-Identifier: Apache-2.0 */
/* store.h — the thread that folds the journal into LMDB and lets go what is no longer kept.
 *
 * Place:   woken by the log thread; calls storage_fold() and storage_retain(); tells the log of
 *          room and of forgotten channels.
 * Thread:  create and destroy are main's; the work is on a thread of its own.
 * Bounds:  one fold and one bounded step of retention at a time.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/mailbox.h"

struct log;
struct metrics_shard;
struct storage;
struct store;
struct tenants;

/* Makes the mailbox that the log is given (log_options.store_mailbox). */
MUST_USE enum error_code store_create(struct storage *storage, struct metrics_shard *metrics,
                                      struct store **ret_store);

struct mailbox *store_mailbox(struct store *store);

/* Starts the thread; `log` hears of every fold, `tenants` (may be NULL) of what they lose. */
MUST_USE enum error_code store_start(struct store *store, struct log *log, struct tenants *tenants);

/* Ends the thread after the fold that runs, and frees. Accepts NULL. */
void store_destroy(struct store *store);
