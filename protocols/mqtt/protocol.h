/* SPDX-License-Identifier: Apache-2.0 */
/* protocol.h — the words of MQTT 3.1.1 and 5.0: versions, packet types, reason codes.
 *
 * Place:   below all of protocols/mqtt.
 * Thread:  constants and pure functions.
 * Bounds:  none; the tables here are the specifications' own (sections 2.1.2 and 2.4 of 5.0).
 *
 * Reasons are those of 5.0 for both versions; what 3.1.1 makes of one is a column of its row.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The number is the protocol level of a CONNECT. */
enum mqtt_version {
    MQTT_VERSION_NONE = 0, /* no CONNECT has been read yet */
    MQTT_VERSION_3_1_1 = 4,
    MQTT_VERSION_5 = 5,
};

#define MQTT_LENGTH_MAX 268435455 /* remaining length, and any variable byte integer */
#define MQTT_FLAGS_FREE 0xFF      /* PUBLISH: its flags mean something */

/* Who sends a packet, as bits. */
#define MQTT_NOBODY 0
#define MQTT_CLIENT 0x1
#define MQTT_SERVER 0x2
#define MQTT_BOTH (MQTT_CLIENT | MQTT_SERVER)

/* X(name, number, text, reserved flags, senders in 3.1.1, in 5, longest body in 3.1.1, in 5) */
#define MQTT_TYPE_TABLE(X)                                                                         \
    X(CONNECT, 1, "CONNECT", 0, MQTT_CLIENT, MQTT_CLIENT, MQTT_LENGTH_MAX, MQTT_LENGTH_MAX)        \
    X(CONNACK, 2, "CONNACK", 0, MQTT_SERVER, MQTT_SERVER, 2, MQTT_LENGTH_MAX)                      \
    X(PUBLISH, 3, "PUBLISH", MQTT_FLAGS_FREE, MQTT_BOTH, MQTT_BOTH, MQTT_LENGTH_MAX,               \
      MQTT_LENGTH_MAX)                                                                             \
    X(PUBACK, 4, "PUBACK", 0, MQTT_BOTH, MQTT_BOTH, 2, MQTT_LENGTH_MAX)                            \
    X(PUBREC, 5, "PUBREC", 0, MQTT_BOTH, MQTT_BOTH, 2, MQTT_LENGTH_MAX)                            \
    X(PUBREL, 6, "PUBREL", 2, MQTT_BOTH, MQTT_BOTH, 2, MQTT_LENGTH_MAX)                            \
    X(PUBCOMP, 7, "PUBCOMP", 0, MQTT_BOTH, MQTT_BOTH, 2, MQTT_LENGTH_MAX)                          \
    X(SUBSCRIBE, 8, "SUBSCRIBE", 2, MQTT_CLIENT, MQTT_CLIENT, MQTT_LENGTH_MAX, MQTT_LENGTH_MAX)    \
    X(SUBACK, 9, "SUBACK", 0, MQTT_SERVER, MQTT_SERVER, MQTT_LENGTH_MAX, MQTT_LENGTH_MAX)          \
    X(UNSUBSCRIBE, 10, "UNSUBSCRIBE", 2, MQTT_CLIENT, MQTT_CLIENT, MQTT_LENGTH_MAX,                \
      MQTT_LENGTH_MAX)                                                                             \
    X(UNSUBACK, 11, "UNSUBACK", 0, MQTT_SERVER, MQTT_SERVER, 2, MQTT_LENGTH_MAX)                   \
    X(PINGREQ, 12, "PINGREQ", 0, MQTT_CLIENT, MQTT_CLIENT, 0, 0)                                   \
    X(PINGRESP, 13, "PINGRESP", 0, MQTT_SERVER, MQTT_SERVER, 0, 0)                                 \
    X(DISCONNECT, 14, "DISCONNECT", 0, MQTT_CLIENT, MQTT_BOTH, 0, MQTT_LENGTH_MAX)                 \
    X(AUTH, 15, "AUTH", 0, MQTT_NOBODY, MQTT_BOTH, 0, MQTT_LENGTH_MAX)

enum mqtt_type {
#define MQTT_TYPE(name, number, text, flags, senders_311, senders_5, bytes_311, bytes_5)           \
    MQTT_##name = number,
    MQTT_TYPE_TABLE(MQTT_TYPE)
#undef MQTT_TYPE
        MQTT_TYPE_COUNT = 16
};

/* A set of packet types, and the will of a CONNECT, which has properties of its own. */
#define MQTT_BIT(type) (1u << (type))
#define MQTT_WILL_BIT 1u

struct mqtt_type_row {
    const char *text;
    uint8_t flags;
    uint8_t senders_311;
    uint8_t senders_5;
    uint32_t body_bytes_max_311;
    uint32_t body_bytes_max_5;
};

/* NULL: 0 is reserved in both versions. */
const struct mqtt_type_row *mqtt_type_row(uint8_t type);

/* One direction of a connection: what was agreed on about it. A server keeps two, one to decode by
 * and one to encode by. */
struct mqtt_dialect {
    uint8_t version;           /* enum mqtt_version */
    uint8_t sender;            /* MQTT_CLIENT or MQTT_SERVER */
    uint32_t packet_bytes_max; /* with the fixed header: what the receiver takes; UINT32_MAX: all */
};

/* In which packets a reason may stand (sections 2.4 and 3.14.2.1 of 5.0). */
#define MQTT_IN_CONNACK MQTT_BIT(MQTT_CONNACK)
#define MQTT_IN_PUBACK (MQTT_BIT(MQTT_PUBACK) | MQTT_BIT(MQTT_PUBREC))
#define MQTT_IN_PUBREL (MQTT_BIT(MQTT_PUBREL) | MQTT_BIT(MQTT_PUBCOMP))
#define MQTT_IN_SUBACK MQTT_BIT(MQTT_SUBACK)
#define MQTT_IN_UNSUBACK MQTT_BIT(MQTT_UNSUBACK)
#define MQTT_IN_DISCONNECT MQTT_BIT(MQTT_DISCONNECT)
#define MQTT_IN_AUTH MQTT_BIT(MQTT_AUTH)
#define MQTT_IN_ANSWERS (MQTT_IN_PUBACK | MQTT_IN_SUBACK | MQTT_IN_UNSUBACK)
#define MQTT_IN_ALL (MQTT_IN_CONNACK | MQTT_IN_ANSWERS | MQTT_IN_DISCONNECT)

#define MQTT_CONNACK_SILENT 0xFF /* 3.1.1 has no return code: close without a CONNACK */

/* X(name, value, packets that a client sends it in, packets that a server sends it in,
 *   return code of a CONNACK in 3.1.1, text) */
#define MQTT_REASON_TABLE(X)                                                                       \
    X(SUCCESS, 0x00, MQTT_IN_PUBACK | MQTT_IN_PUBREL | MQTT_IN_DISCONNECT,                         \
      MQTT_IN_ALL | MQTT_IN_PUBREL | MQTT_IN_AUTH, 0, "Success")                                   \
    X(GRANTED_QOS_1, 0x01, 0, MQTT_IN_SUBACK, MQTT_CONNACK_SILENT, "Granted QoS 1")                \
    X(GRANTED_QOS_2, 0x02, 0, MQTT_IN_SUBACK, MQTT_CONNACK_SILENT, "Granted QoS 2")                \
    X(DISCONNECT_WITH_WILL, 0x04, MQTT_IN_DISCONNECT, 0, MQTT_CONNACK_SILENT,                      \
      "Disconnect with will message")                                                              \
    X(NO_MATCHING_SUBSCRIBERS, 0x10, MQTT_IN_PUBACK, MQTT_IN_PUBACK, MQTT_CONNACK_SILENT,          \
      "No matching subscribers")                                                                   \
    X(NO_SUBSCRIPTION_EXISTED, 0x11, 0, MQTT_IN_UNSUBACK, MQTT_CONNACK_SILENT,                     \
      "No subscription existed")                                                                   \
    X(CONTINUE_AUTHENTICATION, 0x18, MQTT_IN_AUTH, MQTT_IN_AUTH, MQTT_CONNACK_SILENT,              \
      "Continue authentication")                                                                   \
    X(REAUTHENTICATE, 0x19, MQTT_IN_AUTH, 0, MQTT_CONNACK_SILENT, "Re-authenticate")               \
    X(UNSPECIFIED_ERROR, 0x80, MQTT_IN_PUBACK | MQTT_IN_DISCONNECT, MQTT_IN_ALL,                   \
      MQTT_CONNACK_SILENT, "Unspecified error")                                                    \
    X(MALFORMED_PACKET, 0x81, MQTT_IN_DISCONNECT, MQTT_IN_CONNACK | MQTT_IN_DISCONNECT,            \
      MQTT_CONNACK_SILENT, "Malformed packet")                                                     \
    X(PROTOCOL_ERROR, 0x82, MQTT_IN_DISCONNECT, MQTT_IN_CONNACK | MQTT_IN_DISCONNECT,              \
      MQTT_CONNACK_SILENT, "Protocol error")                                                       \
    X(IMPLEMENTATION_SPECIFIC_ERROR, 0x83, MQTT_IN_PUBACK | MQTT_IN_DISCONNECT, MQTT_IN_ALL,       \
      MQTT_CONNACK_SILENT, "Implementation specific error")                                        \
    X(UNSUPPORTED_PROTOCOL_VERSION, 0x84, 0, MQTT_IN_CONNACK, 1, "Unsupported protocol version")   \
    X(CLIENT_IDENTIFIER_NOT_VALID, 0x85, 0, MQTT_IN_CONNACK, 2, "Client identifier not valid")     \
    X(BAD_USER_NAME_OR_PASSWORD, 0x86, 0, MQTT_IN_CONNACK, 4, "Bad user name or password")         \
    X(NOT_AUTHORIZED, 0x87, MQTT_IN_PUBACK, MQTT_IN_ALL, 5, "Not authorized")                      \
    X(SERVER_UNAVAILABLE, 0x88, 0, MQTT_IN_CONNACK, 3, "Server unavailable")                       \
    X(SERVER_BUSY, 0x89, 0, MQTT_IN_CONNACK | MQTT_IN_DISCONNECT, 3, "Server busy")                \
    X(BANNED, 0x8A, 0, MQTT_IN_CONNACK, 5, "Banned")                                               \
    X(SERVER_SHUTTING_DOWN, 0x8B, 0, MQTT_IN_DISCONNECT, 3, "Server shutting down")                \
    X(BAD_AUTHENTICATION_METHOD, 0x8C, 0, MQTT_IN_CONNACK | MQTT_IN_DISCONNECT, 5,                 \
      "Bad authentication method")                                                                 \
    X(KEEP_ALIVE_TIMEOUT, 0x8D, 0, MQTT_IN_DISCONNECT, MQTT_CONNACK_SILENT, "Keep alive timeout")  \
    X(SESSION_TAKEN_OVER, 0x8E, 0, MQTT_IN_DISCONNECT, MQTT_CONNACK_SILENT, "Session taken over")  \
    X(TOPIC_FILTER_INVALID, 0x8F, 0, MQTT_IN_SUBACK | MQTT_IN_UNSUBACK | MQTT_IN_DISCONNECT,       \
      MQTT_CONNACK_SILENT, "Topic filter invalid")                                                 \
    X(TOPIC_NAME_INVALID, 0x90, MQTT_IN_PUBACK | MQTT_IN_DISCONNECT,                               \
      MQTT_IN_CONNACK | MQTT_IN_PUBACK | MQTT_IN_DISCONNECT, MQTT_CONNACK_SILENT,                  \
      "Topic name invalid")                                                                        \
    X(PACKET_IDENTIFIER_IN_USE, 0x91, MQTT_IN_PUBACK, MQTT_IN_ANSWERS, MQTT_CONNACK_SILENT,        \
      "Packet identifier in use")                                                                  \
    X(PACKET_IDENTIFIER_NOT_FOUND, 0x92, MQTT_IN_PUBREL, MQTT_IN_PUBREL, MQTT_CONNACK_SILENT,      \
      "Packet identifier not found")                                                               \
    X(RECEIVE_MAXIMUM_EXCEEDED, 0x93, MQTT_IN_DISCONNECT, MQTT_IN_DISCONNECT, MQTT_CONNACK_SILENT, \
      "Receive maximum exceeded")                                                                  \
    X(TOPIC_ALIAS_INVALID, 0x94, MQTT_IN_DISCONNECT, MQTT_IN_DISCONNECT, MQTT_CONNACK_SILENT,      \
      "Topic alias invalid")                                                                       \
    X(PACKET_TOO_LARGE, 0x95, MQTT_IN_DISCONNECT, MQTT_IN_CONNACK | MQTT_IN_DISCONNECT,            \
      MQTT_CONNACK_SILENT, "Packet too large")                                                     \
    X(MESSAGE_RATE_TOO_HIGH, 0x96, MQTT_IN_DISCONNECT, MQTT_IN_DISCONNECT, MQTT_CONNACK_SILENT,    \
      "Message rate too high")                                                                     \
    X(QUOTA_EXCEEDED, 0x97, MQTT_IN_PUBACK | MQTT_IN_DISCONNECT,                                   \
      MQTT_IN_CONNACK | MQTT_IN_PUBACK | MQTT_IN_SUBACK | MQTT_IN_DISCONNECT, 3, "Quota exceeded") \
    X(ADMINISTRATIVE_ACTION, 0x98, MQTT_IN_DISCONNECT, MQTT_IN_DISCONNECT, MQTT_CONNACK_SILENT,    \
      "Administrative action")                                                                     \
    X(PAYLOAD_FORMAT_INVALID, 0x99, MQTT_IN_PUBACK | MQTT_IN_DISCONNECT,                           \
      MQTT_IN_CONNACK | MQTT_IN_PUBACK | MQTT_IN_DISCONNECT, MQTT_CONNACK_SILENT,                  \
      "Payload format invalid")                                                                    \
    X(RETAIN_NOT_SUPPORTED, 0x9A, 0, MQTT_IN_CONNACK | MQTT_IN_DISCONNECT, MQTT_CONNACK_SILENT,    \
      "Retain not supported")                                                                      \
    X(QOS_NOT_SUPPORTED, 0x9B, 0, MQTT_IN_CONNACK | MQTT_IN_DISCONNECT, MQTT_CONNACK_SILENT,       \
      "QoS not supported")                                                                         \
    X(USE_ANOTHER_SERVER, 0x9C, 0, MQTT_IN_CONNACK | MQTT_IN_DISCONNECT, 3, "Use another server")  \
    X(SERVER_MOVED, 0x9D, 0, MQTT_IN_CONNACK | MQTT_IN_DISCONNECT, 3, "Server moved")              \
    X(SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, 0x9E, 0, MQTT_IN_SUBACK | MQTT_IN_DISCONNECT,            \
      MQTT_CONNACK_SILENT, "Shared subscriptions not supported")                                   \
    X(CONNECTION_RATE_EXCEEDED, 0x9F, 0, MQTT_IN_CONNACK | MQTT_IN_DISCONNECT, 3,                  \
      "Connection rate exceeded")                                                                  \
    X(MAXIMUM_CONNECT_TIME, 0xA0, 0, MQTT_IN_DISCONNECT, MQTT_CONNACK_SILENT,                      \
      "Maximum connect time")                                                                      \
    X(SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED, 0xA1, 0, MQTT_IN_SUBACK | MQTT_IN_DISCONNECT,        \
      MQTT_CONNACK_SILENT, "Subscription identifiers not supported")                               \
    X(WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED, 0xA2, 0, MQTT_IN_SUBACK | MQTT_IN_DISCONNECT,          \
      MQTT_CONNACK_SILENT, "Wildcard subscriptions not supported")

enum mqtt_reason {
#define MQTT_REASON(name, value, client, server, return_code, text) MQTT_REASON_##name = value,
    MQTT_REASON_TABLE(MQTT_REASON)
#undef MQTT_REASON
};

#define MQTT_REASON_FAILURE 0x80 /* this and above tell of a failure */

struct mqtt_reason_row {
    uint32_t from_client; /* MQTT_BIT() of the packets */
    uint32_t from_server;
    uint8_t connack_311;
    const char *text;
};

/* NULL: the specification has no such reason. */
const struct mqtt_reason_row *mqtt_reason_row(uint8_t value);

/* May that packet of that sender carry this value? Of 5.0; and for SUBACK and CONNACK of 3.1.1. */
bool mqtt_reason_is_legal(uint8_t value, enum mqtt_type type, const struct mqtt_dialect *dialect);

/* The return code of a CONNACK in 3.1.1; MQTT_CONNACK_SILENT: none fits [MQTT-3.2.2-6]. */
uint8_t mqtt_reason_to_connack_311(enum mqtt_reason reason);

/* The other way round. False: 3.1.1 has no such return code. */
bool mqtt_reason_from_connack_311(uint8_t return_code, enum mqtt_reason *ret_reason);
