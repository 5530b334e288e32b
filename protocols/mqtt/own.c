/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "broker/limits.h"
#include "protocols/mqtt/announced.h"
#include "protocols/mqtt/outbound_private.h"

/* The identifiers of the filters that match [MQTT-3.3.4-3]; returns how many have one. */
static size_t gather_identifiers(const struct filter *const *matching, size_t count,
                                 uint32_t *ret_identifiers) {
    size_t identifier_count = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t identifier = matching[i]->options.identifier;
        if (identifier != 0) {
            ret_identifiers[identifier_count++] = identifier;
        }
    }
    return identifier_count;
}

bool own_choose(const struct outbound *outbound, const struct message *message,
                uint32_t *identifiers, struct publishing *ret_publishing) {
    const struct mqtt *mqtt = outbound->mqtt;
    const struct filter *matching[SELECTORS_MAX];
    struct filters_choice choice;
    filters_choose(&mqtt->session->filters, message, mqtt_client_id(mqtt), &choice, matching);
    bool is_5 = mqtt_version(mqtt) == MQTT_VERSION_5;
    *ret_publishing = (struct publishing){
        .is_websocket = mqtt_is_websocket(mqtt),
        .version = (uint8_t)mqtt_version(mqtt),
        .qos = choice.qos,
        .is_retained_as_published = is_5 && choice.is_retained_as_published,
        .asks_offset = is_5 && choice.asks_offset,
        .packet_bytes_max = mqtt->out.packet_bytes_max,
        .identifiers = identifiers,
        .identifier_count = gather_identifiers(matching, choice.match_count, identifiers),
    };
    return choice.match_count > 0;
}

static enum error_code put_message(struct buffer *buffer, const struct message *message,
                                   const struct frame_options *options) {
    struct outbound *outbound = options->context;
    struct announced *announced = outbound->own->announced;
    uint32_t identifiers[SELECTORS_MAX];
    struct publishing publishing;
    uint64_t position = message->place.position;
    if (!own_choose(outbound, message, identifiers, &publishing)) {
        if (announced != NULL) { /* its filters may have wanted it when it was framed before */
            announced_forget_at(announced, message->fields.channel, position);
        }
        return OK;
    }
    size_t length_before = buffer->length;
    publishing.skipped = options->skipped;
    if (announced != NULL) {
        publishing.topic_alias = announced_choose(announced, message->fields.channel, position,
                                                  &publishing.leaves_topic_out);
    }
    enum error_code code = publishing_put(buffer, message, &publishing);
    if (publishing.topic_alias != 0 && buffer->length == length_before) {
        announced_forget(announced, publishing.topic_alias, position);
    }
    return code;
}

static enum error_code put_gap(struct buffer *buffer, const struct storage_gap *gap,
                               const struct frame_options *options) {
    const struct outbound *outbound = options->context;
    const struct mqtt *mqtt = outbound->mqtt;
    return publishing_put_gap(buffer, gap, mqtt_is_websocket(mqtt), &mqtt->out);
}

static struct own *create(struct outbound *outbound) {
    uint16_t alias_max = outbound->mqtt->alias_max_peer;
    struct own *own = malloc(sizeof(*own));
    struct announced *announced = alias_max > 0 ? announced_create(alias_max) : NULL;
    if (own == NULL || (alias_max > 0 && announced == NULL)) {
        announced_destroy(announced);
        free(own);
        return NULL;
    }
    *own = (struct own){.announced = announced,
                        .framing = {.name = "mqtt",
                                    .slot = FRAMING_OWN,
                                    .context = outbound,
                                    .put_message = put_message,
                                    .put_gap = put_gap}};
    return own;
}

enum error_code own_make(struct outbound *outbound, uint64_t shared_from) {
    if (outbound->own == NULL) {
        outbound->own = create(outbound);
        if (outbound->own == NULL) {
            return ERR_MEMORY;
        }
    }
    outbound->own->shared_from = shared_from;
    return OK;
}

void own_destroy(struct own *own) {
    if (own != NULL) {
        announced_destroy(own->announced);
        free(own);
    }
}

void own_on_left(struct own *own, const struct stream_item *items, size_t count) {
    if (own->announced != NULL) {
        announced_on_left(own->announced, items, count);
    }
}
