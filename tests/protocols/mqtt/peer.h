/* SPDX-License-Identifier: Apache-2.0 */
/* peer.h — an MQTT client on the connection of fakes.h; its session is granted when it is told to,
 * and what subscriptions would bring is only counted.
 *
 * Place:   tests of the MQTT server; packets are in the notation of packets.h.
 * Thread:  the test's.
 * Bounds:  one claim.
 */
#pragma once

#include "broker/runtime/registry.h"
#include "protocols/mqtt/mqtt.h"
#include "protocols/mqtt/mqtt_private.h"
#include "tests/protocols/fakes.h"
#include "tests/protocols/mqtt/gate.h"
#include "tests/protocols/mqtt/packets.h"
#include "tests/unit.h"

#define CONNECT_311 "0004 'MQTT' 04 02 003c 0001 'a'"
#define CONNECT_5 "0004 'MQTT' 05 02 003c 00 0001 'a'"
#define CONNECT_5_KEPT "0004 'MQTT' 05 02 003c 05 11 00000e10 0001 'a'" /* for an hour */
#define PEER_KEPT_MS 7000 /* that a session which is granted was to be kept */
#define CONNACK_311 "20 02 00 00"
#define CONNACK_5 "20 0e 00 00 0b 21 0400 22 0040 27 00140000"

struct peer {
    struct session_claim *claim; /* was asked for; NULL: none is, or it is released */
    uint8_t client_id[SCOPED_CLIENT_ID_BYTES_MAX]; /* of the claim that was granted */
    struct session_release release;                /* the last; what it owns is the peer's */
    unsigned claim_count;
    unsigned grant_count;
    unsigned release_count;
    unsigned start_count;
    unsigned stop_count;
    unsigned store_count;
    uint64_t due_ms;       /* when what it is sent has something to do; 0: it has not … */
    unsigned due_count;    /* … and how often it was due */
    unsigned forget_count; /* groups that wait for the client no longer */
    unsigned ack_count;
    unsigned request_count;
    enum error_code claim_result; /* of the next registry_claim() */
    enum mqtt_reason ack_result;  /* of acknowledgements that come */
    bool holds_requests;          /* SUBSCRIBE is not answered until peer_answer_request() */
};

extern struct peer peer;

/* A connection to the MQTT port; and as a WebSocket. */
int peer_begin(void **state);
int peer_begin_websocket(void **state);
int peer_end(void **state);

struct mqtt *peer_mqtt(void);

/* As if the client sent that packet, and the turn went on to its end. */
void peer_send(uint8_t first, const char *body);

/* The registry's answer. `state` of a session that is there, as bytes; empty: there is none. */
void peer_grant(enum error_code result, struct span state);

/* CONNECT and its grant; what was sent is forgotten. */
void peer_connect(const char *body);

void peer_answer_request(void);

/* The log's answer to the oldest publish. */
void peer_answer(enum error_code code);

/* What was sent since the last of these calls is exactly this. */
#define EXPECT_SENT(notation)                                                                      \
    do {                                                                                           \
        fakes_turn();                                                                              \
        EXPECT_BYTES(buffer_borrow(&fakes.sent), notation);                                        \
        fakes_forget_sent();                                                                       \
    } while (0)

#define PEER(name) cmocka_unit_test_setup_teardown(name, peer_begin, peer_end)
#define PEER_WEBSOCKET(name) cmocka_unit_test_setup_teardown(name, peer_begin_websocket, peer_end)
