/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_berth.h — how many sinks of Kafka may look for their cluster at a time.
 *
 * Place:   of kafka.c: a berth is held from a start until the cluster has answered, or until the
 *          producer of a start that failed has ended.
 * Thread:  the sinks thread's.
 * Bounds:  KAFKA_BERTHS_MAX; those that wait are their own memory.
 *
 * A producer has three threads and about 120 KB before it has said a word. Of a thousand sinks
 * whose clusters are down, each tries now and then, and all at once when the broker starts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"

/* As many as are hardly ever sinks of Kafka at all: one whose cluster answers at once should not
 * wait behind those whose say nothing for 10 s. */
#define KAFKA_BERTHS_MAX 128

struct kafka_berths;
struct loop;

/* What is shared on the loop's thread, as often as it is opened. ERR_MEMORY. */
MUST_USE enum error_code kafka_berths_open(struct loop *loop, struct kafka_berths **ret_berths);
void kafka_berths_close(struct kafka_berths *berths); /* accepts NULL */

struct kafka_berth {
    struct list in_berths;
    bool is_held;
    void (*on_held)(struct kafka_berth *berth);
};

void kafka_berth_init(struct kafka_berth *berth, void (*on_held)(struct kafka_berth *berth));

/* on_held follows, perhaps before it returns; first come, first served. */
void kafka_berth_ask(struct kafka_berths *berths, struct kafka_berth *berth);

/* Gives it up, or stops waiting for it; harmless twice. */
void kafka_berth_leave(struct kafka_berths *berths, struct kafka_berth *berth);
