/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot replaces the state and all steps before it, so it says what the session is once all
 * that was handed to the log before it is done: whoever submits a step makes its change at once.
 *
 * WEAKNESS: the place is stored once a second, so behind a kill a kept session is sent again what
 * it got of QoS 0 in the last one, against [MQTT-4.3.1-1]. cure: a snapshot says that the client is
 * there, and how far it may be sent QoS 0 until the next one is stored; what stands between the two
 * is passed over when such a snapshot is read at a start. */
#include <stdlib.h>
#include <string.h>

#include "broker/limits.h"
#include "broker/runtime/registry.h"
#include "broker/runtime/worker.h"
#include "protocols/mqtt/intake.h"
#include "protocols/mqtt/outbound_private.h"

static void arm(struct outbound *outbound, uint64_t after_ms) {
    uint64_t due_ms = mqtt_now_ms(outbound->mqtt) + after_ms;
    if (outbound->tick_due_ms == 0 || due_ms < outbound->tick_due_ms) {
        outbound->tick_due_ms = due_ms;
        deadlines_arm(outbound->mqtt);
    }
}

static void on_pending(void *context, uint16_t packet_id, bool is_release) {
    struct session *session = context;
    if (is_release) {
        session_note_released(session, packet_id);
    } else {
        IGNORE_RESULT(session_note_received(session, packet_id)); /* there is room for each */
    }
}

/* Encodes the session as it is once the log has answered what was handed to it. */
static enum error_code encode(struct mqtt *mqtt, struct buffer *state) {
    struct session *session = mqtt->session;
    struct session ahead = *session;
    uint32_t capacity = (uint32_t)session->received_count + mqtt->publication_count + 1;
    ahead.received_capacity = (uint16_t)(capacity < UINT16_MAX ? capacity : UINT16_MAX);
    ahead.received = malloc(ahead.received_capacity * sizeof(*ahead.received));
    if (ahead.received == NULL) {
        return ERR_MEMORY;
    }
    if (session->received_count > 0) {
        memcpy(ahead.received, session->received,
               session->received_count * sizeof(*ahead.received));
    }
    intake_each_pending(mqtt, on_pending, &ahead);
    enum error_code code = session_encode(&ahead, state);
    free(ahead.received);
    return code;
}

struct message *keeping_make_put(struct outbound *outbound) {
    struct mqtt *mqtt = outbound->mqtt;
    struct buffer state;
    struct message *message = NULL;
    buffer_init(&state, SESSION_STATE_BYTES_MAX);
    outbound_note_place(outbound);
    if (encode(mqtt, &state) == OK) {
        struct session_release release = {.expiry_ms = mqtt->session_expiry_ms,
                                          .state = state.bytes,
                                          .state_length = state.length,
                                          .will = mqtt->will,
                                          .will_delay_ms = mqtt_will_delay_ms(mqtt),
                                          .has_shares = session_has_shares(mqtt->session),
                                          .owner = mqtt->claim->owner};
        message = registry_put_message(mqtt_client_id(mqtt), &release);
    }
    buffer_finish(&state);
    if (message != NULL) {
        mqtt->session->steps_bytes = 0;
        mqtt->claim->is_stored = true;
        outbound->is_changed = false;
    }
    return message;
}

static void on_put(struct mqtt *mqtt, void *context, enum error_code code, const struct error *why,
                   struct message *const *messages, size_t count) {
    (void)context;
    (void)why;
    (void)messages;
    (void)count;
    if (code != OK && mqtt->outbound != NULL) {
        keeping_note(mqtt->outbound);
    }
}

void keeping_put(struct outbound *outbound) {
    struct message *message = keeping_make_put(outbound);
    enum error_code code = outbound_submit(outbound->mqtt, message, on_put);
    if (code != OK) {
        keeping_note(outbound);
    }
}

static void on_deleted(struct mqtt *mqtt, void *context, enum error_code code,
                       const struct error *why, struct message *const *messages, size_t count) {
    (void)context;
    (void)why;
    (void)messages;
    (void)count;
    if (code != OK) {
        mqtt_end_failed(mqtt, code); /* or it would be found again as it was left */
    }
    mqtt_unhold(mqtt);
}

enum error_code keeping_begin(struct outbound *outbound) {
    struct mqtt *mqtt = outbound->mqtt;
    enum error_code code = OK;
    if (outbound_is_stored(outbound)) {
        code = outbound_submit(mqtt, keeping_make_put(outbound), on_put);
    } else if (mqtt->claim->is_stored) {
        struct message *message = storage_object_message(
            STORAGE_OBJECT_SESSION, STORAGE_OBJECT_DELETE, mqtt_client_id(mqtt), (struct span){0});
        code = outbound_submit(mqtt, message, on_deleted);
        if (code == OK) {
            mqtt_hold(mqtt); /* a PUBCOMP says that an id is free: not before the old one is gone */
        }
    }
    if (code == ERR_BUSY) {
        outbound->is_retry_due = true;
        keeping_note(outbound);
    }
    return code;
}

void keeping_on_due(struct outbound *outbound) {
    outbound->tick_due_ms = 0;
    if (outbound->is_changed && outbound_is_stored(outbound) && !outbound->is_begin_due) {
        keeping_put(outbound);
    }
    if (outbound->is_retry_due) {
        outbound->is_retry_due = false;
        outbound_go_on(outbound);
    }
}

void keeping_note(struct outbound *outbound) {
    bool is_stored = outbound_is_stored(outbound);
    outbound->is_changed |= is_stored;
    bool is_long = is_stored && outbound->mqtt->session->steps_bytes > SESSION_STEPS_BYTES_MAX;
    if (outbound->is_retry_due || is_long) {
        arm(outbound, SESSION_RETRY_MS);
    } else if (is_stored) {
        arm(outbound, SESSION_SNAPSHOT_MS);
    }
}
