/* SPDX-License-Identifier: Apache-2.0 */
/* A whole connection without a socket: the input says what happens, and what the client sends. Each
 * step is a byte, its lowest three bits the kind, the others an argument. */
#include "broker/runtime/log.h"
#include "broker/support/logger.h"
#include "protocols/mqtt/session.h"
#include "tests/fuzz/fuzz.h"
#include "tests/protocols/mqtt/peer.h"

#define PUBLISHES_WAITING_MAX 64 /* fewer than fakes.h holds, with what one piece can bring */
#define BYTES_A_UNIT 8

/* A piece of what the client sends. */
static struct span take_piece(struct span *input, size_t units) {
    size_t length = 1 + units * BYTES_A_UNIT;
    length = length > input->length ? input->length : length;
    struct span piece = span_of(input->bytes, length);
    *input = span_of(input->bytes + length, input->length - length);
    return piece;
}

static void answer(unsigned argument) {
    static const enum error_code codes[] = {
        OK, OK, OK, OK, ERR_IO, ERR_UNPROCESSABLE, ERR_STORAGE_FULL};
    if (fakes.publish != NULL) {
        peer_answer(codes[argument % ARRAY_COUNT(codes)]);
    }
}

static void grant(unsigned argument) {
    static const enum error_code codes[] = {OK, OK, OK, OK, OK, ERR_FULL, ERR_DRAINING};
    if (peer.claim != NULL && peer.start_count == 0 && peer.grant_count == 0) {
        peer_grant(codes[argument % ARRAY_COUNT(codes)], (struct span){0});
    } else if (peer.claim != NULL && peer.start_count > 0 && argument == 31) {
        peer.claim->calls->on_taken_over(peer.claim);
    }
}

static void step(struct span *input) {
    unsigned kind = input->bytes[0] & 7, argument = input->bytes[0] >> 3;
    *input = span_of(input->bytes + 1, input->length - 1);
    switch (kind) {
    case 0:
    case 1:
        fakes_receive_bytes(take_piece(input, argument));
        break;
    case 2:
        answer(argument);
        break;
    case 3:
        grant(argument);
        break;
    case 4:
        fakes_pass(argument * 1000);
        break;
    case 5:
        fakes.is_blocked = !fakes.is_blocked;
        if (!fakes.is_blocked) {
            fakes_drain_socket();
        }
        break;
    case 6:
        fakes.submit_result = argument < 8 ? ERR_BUSY : OK;
        break;
    default:
        fakes_turn();
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span input = span_of(bytes, length);
    void *state = NULL;
    logger_set_level(LOG_LEVEL_ERROR);
    bool is_websocket = length > 0 && (bytes[0] & 0x80) != 0;
    if (is_websocket) {
        peer_begin_websocket(&state);
    } else {
        peer_begin(&state);
    }
    while (input.length > 0 && !fakes.is_closing) {
        step(&input);
        while (fakes.publish_waiting > PUBLISHES_WAITING_MAX) {
            peer_answer(OK);
        }
        /* [MQTT-3.1.4-4]: nothing but a CONNACK is the first */
        CLAIM(is_websocket || fakes.sent.length == 0 || fakes.sent.bytes[0] == 0x20);
        CLAIM(fakes.body_room_bytes <= MESSAGE_BYTES_DEFAULT * 4);
    }
    fakes.submit_result = OK;
    unsigned granted = peer.start_count;
    peer_end(&state);
    CLAIM(peer.release_count >= granted);
    return 0;
}
