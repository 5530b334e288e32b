/* SPDX-License-Identifier: Apache-2.0 */
/* log_private.h — the inside of the engine `local`, for the few files that are one engine together.
 *
 * Place:   log.c (turns, the thread), rounds.c (what was written, until it is answered).
 * Thread:  the log thread's, but for what is atomic.
 * Bounds:  see log.h; COMMITS_AWAITING_BYTES_MAX in rounds, and one more.
 */
#pragma once

#include <pthread.h>

#include "broker/runtime/answers.h"
#include "broker/runtime/log.h"
#include "broker/runtime/order.h"
#include "broker/runtime/registry.h"
#include "broker/runtime/repeats.h"
#include "broker/runtime/sync.h"
#include "broker/support/invariant.h"

/* One journal write and everything that waits for it. */
struct round {
    struct round *next;
    struct commit *commit; /* empty: a round of repeats alone */
    struct list publishes; /* oldest first, then those that repeat */
    size_t data_count;     /* of its messages */
    bool has_stored;       /* something else than time */
    bool needs_sync;
};

struct log {
    struct owner owner;
    pthread_t thread;
    bool is_started;
    struct mailbox mailbox;
    struct log_options options;
    struct order order;
    struct repeats *repeats;
    struct registry *registry;
    struct answers answers;

    struct list waiting;        /* publishes from the mailbox, not ordered yet */
    struct round *rounds_first; /* written, not released yet */
    struct round **rounds_last;
    size_t rounds_bytes;
    struct round *sync_last; /* the last round that the running sync covers; NULL: none runs */
    struct syncer *syncer;
    struct letter synced;
    struct letter stop;   /* may come when the thread has seen is_stopping, and is gone */
    struct letter folded; /* from the store thread: there may be room again */
    atomic_bool is_folded_told;
    struct letter fold_please;
    atomic_bool is_fold_asked;
    atomic_bool is_fold_expected; /* one comes soon, without being asked for */
    bool was_room;
    bool has_append_failed;
    struct publish tick; /* underway while it holds its message */
    struct message *tick_message;

    atomic_bool is_stopping;
    atomic_uint fold_code; /* enum error_code of the newest fold */
    atomic_uint_fast64_t position_readable;
};

/* --- rounds.c --- */

/* With room for `count` messages. NULL: out of memory. */
MUST_USE struct round *round_create(size_t count);

/* Accepts NULL. Its publishes must be gone. */
void round_destroy(struct round *round);

/* Takes a round that was written; it is released when those before it are and it is synced. */
void rounds_put(struct log *log, struct round *round);

/* Letters to the log thread (`synced`), and from it to the store thread (`fold_please`). */
void rounds_on_synced(struct letter *letter, void *consumer);
void rounds_on_fold_please(struct letter *letter, void *consumer);
