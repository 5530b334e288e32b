/* SPDX-License-Identifier: Apache-2.0 */
/* packet.h — an MQTT packet, taken apart: what decode.h gives and encode.h takes.
 *
 * Place:   between the codec and the server.
 * Thread:  values; spans point into the bytes they were decoded from.
 * Bounds:  fixed sizes; lists stay on the wire and are walked there.
 *
 * One struct serves both versions. In 3.1.1 there are no properties, and reasons are SUCCESS but
 * for CONNACK and SUBACK.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/span.h"
#include "protocols/mqtt/property.h"
#include "protocols/mqtt/protocol.h"

struct mqtt_will {
    struct span topic;
    struct span payload;
    uint8_t qos;
    bool is_retained;
    struct mqtt_properties properties;
};

struct mqtt_connect {
    enum mqtt_version version; /* of the whole connection */
    bool is_clean;             /* Clean Start; in 3.1.1 Clean Session */
    bool has_user_name;
    bool has_password;
    bool has_will;
    uint16_t keep_alive_s; /* 0: no limit */
    struct span client_id; /* may be empty */
    struct span user_name;
    struct span password; /* any bytes */
    struct mqtt_properties properties;
    struct mqtt_will will;
};

struct mqtt_connack {
    bool is_session_present;
    enum mqtt_reason reason;
    struct mqtt_properties properties;
};

struct mqtt_publish {
    struct span topic; /* may be empty where there is a topic alias */
    struct span payload;
    uint16_t packet_id; /* 0 in QoS 0 */
    uint8_t qos;
    bool is_repeated; /* DUP */
    bool is_retained;
    struct mqtt_properties properties;
};

/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
struct mqtt_ack {
    uint16_t packet_id;
    enum mqtt_reason reason;
    struct mqtt_properties properties;
};

/* SUBSCRIBE and UNSUBSCRIBE. */
struct mqtt_request {
    uint16_t packet_id;
    uint32_t filter_count;
    struct span filters; /* for mqtt_subscription_next() or mqtt_filter_next() of decode.h */
    struct mqtt_properties properties;
};

/* One entry of a SUBSCRIBE, in the layout of the wire but for its length. */
struct mqtt_subscription {
    struct span filter;  /* as it came */
    struct span share;   /* the name of a shared subscription; empty: it is not shared */
    struct span pattern; /* the filter without `$share/<name>/` */
    uint8_t qos;
    uint8_t
        retain_handling; /* 0: send retained messages; 1: if the subscription is new; 2: never */
    bool is_no_local;
    bool is_retained_as_published;
};

/* SUBACK and UNSUBACK. */
struct mqtt_grants {
    uint16_t packet_id;
    struct span reasons; /* a byte for each filter; none in an UNSUBACK of 3.1.1 */
    struct mqtt_properties properties;
};

/* DISCONNECT and AUTH. */
struct mqtt_notice {
    enum mqtt_reason reason;
    struct mqtt_properties properties;
};

/* Any packet; PINGREQ and PINGRESP have nothing beyond their type. */
struct mqtt_packet {
    enum mqtt_type type;
    union {
        struct mqtt_connect connect;
        struct mqtt_connack connack;
        struct mqtt_publish publish;
        struct mqtt_ack ack;
        struct mqtt_request request;
        struct mqtt_grants grants;
        struct mqtt_notice notice;
    };
};
