/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_private.h — one Kafka sink, as the files of its driver share it.
 *
 * Place:   kafka.c has its life, kafka_ship.c what is under way, kafka_exact.c its transactions.
 * Thread:  the sinks thread's; while `errand` is under way its thread reads `handle` and `access`
 *          and writes `found` alone.
 * Bounds:  KAFKA_TOPICS_MAX topics that a producer knows at a time; the sink's window of shipments.
 *
 * A producer of librdkafka is made when the sink starts and ended when it goes down or stops: one
 * that is down has none, nor any of its threads and memory. What blocks is an errand, one at a
 * time:
 *
 *     start -> [connect] -> up -> … [explain], [commit] … -> down or stop -> [end] -> idle
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <librdkafka/rdkafka.h>

#include "broker/support/list.h"
#include "broker/support/map.h"
#include "protocols/sinks/driver.h"
#include "protocols/sinks/kafka_berth.h"
#include "protocols/sinks/kafka_errand.h"
#include "protocols/sinks/kafka_gate.h"
#include "protocols/sinks/kafka_options.h"
#include "protocols/sinks/kafka_record.h"
#include "protocols/sinks/loop.h"

#define KAFKA_CONNECT_MS 10000 /* until a cluster that says nothing counts as down */
#define KAFKA_FENCE_MS                                                                             \
    60000                      /* until the transaction of one before us is over: as long as they
                                  * last at most */
#define KAFKA_STALL_MS 10000   /* with records under way and none taken, until one asks why */
#define KAFKA_ASK_MS 500       /* one question to the cluster; then is_cancelled is looked at */
#define KAFKA_NAME_MS 100      /* likewise, of the first: that a cluster is down is common */
#define KAFKA_TOPICS_MAX 10000 /* about 5 KB each in the library, which forgets none */
#define KAFKA_EVENTS_MAX 64    /* of the library's queue a turn: each brings many reports */
#define KAFKA_CAREFUL_RECORDS 1000
#define KAFKA_TRANSACTION_RECORDS 10000

enum kafka_phase {
    KAFKA_IDLE,       /* nothing is there */
    KAFKA_CONNECTING, /* asked to start */
    KAFKA_UP,
    KAFKA_FALLING, /* down or stopped, as soon as the producer has ended */
};

/* What an errand has found out. */
struct kafka_finding {
    rd_kafka_resp_err_t error;
    char detail[SINK_DETAIL_BYTES];
    bool is_fatal;
    bool has_place;
    struct place place;
    uint64_t course; /* that the place is of */
};

/* A topic that the producer knows. */
struct kafka_topic {
    struct map_node node;
    rd_kafka_topic_t *topic;
    char name[];
};

/* What the producer is given. */
struct kafka_message {
    struct kafka_record *record; /* whose headers are taken; NULL: none */
    struct span key;
    struct span value;
    int32_t partition;
    uint64_t time_ms;          /* 0: now */
    struct shipment *shipment; /* NULL: a checkpoint */
};

struct kafka {
    struct sink_link link;
    struct kafka_access access;
    bool is_exact;
    char transactional_id[SINK_NAME_BYTES_MAX + 64];
    struct kafka_berths *berths;
    struct kafka_berth berth; /* asked for or held while it connects, and until that has failed */
    enum kafka_phase phase;
    bool is_stopping;    /* sink_on_stopped() is due */
    bool is_swapping;    /* a fresh producer is due once nothing is under way */
    bool is_careful;     /* a record a batch, so that one that is refused is known */
    size_t careful_left; /* records until that is over */

    rd_kafka_t *handle;
    rd_kafka_queue_t *queue; /* its events */
    int event_fd;            /* readable when the queue is not empty; -1 */
    struct loop_watch watch;
    struct map topics;
    struct kafka_gate *gate; /* of a producer that is neither exact nor careful; else NULL */
    struct kafka_record record;

    struct list waiting;   /* shipments that the producer was not given yet */
    struct list under_way; /* that it has, in order */
    size_t under_way_count;
    struct loop_timer stall; /* armed while something is under way */
    uint64_t heard_ms;       /* when the last record was taken */
    uint64_t stall_ms;       /* KAFKA_STALL_MS, or less in a test */
    struct verdict trouble;  /* the last that the library told; its detail may be empty */
    struct verdict fall;     /* why it goes down */
    struct verdict refusal;  /* why a shipment that comes next is refused */

    struct kafka_errand errand;
    struct kafka_finding found;
    const struct kafka_topic *asked; /* what the errand asks about */
    bool is_reading;                 /* an event is in hand: the producer does not end */

    /* Of exactly_once. */
    bool is_committing;
    struct shipment *refused;   /* of `waiting` or `under_way`: it ends this transaction; NULL */
    rd_kafka_resp_err_t failed; /* of a record of this transaction */
    struct place place;         /* of the newest message in it; position 0: none … */
    uint64_t course;            /* … and what course that is of */
};

/* --- kafka.c --------------------------------------------------------------------------------- */

/* Fills `verdict` with the library's error and a detail in front of it. */
void kafka_say(struct verdict *verdict, enum outcome outcome, rd_kafka_resp_err_t error,
               const char *format, ...) PRINTF_LIKE(4, 5);

/* The producer ends, all comes back, the sink hears it. `verdict` may be of `kafka` itself. */
void kafka_go_down(struct kafka *kafka, const struct verdict *verdict);

/* It falls: to be asked where an errand comes home, and where events were read; ends the producer
 * if nothing else uses it. */
bool kafka_is_over(struct kafka *kafka);

/* If nothing is under way: ends the producer and makes a new one; what waits goes to that. */
void kafka_swap(struct kafka *kafka);

/* --- kafka_ship.c ---------------------------------------------------------------------------- */

/* Gives the producer what waits. */
void kafka_pump(struct kafka *kafka);

/* Likewise, or of exactly_once a transaction. */
void kafka_go_on(struct kafka *kafka);

/* Gives it the first that waits. OK: it is under way. ERR_FULL: not now. ERR_TOO_LARGE,
 * ERR_BAD_CHANNEL: it can never be, and `refusal` says why. Else `trouble` says what is wrong. */
MUST_USE enum error_code kafka_produce_first(struct kafka *kafka);

/* One record. ERR_FULL, ERR_TOO_LARGE, ERR_IO as there. */
MUST_USE enum error_code kafka_produce(struct kafka *kafka, struct kafka_topic *topic,
                                       const struct kafka_message *message);

/* The topic of that name. ERR_FULL: there are too many, a swap is due; ERR_MEMORY. */
MUST_USE enum error_code kafka_find_topic(struct kafka *kafka, struct span name,
                                          struct kafka_topic **ret_topic);

/* One that was under way or waiting is the sink's again. */
void kafka_settle(struct kafka *kafka, struct shipment *shipment, const struct verdict *verdict);

void kafka_abandon_all(struct kafka *kafka);

/* A record was taken. */
void kafka_on_taken(struct kafka *kafka);

/* Swaps if that is due. */
void kafka_mind_swap(struct kafka *kafka);

/* Of the record (or of one of its batch), not of the time: it will not be taken later either. */
bool kafka_is_refusal(rd_kafka_resp_err_t error);

/* Reads the library's queue: reports of delivery, errors. */
void kafka_on_ready(struct loop_watch *watch, uint32_t events);

/* Nothing was taken for long. */
void kafka_on_stall(struct loop_timer *timer);

/* Forgets the topics, before the producer ends. */
void kafka_forget_topics(struct kafka *kafka);

/* --- kafka_exact.c --------------------------------------------------------------------------- */

/* Of the errand that connects: takes the transactional id, and finds the place. */
void kafka_exact_begin(struct kafka *kafka);

/* What waits goes into a transaction, unless one is under way. */
void kafka_exact_pump(struct kafka *kafka);

/* What became of a record of the transaction. */
void kafka_exact_on_report(struct kafka *kafka, const rd_kafka_message_t *report);
