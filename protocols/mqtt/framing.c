/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/framing.h"

#include "broker/channels/scope.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "protocols/envelope.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/mapping.h"
#include "protocols/mqtt/wire.h"
#include "protocols/websocket/frame.h"

/* User properties and identifiers of one packet: names and values have two bytes of length each. */
#define PROPERTIES_BYTES_MAX (2 * MESSAGE_HEADERS_BYTES_MAX + 8 * SELECTORS_MAX)
#define PACKET_ID_OPEN UINT16_MAX /* the sender of a shared frame writes its own */
#define GAP_TOPIC "$gap"

/* --- one message ---------------------------------------------------------------------------- */

uint8_t publishing_qos(const struct message *message, uint8_t qos) {
    bool has_ceiling = (message->fields.flags & MESSAGE_MQTT) != 0;
    return has_ceiling && message->fields.qos < qos ? message->fields.qos : qos;
}

static enum error_code put_identifiers(struct buffer *identifiers,
                                       const struct publishing *publishing) {
    enum error_code code = OK;
    for (size_t i = 0; code == OK && i < publishing->identifier_count; i++) {
        code = mqtt_subscription_identifier_put(identifiers, publishing->identifiers[i]);
    }
    return code;
}

/* The packet, and before it the head of its binary frame. */
static enum error_code put_packet(struct buffer *buffer, const struct mqtt_publish *publish,
                                  bool is_websocket, const struct mqtt_dialect *dialect) {
    size_t length_before = buffer->length;
    size_t size = mqtt_publish_size(dialect, publish);
    if (size > dialect->packet_bytes_max) {
        return OK;
    }
    enum error_code code =
        is_websocket ? frame_put_header(buffer, FRAME_BINARY, size) : buffer_reserve(buffer, size);
    if (code == OK) {
        code = mqtt_encode_publish(buffer, dialect, publish);
    }
    if (code != OK) {
        buffer->length = length_before;
    }
    return code;
}

static struct mqtt_dialect dialect_of(uint8_t version, uint32_t packet_bytes_max) {
    return (struct mqtt_dialect){.version = version,
                                 .sender = MQTT_SERVER,
                                 .packet_bytes_max =
                                     packet_bytes_max == 0 ? UINT32_MAX : packet_bytes_max};
}

static enum error_code put_with(struct buffer *buffer, const struct message *message,
                                const struct publishing *publishing, struct buffer *properties,
                                struct buffer *identifiers) {
    struct mqtt_dialect dialect = dialect_of(publishing->version, publishing->packet_bytes_max);
    const struct mapping_extras extras = {.has_place = publishing->asks_offset,
                                          .skipped = publishing->skipped};
    struct mqtt_publish publish = {0};
    enum error_code code = mapping_give(message, clock_wall_ms(), &extras, properties, &publish);
    if (code == OK && publishing->identifier_count > 0) {
        code = put_identifiers(identifiers, publishing);
        mqtt_set_subscription_identifiers(&publish.properties, buffer_borrow(identifiers));
    }
    if (code != OK) {
        return code;
    }
    bool was_retained = (message->fields.flags & MESSAGE_RETAIN) != 0;
    publish.qos = publishing_qos(message, publishing->qos);
    if (publish.qos > 0) {
        bool is_given = publishing->packet_id != 0;
        publish.packet_id = is_given ? publishing->packet_id : PACKET_ID_OPEN;
    }
    publish.is_repeated = publishing->is_repeated && publish.qos > 0;
    publish.is_retained =
        publishing->is_retained || (publishing->is_retained_as_published && was_retained);
    if (publishing->topic_alias != 0) {
        mqtt_set_topic_alias(&publish.properties, publishing->topic_alias);
    }
    if (publishing->leaves_topic_out) {
        INVARIANT(publishing->topic_alias != 0);
        publish.topic = (struct span){0};
    }
    return put_packet(buffer, &publish, publishing->is_websocket, &dialect);
}

enum error_code publishing_put(struct buffer *buffer, const struct message *message,
                               const struct publishing *publishing) {
    struct buffer properties;
    struct buffer identifiers;
    buffer_init(&properties, PROPERTIES_BYTES_MAX);
    buffer_init(&identifiers, PROPERTIES_BYTES_MAX);
    enum error_code code = put_with(buffer, message, publishing, &properties, &identifiers);
    buffer_finish(&identifiers);
    buffer_finish(&properties);
    return code;
}

/* --- a gap ---------------------------------------------------------------------------------- */

static enum error_code put_gap_with(struct buffer *buffer, const struct storage_gap *gap,
                                    bool is_websocket, const struct mqtt_dialect *dialect,
                                    struct buffer *topic, struct buffer *payload) {
    enum error_code code = envelope_put_gap(payload, gap);
    if (code == OK) {
        code = buffer_put(topic, SPAN(GAP_TOPIC));
    }
    if (code == OK && !gap->is_pattern) {
        code = buffer_put(topic, SPAN("/"));
    }
    if (code == OK && !gap->is_pattern) {
        code = buffer_put(topic, scope_visible(gap->selector));
    }
    if (code != OK) {
        return code;
    }
    struct mqtt_publish publish = {.topic = buffer_borrow(topic),
                                   .payload = buffer_borrow(payload)};
    mqtt_set_payload_format_indicator(&publish.properties, 1);
    mqtt_set_content_type(&publish.properties, SPAN("application/json"));
    return put_packet(buffer, &publish, is_websocket, dialect);
}

enum error_code publishing_put_gap(struct buffer *buffer, const struct storage_gap *gap,
                                   bool is_websocket, const struct mqtt_dialect *dialect) {
    struct buffer topic;
    struct buffer payload;
    if (gap->is_outlived) {
        return OK;
    }
    buffer_init(&topic, CHANNEL_NAME_BYTES_MAX + sizeof(GAP_TOPIC) + 1);
    buffer_init(&payload, WRITE_BYTES_MAX);
    enum error_code code = put_gap_with(buffer, gap, is_websocket, dialect, &topic, &payload);
    buffer_finish(&payload);
    buffer_finish(&topic);
    return code;
}

static enum error_code put_shared_gap(struct buffer *buffer, const struct storage_gap *gap,
                                      const struct frame_options *options) {
    const struct publishing *row = options->context;
    struct mqtt_dialect dialect = dialect_of(row->version, 0);
    return publishing_put_gap(buffer, gap, row->is_websocket, &dialect);
}

/* --- shared frames -------------------------------------------------------------------------- */

/* X(index, transport, version, QoS, offsets, retain as published) */
#define VARIANTS_OF_QOS(X, index, transport, version, offsets, retained)                           \
    X(index, transport, version, 0, offsets, retained)                                             \
    X(index + 1, transport, version, 1, offsets, retained)                                         \
    X(index + 2, transport, version, 2, offsets, retained)

#define VARIANTS_OF_TRANSPORT(X, index, transport)                                                 \
    VARIANTS_OF_QOS(X, index, transport, 3_1_1, false, false)                                      \
    VARIANTS_OF_QOS(X, index + 3, transport, 5, false, false)                                      \
    VARIANTS_OF_QOS(X, index + 6, transport, 5, true, false)                                       \
    VARIANTS_OF_QOS(X, index + 9, transport, 5, false, true)                                       \
    VARIANTS_OF_QOS(X, index + 12, transport, 5, true, true)

#define VARIANT_TABLE(X)                                                                           \
    VARIANTS_OF_TRANSPORT(X, 0, tcp)                                                               \
    VARIANTS_OF_TRANSPORT(X, 15, websocket)

#define IS_tcp false
#define IS_websocket true

static const struct publishing VARIANTS[MQTT_SLOT_COUNT] = {
#define VARIANT(index, transport, number, quality, offsets, retained)                              \
    [index] = {.is_websocket = IS_##transport,                                                     \
               .version = MQTT_VERSION_##number,                                                   \
               .qos = quality,                                                                     \
               .asks_offset = offsets,                                                             \
               .is_retained_as_published = retained},
    VARIANT_TABLE(VARIANT)
#undef VARIANT
};

static enum error_code put_shared(struct buffer *buffer, const struct message *message,
                                  const struct frame_options *options) {
    struct publishing publishing = *(const struct publishing *)options->context;
    uint32_t identifier = (uint32_t)options->subscription;
    publishing.identifiers = &identifier;
    publishing.identifier_count = identifier == 0 ? 0 : 1;
    publishing.skipped = options->skipped;
    return publishing_put(buffer, message, &publishing);
}

static const struct framing FRAMINGS[MQTT_SLOT_COUNT] = {
#define FRAMING(index, transport, number, quality, offsets, retained)                              \
    [index] = {.name = "mqtt",                                                                     \
               .slot = MQTT_SLOT_FIRST + (index),                                                  \
               .context = (void *)&VARIANTS[index],                                                \
               .put_message = put_shared,                                                          \
               .put_gap = put_shared_gap},
    VARIANT_TABLE(FRAMING)
#undef FRAMING
};

static_assert(MQTT_SLOT_FIRST + MQTT_SLOT_COUNT <= FRAMING_SLOTS, "each row has a slot");

const struct framing *framing_shared(bool is_websocket, enum mqtt_version version, uint8_t qos,
                                     bool asks_offset, bool is_retained_as_published) {
    bool is_5 = version == MQTT_VERSION_5;
    INVARIANT(qos <= 2);
    for (size_t i = 0; i < MQTT_SLOT_COUNT; i++) {
        const struct publishing *row = &VARIANTS[i];
        if (row->is_websocket == is_websocket && row->version == version && row->qos == qos &&
            row->asks_offset == (is_5 && asks_offset) &&
            row->is_retained_as_published == (is_5 && is_retained_as_published)) {
            return &FRAMINGS[i];
        }
    }
    INVARIANT(false);
    return NULL;
}

/* --- what is the peer's own ------------------------------------------------------------------ */

void frame_open(uint8_t *frame, size_t length, bool is_websocket, struct published *ret_published) {
    uint8_t *head = frame + (is_websocket ? frame_header_length(frame) : 0);
    uint8_t *at = head + 1;
    while ((*at & 0x80) != 0) {
        at++;
    }
    at++;
    size_t topic_length = (size_t)at[0] << 8 | at[1];
    *ret_published = (struct published){.head = head, .qos = (uint8_t)(*head >> 1 & 3)};
    if (ret_published->qos > 0) {
        ret_published->packet_id = at + 2 + topic_length;
        INVARIANT(ret_published->packet_id + 2 <= frame + length);
    }
}

void frame_set_packet_id(const struct published *published, uint16_t packet_id) {
    INVARIANT(published->packet_id != NULL);
    mqtt_patch_u16(published->packet_id, 0, packet_id);
}
