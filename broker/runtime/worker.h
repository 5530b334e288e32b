/* SPDX-License-Identifier: Apache-2.0 */
/* worker.h — one thread that owns connections: its loop, acceptor, wheel, feeds and mailbox.
 *
 * Place:   started by main; protocols/ reach the rest of the broker through it.
 * Thread:  everything here is the worker's own thread's, but for create, start, stop and destroy.
 * Bounds:  its share of limits.connections, TAILS_BYTES_MAX of tails, BODIES_BYTES_MAX of bodies,
 *          PIPELINES_BYTES_MAX and one request of pipelines.
 */
#pragma once

#include "broker/runtime/broker.h"
#include "broker/runtime/connection.h"
#include "broker/support/list.h"
#include "broker/support/mailbox.h"
#include "broker/support/wheel.h"

struct access;
struct worker;
struct log_listener;
struct metrics_shard;
struct tls;

/* The ports that workers listen on: rows of acceptor.c. */
enum port { PORT_PUBLIC, PORT_MQTT, PORT_MQTT_TLS, PORT_COUNT };

/* What a connection begins with that is accepted at a port. */
struct entrance {
    const struct protocol *first_protocol;
    void *(*on_accepted)(struct connection *connection); /* its state; NULL: out of memory */
    struct span refusal; /* sent to who is turned away because memory is short; may be empty */
    struct tls *tls;     /* NULL: bytes pass as they are */
    const char *alpn;    /* what is spoken inside: tls_open() */
};

/* `entrances` has PORT_COUNT rows and is borrowed. */
MUST_USE enum error_code worker_create(struct broker *broker, size_t index,
                                       const struct entrance *entrances, struct worker **ret_worker,
                                       struct error *why);

/* Takes the addresses of all ports, without listening yet: what may need more rights than serving
 * does. ERR_IO with the address and the reason. */
MUST_USE enum error_code worker_bind(struct worker *worker, struct error *why);

/* Starts the thread; it listens when this returns. Bound before. */
MUST_USE enum error_code worker_start(struct worker *worker, struct error *why);

/* Any thread: no more connections; those that are open say goodbye. The thread ends when the last
 * one is closed, or after DRAIN_TIMEOUT_MS. */
void worker_drain(struct worker *worker);

/* Waits for the thread's end. */
void worker_join(struct worker *worker);

/* Delivers what came after the thread's end, so that whoever asked is answered. Joined before, and
 * the askers' threads too. */
void worker_settle(struct worker *worker);

/* Joins and frees, when the log and the read threads have stopped. Accepts NULL. */
void worker_destroy(struct worker *worker);

struct broker *worker_broker(const struct worker *worker);
struct mailbox *worker_mailbox(struct worker *worker);
struct access *worker_access(const struct worker *worker);
struct log_listener *worker_listener(struct worker *worker);
struct metrics_shard *worker_metrics(const struct worker *worker);

/* The worker's clock, at most WHEEL_TICK_MS old. */
uint64_t worker_now_ms(const struct worker *worker);

/* A timer of the worker's wheel; whoever arms one disarms it before it goes. */
void worker_arm(struct worker *worker, struct wheel_timer *timer, uint64_t due_ms);
void worker_disarm(struct worker *worker, struct wheel_timer *timer);

/* What is to be done once for all that a turn brings: answers leave in one write, for example. */
struct chore {
    struct list in_worker;
    void (*on_due)(struct chore *chore);
};

void chore_init(struct chore *chore, void (*on_due)(struct chore *chore));

/* on_due follows when the letters of this turn were delivered; one that is put already stays. Who
 * puts it takes it back before it goes. */
void worker_put_chore(struct worker *worker, struct chore *chore);
void chore_take_back(struct chore *chore);

/* A scratch buffer that is empty now and may be used until the current callback returns. */
struct buffer *worker_borrow_scratch(struct worker *worker);

/* What protocols/websocket shares among the sockets of this worker: NULL until it is set, which is
 * done once. `on_finish` frees it when the last connection is gone. */
void *worker_borrow_protocol_state(const struct worker *worker);
void worker_set_protocol_state(struct worker *worker, void *state, void (*on_finish)(void *state));

/* Memory for request bodies: false when BODIES_BYTES_MAX is reached; give back what was taken. */
MUST_USE bool worker_take_body_room(struct worker *worker, size_t bytes);
void worker_give_body_room(struct worker *worker, size_t bytes);

/* Of what a connection keeps for requests that it sent before the answers to earlier ones, `bytes`
 * are counted from now on instead of `bytes_before`. */
void worker_count_pipeline(struct worker *worker, size_t bytes_before, size_t bytes);

/* PIPELINES_BYTES_MAX are not reached: one more such request may be taken. */
bool worker_has_pipeline_room(const struct worker *worker);
