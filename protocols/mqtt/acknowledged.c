/* SPDX-License-Identifier: Apache-2.0 */
/* PUBREC is answered by PUBREL once the journal knows that the client has the message: else a
 * broker that is killed in between would send the PUBLISH again. Those that come while a step is on
 * its way are gathered into the next one. */
#include <stdlib.h>
#include <string.h>

#include "broker/metrics/metrics.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/outbound_private.h"

/* PUBREC that the journal does not know of yet. */
struct completing {
    uint16_t *packet_ids; /* count of them; the first told_count are in the step on its way */
    uint32_t count;
    uint32_t told_count;
    uint32_t capacity;
};

#define COMPLETING_FIRST 8

void acknowledged_finish(struct outbound *outbound) {
    if (outbound->completing != NULL) {
        free(outbound->completing->packet_ids);
        free(outbound->completing);
        outbound->completing = NULL;
    }
}

static void write_pubrel(struct mqtt *mqtt, uint16_t packet_id, enum mqtt_reason reason) {
    struct mqtt_ack ack = {.packet_id = packet_id};
    struct buffer packet;
    buffer_init(&packet, WRITE_BYTES_MAX);
    if (mqtt_version(mqtt) == MQTT_VERSION_5) {
        ack.reason = reason;
    }
    if (mqtt_encode_ack(&packet, &mqtt->out, MQTT_PUBREL, &ack) == OK) {
        mqtt_write(mqtt, buffer_borrow(&packet));
    } else {
        mqtt_end_failed(mqtt, ERR_MEMORY);
    }
    buffer_finish(&packet);
}

/* --- PUBREC --------------------------------------------------------------------------------- */

static enum error_code gather(struct outbound *outbound, uint16_t packet_id) {
    struct completing *completing = outbound->completing;
    if (completing == NULL) {
        completing = calloc(1, sizeof(*completing));
        if (completing == NULL) {
            return ERR_MEMORY;
        }
        outbound->completing = completing;
    }
    if (completing->count == completing->capacity) {
        uint32_t capacity = completing->capacity == 0 ? COMPLETING_FIRST : completing->capacity * 2;
        uint16_t *packet_ids = realloc(completing->packet_ids, capacity * sizeof(*packet_ids));
        if (packet_ids == NULL) {
            return ERR_MEMORY;
        }
        completing->packet_ids = packet_ids;
        completing->capacity = capacity;
    }
    completing->packet_ids[completing->count++] = packet_id;
    return OK;
}

static bool is_gathered(const struct outbound *outbound, uint16_t packet_id) {
    const struct completing *completing = outbound->completing;
    for (uint32_t i = 0; completing != NULL && i < completing->count; i++) {
        if (completing->packet_ids[i] == packet_id) {
            return true;
        }
    }
    return false;
}

static void tell_journal(struct outbound *outbound);

static void on_told(struct mqtt *mqtt, void *context, enum error_code code, const struct error *why,
                    struct message *const *messages, size_t count) {
    struct outbound *outbound = mqtt->outbound;
    (void)context;
    (void)why;
    (void)messages;
    (void)count;
    if (outbound == NULL || outbound->completing == NULL) {
        return; /* the next connection begins with PUBREL for what is RELEASED */
    }
    struct completing *completing = outbound->completing;
    if (code != OK) {
        mqtt_end_failed(mqtt, code);
        return;
    }
    INVARIANT(completing->told_count <= completing->count);
    for (uint32_t i = 0; i < completing->told_count; i++) {
        write_pubrel(mqtt, completing->packet_ids[i], MQTT_REASON_SUCCESS);
        if (mqtt->outbound == NULL) {
            return;
        }
    }
    completing->count -= completing->told_count;
    memmove(completing->packet_ids, completing->packet_ids + completing->told_count,
            completing->count * sizeof(*completing->packet_ids));
    completing->told_count = 0;
    tell_journal(outbound);
}

/* Hands the next step to the log, unless one is on its way. */
static void tell_journal(struct outbound *outbound) {
    struct completing *completing = outbound->completing;
    struct mqtt *mqtt = outbound->mqtt;
    if (completing->told_count > 0 || completing->count == 0) {
        return;
    }
    struct message *message = session_step_completed(mqtt->session, mqtt_client_id(mqtt),
                                                     completing->packet_ids, completing->count);
    enum error_code code = outbound_submit(mqtt, message, on_told);
    if (code != OK) {
        outbound->is_retry_due = true;
        keeping_note(outbound);
        return;
    }
    completing->told_count = completing->count;
    for (uint32_t i = 0; i < completing->count; i++) {
        struct inflight_entry *entry =
            inflight_find(&mqtt->session->inflight, completing->packet_ids[i]);
        INVARIANT(entry != NULL);
        entry->state = INFLIGHT_RELEASED;
    }
    keeping_note(outbound);
}

void acknowledged_go_on(struct outbound *outbound) {
    if (outbound->completing != NULL) {
        tell_journal(outbound);
    }
}

static enum mqtt_reason complete(struct outbound *outbound, struct inflight_entry *entry) {
    struct mqtt *mqtt = outbound->mqtt;
    if (!outbound_is_stored(outbound)) {
        entry->state = INFLIGHT_RELEASED;
        write_pubrel(mqtt, entry->packet_id, MQTT_REASON_SUCCESS);
        return MQTT_REASON_SUCCESS;
    }
    if (gather(outbound, entry->packet_id) != OK) {
        return MQTT_REASON_QUOTA_EXCEEDED;
    }
    tell_journal(outbound);
    return MQTT_REASON_SUCCESS;
}

/* --- the calls ------------------------------------------------------------------------------ */

static struct inflight_entry *find(const struct mqtt *mqtt, uint16_t packet_id) {
    return mqtt->outbound == NULL ? NULL : inflight_find(&mqtt->session->inflight, packet_id);
}

/* The entry is over: the window is open again. */
static void end_entry(struct outbound *outbound, struct inflight_entry *entry) {
    if (entry->share != 0) {
        shared_acknowledge(outbound, entry);
    }
    outbound_take(outbound, entry);
    keeping_note(outbound);
    outbound_go_on(outbound);
}

enum mqtt_reason outbound_on_puback(struct mqtt *mqtt, uint16_t packet_id,
                                    enum mqtt_reason reason) {
    struct inflight_entry *entry = find(mqtt, packet_id);
    (void)reason; /* a failure ends it too [MQTT-4.4.0-2] */
    if (entry == NULL) {
        return MQTT_REASON_SUCCESS; /* of an earlier connection, or of nothing */
    }
    if (entry->qos != 1) {
        return MQTT_REASON_PROTOCOL_ERROR;
    }
    end_entry(mqtt->outbound, entry);
    return MQTT_REASON_SUCCESS;
}

enum mqtt_reason outbound_on_pubrec(struct mqtt *mqtt, uint16_t packet_id,
                                    enum mqtt_reason reason) {
    struct inflight_entry *entry = find(mqtt, packet_id);
    bool is_failure = reason >= MQTT_REASON_FAILURE;
    if (entry == NULL) {
        if (!is_failure) {
            write_pubrel(mqtt, packet_id, MQTT_REASON_PACKET_IDENTIFIER_NOT_FOUND);
        }
        return MQTT_REASON_SUCCESS;
    }
    if (entry->qos != 2) {
        return MQTT_REASON_PROTOCOL_ERROR;
    }
    if (is_gathered(mqtt->outbound, packet_id)) {
        return MQTT_REASON_SUCCESS; /* its PUBREL is on its way */
    }
    if (is_failure) {
        end_entry(mqtt->outbound, entry);
        return MQTT_REASON_SUCCESS;
    }
    if (entry->state == INFLIGHT_RELEASED) {
        write_pubrel(mqtt, packet_id, MQTT_REASON_SUCCESS);
        return MQTT_REASON_SUCCESS;
    }
    if (!entry->is_on_link) { /* the client has it from before, and it is not to be sent again */
        outbound_note_sent(mqtt->outbound, entry);
    }
    outbound_note_acknowledged(mqtt->outbound);
    return complete(mqtt->outbound, entry);
}

enum mqtt_reason outbound_on_pubcomp(struct mqtt *mqtt, uint16_t packet_id,
                                     enum mqtt_reason reason) {
    struct inflight_entry *entry = find(mqtt, packet_id);
    (void)reason; /* a client that does not know the id is done with it */
    if (entry == NULL) {
        return MQTT_REASON_SUCCESS;
    }
    if (entry->qos != 2 || entry->state != INFLIGHT_RELEASED ||
        is_gathered(mqtt->outbound, packet_id)) {
        return MQTT_REASON_PROTOCOL_ERROR;
    }
    end_entry(mqtt->outbound, entry);
    return MQTT_REASON_SUCCESS;
}

void acknowledged_resume(struct outbound *outbound) {
    struct mqtt *mqtt = outbound->mqtt;
    struct inflight *inflight = &mqtt->session->inflight;
    for (struct inflight_entry *entry = inflight_next(inflight, NULL); entry != NULL;
         entry = inflight_next(inflight, entry)) {
        if (entry->state == INFLIGHT_RELEASED) {
            entry->is_on_link = true;
            outbound->on_link_count++;
            metrics_add(worker_metrics(mqtt->worker), METRIC_MQTT_IN_FLIGHT, 1);
            write_pubrel(mqtt, entry->packet_id, MQTT_REASON_SUCCESS);
        }
    }
}
