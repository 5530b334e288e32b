/* SPDX-License-Identifier: Apache-2.0 */
/* connection.h — one accepted socket: bytes in, bytes out, timers, one end with one reason.
 *
 * Place:   made by the acceptor of a worker; handed to a protocol (protocols/) through its vtable.
 * Thread:  its worker's, for all calls.
 * Bounds:  what is kept unsent: the rest of what one connection_write() or one frame left over, and
 *          of one record of TLS. The
 *          kernel's send buffer is set to the send budget, so that nothing more is unsent anywhere.
 *
 * There is no queue of messages here. A stream sends what its socket takes and keeps, at most, the
 * rest of the one frame that was cut; then it goes on from its cursor.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"
#include "broker/support/wheel.h"

struct connection;
struct identity;
struct worker;

/* What sending touches of a connection, which comes first in it: who sends to a thousand brings
 * these bytes of the next one into the cache meanwhile. */
#define CONNECTION_HOT_BYTES 80

/* Who is at the other end, as far as its protocol knows. */
struct connection_client {
    struct span client_id;      /* empty: it has none; valid until the protocol is called again */
    uint64_t unacknowledged;    /* messages that it was sent and has not acknowledged … */
    uint64_t unacknowledged_ms; /* … and how long ago it last acknowledged one, or had none */
    bool is_window_full;        /* it is sent no more of them until it does */
};

/* What a protocol does with its connection. on_closed is the last call, exactly once. */
struct protocol {
    const char *name; /* for logs, metrics and the operator: "http", "sse", "websocket" */
    /* All of `bytes` is taken. Not called while reading is paused. */
    void (*on_bytes)(struct connection *connection, void *state, struct span bytes);
    /* Nothing is kept any more and the socket takes bytes again. */
    void (*on_writable)(struct connection *connection, void *state);
    /* The deadline that connection_set_deadline() set has passed. */
    void (*on_deadline)(struct connection *connection, void *state);
    /* The broker goes down: say goodbye and close. */
    void (*on_drain)(struct connection *connection, void *state);
    /* Say goodbye for that reason and close. NULL: it is closed without a word. */
    void (*on_dismissed)(struct connection *connection, void *state, enum close_reason reason);
    /* Fills in what it knows; *ret_client is zeroed. NULL: it knows nothing. */
    void (*get_client)(const void *state, struct connection_client *ret_client);
    /* Frees `state`. The connection may not be used any more. */
    void (*on_closed)(struct connection *connection, void *state, enum close_reason reason);
};

/* From the next event on `protocol` is asked, with `state`. */
void connection_set_protocol(struct connection *connection, const struct protocol *protocol,
                             void *state);

struct worker *connection_worker(const struct connection *connection);
uint64_t connection_id(const struct connection *connection);
uint64_t connection_opened_ms(const struct connection *connection);
uint64_t connection_bytes_sent(const struct connection *connection);

/* When the socket last took bytes or was found full (monotonic); until then, when it was opened. */
uint64_t connection_sent_ms(const struct connection *connection);

/* The name of the protocol that is spoken now. */
const char *connection_protocol_name(const struct connection *connection);

/* The streams on it, for stream.c, which alone knows their nodes. */
struct list *connection_streams(struct connection *connection);

/* "127.0.0.1:40001"; lives as long as the connection. */
const char *connection_peer(const struct connection *connection);

/* Whose connection it is from now on: a reference is taken; NULL: nobody's again, which is always
 * OK. When the identity expires the connection is dismissed for CLOSE_TOKEN_EXPIRED; another one
 * that is admitted before takes its place. One that has ended already is dismissed in the next
 * turn, never under the caller. ERR_RATE: it has, or its tenant, as many connections as it may
 * (throttle.h); ERR_MEMORY. Whose it was it stays then. */
MUST_USE enum error_code connection_admit(struct connection *connection, struct identity *identity,
                                          struct error *why);

static inline void connection_forget_identity(struct connection *connection) {
    IGNORE_RESULT(connection_admit(connection, NULL, NULL) != OK); /* NULL is always OK */
}

/* NULL: nobody has said who it is. Borrowed. */
struct identity *connection_identity(const struct connection *connection);

/* What passes is sealed by TLS. Until it is closing. */
bool connection_is_secure(const struct connection *connection);

/* The subject of the client's certificate, which was verified, as RFC 4514 writes it:
 * "CN=device-7,O=Example". Empty: it showed none. Lives until the connection is closing. With the
 * certificate's end (notAfter), in seconds since 1970; 0: there is none. */
struct span connection_certificate(const struct connection *connection, uint64_t *ret_ends_s);

/* It has said what it wants: a whole request, or a CONNECT. Until then it is one of those that are
 * cut off first where connections are short. May be called again. */
void connection_settle(struct connection *connection);

/* For logs and the operator. */
void connection_get_client(const struct connection *connection,
                           struct connection_client *ret_client);

/* connection_close() or connection_abort() was called. */
bool connection_is_closing(const struct connection *connection);

/* connection_send() would return 0. */
bool connection_is_blocked(const struct connection *connection);

/* What the peer has not acknowledged: kept here or in the kernel. A system call. */
size_t connection_unsent_bytes(const struct connection *connection);

/* on_writable will be called when bytes can go out again (at once, if they can). */
void connection_want_writable(struct connection *connection);

/* Sends what the socket takes now and returns how much that was; 0 where something is still kept.
 * What is left is the caller's: it gives it again after on_writable, or to connection_keep(). */
size_t connection_send(struct connection *connection, struct span bytes);

/* Copies the rest of a cut frame; it goes out before anything else. Only when nothing is kept. */
void connection_keep(struct connection *connection, struct span rest);

/* Sends and keeps what does not go out: for replies and control frames, whose size is bounded by
 * their makers. May be called while something is kept: it is put behind it. */
void connection_write(struct connection *connection, struct span bytes);

/* The same of what is large: the rest is kept where it is and not copied, which takes longer than a
 * worker may be away from its sockets. `bytes` is empty behind it. */
void connection_give(struct connection *connection, struct buffer *bytes);

/* Pauses and resumes reading from the socket; bytes that the broker holds already wait too. */
void connection_pause_reading(struct connection *connection);
void connection_resume_reading(struct connection *connection);

/* One deadline a connection; 0 takes it away. Milliseconds of the monotonic clock. */
void connection_set_deadline(struct connection *connection, uint64_t due_ms);

/* Ends the connection: what is kept goes out first (CLOSE_TIMEOUT_MS), then the write side is shut
 * and what the peer still sends is thrown away for a moment, so that it can read the last answer.
 * on_closed runs later, from the loop; no other callback does. */
void connection_close(struct connection *connection, enum close_reason reason);

/* Ends it without waiting for anything: the peer is gone or harmful. */
void connection_abort(struct connection *connection, enum close_reason reason);

/* Lets the protocol say goodbye first, where it has words for that. */
void connection_dismiss(struct connection *connection, enum close_reason reason);
