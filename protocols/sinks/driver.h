/* SPDX-License-Identifier: Apache-2.0 */
/* driver.h — the interface between a sink, which is a cursor in the log, and what carries its
 * messages to somewhere else: webhook.c, kafka.c, mqtt_sink.c.
 *
 * Place:   sink.c calls a driver through one table of functions and is called back.
 * Thread:  the sinks thread's, both ways. A driver whose library has threads of its own comes back
 *          to it by loop.h.
 * Bounds:  a driver holds no more shipments than its terms say.
 *
 * The sink reads the log, keeps order, counts attempts, waits before the next one, gives up, and
 * remembers its place. The driver makes a body of a shipment, carries it, and says what became of
 * it: nothing else. So every kind has the same retries, dead letters, breaker and figures.
 *
 *     open -> start -> on_up -> ship, ship, …  -> on_settled each
 *                   -> on_down (lost, or never came up): everything it has comes back as
 *                      OUTCOME_ABANDONED first; after a while start again
 *          -> stop -> on_stopped -> close
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"

struct broker;
struct loop;
struct sink;

/* X(outcome, its name in metrics and answers, what follows) */
#define OUTCOME_TABLE(X)                                                                           \
    X(OUTCOME_DELIVERED, "delivered", "it is there: the place moves on")                           \
    X(OUTCOME_FAILED, "failed", "it was refused for now; an attempt, tried again by schedule")     \
    X(OUTCOME_REFUSED, "refused", "it will never be taken (too large, say): a dead letter")        \
    X(OUTCOME_THROTTLED, "throttled", "too much at once; tried again, later and slower")           \
    X(OUTCOME_UNREACHED, "unreached", "nobody answered in time; tried again, slower")              \
    X(OUTCOME_GONE, "gone", "the endpoint wants nothing any more: the sink is disabled")           \
    X(OUTCOME_ABANDONED, "abandoned", "the driver went down with it: no attempt; tried again")

enum outcome {
#define OUTCOME(outcome, name, follows) outcome,
    OUTCOME_TABLE(OUTCOME)
#undef OUTCOME
        OUTCOME_COUNT
};

/* What became of a shipment, or of a driver that is down. */
struct verdict {
    enum outcome outcome;
    unsigned status;                /* of HTTP; an error code of the library's; 0: none */
    uint64_t retry_after_ms;        /* 0: not told */
    char detail[SINK_DETAIL_BYTES]; /* one line, printable, without secrets; may be empty */
};

/* "v1" ids of Standard Webhooks: the same for all attempts, also behind a restart. */
#define SHIPMENT_ID_BYTES 80

/* Messages that go together and of which one thing becomes. The sink's, and the driver's between
 * ship() and sink_on_settled(). */
struct shipment {
    struct list in_driver; /* the driver's, as is `state` */
    void *state;
    struct sink *sink;
    struct message **messages; /* in order; borrowed */
    size_t count;
    size_t bytes;     /* of payloads */
    uint32_t attempt; /* 1: the first */
    bool is_aside;    /* a test, or a dead letter again: no place moves by it */
    uint64_t course;  /* of the sink's ledger: a place of the driver's own is worth nothing in a
                       * later one */
    char id[SHIPMENT_ID_BYTES];
    uint64_t shipped_us; /* the sink's: when ship() was called */
};

/* How the sink is to fill shipments. */
struct terms {
    size_t messages_max;  /* of one shipment */
    size_t bytes_max;     /* payloads of one shipment; one larger message goes alone */
    size_t shipments_max; /* under way at once: the most that is ever tried */
    uint64_t age_ms_max;  /* that a shipment may wait for more messages */
    bool is_pipelined;    /* keeps the order of what it is given: the sink does not wait for one
                           * shipment of an order before it hands over the next. Then a shipment
                           * that is not taken makes the driver go down, unless the outcome is
                           * OUTCOME_REFUSED */
    bool has_own_place;   /* tells on_up from where to go on (exactly once) */
};

/* What a driver knows of the sink it works for. */
struct sink_link {
    struct sink *sink;
    struct broker *broker;
    struct loop *loop;
    const struct sink_row *row; /* lives until close() */
};

struct driver {
    const char *kind; /* "webhook" */

    /* Adds to `faults` whatever cannot be used: files, URLs, options. Any thread. May be NULL. */
    void (*check)(const struct sink_row *row, const char *source, const char *key,
                  struct config_faults *faults);

    /* Is not for that endpoint at all, as it came from there: done, and nobody is asked. Says the
     * same whenever it is asked. May be NULL. */
    bool (*passes_over)(const struct sink_row *row, const struct message *message);

    /* No network yet. ERR_MEMORY, ERR_CONFIG. */
    enum error_code (*open)(const struct sink_link *link, void **ret_state, struct error *why);
    void (*get_terms)(const void *state, struct terms *ret_terms);

    /* sink_on_up() or sink_on_down() follows, perhaps before it returns. */
    void (*start)(void *state);

    /* Between up and down. `shipments_max` of the terms hold. */
    void (*ship)(void *state, struct shipment *shipment);

    /* All that were shipped in this turn have been: a good moment to send. May be NULL. */
    void (*flush)(void *state);

    /* Everything comes back as OUTCOME_ABANDONED, then sink_on_stopped(), once, perhaps before it
     * returns. Nothing follows. Also while it is down or coming up. */
    void (*stop)(void *state);
    void (*close)(void *state); /* frees. Accepts NULL */
};

extern const struct driver webhook_driver;
extern const struct driver kafka_driver;
extern const struct driver mqtt_driver;

/* The driver that the row asks for; NULL: none or several, which is a fault. */
const struct driver *driver_of(const struct sink_row *row);

/* --- what a driver calls (sink.c) ------------------------------------------------------------ */

/* It can take shipments. `place`: where it says that the sink goes on, exclusive; NULL: it does not
 * know, and the sink's own place counts. Only a driver of `has_own_place` gives one, with the
 * course of the shipment that it is from. */
void sink_on_up(struct sink *sink, const struct place *place, uint64_t course);

/* It cannot, although the endpoint may be there: start() comes again after a while. */
void sink_on_down(struct sink *sink, const struct verdict *verdict);

/* Exactly once a shipment, which is the sink's again. */
void sink_on_settled(struct shipment *shipment, const struct verdict *verdict);

void sink_on_stopped(struct sink *sink);

const char *outcome_name(enum outcome outcome);
