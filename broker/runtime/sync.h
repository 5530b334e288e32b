/* SPDX-License-Identifier: Apache-2.0 */
/* sync.h — the thread that puts the journal on the disk while the log thread goes on writing.
 *
 * Place:   asked by the log thread; calls storage_sync().
 * Thread:  create, ask and destroy are the log's owner's; the waiting is on a thread of its own.
 * Bounds:  one question under way at a time.
 *
 * An fdatasync that fails ends the process: the kernel may have dropped the pages, so a second try
 * that succeeds proves nothing. The next start reads what the disk really holds.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/mailbox.h"

struct metrics_shard;
struct storage;
struct syncer;

/* Starts the thread. `done` is put into `reply_to` after each sync; both outlive the syncer. */
MUST_USE enum error_code syncer_create(struct storage *storage, struct metrics_shard *metrics,
                                       struct mailbox *reply_to, struct letter *done,
                                       struct syncer **ret_syncer);

/* All that was appended before this call is on the disk when `done` arrives. */
void syncer_ask(struct syncer *syncer);

/* Ends the thread after the sync that runs. Accepts NULL. */
void syncer_destroy(struct syncer *syncer);
