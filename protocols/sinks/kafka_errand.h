/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_errand.h — one call of librdkafka that blocks, made where it stops nobody.
 *
 * Place:   of whoever holds a handle of the library: kafka.c, kafka_source.c.
 * Thread:  begun on the sinks thread and answered there; the call itself runs on a thread that
 *          lives as long as it does.
 * Bounds:  one thread an errand; a sink or source has one errand under way at a time.
 *
 * Ending a handle, committing a transaction, asking a cluster for what it knows: each waits for
 * the library's threads or for the network.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "broker/support/macros.h"
#include "broker/support/mailbox.h"

struct loop;

/* The owner's memory: zeroed before the first use, and not freed while it is under way. */
struct kafka_errand {
    struct letter letter;
    struct loop *loop;
    bool is_under_way;
    atomic_bool is_cancelled; /* the call may look at it, and come home early */
    pthread_t thread;
    void (*call)(struct kafka_errand *errand);    /* on a thread of its own */
    void (*on_done)(struct kafka_errand *errand); /* the sinks thread's; none is under way then */
};

/* False: no thread was to be had, and nothing follows. */
MUST_USE bool kafka_errand_begin(struct kafka_errand *errand, struct loop *loop,
                                 void (*call)(struct kafka_errand *errand),
                                 void (*on_done)(struct kafka_errand *errand));

/* Asks the call to come home; on_done still follows. */
void kafka_errand_cancel(struct kafka_errand *errand);
