/* SPDX-License-Identifier: Apache-2.0 */
/* websocket_private.h — the inside of a WebSocket, for the few files that are one together.
 *
 * Place:   websocket.c (bytes and frames), clocks.c (what is due), refusal.c (what is
 *          refused), subscriptions.c (many streams).
 * Thread:  its worker's.
 * Bounds:  see websocket.h.
 */
#pragma once

#include "broker/runtime/stream.h"
#include "broker/support/buffer.h"
#include "protocols/websocket/frame.h"
#include "protocols/websocket/publications.h"

struct probation;
struct subscriptions;
struct websocket;

/* What a reader was last told of where it stands: by its frames, or by progress. */
struct progress {
    uint64_t position;
    uint64_t channel_id;
    uint64_t offset;
};

struct websocket {
    struct connection *connection;
    struct stream *stream;               /* of a socket on one channel or pattern; else NULL */
    struct subscriptions *subscriptions; /* of a socket on /stream; else NULL */
    struct publications *publications;   /* NULL until the first publish */
    struct probation *probation;         /* a command that waits for a yes or no; NULL: none */
    struct frame_decoder decoder;
    struct buffer message; /* a command that comes in pieces; without memory between two */
    size_t message_room_bytes;
    struct buffer input; /* came while reading was to be paused */
    bool is_paused;
    bool has_ended;       /* the close frame is written */
    bool deflates;        /* permessage-deflate was agreed on: compression_borrow() is there */
    uint64_t received_ms; /* when the last bytes came */
    uint64_t own_bytes;   /* sent, and not the streams' */
    uint64_t ping_due_ms;
    uint64_t pong_due_ms;     /* 0: none is awaited */
    size_t ping_unsent_bytes; /* what stood before the ping and with it, as last seen */
    uint64_t progress_due_ms;
    struct progress progress; /* of the one stream */
    uint16_t channel_length;
    uint8_t channel[]; /* the channel or pattern of the one stream */
};

/* --- refusal.c --- */

/* Answers a command that was not obeyed; a limit that it met is counted. */
void websocket_refuse(struct websocket *websocket, struct span ref, enum error_code code,
                      const struct error *why);

/* Ends a connection whose frames cannot be read. */
void websocket_end_broken(struct websocket *websocket, enum error_code code,
                          const struct error *why);

/* --- websocket.c --- */

struct worker *websocket_worker(const struct websocket *websocket);
uint64_t websocket_now_ms(const struct websocket *websocket);

/* How the streams of this socket frame their messages. */
const struct framing *websocket_choose_framing(const struct websocket *websocket);

/* Sends frames that are not a stream's. */
void websocket_write(struct websocket *websocket, const struct buffer *frames);

/* Begins a text frame in the worker's scratch buffer; NULL without memory. What was put into it is
 * sent by websocket_end_text(), unless `code` says that it was not: then the socket is closed. */
struct buffer *websocket_begin_text(struct websocket *websocket, size_t *ret_start);
void websocket_end_text(struct websocket *websocket, struct buffer *buffer, size_t start,
                        enum error_code code);

/* Says goodbye and closes, once; NULL: with the reason's own text. */
void websocket_end_because(struct websocket *websocket, enum close_reason reason, const char *text);

/* A stream failed (stream_options.on_failed). */
void websocket_end_failed(struct websocket *websocket, enum error_code code);

/* --- clocks.c --- */

void clocks_start(struct websocket *websocket);

/* protocol.on_deadline. */
void clocks_on_deadline(struct websocket *websocket);

/* True: the log went on to `place`, nothing of it was for the reader, and that is to be told. */
MUST_USE bool progress_advance(struct progress *told, const struct place *place);
