/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_scout.h — what a Kafka source has to wait for: which partitions there are, from where to
 * where they reach, and the end of its client.
 *
 * Place:   one a Kafka source; its calls run as errands (kafka_errand.h).
 * Thread:  the sinks thread's, but for the calls themselves.
 * Bounds:  one call under way; KAFKA_SCOUT_MS for each question to Kafka.
 */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/macros.h"
#include "protocols/sinks/kafka_errand.h"

struct loop;

#define KAFKA_SCOUT_MS 3000      /* the longest that an answer is waited for … */
#define KAFKA_SCOUT_STEP_MS 1000 /* … and a stop, for a question that is under way */

enum kafka_scout_kind {
    KAFKA_LOOK,    /* for partitions: fills `metadata` */
    KAFKA_MEASURE, /* fills the rows of `reaches` */
    KAFKA_END,     /* the client, its topics and its queues go; `reaches` are stopped before */
};

/* One partition to be measured. */
struct kafka_reach {
    void *context; /* the asker's */
    rd_kafka_topic_t *topic;
    int32_t partition;
    bool is_to_stop;  /* reading, which is to begin elsewhere */
    int64_t after_ms; /* 0, or: a time of a record … */
    int64_t low;      /* the first offset kept */
    int64_t high;     /* the one that the next record will get */
    int64_t behind;   /* … the offset of the first record that is younger; `high`: none is */
    rd_kafka_resp_err_t code;
};

/* Zeroed before the first call. */
struct kafka_scout {
    struct kafka_errand errand;
    enum kafka_scout_kind kind;
    void (*on_done)(struct kafka_scout *scout); /* the sinks thread's */
    rd_kafka_t *client;
    const struct rd_kafka_metadata *metadata; /* of a look: the asker's to destroy */
    rd_kafka_resp_err_t code;                 /* of a look */
    struct kafka_reach *reaches;
    size_t reach_count;
    rd_kafka_topic_t **topics; /* of an end; and its queues */
    size_t topic_count;
    rd_kafka_queue_t *queues[2];
};

/* One at a time. False: no thread was to be had, and nothing follows. */
MUST_USE bool kafka_scout_send(struct kafka_scout *scout, struct loop *loop,
                               enum kafka_scout_kind kind);
