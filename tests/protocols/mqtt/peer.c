/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/mqtt/peer.h"

#include <stdlib.h>

#include "broker/runtime/sharing.h"
#include "broker/support/invariant.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/outbound.h"

struct peer peer;

/* --- the registry ----------------------------------------------------------------------------- */

enum error_code registry_claim(struct log *log, struct session_claim *claim) {
    (void)log;
    peer.claim_count++;
    if (peer.claim_result == OK) {
        INVARIANT(peer.claim == NULL);
        peer.claim = claim;
    }
    return peer.claim_result;
}

static void let_release_go(void) {
    free(peer.release.state);
    message_unref(peer.release.will);
    peer.release = (struct session_release){0};
}

void registry_release(struct log *log, struct session_claim *claim,
                      const struct session_release *release) {
    (void)log;
    INVARIANT(claim == peer.claim);
    let_release_go();
    peer.release = *release;
    peer.release_count++;
    peer.claim = NULL;
    claim->calls->on_released(claim);
}

/* --- what a client is sent -------------------------------------------------------------------- */

void outbound_start(struct mqtt *mqtt) {
    (void)mqtt;
    peer.start_count++;
}

void outbound_stop(struct mqtt *mqtt) {
    (void)mqtt;
    peer.stop_count++;
}

void outbound_get_unacknowledged(const struct mqtt *mqtt, struct connection_client *ret_client) {
    (void)mqtt;
    (void)ret_client;
}

void outbound_on_writable(struct mqtt *mqtt) {
    (void)mqtt;
}

uint64_t outbound_due_ms(const struct mqtt *mqtt) {
    (void)mqtt;
    return peer.due_ms;
}

void outbound_on_deadline(struct mqtt *mqtt) {
    (void)mqtt;
    if (peer.due_ms != 0 && fakes.now_ms >= peer.due_ms) {
        peer.due_ms = 0;
        peer.due_count++;
    }
}

static enum mqtt_reason on_ack(void) {
    peer.ack_count++;
    return peer.ack_result;
}

enum mqtt_reason outbound_on_puback(struct mqtt *mqtt, uint16_t packet_id,
                                    enum mqtt_reason reason) {
    (void)mqtt;
    (void)packet_id;
    (void)reason;
    return on_ack();
}

enum mqtt_reason outbound_on_pubrec(struct mqtt *mqtt, uint16_t packet_id,
                                    enum mqtt_reason reason) {
    (void)mqtt;
    (void)packet_id;
    (void)reason;
    return on_ack();
}

enum mqtt_reason outbound_on_pubcomp(struct mqtt *mqtt, uint16_t packet_id,
                                     enum mqtt_reason reason) {
    (void)mqtt;
    (void)packet_id;
    (void)reason;
    return on_ack();
}

static void on_request(struct mqtt *mqtt) {
    peer.request_count++;
    if (peer.holds_requests) {
        mqtt_hold(mqtt);
    }
}

void outbound_on_subscribe(struct mqtt *mqtt, const struct mqtt_request *request) {
    (void)request;
    on_request(mqtt);
}

void outbound_on_unsubscribe(struct mqtt *mqtt, const struct mqtt_request *request) {
    (void)request;
    on_request(mqtt);
}

enum error_code sharing_forget(struct broker *broker, struct span group, struct span filter,
                               struct span name) {
    (void)broker;
    (void)group;
    (void)filter;
    (void)name;
    peer.forget_count++;
    return OK;
}

void outbound_store(struct mqtt *mqtt) {
    (void)mqtt;
    peer.store_count++;
}

void outbound_note_step(struct mqtt *mqtt) {
    (void)mqtt;
}

/* --- what tests call -------------------------------------------------------------------------- */

static int begin(void **state) {
    fakes_begin(state);
    peer = (struct peer){0};
    gate_begin();
    fakes.protocol = &mqtt_protocol;
    return 0;
}

int peer_begin(void **state) {
    begin(state);
    fakes.state = mqtt_on_accepted(fakes_connection());
    EXPECT_NOT_NULL(fakes.state);
    return 0;
}

int peer_begin_websocket(void **state) {
    struct mqtt *mqtt = NULL;
    begin(state);
    EXPECT_EQ(mqtt_create_websocket(fakes_connection(), &mqtt), OK);
    fakes.state = mqtt;
    mqtt_start(mqtt);
    return 0;
}

int peer_end(void **state) {
    if (fakes.state != NULL) {
        fakes_hang_up();
        fakes.state = NULL;
    }
    if (peer.claim != NULL && peer.grant_count == 0) {
        peer_grant(ERR_DRAINING, (struct span){0});
    }
    gate_end();
    int result = fakes_end(state); /* answers what waits, and with it the session is released */
    EXPECT_NULL(peer.claim);
    let_release_go();
    return result;
}

struct mqtt *peer_mqtt(void) {
    return fakes.state;
}

void peer_send(uint8_t first, const char *body) {
    fakes_receive_bytes(packet_of(first, body));
    fakes_turn();
}

void peer_grant(enum error_code result, struct span state) {
    struct session_claim *claim = peer.claim;
    INVARIANT(claim != NULL);
    peer.grant_count++;
    claim->result = result;
    if (result != OK) {
        peer.claim = NULL;
    } else if (state.length > 0) {
        claim->is_present = true;
        claim->expiry_ms = PEER_KEPT_MS;
        claim->state = malloc(state.length);
        INVARIANT(claim->state != NULL);
        memcpy(claim->state, state.bytes, state.length);
        claim->state_length = state.length;
    }
    if (result == OK) {
        memcpy(peer.client_id, claim->client_id, claim->client_id_length);
        claim->client_id = peer.client_id;
    }
    claim->calls->on_granted(claim);
    fakes_turn();
}

void peer_connect(const char *body) {
    peer_send(0x10, body);
    peer_grant(OK, (struct span){0});
    fakes_forget_sent();
}

void peer_answer_request(void) {
    mqtt_unhold(peer_mqtt());
    fakes_turn();
}

void peer_answer(enum error_code code) {
    fakes_answer_publish(code);
    fakes_turn();
}
