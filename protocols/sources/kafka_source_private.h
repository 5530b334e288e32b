/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_source_private.h — what the files of a Kafka source share.
 *
 * Place:   kafka_source.c (its life), kafka_partitions.c (what is read, from where) and
 *          kafka_intake.c (records).
 * Thread:  the sinks thread's; librdkafka's callbacks too, since it is polled there.
 * Bounds:  KAFKA_PARTITIONS_MAX a topic; what librdkafka has fetched and nobody has taken:
 *          `queued.max.messages.kbytes`, 32 MiB unless told, and one answer to a fetch.
 */
#pragma once

#include <librdkafka/rdkafka.h>

#include "broker/support/buffer.h"
#include "protocols/sinks/loop.h"
#include "protocols/sources/kafka_scout.h"
#include "protocols/sources/source.h"

#define KAFKA_PARTITIONS_MAX 10000
#define KAFKA_LOOK_MS 5000       /* between two looks for new partitions … */
#define KAFKA_LOOK_SOON_MS 500   /* … while something is amiss */
#define KAFKA_TURN_RECORDS 500   /* then others get their turn */
#define KAFKA_AGAIN_MS 100       /* after a lack of memory */
#define KAFKA_POSITION_BYTES 300 /* a topic's name, 249 at most, and a number; two numbers */

enum partition_state {
    PARTITION_NEW,        /* nothing was done for it … */
    PARTITION_UNMEASURED, /* … it begins at its end, which is not known yet … */
    PARTITION_LOST,       /* … its position is none that Kafka has */
    PARTITION_READ,
};

struct kafka_topic;

struct kafka_partition {
    struct kafka_topic *topic;
    int32_t number;
    enum partition_state state;
    bool has_witness; /* the record before `next` comes first: is it still the one that was read? */
    bool is_other;    /* it is not */
    int64_t next;     /* the offset of the next record … */
    int64_t time_ms;  /* … the time of the one before it; 0: not known */
    int64_t end;      /* up to here there is nothing more to read */
};

struct kafka_topic {
    const char *name; /* the row's */
    rd_kafka_topic_t *handle;
    struct kafka_partition *partitions; /* by number */
    size_t count;
    bool has_begun; /* its partitions that came later are read from their first record */
};

enum kafka_end { KAFKA_GOES_ON, KAFKA_STOPS, KAFKA_GIVES_UP };

struct kafka_source {
    struct source *source;
    const struct source_row *row;
    struct loop *loop;
    uint64_t log_id;
    rd_kafka_t *client; /* NULL: not started */
    rd_kafka_queue_t *main_queue;
    rd_kafka_queue_t *queue; /* of records */
    struct kafka_scout scout;
    struct kafka_topic *topics; /* the row's, in its order */
    size_t topic_count;
    enum kafka_end end;
    bool is_fatal;
    bool is_well;             /* nothing was amiss at the last look */
    struct verdict verdict;   /* of the trouble it is in */
    char reason[128];         /* why a broker was not reached last */
    rd_kafka_message_t *held; /* that there was no memory for */
    int event_fd;             /* librdkafka's word that a queue has something */
    struct loop_watch watch;
    struct loop_chore chore;
    struct loop_timer look;
    struct loop_timer again;
    struct buffer headers;
    struct buffer scratch;
};

/* --- kafka_source.c --- */

/* Nothing is under way. Without a thread for it, it is tried again. */
void kafka_send_scout(struct kafka_source *kafka, enum kafka_scout_kind kind);
void kafka_trouble(struct kafka_source *kafka, rd_kafka_resp_err_t code, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* --- kafka_partitions.c --- */

/* The name of its position. */
struct span kafka_position_name(const struct kafka_partition *partition,
                                char ret_text[KAFKA_POSITION_BYTES]);
struct span kafka_position_text(int64_t next, int64_t time_ms, char ret_text[KAFKA_POSITION_BYTES]);

/* NULL: it is not known. */
struct kafka_partition *kafka_find_partition(struct kafka_topic *topic, int32_t number);

/* All begin anew, where their stored positions say. */
void kafka_begin_topics(struct kafka_source *kafka);
void kafka_on_looked(struct kafka_source *kafka);
void kafka_on_measured(struct kafka_source *kafka);

/* Asks for the reach of partitions of which that is wanted; false: of none. */
bool kafka_measure(struct kafka_source *kafka);

/* Partitions that are read, as rows of the scout's. ERR_MEMORY. */
MUST_USE enum error_code kafka_list_read(struct kafka_source *kafka);

/* --- kafka_intake.c --- */

/* Takes what was fetched, as far as there is room. */
void kafka_take_all(struct kafka_source *kafka);
