/* SPDX-License-Identifier: Apache-2.0 */
/* worker_private.h — the inside of a worker, for the few files that are one worker together.
 *
 * Place:   worker.c (the loop), acceptor.c (listening), connection.c and sockets.c (their bytes),
 *          stream.c, bundle.c, paging.c and rider.c (readers), watch.c (long polls), survey.c and
 *          drain.c (what the operator asks), census.c (how far readers lag).
 * Thread:  the worker's, but for what is atomic.
 * Bounds:  see worker.h.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <uv.h>

#include "broker/delivery/reader.h"
#include "broker/runtime/bundle.h"
#include "broker/runtime/census.h"
#include "broker/runtime/drain.h"
#include "broker/runtime/home.h"
#include "broker/runtime/log.h"
#include "broker/runtime/sockets.h"
#include "broker/runtime/window.h"
#include "broker/runtime/worker.h"
#include "broker/support/buffer.h"
#include "broker/support/invariant.h"
#include "broker/support/list.h"

struct metrics_shard;

/* Where a worker accepts. */
struct door {
    struct worker *worker;
    enum port port;
    const struct entrance *entrance;
    int fd; /* -1: not listening */
    uv_poll_t poll;
    uint64_t turn_last;       /* the worker's, when somebody came last */
    struct wheel_timer again; /* armed while no descriptor was left */
};

struct worker {
    struct owner owner;
    pthread_t thread;
    bool is_started;
    size_t index;
    struct broker *broker;
    struct metrics_shard *metrics;

    uv_loop_t loop;
    uv_prepare_t before_poll;
    uv_check_t after_poll;
    uv_idle_t never_block; /* active while work is left for the next turn */
    uv_poll_t mailbox_poll;
    uv_timer_t beat;
    struct sockets sockets;
    uv_timer_t flush; /* armed while feeds wait for their flush_interval */
    struct mailbox mailbox;
    struct log_listener listener;
    struct wheel wheel;
    uint64_t turn; /* of the loop: it counts them */
    uint64_t now_ms;
    uint64_t unwritten_us; /* submission of the oldest publish that not all readers have; 0: none */
    struct census census;

    struct access *access; /* who is who, and may what */
    struct feeds feeds;
    struct list due; /* streams to be flushed in this turn */
    struct list chores;
    struct gather gather;   /* for what is not shared, or of several feeds */
    struct sheaf sheaf;     /* for streams of one socket */
    struct buffer borrowed; /* worker_borrow_scratch() */
    struct hand hand;       /* for streams with a window */
    struct home *home;      /* of the groups that live here */
    size_t bodies_bytes;
    size_t pipelines_bytes;
    void *protocol_state; /* NULL: none */
    void (*on_protocol_finish)(void *state);

    struct door doors[PORT_COUNT];
    struct list connections; /* in the order in which they came: their ids ascend */
    struct list watches;     /* those that wait here */
    struct list surveys;     /* struct survey_part: those that walk the connections now */
    struct list opening;     /* those that have said nothing whole yet, in that order, too */
    size_t opening_count;
    uint64_t shed_look; /* of the budget, after which readers were closed last */
    struct list sifts;  /* struct sift_part, likewise */
    struct list doomed; /* to be closed before the loop blocks */
    size_t connection_count;
    struct connection *told_last; /* the youngest that was told to go; all older ones were too */
    size_t told_count;
    struct drain_pace drain_pace;
    uint64_t turns_untold; /* in a row, for which a fan-out has held goodbyes up */
    bool is_stopping;
    uint64_t stop_until_ms;
    struct letter drain;
    atomic_bool is_drain_asked;
};

/* --- acceptor.c --- */

void acceptor_init(struct worker *worker, const struct entrance *entrances);

/* Takes the address of each port, but for those that are off, and listens there; ERR_IO with the
 * address and the reason. */
MUST_USE enum error_code acceptor_bind(struct worker *worker, struct error *why);
MUST_USE enum error_code acceptor_open(struct worker *worker, struct error *why);
void acceptor_close(struct worker *worker);

/* --- connection.c --- */

/* Makes a connection of an accepted socket, which it owns from now on, also on failure. */
MUST_USE enum error_code connection_create(struct worker *worker, const struct entrance *entrance,
                                           int fd, const struct sockaddr_storage *address);

/* For throttle.c. */
struct dues *connection_dues(struct connection *connection);

/* Closes what connection_close() and connection_abort() have doomed. */
void connections_bury(struct worker *worker);

/* Tells each connection that the broker goes down. */
void connections_drain(struct worker *worker);

/* Tells the oldest `count` that were not told yet; fewer where there are no more. */
void connections_tell(struct worker *worker, size_t count);

/* Ends all connections at once. */
void connections_abort_all(struct worker *worker, enum close_reason reason);

/* The connection that came after `connection` (NULL: the oldest); NULL: there is none. */
struct connection *connections_next(struct worker *worker, const struct connection *connection);

/* For the worker's sockets. */
extern const struct socket_calls connection_socket_calls;

/* What they hold, for shed.c: bytes kept here for a socket that does not take them. */
size_t connection_kept_bytes(const struct connection *connection);

/* --- stream.c --- */

/* Flushes due streams for FAN_OUT_SLICE_US; false: some are left for the next turn. */
MUST_USE bool streams_flush_due(struct worker *worker);

/* Its connection has become, or is no more, one of a tenant's. */
void streams_note_identity(struct connection *connection);

/* --- watch.c --- */

/* The broker goes down: whoever waits is answered. */
void watches_end_all(struct worker *worker);

/* --- survey.c --- */

/* A connection goes: surveys that would look at it next go on behind it. */
void surveys_on_gone(struct worker *worker, const struct connection *connection);

/* --- sift.c --- */

/* Likewise. */
void sifts_on_gone(struct worker *worker, const struct connection *connection);
