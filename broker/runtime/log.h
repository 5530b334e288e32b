/* SPDX-License-Identifier: Apache-2.0 */
/* log.h — the interface of the engine that orders: publishes go in, commits and answers come out.
 *
 * Place:   protocols/ submit, workers receive commits; the engine `local` (log.c) writes the
 *          journal through storage/. A replicated engine takes its place behind the same calls.
 * Thread:  log_submit: any. The engine orders on a thread of its own.
 * Bounds:  MAILBOX_NODES_MAX publishes and PUBLISHES_WAITING_BYTES_MAX of them from submission to
 *          answer (ERR_BUSY), COMMIT_MESSAGES_MAX and COMMIT_BYTES_MAX
 *          a commit, COMMITS_WAITING_BYTES_MAX for a worker that does not keep up.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/commit.h"
#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/mailbox.h"
#include "broker/support/message.h"

struct accounts;
struct log;
struct registry;
struct repeat;
struct storage;

/* A publisher's request: messages for any channels, stored all or none. The maker owns it again
 * when on_answered runs, on the thread that takes `reply_to`. If the first message has an
 * idempotency hash that an earlier publish had, nothing is stored and the messages are given the
 * places and the time of that publish; ERR_UNPROCESSABLE: it had another body. */
struct publish {
    struct letter letter; /* the engine's, as is `in_list` */
    struct list in_list;
    struct mailbox *reply_to;
    void (*on_answered)(struct publish *publish);
    void *context;
    uint64_t submitted_us; /* the engine's, as is `bytes` */
    size_t bytes;
    struct repeat *repeat;            /* likewise */
    struct message **messages;        /* the caller's array and references; ordered in place */
    size_t count;                     /* PUBLISH_MESSAGES_MAX at most */
    enum metrics_protocol counted_as; /* METRICS_PROTOCOL_HTTP unless it is set */
    bool is_repeated;       /* set with the answer: nothing was stored, the first had been */
    enum error_code result; /* OK: each message has its place and is as durable as it asked for */
    struct error why;
};

/* One who gets every commit: a worker. Filled by the worker before log_start(). */
struct log_listener {
    struct mailbox *mailbox;
    void (*on_commit)(struct log_listener *listener, struct commit *commit); /* takes it */
    /* Set when a commit did not fit: the listener reads log_position_readable() and goes on
     * there. */
    atomic_bool has_missed;
    /* Set by a listener that wants none for now. One that comes back clears it and goes on at
     * log_position_readable(), read behind that: what it was not told lies at or before it. */
    atomic_bool is_away;
    atomic_size_t bytes_waiting;
};

struct log_options {
    struct storage *storage;
    struct log_listener **listeners;
    size_t listener_count;
    struct mailbox *store_mailbox; /* told when a fold is due; may be NULL */
    struct metrics *metrics;
    size_t channels_max;
    struct accounts *accounts; /* of tenants: see order.h; NULL: none */
    size_t sessions_max;       /* see registry.h */
    size_t sessions_bytes_max; /* see registry.h */
    void (*on_session_over)(void *context, struct span client_id); /* see registry.h */
    bool (*is_over_busy)(void *context);                           /* see registry.h */
    void *context;
};

MUST_USE enum error_code log_create(const struct log_options *options, struct log **ret_log,
                                    struct error *why);

/* Starts the thread. */
MUST_USE enum error_code log_start(struct log *log, struct error *why);

/* Answers what was submitted, then ends the thread. */
void log_stop(struct log *log);

void log_destroy(struct log *log);

/* ERR_BUSY: too much waits. ERR_DRAINING: the log has stopped. Then on_answered is not called. */
MUST_USE enum error_code log_submit(struct log *log, struct publish *publish);

/* The same on a worker's thread, where the log need not wake before the turn ends, which is when
 * the worker nudges it: what came in one turn is one round. */
MUST_USE enum error_code log_submit_quietly(struct log *log, struct publish *publish);
void log_nudge(struct log *log);

/* So little waits that a publisher may submit before the answers to what it submitted already. Who
 * does so whenever there is any room takes that of those who wait. Any thread. */
bool log_is_relaxed(const struct log *log);

/* Up to here everything may be read. Any thread. */
uint64_t log_position_readable(const struct log *log);

/* Which is the log thread's: registry.h says what may be called. */
struct registry *log_borrow_registry(struct log *log);

uint64_t log_id(const struct log *log);
uint32_t log_generation(const struct log *log);

/* The store thread folds soon, without being asked; or it takes what is to be folded now. Between
 * the two it is woken only for a fold that is due at once. */
void log_expect_fold(struct log *log, bool is_expected);

/* The store thread made room. */
void log_on_folded(struct log *log);

/* The store thread could not: as long as that lasts, publishes that find no room are refused with
 * `code` instead of waiting. */
void log_on_fold_failed(struct log *log, enum error_code code);

/* The store thread forgot a channel: its name begins anew, unless a message came in between. */
void log_on_forgotten(struct log *log, struct span name, uint64_t channel_id, uint64_t offset_last);

/* OK, or why publishes are refused now. Any thread. */
enum error_code log_health(const struct log *log);

struct log_figures {
    uint64_t turned_away;   /* publishes that found no room */
    uint64_t waiting;       /* publishes from submission to answer … */
    uint64_t waiting_bytes; /* … and their memory */
    uint64_t letters;       /* in the log thread's mailbox */
    uint64_t channels;
    uint64_t repeats; /* idempotency keys that are kept */
};

void log_get_figures(const struct log *log, struct log_figures *ret_figures);
