/* SPDX-License-Identifier: Apache-2.0 */
/* fault.h — every way in which a packet can break MQTT, each as one table row.
 *
 * Place:   given by the decoders of protocols/mqtt; the server makes a DISCONNECT, a CONNACK or a
 *          silent close of it.
 * Thread:  pure.
 * Bounds:  none.
 *
 * From a row come the reason code of 5.0, the numbers of the normative statements that are broken
 * (appendix B of both specifications), and the sentence for the log. Where a version numbers no
 * statement of its own, the one that demands the close stands: MQTT-4.8.0-1, MQTT-4.13.1-1.
 */
#pragma once

#include "broker/support/error.h"
#include "protocols/mqtt/protocol.h"

#define MQTT_CLOSES_311 "MQTT-4.8.0-1"
#define MQTT_CLOSES_5 "MQTT-4.13.1-1"

/* X(name, error, reason, statement of 3.1.1, statement of 5.0, text) */
#define MQTT_FAULT_TABLE(X)                                                                        \
    X(TYPE_RESERVED, ERR_PROTOCOL, MALFORMED_PACKET, MQTT_CLOSES_311, MQTT_CLOSES_5,               \
      "A reserved packet type")                                                                    \
    X(CONNECT_MISSING, ERR_PROTOCOL, PROTOCOL_ERROR, "MQTT-3.1.0-1", "MQTT-3.1.0-1",               \
      "The first packet is not CONNECT")                                                           \
    X(SENDER, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, MQTT_CLOSES_5,                        \
      "A packet that the other side sends")                                                        \
    X(FLAGS, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-2.2.2-2", "MQTT-2.1.3-1",                       \
      "Reserved flags of the fixed header are not as they must be")                                \
    X(FLAGS_PUBREL, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.6.1-1", "MQTT-3.6.1-1",                \
      "The flags of PUBREL are not 0010")                                                          \
    X(FLAGS_SUBSCRIBE, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.8.1-1", "MQTT-3.8.1-1",             \
      "The flags of SUBSCRIBE are not 0010")                                                       \
    X(FLAGS_UNSUBSCRIBE, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.10.1-1", "MQTT-3.10.1-1",         \
      "The flags of UNSUBSCRIBE are not 0010")                                                     \
    X(FLAGS_DISCONNECT, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.14.1-1", "MQTT-3.14.1-1",          \
      "The flags of DISCONNECT are not 0000")                                                      \
    X(FLAGS_AUTH, ERR_PROTOCOL, MALFORMED_PACKET, MQTT_CLOSES_311, "MQTT-3.15.1-1",                \
      "The flags of AUTH are not 0000")                                                            \
    X(PUBLISH_QOS, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.3.1-4", "MQTT-3.3.1-4",                 \
      "A PUBLISH of QoS 3")                                                                        \
    X(PUBLISH_DUP, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.3.1-2", "MQTT-3.3.1-2",                 \
      "A PUBLISH of QoS 0 that says it is a repetition")                                           \
    X(LENGTH_ENDLESS, ERR_PROTOCOL, MALFORMED_PACKET, MQTT_CLOSES_311, "MQTT-1.5.5-1",             \
      "A length of more than four bytes")                                                          \
    X(LENGTH_NOT_SHORTEST, ERR_PROTOCOL, MALFORMED_PACKET, MQTT_CLOSES_311, "MQTT-1.5.5-1",        \
      "A variable byte integer that is not in its shortest form")                                  \
    X(PACKET_TOO_LARGE, ERR_TOO_LARGE, PACKET_TOO_LARGE, "", "MQTT-3.2.2-15",                      \
      "The packet is larger than is taken here")                                                   \
    X(BODY_SHORT, ERR_PROTOCOL, MALFORMED_PACKET, MQTT_CLOSES_311, MQTT_CLOSES_5,                  \
      "The packet ends within a field")                                                            \
    X(BODY_LONG, ERR_PROTOCOL, MALFORMED_PACKET, MQTT_CLOSES_311, MQTT_CLOSES_5,                   \
      "Bytes follow where the packet should end")                                                  \
    X(UTF8, ERR_BAD_UTF8, MALFORMED_PACKET, "MQTT-1.5.3-1", "MQTT-1.5.4-1",                        \
      "A string is not UTF-8")                                                                     \
    X(NUL, ERR_BAD_UTF8, MALFORMED_PACKET, "MQTT-1.5.3-2", "MQTT-1.5.4-2",                         \
      "A string has the character U+0000")                                                         \
    X(PACKET_ID_ZERO, ERR_PROTOCOL, PROTOCOL_ERROR, "MQTT-2.3.1-1", "MQTT-2.2.1-3",                \
      "A packet identifier of 0")                                                                  \
    X(ACK_ID_ZERO, ERR_PROTOCOL, PROTOCOL_ERROR, "MQTT-2.3.1-6", "MQTT-2.2.1-5",                   \
      "An acknowledgement of packet identifier 0")                                                 \
    X(PROPERTIES_LONG, ERR_PROTOCOL, MALFORMED_PACKET, MQTT_CLOSES_311, MQTT_CLOSES_5,             \
      "The properties are said to be longer than the packet")                                      \
    X(PROPERTY_SHORT, ERR_PROTOCOL, MALFORMED_PACKET, MQTT_CLOSES_311, MQTT_CLOSES_5,              \
      "The properties end within a property")                                                      \
    X(PROPERTY_UNKNOWN, ERR_PROTOCOL, MALFORMED_PACKET, MQTT_CLOSES_311, MQTT_CLOSES_5,            \
      "A property that does not exist")                                                            \
    X(PROPERTY_MISPLACED, ERR_PROTOCOL, MALFORMED_PACKET, MQTT_CLOSES_311, MQTT_CLOSES_5,          \
      "A property that this packet cannot have")                                                   \
    X(PROPERTY_REPEATED, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, MQTT_CLOSES_5,             \
      "A property that stands twice")                                                              \
    X(PROPERTY_BOOLEAN, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, MQTT_CLOSES_5,              \
      "A property that is 0 or 1 has another value")                                               \
    X(PROPERTY_ZERO, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, MQTT_CLOSES_5,                 \
      "A property that cannot be 0 is 0")                                                          \
    X(USER_PROPERTIES, ERR_FULL, QUOTA_EXCEEDED, MQTT_CLOSES_311, MQTT_CLOSES_5,                   \
      "More user properties than are taken in a packet")                                           \
    X(SUBSCRIPTION_ID_SENT, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, "MQTT-3.3.4-6",         \
      "A subscription identifier in a client's PUBLISH")                                           \
    X(SERVER_SESSION_EXPIRY, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, "MQTT-3.14.2-2",       \
      "A session expiry interval in a server's DISCONNECT")                                        \
    X(TOPIC_ALIAS_ZERO, ERR_PROTOCOL, TOPIC_ALIAS_INVALID, MQTT_CLOSES_311, "MQTT-3.3.2-8",        \
      "A topic alias of 0")                                                                        \
    X(RESPONSE_TOPIC, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, "MQTT-3.3.2-14",              \
      "A response topic with a wildcard")                                                          \
    X(RESPONSE_TOPIC_EMPTY, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, "MQTT-4.7.3-1",         \
      "An empty response topic")                                                                   \
    X(AUTHENTICATION_DATA, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, MQTT_CLOSES_5,           \
      "Authentication data without a method")                                                      \
    X(AUTHENTICATION_METHOD, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, "MQTT-4.12.0-5",       \
      "An AUTH without a method")                                                                  \
    X(PROTOCOL_NAME, ERR_PROTOCOL, UNSUPPORTED_PROTOCOL_VERSION, "MQTT-3.1.2-1", "MQTT-3.1.2-1",   \
      "The protocol is not called MQTT")                                                           \
    X(PROTOCOL_LEVEL, ERR_PROTOCOL, UNSUPPORTED_PROTOCOL_VERSION, "MQTT-3.1.2-2", "MQTT-3.1.2-2",  \
      "A version of the protocol that is not spoken here")                                         \
    X(CONNECT_FLAG, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.1.2-3", "MQTT-3.1.2-3",                \
      "The reserved flag of CONNECT is set")                                                       \
    X(WILL_QOS_ALONE, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.1.2-13", "MQTT-3.1.2-11",            \
      "The QoS of a will without a will")                                                          \
    X(WILL_QOS, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.1.2-14", "MQTT-3.1.2-12",                  \
      "A will of QoS 3")                                                                           \
    X(WILL_RETAIN_ALONE, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.1.2-15", "MQTT-3.1.2-13",         \
      "The retain flag of a will without a will")                                                  \
    X(PASSWORD_ALONE, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.1.2-22", MQTT_CLOSES_5,              \
      "A password without a user name")                                                            \
    X(CONNECT_SHORT, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.1.4-1", "MQTT-3.1.4-1",               \
      "The CONNECT ends within a field")                                                           \
    X(CLIENT_ID_MISSING, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.1.3-3", "MQTT-3.1.3-3",           \
      "The CONNECT ends before its client identifier does")                                        \
    X(WILL_MISSING, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.1.2-9", "MQTT-3.1.2-9",                \
      "The CONNECT ends before its will does")                                                     \
    X(USER_NAME_MISSING, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.1.2-19", "MQTT-3.1.2-17",         \
      "The CONNECT ends before its user name does")                                                \
    X(PASSWORD_MISSING, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.1.2-21", "MQTT-3.1.2-19",          \
      "The CONNECT ends before its password does")                                                 \
    X(CONNECT_LONG, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.1.2-20", "MQTT-3.1.2-18",              \
      "The CONNECT has fields that its flags do not tell of")                                      \
    X(CLIENT_ID_EMPTY, ERR_PROTOCOL, CLIENT_IDENTIFIER_NOT_VALID, "MQTT-3.1.3-8", MQTT_CLOSES_5,   \
      "A session is to be kept, but the client has no identifier")                                 \
    X(WILL_TOPIC, ERR_BAD_CHANNEL, TOPIC_NAME_INVALID, "MQTT-4.7.1-1", "MQTT-4.7.0-1",             \
      "The topic of a will with a wildcard")                                                       \
    X(WILL_TOPIC_EMPTY, ERR_BAD_CHANNEL, TOPIC_NAME_INVALID, "MQTT-4.7.3-1", "MQTT-4.7.3-1",       \
      "An empty topic of a will")                                                                  \
    X(CONNACK_FLAGS, ERR_PROTOCOL, MALFORMED_PACKET, MQTT_CLOSES_311, "MQTT-3.2.2-1",              \
      "A reserved flag of CONNACK is set")                                                         \
    X(CONNACK_SESSION, ERR_PROTOCOL, PROTOCOL_ERROR, "MQTT-3.2.2-4", "MQTT-3.2.2-6",               \
      "A CONNACK that refuses says that a session is present")                                     \
    X(CONNACK_REASON, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, "MQTT-3.2.2-8",               \
      "A reason that CONNACK cannot have")                                                         \
    X(TOPIC, ERR_BAD_CHANNEL, TOPIC_NAME_INVALID, "MQTT-3.3.2-2", "MQTT-3.3.2-2",                  \
      "A wildcard in the topic of a PUBLISH")                                                      \
    X(TOPIC_EMPTY, ERR_BAD_CHANNEL, PROTOCOL_ERROR, "MQTT-4.7.3-1", "MQTT-4.7.3-1",                \
      "A PUBLISH with an empty topic and without an alias")                                        \
    X(PUBACK_REASON, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, "MQTT-3.4.2-1",                \
      "A reason that PUBACK cannot have")                                                          \
    X(PUBREC_REASON, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, "MQTT-3.5.2-1",                \
      "A reason that PUBREC cannot have")                                                          \
    X(PUBREL_REASON, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, "MQTT-3.6.2-1",                \
      "A reason that PUBREL cannot have")                                                          \
    X(PUBCOMP_REASON, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, "MQTT-3.7.2-1",               \
      "A reason that PUBCOMP cannot have")                                                         \
    X(SUBSCRIBE_EMPTY, ERR_PROTOCOL, PROTOCOL_ERROR, "MQTT-3.8.3-3", "MQTT-3.8.3-2",               \
      "A SUBSCRIBE without a topic filter")                                                        \
    X(SUBSCRIBE_RESERVED, ERR_PROTOCOL, MALFORMED_PACKET, "MQTT-3.8.3-4", "MQTT-3.8.3-5",          \
      "A reserved bit of the subscription options is set")                                         \
    X(SUBSCRIBE_QOS, ERR_PROTOCOL, PROTOCOL_ERROR, "MQTT-3.8.3-4", MQTT_CLOSES_5,                  \
      "A subscription of QoS 3")                                                                   \
    X(RETAIN_HANDLING, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, MQTT_CLOSES_5,               \
      "A retain handling of 3")                                                                    \
    X(SHARED_NO_LOCAL, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, "MQTT-3.8.3-4",              \
      "No local on a shared subscription")                                                         \
    X(FILTER_EMPTY, ERR_BAD_CHANNEL, TOPIC_FILTER_INVALID, "MQTT-4.7.3-1", "MQTT-4.7.3-1",         \
      "An empty topic filter")                                                                     \
    X(FILTER_MULTI, ERR_BAD_CHANNEL, TOPIC_FILTER_INVALID, "MQTT-4.7.1-2", "MQTT-4.7.1-1",         \
      "A # that is not alone in the last level of a topic filter")                                 \
    X(FILTER_SINGLE, ERR_BAD_CHANNEL, TOPIC_FILTER_INVALID, "MQTT-4.7.1-3", "MQTT-4.7.1-2",        \
      "A + that is not alone in its level of a topic filter")                                      \
    X(SHARE_NAME_EMPTY, ERR_BAD_CHANNEL, TOPIC_FILTER_INVALID, MQTT_CLOSES_311, "MQTT-4.8.2-1",    \
      "A shared subscription without a name")                                                      \
    X(SHARE_NAME, ERR_BAD_CHANNEL, TOPIC_FILTER_INVALID, MQTT_CLOSES_311, "MQTT-4.8.2-2",          \
      "A shared subscription's name with a wildcard, or without a topic filter behind it")         \
    X(SUBACK_REASON, ERR_PROTOCOL, PROTOCOL_ERROR, "MQTT-3.9.3-2", "MQTT-3.9.3-2",                 \
      "A reason that SUBACK cannot have")                                                          \
    X(UNSUBSCRIBE_EMPTY, ERR_PROTOCOL, PROTOCOL_ERROR, "MQTT-3.10.3-2", "MQTT-3.10.3-2",           \
      "An UNSUBSCRIBE without a topic filter")                                                     \
    X(UNSUBACK_REASON, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, "MQTT-3.11.3-2",             \
      "A reason that UNSUBACK cannot have")                                                        \
    X(DISCONNECT_REASON, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, "MQTT-3.14.2-1",           \
      "A reason that DISCONNECT cannot have")                                                      \
    X(AUTH_REASON, ERR_PROTOCOL, PROTOCOL_ERROR, MQTT_CLOSES_311, "MQTT-3.15.2-1",                 \
      "A reason that AUTH cannot have")

enum mqtt_fault {
    MQTT_FAULT_NONE, /* the packet is in order */
#define MQTT_FAULT(name, error, reason, statement_311, statement_5, text) MQTT_FAULT_##name,
    MQTT_FAULT_TABLE(MQTT_FAULT)
#undef MQTT_FAULT
        MQTT_FAULT_COUNT
};

struct mqtt_fault_row {
    enum error_code error;
    enum mqtt_reason reason;
    const char *statement_311;
    const char *statement_5;
    const char *text;
};

/* How a packet is to be refused. */
struct mqtt_refusal {
    enum mqtt_fault fault;
    enum mqtt_reason reason;  /* for the DISCONNECT, or for the CONNACK of a refused CONNECT */
    const char *statement;    /* "MQTT-3.1.2-3", of the version that is spoken; "": there is none */
    enum mqtt_version answer; /* of a refused CONNECT: as which version the CONNACK is written;
                                 NONE: the connection is closed without one */
};

/* The row of a fault that is not NONE. */
const struct mqtt_fault_row *mqtt_fault_row(enum mqtt_fault fault);

/* OK for NONE. Else fills `ret_refusal` and `why` (if any) for a packet of that version and returns
 * the row's error. */
enum error_code mqtt_fault_tell(enum mqtt_fault fault, enum mqtt_version version,
                                struct mqtt_refusal *ret_refusal, struct error *why);
