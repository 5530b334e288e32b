/* SPDX-License-Identifier: Apache-2.0 */
/* property.h — the properties of MQTT 5.0 (section 2.2.2), from one table.
 *
 * Place:   the decoders and encoders of protocols/mqtt; read by the server.
 * Thread:  pure; spans point into the packet.
 * Bounds:  MQTT_USER_PROPERTIES_MAX user properties in a packet: more are QUOTA_EXCEEDED. All is
 *          read in one pass and nothing is allocated.
 *
 * What may stand once is a field and a bit of `present`. User properties and subscription
 * identifiers may repeat: they stay where they are on the wire and are walked there.
 *
 * On the wire: a variable byte integer, the length of all; then for each property its identifier
 * (a byte) and its value.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/limits.h"
#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"
#include "protocols/mqtt/fault.h"
#include "protocols/mqtt/protocol.h"
#include "protocols/mqtt/wire.h"

/* How a value stands on the wire, and what it cannot be. */
enum mqtt_property_kind {
    MQTT_KIND_NONE,     /* no such property */
    MQTT_KIND_BOOLEAN,  /* a byte, 0 or 1 */
    MQTT_KIND_U16,      /* two bytes */
    MQTT_KIND_POSITIVE, /* two bytes, not 0 */
    MQTT_KIND_U32,      /* four bytes */
    MQTT_KIND_SIZE,     /* four bytes, not 0 */
    MQTT_KIND_STRING,   /* UTF-8 */
    MQTT_KIND_TOPIC,    /* UTF-8, a topic name */
    MQTT_KIND_BINARY,
    MQTT_KIND_VARINT, /* not 0; may repeat in PUBLISH */
    MQTT_KIND_PAIR,   /* two strings; may repeat */
};

#define MQTT_FIELD_BOOLEAN uint8_t
#define MQTT_FIELD_U16 uint16_t
#define MQTT_FIELD_POSITIVE uint16_t
#define MQTT_FIELD_U32 uint32_t
#define MQTT_FIELD_SIZE uint32_t
#define MQTT_FIELD_STRING struct span
#define MQTT_FIELD_TOPIC struct span
#define MQTT_FIELD_BINARY struct span

#define MQTT_IN_CONNECT MQTT_BIT(MQTT_CONNECT)
#define MQTT_IN_MESSAGE (MQTT_BIT(MQTT_PUBLISH) | MQTT_WILL_BIT)
#define MQTT_IN_OPENING (MQTT_IN_CONNECT | MQTT_IN_CONNACK)
#define MQTT_IN_EVERY                                                                              \
    (MQTT_WILL_BIT |                                                                               \
     ((MQTT_BIT(MQTT_TYPE_COUNT) - 2) & ~(MQTT_BIT(MQTT_PINGREQ) | MQTT_BIT(MQTT_PINGRESP))))
#define MQTT_IN_REASONED                                                                           \
    (MQTT_IN_CONNACK | MQTT_IN_PUBACK | MQTT_IN_PUBREL | MQTT_IN_SUBACK | MQTT_IN_UNSUBACK |       \
     MQTT_IN_DISCONNECT | MQTT_IN_AUTH)

/* Those that are a field. X(field, NAME, identifier, kind, packets) */
#define MQTT_SINGLE_PROPERTY_TABLE(X)                                                              \
    X(payload_format_indicator, PAYLOAD_FORMAT_INDICATOR, 0x01, BOOLEAN, MQTT_IN_MESSAGE)          \
    X(message_expiry_interval, MESSAGE_EXPIRY_INTERVAL, 0x02, U32, MQTT_IN_MESSAGE)                \
    X(content_type, CONTENT_TYPE, 0x03, STRING, MQTT_IN_MESSAGE)                                   \
    X(response_topic, RESPONSE_TOPIC, 0x08, TOPIC, MQTT_IN_MESSAGE)                                \
    X(correlation_data, CORRELATION_DATA, 0x09, BINARY, MQTT_IN_MESSAGE)                           \
    X(session_expiry_interval, SESSION_EXPIRY_INTERVAL, 0x11, U32,                                 \
      MQTT_IN_OPENING | MQTT_IN_DISCONNECT)                                                        \
    X(assigned_client_identifier, ASSIGNED_CLIENT_IDENTIFIER, 0x12, STRING, MQTT_IN_CONNACK)       \
    X(server_keep_alive, SERVER_KEEP_ALIVE, 0x13, U16, MQTT_IN_CONNACK)                            \
    X(authentication_method, AUTHENTICATION_METHOD, 0x15, STRING, MQTT_IN_OPENING | MQTT_IN_AUTH)  \
    X(authentication_data, AUTHENTICATION_DATA, 0x16, BINARY, MQTT_IN_OPENING | MQTT_IN_AUTH)      \
    X(request_problem_information, REQUEST_PROBLEM_INFORMATION, 0x17, BOOLEAN, MQTT_IN_CONNECT)    \
    X(will_delay_interval, WILL_DELAY_INTERVAL, 0x18, U32, MQTT_WILL_BIT)                          \
    X(request_response_information, REQUEST_RESPONSE_INFORMATION, 0x19, BOOLEAN, MQTT_IN_CONNECT)  \
    X(response_information, RESPONSE_INFORMATION, 0x1A, STRING, MQTT_IN_CONNACK)                   \
    X(server_reference, SERVER_REFERENCE, 0x1C, STRING, MQTT_IN_CONNACK | MQTT_IN_DISCONNECT)      \
    X(reason_string, REASON_STRING, 0x1F, STRING, MQTT_IN_REASONED)                                \
    X(receive_maximum, RECEIVE_MAXIMUM, 0x21, POSITIVE, MQTT_IN_OPENING)                           \
    X(topic_alias_maximum, TOPIC_ALIAS_MAXIMUM, 0x22, U16, MQTT_IN_OPENING)                        \
    X(topic_alias, TOPIC_ALIAS, 0x23, POSITIVE, MQTT_BIT(MQTT_PUBLISH))                            \
    X(maximum_qos, MAXIMUM_QOS, 0x24, BOOLEAN, MQTT_IN_CONNACK)                                    \
    X(retain_available, RETAIN_AVAILABLE, 0x25, BOOLEAN, MQTT_IN_CONNACK)                          \
    X(maximum_packet_size, MAXIMUM_PACKET_SIZE, 0x27, SIZE, MQTT_IN_OPENING)                       \
    X(wildcard_subscription_available, WILDCARD_SUBSCRIPTION_AVAILABLE, 0x28, BOOLEAN,             \
      MQTT_IN_CONNACK)                                                                             \
    X(subscription_identifier_available, SUBSCRIPTION_IDENTIFIER_AVAILABLE, 0x29, BOOLEAN,         \
      MQTT_IN_CONNACK)                                                                             \
    X(shared_subscription_available, SHARED_SUBSCRIPTION_AVAILABLE, 0x2A, BOOLEAN, MQTT_IN_CONNACK)

enum mqtt_property {
#define MQTT_PROPERTY(field, name, identifier, kind, packets) MQTT_PROPERTY_##name = identifier,
    MQTT_SINGLE_PROPERTY_TABLE(MQTT_PROPERTY)
#undef MQTT_PROPERTY
        MQTT_PROPERTY_SUBSCRIPTION_IDENTIFIER = 0x0B,
    MQTT_PROPERTY_USER_PROPERTY = 0x26,
    MQTT_PROPERTY_COUNT = 0x2B
};

/* A set of properties. */
#define MQTT_PROPERTY_BIT(property) (UINT64_C(1) << (property))
#define MQTT_PROPERTIES_ALL UINT64_MAX

/* Zeroed, there are none. A field counts only if its bit is in `present`. */
struct mqtt_properties {
    uint64_t present; /* MQTT_PROPERTY_BIT() of each that stands here, of all kinds */
#define MQTT_PROPERTY(field, name, identifier, kind, packets) MQTT_FIELD_##kind field;
    MQTT_SINGLE_PROPERTY_TABLE(MQTT_PROPERTY)
#undef MQTT_PROPERTY
    uint32_t subscription_identifier; /* the first one; set by the decoder, not encoded */
    uint32_t user_property_count;     /* set by the decoder, not encoded */

    /* Property bytes in which they stand, others perhaps between them; both may be the same bytes.
     * The decoder sets them, mqtt_user_property_next() and mqtt_subscription_identifier_next() walk
     * them, mqtt_user_property_put() and mqtt_subscription_identifier_put() make them. */
    struct span user_properties;
    struct span subscription_identifiers;
};

static inline bool mqtt_has(const struct mqtt_properties *properties, enum mqtt_property property) {
    return (properties->present & MQTT_PROPERTY_BIT(property)) != 0;
}

/* mqtt_set_<field>(properties, value): the field and its bit. */
#define MQTT_PROPERTY(field, name, identifier, kind, packets)                                      \
    static inline void mqtt_set_##field(struct mqtt_properties *properties,                        \
                                        MQTT_FIELD_##kind value) {                                 \
        properties->field = value;                                                                 \
        properties->present |= MQTT_PROPERTY_BIT(identifier);                                      \
    }
MQTT_SINGLE_PROPERTY_TABLE(MQTT_PROPERTY)
#undef MQTT_PROPERTY

/* The same for bytes that mqtt_user_property_put() or mqtt_subscription_identifier_put() made. */
void mqtt_set_user_properties(struct mqtt_properties *properties, struct span bytes);
void mqtt_set_subscription_identifiers(struct mqtt_properties *properties, struct span bytes);

struct mqtt_property_row {
    const char *name; /* "session_expiry_interval" */
    enum mqtt_property_kind kind;
    uint32_t packets; /* MQTT_BIT() of those that may have it, or MQTT_WILL_BIT */
    uint16_t offset;  /* of the field in struct mqtt_properties */
};

/* NULL: no such property. */
const struct mqtt_property_row *mqtt_property_row(uint32_t identifier);

/* Takes length and properties off the reader. `where` is MQTT_BIT(type) or MQTT_WILL_BIT.
 * `ret_properties` is set in any case. */
enum mqtt_fault mqtt_properties_decode(struct mqtt_reader *reader, uint32_t where, uint8_t sender,
                                       struct mqtt_properties *ret_properties);

/* The next one in the order of the wire; `rest` starts as the span of that name. False: none. */
bool mqtt_user_property_next(struct span *rest, struct span *ret_name, struct span *ret_value);
bool mqtt_subscription_identifier_next(struct span *rest, uint32_t *ret_identifier);

/* Appends one as it stands on the wire. ERR_TOO_LARGE, ERR_MEMORY: nothing was added. */
MUST_USE enum error_code mqtt_user_property_put(struct buffer *buffer, struct span name,
                                                struct span value);
MUST_USE enum error_code mqtt_subscription_identifier_put(struct buffer *buffer,
                                                          uint32_t identifier);

/* The bytes of the chosen ones, without the length before them. */
size_t mqtt_properties_size(const struct mqtt_properties *properties, uint64_t chosen);

/* Appends the chosen ones, without the length before them, to a buffer in which the room is
 * reserved: the fields in the order of their identifiers, then subscription identifiers, then user
 * properties, each in the order that they have. */
void mqtt_properties_put(struct buffer *buffer, const struct mqtt_properties *properties,
                         uint64_t chosen);
