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
#include "broker/config/config.h"
#include "broker/runtime/connection.h"
#include "broker/support/error.h"
#include "storage/storage.h"

struct bundle;
struct stream;

/* What a frame tells: a message, or (is_message false) that some were deleted. */
struct stream_item {
    struct place place;
    bool is_message;
};

/* What stands between a stream and its socket where the peer acknowledges what it gets (MQTT). The
 * frames of a run are copied once, so that the window may write into them what is the peer's own.
 * `context` is that of the options. None of the calls may destroy the stream or wake it.
 *
 * A window that is shut makes no lag by itself: it is shut whenever the peer has all it may have.
 * While it is, the reader stays in the tails, whose messages all readers share; with `catch_up` it
 * goes to the log where they are cut. `conflate`, `drop` and `disconnect` apply as soon as more
 * than WINDOW_LAG_BYTES wait in the tails, or were sent from pages without that it came to the
 * head: as much as a socket would have taken before it is found full. The last two, as with
 * sockets, only once it has read its history. Its status tells the lag all the same. */
struct stream_window {
    /* How many messages may leave now at most; 0: none until stream_on_writable(). */
    uint64_t (*get_room)(void *context);
    /* `count` frames are about to leave: frame i ends at ends[i] of `bytes` and tells items[i]; one
     * of no bytes is not for this peer. Returns how many may leave now, from the first on; the
     * others come again after stream_on_writable(), and nothing is prepared before it. */
    size_t (*prepare)(void *context, uint8_t *bytes, const uint32_t *ends,
                      const struct stream_item *items, size_t count);
    /* The first `count` of what was prepared left, or are on their way; those of no bytes among
     * them. Not called for 0. */
    void (*on_left)(void *context, const struct stream_item *items, size_t count);
};

struct stream_options {
    struct connection *connection;
    const struct storage_selector *selectors; /* checked; copied */
    size_t selector_count;                    /* 1 to SELECTORS_MAX */
    const struct framing *framing;
    uint64_t subscription; /* the reader's number on its socket; 0: none */
    struct bundle *bundle; /* what the streams of one socket share; NULL: it is the only one.
                            * Streams of a bundle have one selector and no window. */
    enum on_lag on_lag;
    const struct stream_window *window; /* NULL: whatever the socket takes leaves */
    uint64_t limit;                     /* so many messages, then on_limit; 0: without end */
    struct storage_query start;         /* start, place, time_ms and newest are used */
    /* The start is resolved: `place` is where the stream begins. Exactly once, before the first
     * frame; position 0 where the start is a gap, whose frame tells the place itself: a client that
     * knew the place before the gap would not be told it again. NULL: nobody asks. */
    void (*on_started)(void *context, const struct place *place);
    /* The log could not be read, or (ERR_SLOW) the reader fell behind and its policy is to be cut
     * off: the protocol says goodbye. It may destroy the stream at once. */
    void (*on_failed)(void *context, enum error_code code);
    /* `limit` messages were sent, the last of them at `place`. Nothing follows; it may destroy the
     * stream at once. */
    void (*on_limit)(void *context, const struct place *place);
    void *context;
};

/* Opens the stream; frames follow from the next turn on. ERR_MEMORY. */
MUST_USE enum error_code stream_create(const struct stream_options *options,
                                       struct stream **ret_stream);

/* Ends it: no callback follows. Accepts NULL. */
void stream_destroy(struct stream *stream);

/* The protocol's on_writable hands on to this; one with several streams begins with the one that
 * was served longest ago. Also whoever opens the window: it goes on before the turn ends. */
void stream_on_writable(struct stream *stream);

/* The frames of the runs to come are of that framing. May be called from the window's on_left. */
void stream_set_framing(struct stream *stream, const struct framing *framing);

/* Where the reader stands now: everything up to here was sent or did not match, so that whoever
 * goes on behind it lacks nothing but what was sent and not acknowledged. What a heartbeat tells.
 * Position 0 while the start is not resolved. */
void stream_get_place(struct stream *stream, struct place *ret_place);

/* How a reader does, for the operator. */
struct stream_status {
    uint64_t connection_id;
    uint64_t subscription;
    size_t selector_count;
    enum on_lag on_lag;
    struct place place;
    bool is_live;          /* it is served from the tails, and its lag is known exactly */
    bool is_blocked;       /* its socket takes nothing now */
    uint64_t lag_messages; /* of a live reader; else storage_measure() knows */
    uint64_t lag_bytes;
    uint64_t skipped; /* left out by conflation, ever */
};
void stream_get_status(struct stream *stream, struct stream_status *ret_status);

/* How many records of the log stand behind its place, of whatever channel; 0 at the head. */
uint64_t stream_positions_behind(const struct stream_status *status, uint64_t head);

/* One of the `selector_count` channels and patterns that it reads; borrowed from the stream. */
void stream_get_selector(const struct stream *stream, size_t index,
                         struct storage_selector *ret_selector);

/* The stream that was opened after `stream` (NULL: the oldest) on this connection; NULL: there is
 * none. */
struct stream *stream_next(struct connection *connection, const struct stream *stream);
