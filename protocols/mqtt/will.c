/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/will.h"

#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/support/buffer.h"
#include "broker/support/logger.h"
#include "protocols/message_admission.h"
#include "protocols/mqtt/mapping.h"
#include "protocols/mqtt/mqtt_private.h"

#define MS_PER_SECOND 1000

static enum error_code make(struct mqtt *mqtt, const struct mqtt_publish *publish,
                            struct span client_id, struct buffer *headers, struct error *why) {
    struct message_fields fields;
    struct span idempotency_key;
    enum error_code code =
        mapping_take(publish, publish->topic, headers, &fields, &idempotency_key, why);
    if (code == OK) {
        code = message_admit(mqtt_broker(mqtt)->rules, &fields, why);
    }
    if (code != OK) {
        return code;
    }
    fields.publisher = client_id;
    mqtt->will = message_create(&fields);
    return mqtt->will != NULL ? OK : error_set(why, ERR_MEMORY, "there was no memory for the will");
}

enum error_code will_take(struct mqtt *mqtt, const struct mqtt_will *will, struct span client_id,
                          struct error *why) {
    const struct mqtt_publish publish = {.topic = will->topic,
                                         .payload = will->payload,
                                         .qos = will->qos,
                                         .is_retained = will->is_retained,
                                         .properties = will->properties};
    struct buffer headers;
    buffer_init(&headers, MESSAGE_HEADERS_BYTES_MAX);
    enum error_code code = make(mqtt, &publish, client_id, &headers, why);
    buffer_finish(&headers);
    if (mqtt_has(&will->properties, MQTT_PROPERTY_WILL_DELAY_INTERVAL)) {
        mqtt->will_delay_ms = (uint64_t)will->properties.will_delay_interval * MS_PER_SECOND;
    }
    return code;
}

void will_drop(struct mqtt *mqtt) {
    message_unref(mqtt->will);
    mqtt->will = NULL;
}

/* The client is gone: nobody but the operator can be told. */
static void on_done(struct mqtt *mqtt, void *context, enum error_code code, const struct error *why,
                    struct message *const *messages, size_t count) {
    (void)mqtt;
    (void)context;
    (void)count;
    if (code != OK) {
        log_event(PUBLISH_FAILED, .channel = messages[0]->fields.channel,
                  .code = error_row(code)->slug, .detail = why->detail);
    }
}

void will_publish(struct mqtt *mqtt) {
    if (mqtt->will == NULL || mqtt->will_delay_ms > 0) {
        return;
    }
    if (atomic_load(&mqtt_broker(mqtt)->is_stopping)) {
        will_drop(mqtt); /* all clients lose their connection now, and come back: section 3.1.2.5 */
    } else if (mqtt_submit(mqtt, &mqtt->will, 1, on_done, NULL) == OK) {
        mqtt->will = NULL;
    }
}
