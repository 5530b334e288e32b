/* SPDX-License-Identifier: Apache-2.0 */
/* upgrade.h — a WebSocket's client (RFC 6455): the handshake, frames, pings and closes.
 *
 * Place:   the protocols of clients/bench that run over WebSocket.
 * Thread:  pure.
 * Bounds:  PROTOCOL_UNIT_BYTES_MAX a frame, and a message of several.
 *
 * The mask is a number of the connection's: masks that nobody can foretell protect proxies from
 * what a web page makes a browser send, and there is no web page here.
 */
#pragma once

#include "clients/bench/protocol.h"

enum upgrade_opcode {
    UPGRADE_CONTINUATION = 0,
    UPGRADE_TEXT = 1,
    UPGRADE_BINARY = 2,
    UPGRADE_CLOSE = 8,
    UPGRADE_PING = 9,
    UPGRADE_PONG = 10,
};

struct upgrade_frame {
    uint8_t opcode;
    bool is_final;
    uint8_t head_length;
    uint64_t payload_length;
};

/* Behind the target of a GET: the rest of the request. */
void upgrade_put_request(struct bytes *output, const struct protocol_link *link);

/* The answer to it: PROTOCOL_MORE, PROTOCOL_NOTHING (it is open) or PROTOCOL_REFUSED. */
enum protocol_told upgrade_take_answer(const uint8_t *bytes, size_t length,
                                       struct protocol_unit *ret_unit);

/* A frame's head: PROTOCOL_NOTHING when it is whole, PROTOCOL_MORE, or PROTOCOL_REFUSED. */
enum protocol_told upgrade_read_head(const uint8_t *bytes, size_t length,
                                     struct upgrade_frame *ret_frame,
                                     struct protocol_unit *ret_unit);

/* A whole frame of a control opcode: a ping is answered, a close too, and is PROTOCOL_REFUSED. */
enum protocol_told upgrade_take_control(struct protocol_link *link,
                                        const struct upgrade_frame *frame, const uint8_t *bytes,
                                        size_t length, struct bytes *output,
                                        struct protocol_unit *ret_unit);

/* The next message: PROTOCOL_MESSAGE with a payload of one frame or several; PROTOCOL_NOTHING is a
 * control frame or a part. */
enum protocol_told upgrade_take(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                struct bytes *output, struct protocol_unit *ret_unit);

/* A frame is put in three steps: its place is begun, the payload is put, the frame is ended: then
 * its length is known, and the payload is masked. */
size_t upgrade_begin_frame(struct bytes *output);
void upgrade_end_frame(struct bytes *output, size_t begin, const struct protocol_link *link,
                       enum upgrade_opcode opcode);
