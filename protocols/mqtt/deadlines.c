/* SPDX-License-Identifier: Apache-2.0 */
/* One deadline a connection, and packets do not move it: when it comes, what has arrived meanwhile
 * is looked at and it is set anew. So an idle client costs a timer in one and a half keep alives,
 * and a busy one none a packet. */
#include "broker/config/config.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/worker.h"
#include "broker/support/macros.h"
#include "protocols/mqtt/intake.h"
#include "protocols/mqtt/mqtt_private.h"
#include "protocols/mqtt/outbound.h"

#define KEEP_ALIVE_MS 1500 /* one and a half of the seconds that were agreed on [MQTT-3.1.2-22] */

static uint64_t stall_timeout_ms(const struct mqtt *mqtt) {
    return mqtt_broker(mqtt)->config->stall_timeout_ms;
}

static uint64_t silence_due_ms(const struct mqtt *mqtt) {
    bool is_counting = mqtt->phase == MQTT_PHASE_OPEN && mqtt->keep_alive_s > 0;
    return is_counting ? mqtt->received_ms + (uint64_t)mqtt->keep_alive_s * KEEP_ALIVE_MS : 0;
}

/* Since when the peer takes nothing, if it is blocked. */
static uint64_t stalled_since_ms(const struct mqtt *mqtt) {
    uint64_t sent_ms = connection_sent_ms(mqtt->connection);
    return sent_ms > mqtt->free_ms ? sent_ms : mqtt->free_ms;
}

void deadlines_arm(struct mqtt *mqtt) {
    if (mqtt->is_closed) {
        return;
    }
    bool is_blocked = connection_is_blocked(mqtt->connection);
    uint64_t due_ms =
        (is_blocked ? stalled_since_ms(mqtt) : mqtt_now_ms(mqtt)) + stall_timeout_ms(mqtt);
    uint64_t others[] = {silence_due_ms(mqtt), mqtt->packet_due_ms, mqtt->retry_due_ms,
                         outbound_due_ms(mqtt)};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        due_ms = others[i] != 0 && others[i] < due_ms ? others[i] : due_ms;
    }
    connection_set_deadline(mqtt->connection, due_ms);
}

/* A client may be silent for one and a half keep alives, unless it is we who do not read. */
static void mind_silence(struct mqtt *mqtt, uint64_t now_ms) {
    uint64_t due_ms = silence_due_ms(mqtt);
    if (mqtt->is_paused) {
        mqtt->received_ms = now_ms;
    } else if (due_ms != 0 && now_ms >= due_ms) {
        mqtt_end(mqtt, MQTT_REASON_KEEP_ALIVE_TIMEOUT, CLOSE_KEEP_ALIVE, NULL);
    }
}

static void mind_packet(struct mqtt *mqtt, uint64_t now_ms) {
    if (mqtt->packet_due_ms == 0 || now_ms < mqtt->packet_due_ms) {
        return;
    }
    if (mqtt->phase == MQTT_PHASE_OPENING) {
        mqtt_close(mqtt, CLOSE_HANDSHAKE_TIMEOUT);
    } else {
        mqtt_end(mqtt, MQTT_REASON_UNSPECIFIED_ERROR, CLOSE_IDLE, "A packet does not come whole");
    }
}

/* A peer that takes nothing of what it is sent. */
static void mind_stall(struct mqtt *mqtt, uint64_t now_ms) {
    if (!connection_is_blocked(mqtt->connection)) {
        mqtt->free_ms = now_ms;
    } else if (now_ms - stalled_since_ms(mqtt) >= stall_timeout_ms(mqtt)) {
        mqtt_end(mqtt, MQTT_REASON_QUOTA_EXCEEDED, CLOSE_STALLED, NULL);
    }
}

void deadlines_on_deadline(struct mqtt *mqtt) {
    uint64_t now_ms = mqtt_now_ms(mqtt);
    mind_stall(mqtt, now_ms);
    mind_packet(mqtt, now_ms);
    mind_silence(mqtt, now_ms);
    if (!mqtt->is_closed && mqtt->retry_due_ms != 0 && now_ms >= mqtt->retry_due_ms) {
        mqtt->retry_due_ms = 0;
        intake_retry(mqtt);
    }
    if (!mqtt->is_closed) {
        outbound_on_deadline(mqtt);
    }
    deadlines_arm(mqtt);
}
