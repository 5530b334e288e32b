/* SPDX-License-Identifier: Apache-2.0 */
/* sinks_private.h — the body of the thread of the sinks, for the files that are its parts.
 *
 * Place:   sinks.c (the thread), answering.c (what others ask), following.c (the rows of the
 *          configuration), learning.c (what is stored), feeding.c (sources).
 * Thread:  the sinks thread's; before it runs and behind its end main's.
 * Bounds:  sinks.h's.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/support/list.h"
#include "broker/support/map.h"
#include "protocols/sinks/interests.h"
#include "protocols/sinks/loop.h"
#include "protocols/sinks/sink.h"
#include "protocols/sinks/sinks.h"

/* One name: the sink that has it, or what was remembered of one that is gone. */
struct sinks_seat {
    struct map_node in_sinks;
    struct sinks *sinks;
    struct sink *sink;           /* NULL: none, or not yet */
    bool is_configured;          /* its row is of the file */
    const struct sink_row *next; /* of the file: what it is to be once this sink has ended … */
    struct sink_row *row_next;   /* … else what was declared; both NULL: it goes */
    bool is_gone;                /* with all that it remembers, once that is stored */
    uint8_t *record;             /* the ledger of a sink that is not there … */
    size_t record_length;        /* … 0: none */
    size_t declaring;            /* publishes of its row that are under way */
    struct sinks_question *gone_question; /* that asked for is_gone */
    bool is_wanted;                       /* following.c's */
    size_t name_length;
    char name[];
};

struct sinks {
    struct broker *broker;
    struct loop *loop;
    struct metrics_shard *metrics;
    pthread_t thread;
    bool is_started;
    bool is_ending;
    atomic_bool is_closed; /* nobody is answered any more */
    atomic_uint asking;    /* questions that are not answered */
    struct log_listener listener;
    uint64_t position; /* of the commits that were looked at */
    struct interests interests;
    struct map seats;
    size_t sink_count;   /* seats with a sink */
    size_t declaring;    /* publishes of rows that are under way */
    struct list feeders; /* of sources: feeding.c */
    struct list feeders_over;
    struct positions *positions;
    size_t bytes;              /* of messages in all backlogs */
    uint64_t freed;            /* of what they held, ever … */
    uint64_t freed_seen;       /* … when it was looked at last … */
    uint64_t freed_given_back; /* … and when malloc() was told to give it back */
    uint64_t look_at_freed_ms; /* not before; monotonic, as … */
    uint64_t give_back_ms;     /* … this one */
    size_t pages;              /* of the log, under way */
    struct list readers;       /* sinks that wait to ask for one */
    uint64_t random;           /* of the jitter */
    struct loop_timer beat;
    struct map_node *measured; /* the seat that was looked at last; NULL: the first is next */
    struct letter stop;
    struct letter follow;
    atomic_bool is_follow_sent;
    struct backlog_item *items[LEDGER_BATCH_MESSAGES_MAX]; /* scratch of shipping.c */
};

/* --- sinks.c --------------------------------------------------------------------------------- */

/* NULL: there is none of that name. */
struct sinks_seat *sinks_find(const struct sinks *sinks, struct span name);
MUST_USE enum error_code sinks_put_seat(struct sinks *sinks, struct span name,
                                        struct sinks_seat **ret_seat);

/* Without a sink, a row or anything that is remembered: it goes. */
void sinks_mind_seat(struct sinks_seat *seat);

/* Makes the seat's sink of what it remembers, and starts it if the thread runs. ERR_MEMORY,
 * ERR_CORRUPT: the seat has none, and `row` is freed if it is owned. */
MUST_USE enum error_code sinks_seat_sink(struct sinks_seat *seat, const struct sink_row *row,
                                         bool owns_row, struct error *why);

/* Of a seat without a sink: it gets what follows, if anything, or goes. */
void sinks_fill_seat(struct sinks_seat *seat);

/* The sink ends; what follows is in the seat. */
void sinks_unseat(struct sinks_seat *seat, bool is_ledger_wanted);

uint64_t sinks_draw(struct sinks *sinks); /* any number */

/* --- learning.c ------------------------------------------------------------------------------ */

MUST_USE enum error_code sinks_learn(struct sinks *sinks, struct error *why);

/* --- following.c ----------------------------------------------------------------------------- */

/* Makes the sinks and sources what the configuration says now. */
void sinks_follow(struct sinks *sinks);
void sinks_on_follow(struct letter *letter, void *consumer);

/* --- answering.c ----------------------------------------------------------------------------- */

void sinks_on_asked(struct letter *letter, void *consumer);

/* All that is stored of the name goes; then the question (may be NULL) is answered. If that cannot
 * be stored, the seat gets its sink back. */
void sinks_forget(struct sinks_seat *seat, struct sinks_question *question);

/* Once a question. */
void sinks_answer_with(struct sinks *sinks, struct sinks_question *question, enum error_code code,
                       const char *text);

/* --- feeding.c ------------------------------------------------------------------------------- */

MUST_USE enum error_code feeders_learn(struct sinks *sinks, struct error *why);
void feeders_follow(struct sinks *sinks);
void feeders_end(struct sinks *sinks);
void feeders_bury(struct sinks *sinks); /* those that have stopped */
bool feeders_are_over(const struct sinks *sinks);
void feeders_destroy(struct sinks *sinks);
size_t feeders_count(const struct sinks *sinks);
void feeders_get_figures(const struct sinks *sinks, struct source_figures *ret_figures);
