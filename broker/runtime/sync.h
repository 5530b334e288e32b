/* SPDX-License-Identifier: Apache-2.0 */
/* sync.h — puts the journal on the disk, beside the log thread while that goes on writing.
 *
 * Place:   asked by the log thread; calls storage_sync().
 * Thread:  all calls are the log's owner's; the waiting is on a thread of its own, or here where
 *          it is short and nobody else waits.
 * Bounds:  one question under way at a time.
 *
 * An fdatasync that fails ends the process: the kernel may have dropped the pages, so a second try
 * that succeeds proves nothing. The next start reads what the disk really holds.
 */
#pragma once

#include <stdbool.h>

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

/* The same at once, on this thread, whose shard is `metrics`: two wake-ups less. False, and nothing
 * was done, if the newest sync took longer than SYNC_HERE_US_MAX. Not while one is under way. */
MUST_USE bool syncer_try_here(struct syncer *syncer, struct metrics_shard *metrics);

/* Ends the thread after the sync that runs. Accepts NULL. */
void syncer_destroy(struct syncer *syncer);
