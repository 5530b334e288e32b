/* SPDX-License-Identifier: Apache-2.0 */
/* A frame's head is 2, 4 or 10 bytes and a mask of 4. Its room is left at the full 14; behind a
 * shorter one the payload moves to the front, which for what a load sends is a few bytes:
 *
 *     begin   14 bytes of room   payload
 *     end     head, mask         payload, masked
 */
#include "clients/bench/upgrade.h"

#include <string.h>

#include "clients/bench/escape.h"
#include "clients/bench/opening.h"

#define MASK_BYTES 4
#define HEAD_ROOM (10 + MASK_BYTES)
#define CONTROL_BYTES_MAX 125 /* RFC 6455, section 5.5 */
#define FINAL 0x80
#define MASKED 0x80
#define MASK_MULTIPLIER 2654435761u /* spreads the index over all bits */

void upgrade_put_request(struct bytes *output, const struct protocol_link *link) {
    opening_put_fields(output, link,
                       "Upgrade: websocket\r\n"
                       "Connection: Upgrade\r\n"
                       "Sec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
}

enum protocol_told upgrade_take_answer(const uint8_t *bytes, size_t length,
                                       struct protocol_unit *ret_unit) {
    struct opening opening;
    switch (opening_read(bytes, length, &opening)) {
    case OPENING_CUT:
        return PROTOCOL_MORE;
    case OPENING_BAD:
        return protocol_refuse(ret_unit, "the answer to the WebSocket's handshake is no HTTP");
    case OPENING_READ:
        break;
    }
    if (opening.status != 101) {
        return protocol_refuse(ret_unit, opening_tell_status(opening.status));
    }
    if (!opening.is_upgrade) {
        return protocol_refuse(ret_unit, "the server switched to something that is no WebSocket");
    }
    ret_unit->length = opening.length;
    return PROTOCOL_NOTHING;
}

enum protocol_told upgrade_read_head(const uint8_t *bytes, size_t length,
                                     struct upgrade_frame *ret_frame,
                                     struct protocol_unit *ret_unit) {
    if (length < 2) {
        return PROTOCOL_MORE;
    }
    uint64_t payload = bytes[1];
    uint8_t head = payload == 127 ? 10 : payload == 126 ? 4 : 2;
    if (payload > 127) {
        return protocol_refuse(ret_unit, "the server masks its frames");
    }
    if (length < head) {
        return PROTOCOL_MORE;
    }
    if (head > 2) {
        payload = 0;
        for (size_t i = 2; i < head; i++) {
            payload = payload << 8 | bytes[i];
        }
    }
    if (payload > PROTOCOL_UNIT_BYTES_MAX) {
        return protocol_refuse(ret_unit, "a WebSocket frame is longer than the load takes");
    }
    if ((bytes[0] & 0x70) != 0) {
        return protocol_refuse(ret_unit, "a WebSocket frame has a bit of an extension");
    }
    *ret_frame = (struct upgrade_frame){bytes[0] & 0x0f, (bytes[0] & FINAL) != 0, head, payload};
    return PROTOCOL_NOTHING;
}

static const char *tell_close(const uint8_t *payload, uint64_t length) {
    static const struct {
        unsigned code;
        const char *words;
    } known[] = {
        {1000, "the server closed the WebSocket with 1000 (done)"},
        {1001, "the server closed the WebSocket with 1001 (going away)"},
        {1002, "the server closed the WebSocket with 1002 (protocol error)"},
        {1008, "the server closed the WebSocket with 1008 (not allowed)"},
        {1009, "the server closed the WebSocket with 1009 (too big)"},
        {1011, "the server closed the WebSocket with 1011 (internal error)"},
        {3500, "the server closed the WebSocket with 3500 (Centrifugo: invalid token)"},
        {4001, "the server closed the WebSocket with 4001 (token expired)"},
        {4008, "the server closed the WebSocket with 4008 (too slow)"},
        {4009, "the server closed the WebSocket with 4009 (taken over)"},
    };
    unsigned code = length >= 2 ? (unsigned)(payload[0] << 8 | payload[1]) : 0;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].code == code) {
            return known[i].words;
        }
    }
    return "the server closed the WebSocket";
}

enum protocol_told upgrade_take_control(struct protocol_link *link,
                                        const struct upgrade_frame *frame, const uint8_t *bytes,
                                        size_t length, struct bytes *output,
                                        struct protocol_unit *ret_unit) {
    if (frame->payload_length > CONTROL_BYTES_MAX || !frame->is_final) {
        return protocol_refuse(ret_unit, "a WebSocket control frame is too long or in parts");
    }
    if (length < frame->head_length + frame->payload_length) {
        return PROTOCOL_MORE;
    }
    const uint8_t *payload = bytes + frame->head_length;
    ret_unit->length = frame->head_length + (size_t)frame->payload_length;
    if (frame->opcode == UPGRADE_PONG) {
        return PROTOCOL_NOTHING;
    }
    if (frame->opcode != UPGRADE_PING && frame->opcode != UPGRADE_CLOSE) {
        return protocol_refuse(ret_unit, "a WebSocket frame has an unknown opcode");
    }
    size_t begin = upgrade_begin_frame(output);
    bytes_put(output, payload, (size_t)frame->payload_length);
    if (frame->opcode == UPGRADE_CLOSE) {
        upgrade_end_frame(output, begin, link, UPGRADE_CLOSE);
        return protocol_refuse(ret_unit, tell_close(payload, frame->payload_length));
    }
    upgrade_end_frame(output, begin, link, UPGRADE_PONG);
    return PROTOCOL_NOTHING;
}

/* A message of several frames is put together in `held`. */
static enum protocol_told take_part(struct protocol_link *link, const struct upgrade_frame *frame,
                                    const uint8_t *payload, struct protocol_unit *ret_unit) {
    bool is_first = frame->opcode != UPGRADE_CONTINUATION;
    if (is_first != (link->left == 0)) {
        return protocol_refuse(ret_unit, "the parts of a WebSocket message are mixed up");
    }
    if (is_first) {
        bytes_drop(&link->held, link->held.length);
    }
    if (link->held.length + frame->payload_length > PROTOCOL_UNIT_BYTES_MAX) {
        return protocol_refuse(ret_unit, "a WebSocket message is longer than the load takes");
    }
    bytes_put(&link->held, payload, (size_t)frame->payload_length);
    link->left = !frame->is_final;
    ret_unit->length = frame->head_length + (size_t)frame->payload_length;
    if (!frame->is_final) {
        return PROTOCOL_NOTHING;
    }
    ret_unit->payload = link->held.data;
    ret_unit->payload_length = link->held.length;
    return PROTOCOL_MESSAGE;
}

enum protocol_told upgrade_take(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                struct bytes *output, struct protocol_unit *ret_unit) {
    struct upgrade_frame frame;
    enum protocol_told told = upgrade_read_head(bytes, length, &frame, ret_unit);
    if (told != PROTOCOL_NOTHING) {
        return told;
    }
    if (frame.opcode > UPGRADE_BINARY) {
        return upgrade_take_control(link, &frame, bytes, length, output, ret_unit);
    }
    if (length - frame.head_length < frame.payload_length) {
        return PROTOCOL_MORE;
    }
    if (!frame.is_final || frame.opcode == UPGRADE_CONTINUATION || link->left > 0) {
        return take_part(link, &frame, bytes + frame.head_length, ret_unit);
    }
    ret_unit->length = frame.head_length + (size_t)frame.payload_length;
    ret_unit->payload = bytes + frame.head_length;
    ret_unit->payload_length = (size_t)frame.payload_length;
    return PROTOCOL_MESSAGE;
}

size_t upgrade_begin_frame(struct bytes *output) {
    bytes_reserve(output, HEAD_ROOM);
    output->length += HEAD_ROOM;
    return output->length - HEAD_ROOM;
}

static void mask(uint8_t *bytes, size_t length, uint32_t key) {
    uint64_t wide = (uint64_t)key << 32 | key;
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, 8);
        word ^= wide;
        memcpy(bytes + i, &word, 8);
    }
    for (; i < length; i++) {
        bytes[i] ^= (uint8_t)(key >> (8 * (i % MASK_BYTES)));
    }
}

void upgrade_end_frame(struct bytes *output, size_t begin, const struct protocol_link *link,
                       enum upgrade_opcode opcode) {
    size_t length = output->length - begin - HEAD_ROOM;
    size_t head = length > 65535 ? 10 : length > 125 ? 4 : 2;
    uint8_t *frame = output->data + begin;
    uint32_t key = (link->index + 1) * MASK_MULTIPLIER;
    memmove(frame + head + MASK_BYTES, frame + HEAD_ROOM, length);
    frame[0] = (uint8_t)(FINAL | opcode);
    frame[1] = (uint8_t)(MASKED | (head == 10 ? 127 : head == 4 ? 126 : length));
    for (size_t i = 2; i < head; i++) {
        frame[i] = (uint8_t)((uint64_t)length >> (8 * (head - 1 - i)));
    }
    for (size_t i = 0; i < MASK_BYTES; i++) {
        frame[head + i] = (uint8_t)(key >> (8 * i));
    }
    mask(frame + head + MASK_BYTES, length, key);
    output->length = begin + head + MASK_BYTES + length;
}
