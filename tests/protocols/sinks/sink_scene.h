/* SPDX-License-Identifier: Apache-2.0 */
/* sink_scene.h — a sink on a real log, with a driver that does what the test says.
 *
 * Place:   tests of sink.h. The source is linked before the library, whose own driver_of() stays
 *          out; with --wrap for log_submit.
 * Thread:  the test's; what is under the carrier's lock is the sinks' thread's, too.
 * Bounds:  SHIPPED_MAX shipments.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/config/config.h"
#include "broker/runtime/broker.h"
#include "protocols/sinks/sink.h"
#include "tests/scratch.h"

#define SHIPPED_MAX 512

struct shipped {
    char id[SHIPMENT_ID_BYTES];
    uint64_t offset; /* of its first message */
    size_t count;
    uint32_t attempt;
    enum sink_state state; /* of the sink then */
};

/* The driver. */
extern struct carrier {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct shipped rows[SHIPPED_MAX];
    size_t count;
    enum outcome outcome; /* of what comes next … */
    size_t outcome_until; /* … up to this one in all; those behind it are delivered */
    uint64_t retry_after_ms;
    uint64_t passed_over; /* the offset of one that is not for this endpoint; 0: none */
    size_t passed_count;
    uint64_t poison; /* the offset of one that is never taken; 0: none */
    size_t messages_max;
    uint64_t age_ms_max;
} carrier;

/* The broker, and the row of its only sink "s", which reads the channel "a". */
extern struct world {
    char directory[SCRATCH_PATH_BYTES];
    struct broker broker;
    struct config config;
    struct sink_row row;
    struct config changed; /* what a reload finds … */
    struct sink_row changed_row;
    struct mailbox mailbox;
    struct log_listener *listeners[1];
} world;

/* Stores with letters that the log refused; under the carrier's lock. */
extern size_t refused_count;

/* For cmocka: a world in which everything is delivered. */
int set_up(void **state);
int tear_down(void **state);

/* Between the two the row may change. */
void stop_world(void);
void start_world(void);

/* Outcome of what comes next; of the first `count` shipments in all, and then it is delivered. */
void set_outcome(enum outcome outcome);
void set_outcome_until(enum outcome outcome, size_t count);

/* So many stores with letters are refused from here on. */
void refuse_letters(size_t count);

/* Messages to the channel "a", each answered. */
void publish_some(size_t count);

/* Until so many are there, of what is counted under the lock; of shipments. */
void await_counted(const size_t *counted, size_t count);
void await_shipped(size_t count);

/* How many messages that channel has. */
uint64_t count_kept(const char *channel);
