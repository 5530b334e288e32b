/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h — a reader on a connection: from a starting point on, every message once, in order.
 *
 * Place:   protocols/sse and protocols/websocket open one a subscription; it reads from the feed of
 *          its channel on this worker (live) or from the read threads (catching up).
 * Thread:  its worker's.
 * Bounds:  a cursor and one page while it is being sent; a frame cut by the socket is kept by the
 *          connection. Nothing grows while the peer is slow: what was read and not sent is let go.
 */
#pragma once

#include "broker/channels/framing.h"
#include "broker/runtime/connection.h"
#include "broker/support/error.h"
#include "storage/storage.h"

struct stream;

struct stream_options {
    struct connection *connection;
    struct span channel; /* copied */
    const struct framing *framing;
    struct storage_query start; /* start, place, time_ms and newest are used */
    /* The start is resolved: `place` is where the stream begins. Before the first frame, and not
     * where that is a gap, which tells the place itself. NULL: nobody asks. */
    void (*on_started)(void *context, const struct place *place);
    /* The log could not be read: the protocol says goodbye. It may destroy the stream at once. */
    void (*on_failed)(void *context, enum error_code code);
    void *context;
};

/* Opens the stream; frames follow from the next turn on. ERR_MEMORY. */
MUST_USE enum error_code stream_create(const struct stream_options *options,
                                       struct stream **ret_stream);

/* Ends it: no callback follows. Accepts NULL. */
void stream_destroy(struct stream *stream);

/* The protocol's on_writable hands on to this. */
void stream_on_writable(struct stream *stream);

/* Where the reader stands now: everything up to here was sent or did not match. What a heartbeat
 * tells. Position 0 while the start is not resolved. */
void stream_get_place(const struct stream *stream, struct place *ret_place);
