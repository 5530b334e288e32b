/* SPDX-License-Identifier: Apache-2.0 */
/* dock.h — a source on a loop's thread, and a log that takes what it brings.
 *
 * Place:   tests of sources; on top of house.h.
 * Thread:  the test's, but for what dock_call() runs, which is the loop's.
 * Bounds:  the test's.
 */
#pragma once

#include <pthread.h>

#include "protocols/sinks/loop.h"
#include "protocols/sources/source.h"
#include "tests/broker/runtime/house.h"

#define DOCK_PAGES_MAX 1000

struct dock {
    struct house house;
    struct loop *loop;
    pthread_t thread;
    struct positions *positions;
    struct source *source;
    struct source_row row; /* the test's to fill */
    bool is_stopped;
};

/* A data directory, and a row that is called "lake" and publishes to {topic}. `rules`: of the
 * configuration, or NULL. */
void dock_init(struct dock *dock, const char *rules);
void dock_finish(struct dock *dock);

/* A process begins: learns positions, makes the source and starts it. */
void dock_start(struct dock *dock);

/* Stops the source, and ends the process. */
void dock_stop(struct dock *dock);

/* The source alone: stopped, and started again. */
void dock_pause(struct dock *dock);
void dock_resume(struct dock *dock);

/* Runs it on the loop's thread; returns when it has run. */
void dock_call(struct dock *dock, void (*run)(void *context), void *context);

struct source_figures dock_figures(struct dock *dock);

/* How many messages the channel keeps; returns once they are `count`. */
size_t dock_count(struct dock *dock, const char *channel);
void dock_wait_count(struct dock *dock, const char *channel, size_t count);

/* Returns once the source's state is that. */
void dock_wait_state(struct dock *dock, enum sink_state state);

/* Calls on_message for each of the channel, in order. */
void dock_each(struct dock *dock, const char *channel,
               void (*on_message)(void *context, const struct message *message), void *context);
