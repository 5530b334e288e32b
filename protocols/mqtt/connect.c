/* SPDX-License-Identifier: Apache-2.0 */
/* CONNECT to CONNACK: what was asked for is checked, then who that is (identify.c), then the
 * registry grants the session (which may wait until another connection has left it), then the
 * CONNACK tells what is granted. Nothing that the client sends meanwhile is looked at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "broker/channels/rules.h"
#include "broker/channels/scope.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/mqtt_private.h"
#include "protocols/mqtt/outbound.h"
#include "protocols/mqtt/session.h"
#include "protocols/mqtt/will.h"

#define MS_PER_SECOND 1000
#define ASSIGNED_PREFIX "auto-"
#define ASSIGNED_BYTES 16 /* random: nobody guesses another's session */

/* --- the answer ------------------------------------------------------------------------------- */

/* One that is too large for the client is not sent, and so it is told nothing [MQTT-3.1.2-24]. */
static void put_connack(struct mqtt *mqtt, const struct mqtt_dialect *dialect,
                        const struct mqtt_connack *connack) {
    struct buffer *scratch = worker_borrow_scratch(mqtt->worker);
    if (mqtt_encode_connack(scratch, dialect, connack) == OK) {
        mqtt_write(mqtt, buffer_borrow(scratch));
    } else {
        mqtt_close(mqtt, CLOSE_TOO_BIG);
    }
}

/* What DISCONNECT alone has a word for, as CONNACK says it. */
static enum mqtt_reason reason_of_connack(enum mqtt_reason reason) {
    switch ((int)reason) {
    case MQTT_REASON_SERVER_SHUTTING_DOWN:
        return MQTT_REASON_SERVER_UNAVAILABLE;
    case MQTT_REASON_MAXIMUM_CONNECT_TIME: /* the token ended while the session was waited for */
        return MQTT_REASON_NOT_AUTHORIZED;
    default:
        return reason;
    }
}

void connect_refuse(struct mqtt *mqtt, enum mqtt_version version, enum mqtt_reason reason,
                    enum close_reason close_reason, const char *text) {
    struct mqtt_dialect dialect = mqtt->out;
    struct mqtt_connack connack = {.reason = reason_of_connack(reason)};
    dialect.version = version;
    if (!mqtt_reason_is_legal((uint8_t)connack.reason, MQTT_CONNACK, &dialect) &&
        version == MQTT_VERSION_5) {
        connack.reason = MQTT_REASON_UNSPECIFIED_ERROR;
    }
    /* A client of a version to come may know no reason strings. */
    if (text != NULL && text[0] != '\0' && reason != MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION) {
        mqtt_set_reason_string(&connack.properties, span_of_string(text));
    }
    bool is_silent = version == MQTT_VERSION_NONE ||
                     (version == MQTT_VERSION_3_1_1 &&
                      mqtt_reason_to_connack_311(connack.reason) == MQTT_CONNACK_SILENT);
    if (is_silent && !mqtt_is_websocket(mqtt)) {
        /* No last word to wait for: whatever it still sends is not read. */
        connection_abort(mqtt->connection, close_reason);
    } else if (!is_silent) {
        put_connack(mqtt, &dialect, &connack);
    }
    mqtt_close(mqtt, close_reason);
}

static void refuse(struct mqtt *mqtt, struct span client_id, enum mqtt_reason reason,
                   enum close_reason close_reason, const char *text) {
    log_event(MQTT_REFUSED, .peer = connection_peer(mqtt->connection), .client_id = client_id,
              .statement = "", .detail = text);
    connect_refuse(mqtt, mqtt_version(mqtt), reason, close_reason, text);
}

/* What both sides may not take for granted; the rest is as the specification presumes. */
static void put_granted(struct mqtt *mqtt) {
    const struct config *config = mqtt_broker(mqtt)->config;
    struct mqtt_connack connack = {.is_session_present = mqtt->is_session_present};
    struct mqtt_properties *properties = &connack.properties;
    mqtt_set_receive_maximum(properties, (uint16_t)config->mqtt_receive_max);
    mqtt_set_maximum_packet_size(properties, mqtt->in.packet_bytes_max);
    mqtt_set_topic_alias_maximum(properties, (uint16_t)config->mqtt_topic_aliases);
    if (mqtt->is_id_assigned) {
        mqtt_set_assigned_client_identifier(properties, connect_known_id(mqtt));
    }
    if (mqtt->is_keep_alive_ours) {
        mqtt_set_server_keep_alive(properties, mqtt->keep_alive_s);
    }
    if (mqtt->is_expiry_ours) {
        mqtt_set_session_expiry_interval(properties,
                                         (uint32_t)(mqtt->session_expiry_ms / MS_PER_SECOND));
    }
    put_connack(mqtt, &mqtt->out, &connack);
}

/* --- the grant -------------------------------------------------------------------------------- */

static enum error_code open_session(struct mqtt *mqtt, struct error *why) {
    const struct session_claim *claim = mqtt->claim;
    enum error_code code = OK;
    if (claim->is_present && claim->state_length > 0) {
        code = session_decode(span_of(claim->state, claim->state_length), mqtt_tenant(mqtt),
                              &mqtt->session, why);
    }
    if (code != OK) {
        log_event(MQTT_SESSION_LOST, .client_id = connect_known_id(mqtt),
                  .tenant = mqtt_tenant(mqtt), .detail = why->detail);
    }
    mqtt->is_session_present = claim->is_present && code == OK;
    if (mqtt->session == NULL && code != ERR_MEMORY) {
        mqtt->session = session_create();
    }
    if (mqtt->session == NULL) {
        return ERR_MEMORY;
    }
    free(mqtt->claim->state);
    mqtt->claim->state = NULL;
    return OK;
}

/* No session: what the registry has given stays as it is stored. */
static void end_without_session(struct mqtt *mqtt, enum error_code code) {
    static const struct {
        enum error_code code;
        enum mqtt_reason reason;
        enum close_reason close_reason;
    } rows[] = {
        {ERR_FULL, MQTT_REASON_QUOTA_EXCEEDED, CLOSE_TOO_MANY},
        {ERR_FORBIDDEN, MQTT_REASON_NOT_AUTHORIZED, CLOSE_NOT_ALLOWED}, /* it is another's */
        {ERR_DRAINING, MQTT_REASON_SERVER_UNAVAILABLE, CLOSE_DRAINING},
        {ERR_BUSY, MQTT_REASON_SERVER_BUSY, CLOSE_TOO_MANY},
        {ERR_MEMORY, MQTT_REASON_QUOTA_EXCEEDED, CLOSE_MEMORY},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].code == code) {
            mqtt_end(mqtt, rows[i].reason, rows[i].close_reason, error_row(code)->title);
            return;
        }
    }
    mqtt_end(mqtt, MQTT_REASON_UNSPECIFIED_ERROR, CLOSE_INTERNAL, error_row(code)->title);
}

void connect_open(struct mqtt *mqtt) {
    put_granted(mqtt);
    if (mqtt->is_closed) {
        return;
    }
    mqtt->phase = MQTT_PHASE_OPEN;
    mqtt->is_accepted = true;
    message_unref(mqtt->claim->will); /* it is back in time */
    mqtt->claim->will = NULL;
    connection_settle(mqtt->connection);
    mqtt->received_ms = mqtt_now_ms(mqtt);
    outbound_start(mqtt);
    deadlines_arm(mqtt);
    mqtt_unhold(mqtt);
}

static enum error_code keep_id(struct mqtt *mqtt, struct span client_id) {
    uint8_t *bytes = malloc(client_id.length);
    if (bytes == NULL) {
        return ERR_MEMORY;
    }
    memcpy(bytes, client_id.bytes, client_id.length);
    mqtt->own_id = bytes;
    mqtt->own_id_length = (uint16_t)client_id.length;
    return OK;
}

/* The claim goes by the registry's copy of the client id. */
static void free_own_id(struct mqtt *mqtt) {
    free(mqtt->own_id);
    mqtt->own_id = NULL;
    mqtt->own_id_length = 0;
}

static void on_granted(struct session_claim *claim) {
    struct mqtt *mqtt = claim->context;
    struct error why = {0};
    enum error_code code = claim->result;
    mqtt->is_granted = code == OK;
    if (code == OK) {
        free_own_id(mqtt);
        code = open_session(mqtt, &why);
    } else {
        free(claim);
        mqtt->claim = NULL;
    }
    if (code != OK && !mqtt->is_closed) {
        end_without_session(mqtt, code);
    }
    if (mqtt->is_closed) { /* the client went, or has to go */
        mqtt_settle(mqtt);
    } else {
        identify_check_filters(mqtt);
    }
}

static void on_taken_over(struct session_claim *claim) {
    struct mqtt *mqtt = claim->context;
    if (claim->is_dismissed) {
        mqtt_end(mqtt, MQTT_REASON_ADMINISTRATIVE_ACTION, CLOSE_OPERATOR, NULL);
    } else {
        mqtt_end(mqtt, MQTT_REASON_SESSION_TAKEN_OVER, CLOSE_TAKEN_OVER, NULL);
    }
}

static void on_released(struct session_claim *claim) {
    free(claim);
}

/* A CONNECT that was refused leaves a session as long as it was, with the will that waits for its
 * delay, and makes none. */
static uint64_t keep_ms(const struct mqtt *mqtt) {
    return mqtt->is_accepted ? mqtt->session_expiry_ms : mqtt->claim->expiry_ms;
}

void connect_release(struct mqtt *mqtt) {
    struct session_release release = {.expiry_ms = keep_ms(mqtt),
                                      .is_unopened = !mqtt->is_accepted,
                                      .will = mqtt->will,
                                      .will_delay_ms = mqtt_will_delay_ms(mqtt),
                                      .has_shares = mqtt->session != NULL &&
                                                    session_has_shares(mqtt->session)};
    struct buffer state;
    buffer_init(&state, SESSION_STATE_BYTES_MAX);
    if (mqtt->session == NULL) { /* it could not be opened: it stays as it was */
        state.bytes = mqtt->claim->state;
        state.length = mqtt->claim->state_length;
    } else if (release.expiry_ms > 0 && session_encode(mqtt->session, &state) != OK) {
        log_event(MQTT_SESSION_LOST, .client_id = connect_known_id(mqtt),
                  .tenant = mqtt_tenant(mqtt), .detail = "there was no memory for its state");
        buffer_finish(&state);
    }
    release.state = state.bytes;
    release.state_length = state.length;
    session_destroy(mqtt->session);
    mqtt->session = NULL;
    mqtt->will = NULL;
    IGNORE_RESULT(keep_id(mqtt, mqtt_client_id(mqtt)) != OK); /* for a line of the log */
    registry_release(mqtt_broker(mqtt)->log, mqtt->claim, &release);
    mqtt->claim = NULL;
}

/* --- who it is -------------------------------------------------------------------------------- */

struct span connect_known_id(const struct mqtt *mqtt) {
    return scope_visible(mqtt->claim != NULL ? mqtt_client_id(mqtt)
                                             : span_of(mqtt->own_id, mqtt->own_id_length));
}

void connect_get_client(const void *state, struct connection_client *ret_client) {
    const struct mqtt *mqtt = state;
    if (mqtt != NULL) {
        ret_client->client_id = connect_known_id(mqtt);
        outbound_get_unacknowledged(mqtt, ret_client);
    }
}

/* --- the question ----------------------------------------------------------------------------- */

uint64_t connect_cap_expiry(const struct mqtt *mqtt, uint32_t asked_s) {
    uint64_t max_ms = mqtt_broker(mqtt)->config->mqtt_session_expiry_max_ms;
    uint64_t asked_ms =
        asked_s == UINT32_MAX ? SESSION_EXPIRY_NEVER : (uint64_t)asked_s * MS_PER_SECOND;
    return asked_ms < max_ms ? asked_ms : max_ms;
}

static void agree_on_expiry(struct mqtt *mqtt, const struct mqtt_connect *connect) {
    if (connect->version == MQTT_VERSION_3_1_1) {
        mqtt->session_expiry_ms = connect->is_clean ? 0 : connect_cap_expiry(mqtt, UINT32_MAX);
        return;
    }
    uint32_t asked_s = mqtt_has(&connect->properties, MQTT_PROPERTY_SESSION_EXPIRY_INTERVAL)
                           ? connect->properties.session_expiry_interval
                           : 0;
    mqtt->session_expiry_ms = connect_cap_expiry(mqtt, asked_s);
    mqtt->asks_expiry = asked_s > 0;
    uint64_t asked_ms = (uint64_t)asked_s * MS_PER_SECOND;
    mqtt->is_expiry_ours = mqtt->session_expiry_ms < asked_ms;
}

/* 3.1.1 has no way to be told another time than it asked for. */
static void agree_on_keep_alive(struct mqtt *mqtt, const struct mqtt_connect *connect) {
    uint64_t max_s = mqtt_broker(mqtt)->config->mqtt_keep_alive_max_ms / MS_PER_SECOND;
    mqtt->keep_alive_s = connect->keep_alive_s;
    if (connect->version == MQTT_VERSION_5 && mqtt->keep_alive_s > max_s) {
        mqtt->keep_alive_s = (uint16_t)max_s;
        mqtt->is_keep_alive_ours = true;
    }
}

/* How large a packet may be depends on the rules of now. */
static uint32_t packet_bytes_max(const struct mqtt *mqtt) {
    uint64_t bytes = rules_message_bytes_max(mqtt_broker(mqtt)->rules) + MQTT_PACKET_BYTES_EXTRA;
    return bytes < MQTT_LENGTH_MAX ? (uint32_t)bytes : MQTT_LENGTH_MAX;
}

static void agree(struct mqtt *mqtt, const struct mqtt_connect *connect) {
    const struct mqtt_properties *properties = &connect->properties;
    uint16_t receive_max = (uint16_t)mqtt_broker(mqtt)->config->mqtt_receive_max;
    mqtt->in.version = mqtt->out.version = connect->version;
    mqtt->in.packet_bytes_max = packet_bytes_max(mqtt);
    mqtt->receive_max_peer = receive_max;
    mqtt->wants_problem_information = connect->version == MQTT_VERSION_5;
    agree_on_expiry(mqtt, connect);
    agree_on_keep_alive(mqtt, connect);
    if (mqtt_has(properties, MQTT_PROPERTY_RECEIVE_MAXIMUM) &&
        properties->receive_maximum < receive_max) {
        mqtt->receive_max_peer = properties->receive_maximum;
    }
    if (mqtt_has(properties, MQTT_PROPERTY_MAXIMUM_PACKET_SIZE) &&
        properties->maximum_packet_size < mqtt->out.packet_bytes_max) {
        mqtt->out.packet_bytes_max = properties->maximum_packet_size;
    }
    if (mqtt_has(properties, MQTT_PROPERTY_TOPIC_ALIAS_MAXIMUM)) {
        uint64_t max = mqtt_broker(mqtt)->config->mqtt_topic_aliases;
        mqtt->alias_max_peer =
            properties->topic_alias_maximum < max ? properties->topic_alias_maximum : (uint16_t)max;
    }
    if (mqtt_has(properties, MQTT_PROPERTY_REQUEST_PROBLEM_INFORMATION)) {
        mqtt->wants_problem_information = properties->request_problem_information != 0;
    }
}

static struct span choose_client_id(struct mqtt *mqtt, const struct mqtt_connect *connect,
                                    char assigned[sizeof(ASSIGNED_PREFIX) + ASSIGNED_BYTES * 2]) {
    uint8_t bytes[ASSIGNED_BYTES];
    if (connect->client_id.length > 0) {
        return connect->client_id;
    }
    INVARIANT(getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes));
    size_t length = (size_t)snprintf(assigned, sizeof(ASSIGNED_PREFIX), ASSIGNED_PREFIX);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        length += (size_t)snprintf(assigned + length, 3, "%02x", bytes[i]);
    }
    mqtt->is_id_assigned = true;
    return span_of(assigned, length);
}

static enum error_code claim(struct mqtt *mqtt) {
    static const struct session_claim_calls calls = {
        .on_granted = on_granted, .on_taken_over = on_taken_over, .on_released = on_released};
    const struct identity *identity = connection_identity(mqtt->connection);
    struct session_claim *claim = calloc(1, sizeof(*claim));
    if (claim == NULL) {
        return ERR_MEMORY;
    }
    claim->calls = &calls;
    claim->reply_to = worker_mailbox(mqtt->worker);
    claim->connection_id = connection_id(mqtt->connection);
    claim->context = mqtt;
    claim->is_clean = mqtt->is_clean;
    claim->may_have_any = identity == NULL;
    claim->owner = session_owner_of(identity);
    claim->client_id_length = mqtt->own_id_length;
    claim->client_id = mqtt->own_id;
    mqtt->claim = claim;
    enum error_code code = registry_claim(mqtt_broker(mqtt)->log, claim);
    if (code != OK) {
        mqtt->claim = NULL;
        free(claim);
    }
    return code;
}

void connect_claim(struct mqtt *mqtt) {
    mqtt->phase = MQTT_PHASE_CLAIMING;
    enum error_code code = claim(mqtt);
    if (code != OK) {
        end_without_session(mqtt, code);
    }
}

/* True: it may go on; else the client was told. */
static bool check(struct mqtt *mqtt, const struct mqtt_connect *connect, struct span client_id) {
    struct error why = {0};
    if (mqtt_has(&connect->properties, MQTT_PROPERTY_AUTHENTICATION_METHOD)) {
        refuse(mqtt, client_id, MQTT_REASON_BAD_AUTHENTICATION_METHOD, CLOSE_NOT_ALLOWED,
               "Authentication in steps is not in this version");
        return false;
    }
    if (client_id.length > CLIENT_ID_BYTES_MAX || client_id.bytes[0] == SCOPE_MARK) {
        refuse(mqtt, client_id, MQTT_REASON_CLIENT_IDENTIFIER_NOT_VALID, CLOSE_NOT_ALLOWED,
               "The client identifier is too long, or begins with a control character");
        return false;
    }
    if (connect->has_will && will_take(mqtt, &connect->will, client_id, &why) != OK) {
        enum mqtt_reason reason = error_row(why.code)->mqtt_reason;
        if (connect->version == MQTT_VERSION_3_1_1) {
            reason = MQTT_REASON_NOT_AUTHORIZED; /* the only return code that comes near */
        }
        refuse(mqtt, client_id, reason, CLOSE_NOT_ALLOWED, why.detail);
        return false;
    }
    return true;
}

void connect_on_packet(struct mqtt *mqtt, const struct mqtt_frame *frame) {
    struct mqtt_connect connect;
    struct mqtt_refusal refusal;
    struct error why = {0};
    char assigned[sizeof(ASSIGNED_PREFIX) + ASSIGNED_BYTES * 2];
    if (mqtt->phase != MQTT_PHASE_OPENING) { /* [MQTT-3.1.0-2] */
        mqtt_end(mqtt, MQTT_REASON_PROTOCOL_ERROR, CLOSE_PROTOCOL_ERROR, "A second CONNECT");
        return;
    }
    enum error_code code = mqtt_decode_connect(frame, &connect, &refusal, &why);
    if (code != OK) {
        mqtt_refuse(mqtt, &refusal, code, &why);
        return;
    }
    agree(mqtt, &connect);
    struct span client_id = choose_client_id(mqtt, &connect, assigned);
    if (!check(mqtt, &connect, client_id)) {
        return;
    }
    mqtt->phase = MQTT_PHASE_IDENTIFYING;
    mqtt->packet_due_ms = 0;
    mqtt->is_clean = connect.is_clean;
    mqtt_hold(mqtt);
    if (keep_id(mqtt, client_id) != OK) {
        end_without_session(mqtt, ERR_MEMORY);
        return;
    }
    identify_begin(mqtt, &connect);
}
