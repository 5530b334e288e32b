/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h — WebSocket frames: what a client sends taken apart, what a server sends put together.
 *
 * Place:   the WebSocket connection of protocols/websocket.
 * Thread:  pure; the decoder unmasks in place and allocates nothing.
 * Bounds:  message_bytes_max for a message of any number of frames; refused by its announced
 *          length, before the bytes come. Control frames WEBSOCKET_CONTROL_BYTES_MAX.
 *
 * RFC 6455, section 5. The reserved bits are 0, but for RSV1 on the first frame of a message where
 * permessage-deflate was agreed on (RFC 7692, section 6). The caller collects the pieces of a
 * message; the decoder keeps only where it is, and checks text as it passes, unless it is
 * compressed: that is for the caller to check once it is expanded.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/limits.h"
#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"
#include "broker/support/utf8.h"

enum frame_opcode {
    FRAME_CONTINUATION = 0x0,
    FRAME_TEXT = 0x1,
    FRAME_BINARY = 0x2,
    FRAME_CLOSE = 0x8,
    FRAME_PING = 0x9,
    FRAME_PONG = 0xA,
    FRAME_TEXT_DEFLATED = 0x41, /* with RSV1: as it is sent, never as it is told */
};

enum frame_event_kind {
    FRAME_NOTHING, /* the input is used up */
    FRAME_DATA,    /* a piece of a message; the last one if is_last (it may be empty) */
    FRAME_PINGED,  /* a whole ping; answer with a pong of the same bytes */
    FRAME_PONGED,
    FRAME_CLOSED, /* a whole close frame; what comes after it is swallowed */
};

/* `bytes` of DATA borrow from the input; those of control frames from the decoder, until its next
 * call. */
struct frame_event {
    enum frame_event_kind kind;
    enum frame_opcode opcode; /* of a DATA: FRAME_TEXT or FRAME_BINARY, whatever frame it came in */
    bool is_last;
    bool is_deflated;    /* of a DATA: the message is compressed, and its text not checked */
    struct span bytes;   /* of a CLOSED: the reason's text, UTF-8 */
    uint16_t close_code; /* of a CLOSED; 1005 where the peer gave none (RFC 6455, 7.1.5) */
};

/* All members belong to the decoder. */
struct frame_decoder {
    uint64_t message_bytes_max;
    uint64_t message_bytes;   /* announced so far for the current message */
    uint64_t payload_missing; /* of the current frame */
    struct utf8_state utf8;
    uint8_t header[14];
    uint8_t header_length;  /* bytes of it that have come */
    uint8_t opcode;         /* of the current frame */
    uint8_t message_opcode; /* 0: between messages */
    uint8_t mask_at;        /* the next byte of the mask, 0 to 3 */
    bool is_final : 1;      /* bits: there is one of these for each idle socket */
    bool takes_deflated : 1;
    bool is_deflated : 1; /* the current message */
    bool is_in_payload : 1;
    bool has_failed : 1;
    bool is_closed : 1;
    uint8_t control_length;
    uint8_t control[WEBSOCKET_CONTROL_BYTES_MAX];
};

/* `takes_deflated`: permessage-deflate was agreed on. Then the limit is on the compressed bytes. */
void frame_decoder_init(struct frame_decoder *decoder, uint64_t message_bytes_max,
                        bool takes_deflated);

/* Takes bytes off the front of `input` (which are unmasked in place) up to the next event.
 *
 *     while ((code = frame_decode(&decoder, &bytes, &length, &event, &why)) == OK &&
 *            event.kind != FRAME_NOTHING) { … }
 *
 * ERR_PROTOCOL: close with 1002; ERR_BAD_UTF8: 1007; ERR_TOO_LARGE: 1009. After an error every call
 * gives ERR_PROTOCOL. */
MUST_USE enum error_code frame_decode(struct frame_decoder *decoder, uint8_t **input,
                                      size_t *input_length, struct frame_event *ret_event,
                                      struct error *why);

/* --- what a server sends --------------------------------------------------------------------- */

#define FRAME_HEADER_BYTES_MAX 10

/* Writes the header of an unmasked, final frame; returns its length, 2, 4 or 10. */
size_t frame_write_header(enum frame_opcode opcode, uint64_t payload_length,
                          uint8_t ret_header[FRAME_HEADER_BYTES_MAX]);

/* How long the header that begins here is; of an unmasked frame. */
size_t frame_header_length(const uint8_t *frame);

/* Appends a header, or a header and its payload. ERR_TOO_LARGE, ERR_MEMORY: nothing was added. */
MUST_USE enum error_code frame_put_header(struct buffer *buffer, enum frame_opcode opcode,
                                          uint64_t payload_length);
MUST_USE enum error_code frame_put(struct buffer *buffer, enum frame_opcode opcode,
                                   struct span payload);

/* For a payload that is encoded straight into the buffer: frame_begin() leaves room for the longest
 * header and returns where it stands; frame_end() puts the header before what has been added since,
 * and moves that up. */
MUST_USE enum error_code frame_begin(struct buffer *buffer, size_t *ret_start);
void frame_end(struct buffer *buffer, size_t start, enum frame_opcode opcode);

/* Appends a close frame; the reason is cut at a character so that it fits 123 bytes. */
MUST_USE enum error_code frame_put_close(struct buffer *buffer, uint16_t code, struct span reason);

/* --- the handshake (RFC 6455, section 4.2) ---------------------------------------------------- */

#define FRAME_ACCEPT_BYTES 28

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key, without NUL. ERR_BAD_REQUEST: the key is not 16
 * bytes in base64; ERR_INTERNAL: OpenSSL has no SHA-1. */
MUST_USE enum error_code frame_accept_key(struct span key, char ret_accept[FRAME_ACCEPT_BYTES]);
