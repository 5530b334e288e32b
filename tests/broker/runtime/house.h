/* SPDX-License-Identifier: Apache-2.0 */
/* house.h — a broker with everything but protocols: storage, log, read threads and real workers.
 *
 * Place:   tests of what several workers do together. The test calls into a worker by a letter.
 * Thread:  the test's, but for what house_call() runs and for house_lock().
 * Bounds:  the test's.
 */
#pragma once

#include <pthread.h>

#include "broker/config/config.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/runtime/reload.h"
#include "broker/runtime/worker.h"
#include "tests/scratch.h"

#define HOUSE_WORKERS 2

struct house {
    struct broker broker;
    struct config_sources sources;
    struct reloader *reloader;
    struct mailbox mailbox; /* the test's, for answers */
    struct store *store;
    struct budget *budget; /* the test's, before it starts; NULL: none */
    struct log_listener *listeners[HOUSE_WORKERS];
    char directory[SCRATCH_PATH_BYTES];
    char text[256]; /* of the configuration */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};

/* Makes a data directory. `rules`: the configuration's `channels`, or NULL. */
void house_init(struct house *house, const char *rules);
void house_finish(struct house *house); /* stopped */

void house_start(struct house *house);
void house_stop(struct house *house);

/* A start that fails because no log can be had, and its end. */
void house_start_without_log(struct house *house);

/* Runs it on the thread of that mailbox, or worker, and returns when it has run. */
void house_call_at(struct mailbox *mailbox, void (*run)(void *context), void *context);
void house_call(struct house *house, size_t worker, void (*run)(void *context), void *context);

/* One message; returns once it is answered. */
void house_publish(struct house *house, const char *channel, uint64_t number, uint64_t ttl_ms);

/* What the test and the workers both look at is touched inside these; a change wakes the test. */
void house_lock(struct house *house);
void house_unlock(struct house *house);

/* Returns once it is true; looked at under the lock, whenever something changed. */
void house_wait(struct house *house, bool (*is_true)(void *context), void *context);

/* The same of what wakes nobody: looked at now and then; and of a gauge or counter. */
void house_look(struct house *house, bool (*is_true)(void *context), void *context);
void house_wait_metric(struct house *house, enum metric metric, uint64_t value);
