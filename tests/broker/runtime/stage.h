/* SPDX-License-Identifier: Apache-2.0 */
/* stage.h — a worker without a loop, sockets, log or read threads: the test plays all of them.
 *
 * Place:   tests of what a worker does between two letters: streams, riders, watches, the census.
 *          The source is linked before the runtime, whose own connection.c, worker.c and reads.c
 *          stay out.
 * Thread:  the test's.
 * Bounds:  the test's.
 */
#pragma once

#include "broker/runtime/reads.h"
#include "broker/runtime/stream.h"
#include "broker/runtime/worker_private.h"

struct connection {
    struct list in_worker;
    struct worker *worker;
    uint64_t id; /* the stage's next */
    struct list streams;
    struct buffer sent;
    size_t send_count; /* calls of connection_send() that took bytes */
    size_t room;       /* bytes that the socket still takes */
    bool is_full;
    bool is_kept;
    bool is_writable_wanted;
};

struct stage {
    struct broker broker;
    struct worker worker;
    struct log *log;
    struct reads *reads;
};

/* A worker that has seen the log up to `position`, which is all that is readable. */
void stage_init(struct stage *stage, uint64_t position);
void stage_finish(struct stage *stage);

/* A message of `channel`, whose offset is its position, of time 1. The caller's reference. */
struct message *stage_create_message(const char *channel, uint64_t position, struct span payload,
                                     uint64_t ttl_ms);

/* Commits of one record each, at the next position; offsets count with the positions. */
void stage_publish(struct stage *stage, const char *channel);
void stage_delete(struct stage *stage, const char *channel, uint64_t from, uint64_t to);

/* The log goes on to `position`, of which the worker knows nothing yet. */
void stage_go_on(struct stage *stage, uint64_t position);

/* The log goes on to `position` and tells the worker nothing but that it missed something. */
void stage_miss(struct stage *stage, uint64_t position);

/* The end of a turn: letters, touches, flushes. */
void stage_turn(struct stage *stage);

/* How many pages are asked for, and the oldest that begins at `position` or behind; NULL: none. */
size_t stage_count_reads(const struct stage *stage);
struct read *stage_find_read(const struct stage *stage, uint64_t position);

/* What was readable when the page was asked for is in `held_bytes` of the read. */

/* What the read thread would have found: messages at the positions `first` … `last` (none if first
 * is 0), and where the page ends. */
void stage_answer(struct stage *stage, struct read *read, uint64_t first, uint64_t last,
                  uint64_t end, bool at_head);

/* No page: it failed like that. */
void stage_refuse(struct stage *stage, struct read *read, enum error_code code);

/* The same with what the test has put into the page of `read`, but for its start. */
void stage_answer_filled(struct stage *stage, struct read *read);

/* The same of a conflated page: so many were left out at its end. */
void stage_answer_skipped(struct stage *stage, struct read *read, uint64_t end, uint32_t skipped);

void connection_init(struct connection *connection, struct stage *stage, size_t room);
void connection_finish(struct connection *connection);

/* The socket takes bytes again: what the protocol's on_writable would be told. */
void connection_make_room(struct connection *connection, size_t room);

/* Writes "offset," for a message, "gap," for a gap, "+count" before it where some were skipped. */
extern const struct framing stage_framing;
