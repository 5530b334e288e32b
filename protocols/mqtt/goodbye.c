/* SPDX-License-Identifier: Apache-2.0 */
/* How a client goes. What a DISCONNECT says of the will and of the session holds from when it came;
 * the close alone waits, until what was published before it is answered. The close frame of a
 * WebSocket stands behind the packets that came before it. A network that fails takes nothing back
 * either: of what came whole, publishes still go to the log, and a DISCONNECT counts. */
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/intake.h"
#include "protocols/mqtt/mqtt_private.h"
#include "protocols/mqtt/will.h"

/* Closes that a client of 5.0 is told by another reason than "unspecified error". */
static const uint8_t reasons[CLOSE_REASON_COUNT] = {
    [CLOSE_DRAINING] = MQTT_REASON_SERVER_SHUTTING_DOWN,
    [CLOSE_KEEP_ALIVE] = MQTT_REASON_KEEP_ALIVE_TIMEOUT,
    [CLOSE_MEMORY] = MQTT_REASON_QUOTA_EXCEEDED,
    [CLOSE_OPERATOR] = MQTT_REASON_ADMINISTRATIVE_ACTION,
    [CLOSE_STALLED] = MQTT_REASON_QUOTA_EXCEEDED,
    [CLOSE_NOT_ALLOWED] = MQTT_REASON_NOT_AUTHORIZED,
    [CLOSE_REVOKED] = MQTT_REASON_NOT_AUTHORIZED,
    [CLOSE_TAKEN_OVER] = MQTT_REASON_SESSION_TAKEN_OVER,
    [CLOSE_TOKEN_EXPIRED] = MQTT_REASON_MAXIMUM_CONNECT_TIME,
    [CLOSE_TOO_SLOW] = MQTT_REASON_QUOTA_EXCEEDED,
    [CLOSE_UNAUTHORIZED] = MQTT_REASON_NOT_AUTHORIZED,
};

void goodbye_end(struct mqtt *mqtt, enum close_reason close_reason) {
    uint8_t reason = reasons[close_reason];
    mqtt_end(mqtt, reason == 0 ? MQTT_REASON_UNSPECIFIED_ERROR : reason, close_reason,
             close_row(close_reason)->text);
}

/* A session that was to end with the connection cannot be kept after all [MQTT-3.14.2-2]: the
 * client asked for that, whatever it was granted. */
static bool take_expiry(struct mqtt *mqtt, const struct mqtt_properties *properties) {
    if (!mqtt_has(properties, MQTT_PROPERTY_SESSION_EXPIRY_INTERVAL)) {
        return true;
    }
    if (!mqtt->asks_expiry && properties->session_expiry_interval != 0) {
        return false;
    }
    mqtt->session_expiry_ms = connect_cap_expiry(mqtt, properties->session_expiry_interval);
    return true;
}

void goodbye_on_disconnect(struct mqtt *mqtt, const struct mqtt_frame *frame) {
    struct mqtt_notice notice;
    struct mqtt_refusal refusal;
    struct error why = {0};
    enum error_code code = mqtt_decode_notice(frame, &mqtt->in, &notice, &refusal, &why);
    if (code != OK) {
        mqtt_refuse(mqtt, &refusal, code, &why);
        return;
    }
    if (!take_expiry(mqtt, &notice.properties)) {
        mqtt_end(mqtt, MQTT_REASON_PROTOCOL_ERROR, CLOSE_PROTOCOL_ERROR,
                 "A session that ends with its connection cannot be kept by DISCONNECT");
        return;
    }
    if (notice.reason == MQTT_REASON_SUCCESS) {
        will_drop(mqtt);
    }
    mqtt->is_leaving = true;
}

void goodbye_close(struct mqtt *mqtt) {
    bool is_due = mqtt->is_leaving ? list_is_empty(&mqtt->publications)
                                   : mqtt->is_peer_done && !mqtt->is_paused;
    if (is_due) {
        mqtt_close(mqtt, CLOSE_NORMAL);
    }
}

/* A busy log, or an answer of the application, is not waited for: what is behind would overtake
 * what it was not given. */
static bool takes_publishes(const struct mqtt *mqtt) {
    return mqtt->retry_due_ms == 0 && mqtt->question == NULL &&
           mqtt->publication_count < MQTT_PUBLICATIONS_LAST_MAX;
}

void goodbye_take_left(struct mqtt *mqtt) {
    struct span rest = {0};
    struct mqtt_frame frame;
    struct mqtt_refusal refusal;
    struct error why = {0};
    if (atomic_load(&mqtt_broker(mqtt)->is_stopping)) {
        return;
    }
    if (mqtt->input != NULL) {
        rest = buffer_borrow(&mqtt->input->buffer);
    }
    while (!mqtt->is_leaving && rest.length > 0 &&
           mqtt_frame_read(rest, &mqtt->in, &frame, &refusal, &why) == OK && frame.is_whole) {
        if (frame.type == MQTT_DISCONNECT) {
            goodbye_on_disconnect(mqtt, &frame);
        } else if (frame.type == MQTT_PUBLISH && takes_publishes(mqtt)) {
            intake_on_publish(mqtt, &frame);
        } else if (frame.type == MQTT_PUBREL && takes_publishes(mqtt)) {
            intake_on_pubrel(mqtt, &frame);
        }
        rest = span_of(rest.bytes + frame.packet_length, rest.length - frame.packet_length);
    }
}
