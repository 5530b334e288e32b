/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h — what the thread of the sinks sleeps on: descriptors, timers, letters.
 *
 * Place:   one for all sinks and sources; their drivers watch descriptors of libcurl, librdkafka
 *          and of other brokers with it.
 * Thread:  all calls are the sinks thread's, but for loop_mailbox(), into which any thread puts.
 * Bounds:  a watch and a timer each are their owner's memory; LOOP_TIMERS_MAX armed at once, which
 *          is room for all that sinks and sources may have.
 *
 * In a turn: letters, then descriptors, then timers, then on_turn of those that asked for it, once
 * each. Callbacks may watch, unwatch, arm and disarm anything, themselves too.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/heap.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "broker/support/mailbox.h"

struct loop;
struct metrics_shard;

/* ERR_MEMORY, ERR_IO. The thread counts into `metrics`. */
MUST_USE enum error_code loop_create(struct metrics_shard *metrics, struct loop **ret_loop,
                                     struct error *why);

/* Nothing is watched or armed any more. Accepts NULL. */
void loop_destroy(struct loop *loop);

/* Turns until loop_end() was called; once, without sleeping, if it was called before. What lies in
 * the mailbox at the end is the caller's to deliver. */
void loop_run(struct loop *loop);
void loop_end(struct loop *loop);

/* Letters are handed the loop as their consumer. */
struct mailbox *loop_mailbox(struct loop *loop);

/* What all drivers of a kind share on this thread: theirs to set, and NULL again before the end. */
enum loop_shared {
    LOOP_SHARED_POST,   /* post.h */
    LOOP_SHARED_KAFKA,  /* kafka_berth.h */
    LOOP_SHARED_LOOKUP, /* lookup.h */
    LOOP_SHARED_COUNT
};
void **loop_shared(struct loop *loop, enum loop_shared which);

/* Of clock_monotonic_ms(), as it was when the turn began. */
uint64_t loop_now_ms(const struct loop *loop);

/* Is this the thread that loop_run() is on? For INVARIANTs; true while none runs. */
bool loop_is_mine(const struct loop *loop);

/* A descriptor, level triggered. Zeroed memory with on_ready set is one that is not watched. */
struct loop_watch {
    int fd;
    uint32_t events; /* EPOLLIN | EPOLLOUT; 0: not watched */
    void (*on_ready)(struct loop_watch *watch, uint32_t events); /* as epoll_event.events */
};

/* Watches `fd` for `events`, or for others than before; 0 unwatches. The descriptor is open until
 * then. ERR_IO, ERR_MEMORY. */
MUST_USE enum error_code loop_watch(struct loop *loop, struct loop_watch *watch, int fd,
                                    uint32_t events);
void loop_unwatch(struct loop *loop, struct loop_watch *watch);

/* A timer: never early, and late by no more than the turn. Zeroed memory with on_due set is one
 * that is not armed. It is disarmed before on_due, which may free it. */
struct loop_timer {
    struct heap_node in_loop;
    void (*on_due)(struct loop_timer *timer);
};

/* Arms, or arms anew. A due time that has passed fires in this turn or in the next one. */
void loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t due_ms);
void loop_disarm(struct loop *loop, struct loop_timer *timer);
bool loop_is_armed(const struct loop_timer *timer);

/* What is to be done once for all that a turn brings. Zeroed memory, list_init()ed `in_loop`. */
struct loop_chore {
    struct list in_loop;
    void (*on_turn)(struct loop_chore *chore);
};

void loop_chore_init(struct loop_chore *chore, void (*on_turn)(struct loop_chore *chore));
void loop_put_chore(struct loop *loop, struct loop_chore *chore); /* harmless twice */
void loop_take_chore_back(struct loop_chore *chore);
