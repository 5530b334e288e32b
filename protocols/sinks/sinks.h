/* SPDX-License-Identifier: Apache-2.0 */
/* sinks.h — the thread that has all sinks and sources, and how others speak with it.
 *
 * Place:   made by main; a log_listener, as the workers are; asked by protocols/operator/ and by a
 *          reload, with a letter.
 * Thread:  create, start, stop, destroy: main. sinks_ask: any. All else is its own.
 * Bounds:  SINKS_MAX sinks, SOURCES_MAX sources.
 *
 * A sink is declared in the configuration, or at the operator's port: then its row is an object of
 * the log (STORAGE_OBJECT_SINK). What it remembers, its ledger, is another one
 * (STORAGE_OBJECT_LEDGER), whoever declared it; it stays when a row goes from the configuration,
 * so that a row that comes back goes on.
 *
 * Each commit is looked up among the patterns of all sinks, so that a sink reads the log only where
 * there is something of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/channels/since.h"
#include "broker/config/config.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/mailbox.h"
#include "protocols/sinks/driver.h"
#include "protocols/sinks/ledger.h"

struct broker;
struct log_listener;
struct sinks;

/* Learns what is stored, before the first append. ERR_MEMORY, ERR_IO, ERR_CORRUPT. */
MUST_USE enum error_code sinks_create(struct broker *broker, struct sinks **ret_sinks,
                                      struct error *why);

/* Of the log's options: before the log is made. */
struct log_listener *sinks_listener(struct sinks *sinks);

/* The log and the read threads run. */
MUST_USE enum error_code sinks_start(struct sinks *sinks, struct error *why);

/* Ends the thread: what is under way is waited for a moment, then given up; ledgers are stored. The
 * log still answers. Accepts NULL. */
void sinks_stop(struct sinks *sinks);
void sinks_destroy(struct sinks *sinks);

/* The configuration was read again (any thread). */
void sinks_reload(struct sinks *sinks);

/* X(state, its name) */
#define SINK_STATE_TABLE(X)                                                                        \
    X(SINK_STARTING, "starting")       /* the driver is coming up */                               \
    X(SINK_LIVE, "live")               /* nothing waits */                                         \
    X(SINK_CATCHING_UP, "catching_up") /* something waits, and goes */                             \
    X(SINK_RETRYING, "retrying")       /* something was not taken, and is due later */             \
    X(SINK_BROKEN, "broken") /* the breaker is open, or the driver is down: `detail` says why */   \
    X(SINK_PAUSED, "paused")                                                                       \
    X(SINK_DISABLED, "disabled") /* until it is resumed; `detail` says why */

enum sink_state {
#define SINK_STATE(state, name) state,
    SINK_STATE_TABLE(SINK_STATE)
#undef SINK_STATE
        SINK_STATE_COUNT
};
const char *sink_state_name(enum sink_state state);

/* Upper bounds of the histogram of latency, in microseconds; one more bucket for the rest. */
#define SINK_LATENCY_BUCKETS 12
extern const uint64_t sink_latency_bounds_us[SINK_LATENCY_BUCKETS];

/* One sink as others see it: a copy. */
struct sink_figures {
    char name[SINK_NAME_BYTES_MAX + 1];
    const char *kind;   /* of its driver; a constant */
    bool is_configured; /* in the file, not at the operator's port */
    enum sink_state state;
    enum ledger_breaker breaker;
    char detail[SINK_DETAIL_BYTES]; /* of the last failure, or why it is disabled */
    unsigned status_last;
    struct place floor;
    uint64_t lag_messages;
    bool is_lag_exact;
    uint64_t lag_ms;                  /* age of the oldest that is not done; 0: none */
    size_t in_flight;                 /* shipments */
    size_t waiting;                   /* lanes, until the next attempt of what is first in them */
    size_t window;                    /* how many may be now */
    size_t memory_bytes;              /* about */
    uint64_t messages;                /* delivered since the process began */
    uint64_t bytes;                   /* payloads, likewise */
    uint64_t rate;                    /* messages a second, over the last few */
    uint64_t attempts[OUTCOME_COUNT]; /* shipments by outcome, likewise */
    uint64_t dead;                    /* dead letters, likewise */
    uint64_t gaps; /* times that something was gone from the log before it was sent */
    uint64_t failing_since_ms;
    uint64_t next_attempt_ms;                      /* wall clock; 0: none waits */
    uint64_t latency_us[SINK_LATENCY_BUCKETS + 1]; /* shipments that took so long */
    uint64_t latency_us_sum;
    char *row_json; /* SINKS_LIST and SINKS_SHOW with `wants_rows`: the row, secrets hidden; NULL */
};

/* One source likewise. */
struct source_figures {
    char name[SINK_NAME_BYTES_MAX + 1];
    const char *kind;
    enum sink_state state;
    char detail[SINK_DETAIL_BYTES];
    uint64_t messages; /* published since the process began */
    uint64_t bytes;
    uint64_t refused;      /* that no channel takes: too large, a bad name */
    uint64_t own;          /* of this log, that came back */
    uint64_t gaps;         /* times that something was gone before it was read */
    uint64_t lag_messages; /* UINT64_MAX: not known */
};

enum sinks_question_kind {
    SINKS_LIST,   /* figures of all sinks and sources */
    SINKS_SHOW,   /* of the sink `name` */
    SINKS_CREATE, /* `row`, taken. ERR_CONFLICT: the name is there */
    SINKS_CHANGE, /* `row`, taken, for the sink of its name; place and ledger stay */
    SINKS_DELETE, /* the sink, and what it remembers */
    SINKS_PAUSE,
    SINKS_RESUME, /* also one that is disabled; attempts count anew */
    SINKS_REPLAY, /* `since`, or the dead letters */
    SINKS_TEST,   /* one message that is not of the log, past all that waits */
};

/* One question and its answer: the asker's memory, and the thread's until on_answered, which comes
 * exactly once, on the thread of `reply_to`. */
struct sinks_question {
    struct letter letter;
    struct list in_sinks; /* the thread's, as are `sinks` and `store` */
    struct sinks *sinks;  /* that are asked */
    uint64_t store;       /* of the sink, that answers it */
    enum sinks_question_kind kind;
    char name[SINK_NAME_BYTES_MAX + 1];
    struct sink_row *row;
    struct since since;
    bool is_dead_letters;
    bool wants_rows;
    struct mailbox *reply_to;
    void (*on_answered)(struct sinks_question *question);
    void *context;

    /* ERR_NOT_FOUND: no such sink; ERR_CONFLICT: it is the configuration's, or its state does not
     * allow it; ERR_FULL: SINKS_MAX; ERR_DRAINING. `why` says it in a sentence. */
    enum error_code result;
    struct error why;
    struct sink_figures *figures; /* to be freed with sinks_question_finish(): of a sink that was
                                   * changed, as it is now */
    size_t figure_count;
    struct source_figures *sources;
    size_t source_count;
    struct verdict verdict; /* of SINKS_TEST … */
    uint64_t took_us;
    uint64_t replayed; /* of SINKS_REPLAY of dead letters: how many */
};

/* ERR_BUSY, ERR_DRAINING: on_answered will not be called. */
MUST_USE enum error_code sinks_ask(struct sinks *sinks, struct sinks_question *question);
void sinks_question_finish(struct sinks_question *question);
