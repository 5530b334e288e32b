/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/will.h"

#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/support/buffer.h"
#include "broker/support/logger.h"
#include "protocols/message_admission.h"
#include "protocols/mqtt/mapping.h"
#include "protocols/mqtt/mqtt_private.h"

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
        mqtt->will_delay_s = will->properties.will_delay_interval;
    }
    return code;
}

/* The message that was made is not changed: one more is. */
static enum error_code scope(struct mqtt *mqtt, struct span tenant, struct buffer *channel) {
    struct message_fields fields = mqtt->will->fields;
    enum error_code code = scope_put(channel, tenant, fields.channel);
    if (code != OK) {
        return code;
    }
    fields.channel = buffer_borrow(channel);
    fields.publisher = span_of(mqtt->own_id, mqtt->own_id_length);
    struct message *scoped = message_create(&fields);
    if (scoped == NULL) {
        return ERR_MEMORY;
    }
    will_drop(mqtt);
    mqtt->will = scoped;
    return OK;
}

enum error_code will_scope(struct mqtt *mqtt) {
    struct span tenant = scope_tenant(span_of(mqtt->own_id, mqtt->own_id_length));
    struct buffer channel;
    if (mqtt->will == NULL || tenant.length == 0) {
        return OK;
    }
    buffer_init(&channel, SCOPED_BYTES_MAX);
    enum error_code code = scope(mqtt, tenant, &channel);
    buffer_finish(&channel);
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
        struct span channel = messages[0]->fields.channel;
        log_event(PUBLISH_FAILED, .channel = scope_visible(channel),
                  .tenant = scope_tenant(channel), .code = error_row(code)->slug,
                  .detail = why->detail);
    }
}

/* WEAKNESS: it takes from no allowance (throttle.h), so who connects and leaves without a word
 * publishes as fast as handshakes_per_address lets it. To drop a will would break [MQTT-3.1.2-8]
 * just when many devices are gone at once; to charge for it at the CONNECT would refuse those that
 * come back at once. Cure: a rate of wills for each identity, asked at the CONNECT. */
void will_publish(struct mqtt *mqtt) {
    if (mqtt->will == NULL || mqtt->will_delay_s > 0) {
        return;
    }
    if (atomic_load(&mqtt_broker(mqtt)->is_stopping)) {
        will_drop(mqtt); /* all clients lose their connection now, and come back: section 3.1.2.5 */
    } else if (mqtt_submit(mqtt, &mqtt->will, 1, on_done, NULL) == OK) {
        mqtt->will = NULL;
    }
}
