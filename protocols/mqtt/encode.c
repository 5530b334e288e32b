/* SPDX-License-Identifier: Apache-2.0 */
/* Each encoder computes the length of its body first, makes room for the whole packet once, and
 * then puts field after field without a check. */
#include "protocols/mqtt/encode.h"

#include "broker/support/invariant.h"
#include "protocols/mqtt/wire.h"

static size_t string_size(struct span string) {
    return 2 + string.length;
}

/* --- what all packets have ------------------------------------------------------------------- */

static size_t header_size(size_t body_length) {
    return 1 + mqtt_varint_size((uint32_t)body_length);
}

/* Can the receiver take it? */
static bool fits(const struct mqtt_dialect *dialect, size_t body_length) {
    return body_length <= MQTT_LENGTH_MAX &&
           header_size(body_length) + body_length <= dialect->packet_bytes_max;
}

/* Makes room for a packet, and puts its header. */
static enum error_code begin(struct buffer *buffer, const struct mqtt_dialect *dialect,
                             uint8_t first_byte, size_t body_length) {
    if (!fits(dialect, body_length)) {
        return ERR_TOO_LARGE;
    }
    enum error_code code = buffer_reserve(buffer, header_size(body_length) + body_length);
    if (code == OK) {
        mqtt_put_u8(buffer, first_byte);
        mqtt_put_varint(buffer, (uint32_t)body_length);
    }
    return code;
}

static uint8_t first_byte_of(enum mqtt_type type) {
    const struct mqtt_type_row *row = mqtt_type_row((uint8_t)type);
    INVARIANT(row != NULL);
    INVARIANT(row->flags != MQTT_FLAGS_FREE);
    return (uint8_t)(type << 4 | row->flags);
}

/* Our own mistake: a property that the packet cannot have. */
static void check_places(const struct mqtt_properties *properties, uint32_t where) {
    for (uint64_t set = properties->present; set != 0; set &= set - 1) {
        const struct mqtt_property_row *row = mqtt_property_row((uint32_t)__builtin_ctzll(set));
        INVARIANT(row != NULL);
        INVARIANT((row->packets & where) != 0);
    }
}

/* Chosen properties and the length before them. */
struct section {
    const struct mqtt_properties *properties;
    uint64_t chosen;
    size_t length; /* of the properties */
    size_t size;   /* with the length before them; 0 in 3.1.1 */
};

static struct section section_of(const struct mqtt_properties *properties,
                                 const struct mqtt_dialect *dialect, uint64_t chosen,
                                 uint32_t where) {
    struct section section = {properties, chosen, 0, 0};
    if (dialect->version == MQTT_VERSION_5) {
        check_places(properties, where);
        section.length = mqtt_properties_size(properties, chosen);
        /* What is too long for a varint is too long for a packet, whatever stands here. */
        section.size = section.length + (section.length > MQTT_LENGTH_MAX
                                             ? MQTT_VARINT_BYTES_MAX
                                             : mqtt_varint_size((uint32_t)section.length));
    }
    return section;
}

/* The same for an answer with `others` bytes of body beside it: where that is too large for the
 * receiver, without the user properties, and then without the reason string. */
static struct section section_that_fits(const struct mqtt_properties *properties,
                                        const struct mqtt_dialect *dialect, size_t others,
                                        uint32_t where) {
    static const enum mqtt_property dispensable[] = {MQTT_PROPERTY_USER_PROPERTY,
                                                     MQTT_PROPERTY_REASON_STRING};
    uint64_t chosen = MQTT_PROPERTIES_ALL;
    struct section section = section_of(properties, dialect, chosen, where);
    for (size_t i = 0; i < ARRAY_COUNT(dispensable) && !fits(dialect, others + section.size); i++) {
        chosen &= ~MQTT_PROPERTY_BIT(dispensable[i]);
        section = section_of(properties, dialect, chosen, where);
    }
    return section;
}

static void put_section(struct buffer *buffer, const struct section *section) {
    if (section->size > 0) {
        mqtt_put_varint(buffer, (uint32_t)section->length);
        mqtt_properties_put(buffer, section->properties, section->chosen);
    }
}

/* --- CONNECT, CONNACK ------------------------------------------------------------------------ */

static uint8_t connect_flags(const struct mqtt_connect *connect) {
    uint8_t flags = connect->is_clean ? 0x02 : 0;
    if (connect->has_will) {
        flags |= (uint8_t)(0x04 | connect->will.qos << 3 | (connect->will.is_retained ? 0x20 : 0));
    }
    return (uint8_t)(flags | (connect->has_password ? 0x40 : 0) |
                     (connect->has_user_name ? 0x80 : 0));
}

enum error_code mqtt_encode_connect(struct buffer *buffer, const struct mqtt_dialect *dialect,
                                    const struct mqtt_connect *connect) {
    const struct mqtt_will *will = &connect->will;
    struct section section =
        section_of(&connect->properties, dialect, MQTT_PROPERTIES_ALL, MQTT_IN_CONNECT);
    struct section will_section =
        section_of(&will->properties, dialect, MQTT_PROPERTIES_ALL, MQTT_WILL_BIT);
    size_t body_length =
        string_size(SPAN("MQTT")) + 1 + 1 + 2 + section.size + string_size(connect->client_id);
    if (connect->has_will) {
        body_length += will_section.size + string_size(will->topic) + string_size(will->payload);
    }
    body_length += connect->has_user_name ? string_size(connect->user_name) : 0;
    body_length += connect->has_password ? string_size(connect->password) : 0;
    enum error_code code = begin(buffer, dialect, first_byte_of(MQTT_CONNECT), body_length);
    if (code != OK) {
        return code;
    }
    mqtt_put_binary(buffer, SPAN("MQTT"));
    mqtt_put_u8(buffer, (uint8_t)dialect->version);
    mqtt_put_u8(buffer, connect_flags(connect));
    mqtt_put_u16(buffer, connect->keep_alive_s);
    put_section(buffer, &section);
    mqtt_put_binary(buffer, connect->client_id);
    if (connect->has_will) {
        put_section(buffer, &will_section);
        mqtt_put_binary(buffer, will->topic);
        mqtt_put_binary(buffer, will->payload);
    }
    if (connect->has_user_name) {
        mqtt_put_binary(buffer, connect->user_name);
    }
    if (connect->has_password) {
        mqtt_put_binary(buffer, connect->password);
    }
    return OK;
}

enum error_code mqtt_encode_connack(struct buffer *buffer, const struct mqtt_dialect *dialect,
                                    const struct mqtt_connack *connack) {
    uint8_t value = (uint8_t)connack->reason;
    if (dialect->version != MQTT_VERSION_5) {
        value = mqtt_reason_to_connack_311(connack->reason);
        if (value == MQTT_CONNACK_SILENT) {
            return ERR_NOT_IMPLEMENTED;
        }
    }
    struct section section = section_that_fits(&connack->properties, dialect, 2, MQTT_IN_CONNACK);
    enum error_code code = begin(buffer, dialect, first_byte_of(MQTT_CONNACK), 2 + section.size);
    if (code == OK) {
        mqtt_put_u8(buffer, connack->is_session_present && value == 0);
        mqtt_put_u8(buffer, value);
        put_section(buffer, &section);
    }
    return code;
}

/* --- PUBLISH --------------------------------------------------------------------------------- */

static struct section publish_section(const struct mqtt_dialect *dialect,
                                      const struct mqtt_publish *publish) {
    return section_of(&publish->properties, dialect, MQTT_PROPERTIES_ALL, MQTT_BIT(MQTT_PUBLISH));
}

static size_t publish_length(const struct mqtt_publish *publish, const struct section *section) {
    return string_size(publish->topic) + (publish->qos > 0 ? 2 : 0) + section->size +
           publish->payload.length;
}

enum error_code mqtt_encode_publish(struct buffer *buffer, const struct mqtt_dialect *dialect,
                                    const struct mqtt_publish *publish) {
    INVARIANT((publish->qos > 0) == (publish->packet_id != 0));
    INVARIANT(publish->topic.length > 0 ||
              mqtt_has(&publish->properties, MQTT_PROPERTY_TOPIC_ALIAS));
    struct section section = publish_section(dialect, publish);
    uint8_t first_byte = (uint8_t)(MQTT_PUBLISH << 4 | (publish->is_repeated ? 0x08 : 0) |
                                   publish->qos << 1 | (publish->is_retained ? 0x01 : 0));
    enum error_code code = begin(buffer, dialect, first_byte, publish_length(publish, &section));
    if (code != OK) {
        return code;
    }
    mqtt_put_binary(buffer, publish->topic);
    if (publish->qos > 0) {
        mqtt_put_u16(buffer, publish->packet_id);
    }
    put_section(buffer, &section);
    mqtt_put_bytes(buffer, publish->payload);
    return OK;
}

size_t mqtt_publish_size(const struct mqtt_dialect *dialect, const struct mqtt_publish *publish) {
    struct section section = publish_section(dialect, publish);
    size_t body_length = publish_length(publish, &section);
    return body_length +
           (body_length > MQTT_LENGTH_MAX ? 1 + MQTT_VARINT_BYTES_MAX : header_size(body_length));
}

/* --- the others ------------------------------------------------------------------------------ */

enum error_code mqtt_encode_ack(struct buffer *buffer, const struct mqtt_dialect *dialect,
                                enum mqtt_type type, const struct mqtt_ack *ack) {
    struct section section = section_that_fits(&ack->properties, dialect, 2 + 1, MQTT_BIT(type));
    bool has_properties = section.length > 0;
    bool has_reason = section.size > 0 && (has_properties || ack->reason != MQTT_REASON_SUCCESS);
    enum error_code code = begin(buffer, dialect, first_byte_of(type),
                                 2 + (has_reason ? 1u : 0u) + (has_properties ? section.size : 0));
    if (code != OK) {
        return code;
    }
    mqtt_put_u16(buffer, ack->packet_id);
    if (has_reason) {
        mqtt_put_u8(buffer, (uint8_t)ack->reason);
    }
    if (has_properties) {
        put_section(buffer, &section);
    }
    return OK;
}

enum error_code mqtt_encode_request(struct buffer *buffer, const struct mqtt_dialect *dialect,
                                    enum mqtt_type type, const struct mqtt_request *request) {
    struct section section =
        section_of(&request->properties, dialect, MQTT_PROPERTIES_ALL, MQTT_BIT(type));
    enum error_code code =
        begin(buffer, dialect, first_byte_of(type), 2 + section.size + request->filters.length);
    if (code == OK) {
        mqtt_put_u16(buffer, request->packet_id);
        put_section(buffer, &section);
        mqtt_put_bytes(buffer, request->filters);
    }
    return code;
}

/* 3.1.1 has 0, 1, 2 and 0x80 in a SUBACK [MQTT-3.9.3-2], and no reasons in an UNSUBACK. */
static uint8_t grant_311(uint8_t reason) {
    return reason > MQTT_REASON_GRANTED_QOS_2 ? MQTT_REASON_UNSPECIFIED_ERROR : reason;
}

enum error_code mqtt_encode_grants(struct buffer *buffer, const struct mqtt_dialect *dialect,
                                   enum mqtt_type type, const struct mqtt_grants *grants) {
    bool is_5 = dialect->version == MQTT_VERSION_5;
    size_t count = is_5 || type == MQTT_SUBACK ? grants->reasons.length : 0;
    struct section section =
        section_that_fits(&grants->properties, dialect, 2 + count, MQTT_BIT(type));
    enum error_code code = begin(buffer, dialect, first_byte_of(type), 2 + section.size + count);
    if (code != OK) {
        return code;
    }
    mqtt_put_u16(buffer, grants->packet_id);
    put_section(buffer, &section);
    for (size_t i = 0; i < count; i++) {
        uint8_t reason = grants->reasons.bytes[i];
        mqtt_put_u8(buffer, is_5 ? reason : grant_311(reason));
    }
    return OK;
}

enum error_code mqtt_encode_notice(struct buffer *buffer, const struct mqtt_dialect *dialect,
                                   enum mqtt_type type, const struct mqtt_notice *notice) {
    const struct mqtt_type_row *row = mqtt_type_row((uint8_t)type);
    bool is_5 = dialect->version == MQTT_VERSION_5;
    if (((is_5 ? row->senders_5 : row->senders_311) & dialect->sender) == 0) {
        return ERR_NOT_IMPLEMENTED;
    }
    struct section section = section_that_fits(&notice->properties, dialect, 1, MQTT_BIT(type));
    /* An AUTH with a reason has its properties even where there are none. */
    bool has_properties = section.length > 0;
    bool has_reason = is_5 && (has_properties || notice->reason != MQTT_REASON_SUCCESS);
    bool has_section = has_properties || (has_reason && type == MQTT_AUTH);
    enum error_code code = begin(buffer, dialect, first_byte_of(type),
                                 (has_reason ? 1u : 0u) + (has_section ? section.size : 0));
    if (code == OK && has_reason) {
        mqtt_put_u8(buffer, (uint8_t)notice->reason);
    }
    if (code == OK && has_section) {
        put_section(buffer, &section);
    }
    return code;
}

enum error_code mqtt_encode_ping(struct buffer *buffer, enum mqtt_type type) {
    const struct mqtt_dialect any = {.packet_bytes_max = UINT32_MAX};
    return begin(buffer, &any, first_byte_of(type), 0);
}

enum error_code mqtt_encode(struct buffer *buffer, const struct mqtt_dialect *dialect,
                            const struct mqtt_packet *packet) {
    switch (packet->type) {
    case MQTT_CONNECT:
        return mqtt_encode_connect(buffer, dialect, &packet->connect);
    case MQTT_CONNACK:
        return mqtt_encode_connack(buffer, dialect, &packet->connack);
    case MQTT_PUBLISH:
        return mqtt_encode_publish(buffer, dialect, &packet->publish);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        return mqtt_encode_ack(buffer, dialect, packet->type, &packet->ack);
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
        return mqtt_encode_request(buffer, dialect, packet->type, &packet->request);
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        return mqtt_encode_grants(buffer, dialect, packet->type, &packet->grants);
    case MQTT_PINGREQ:
    case MQTT_PINGRESP:
        return mqtt_encode_ping(buffer, packet->type);
    case MQTT_DISCONNECT:
    case MQTT_AUTH:
        return mqtt_encode_notice(buffer, dialect, packet->type, &packet->notice);
    case MQTT_TYPE_COUNT:
        break;
    }
    return ERR_NOT_IMPLEMENTED;
}

enum error_code mqtt_subscription_put(struct buffer *buffer,
                                      const struct mqtt_subscription *subscription) {
    enum error_code code = buffer_reserve(buffer, string_size(subscription->filter) + 1);
    if (code == OK) {
        mqtt_put_binary(buffer, subscription->filter);
        mqtt_put_u8(buffer, (uint8_t)(subscription->qos | (subscription->is_no_local ? 0x04 : 0) |
                                      (subscription->is_retained_as_published ? 0x08 : 0) |
                                      subscription->retain_handling << 4));
    }
    return code;
}

enum error_code mqtt_filter_put(struct buffer *buffer, struct span filter) {
    enum error_code code = buffer_reserve(buffer, string_size(filter));
    if (code == OK) {
        mqtt_put_binary(buffer, filter);
    }
    return code;
}

void mqtt_patch_u16(uint8_t *bytes, size_t at, uint16_t value) {
    bytes[at] = (uint8_t)(value >> 8);
    bytes[at + 1] = (uint8_t)value;
}
