/* SPDX-License-Identifier: Apache-2.0 */
/* connect_test.c has CONNECT, request_test.c SUBSCRIBE and UNSUBSCRIBE. */
#include "protocols/mqtt/decode.h"

#include "tests/protocols/mqtt/packets.h"

#define CONNACK 0x20
#define PUBLISH 0x30
#define PUBLISH_QOS_1 0x32
#define PUBLISH_QOS_2 0x34
#define PUBACK 0x40
#define PUBREC 0x50
#define PUBREL 0x62
#define PUBCOMP 0x70
#define PINGREQ 0xC0
#define PINGRESP 0xD0
#define DISCONNECT 0xE0
#define AUTH 0xF0

/* --- PUBLISH --------------------------------------------------------------------------------- */

/* Figure 3.11 of 3.1.1: topic a/b, packet identifier 10. */
TEST(the_publish_of_the_older_specification_is_read) {
    const struct mqtt_publish *publish =
        &decoded(&from_client_311, PUBLISH_QOS_1, "0003 'a/b' 000A 'hello'")->publish;
    EXPECT_SPAN(publish->topic, "a/b");
    EXPECT_EQ(publish->packet_id, 10);
    EXPECT_EQ(publish->qos, 1);
    EXPECT_FALSE(publish->is_repeated);
    EXPECT_FALSE(publish->is_retained);
    EXPECT_SPAN(publish->payload, "hello");
}

/* Figure 3-9 of 5.0. */
TEST(the_publish_of_the_newer_specification_is_read) {
    const struct mqtt_publish *publish =
        &decoded(&from_client_5, 0x3D, "0003 'a/b' 000A 00 'hello'")->publish;
    EXPECT_EQ(publish->qos, 2);
    EXPECT_TRUE(publish->is_repeated);
    EXPECT_TRUE(publish->is_retained);
    EXPECT_SPAN(publish->payload, "hello");
    EXPECT_EQ(publish->properties.present, 0);
}

/* [MQTT-2.2.1-2] */
/* 3.1.1: [MQTT-2.3.1-5] */
TEST(a_publish_of_qos_0_has_no_packet_identifier) {
    const struct mqtt_publish *publish =
        &decoded(&from_client_311, PUBLISH, "0001 'a' 000A")->publish;
    EXPECT_EQ(publish->packet_id, 0);
    EXPECT_EQ(publish->payload.length, 2);
    EXPECT_EQ(decoded(&from_client_5, PUBLISH, "0001 'a' 00")->publish.payload.length, 0);
}

TEST(the_properties_of_a_publish_are_read) {
    const struct mqtt_publish *publish =
        &decoded(&from_client_5, PUBLISH,
                 "0001 'a' 15 01 01 02 00000005 26 0001 'k' 0001 'v' 08 0001 'r' 09 0000 'payload'")
             ->publish;
    EXPECT_EQ(publish->properties.payload_format_indicator, 1);
    EXPECT_EQ(publish->properties.message_expiry_interval, 5);
    EXPECT_SPAN(publish->properties.response_topic, "r");
    EXPECT_TRUE(mqtt_has(&publish->properties, MQTT_PROPERTY_CORRELATION_DATA));
    EXPECT_EQ(publish->properties.correlation_data.length, 0);
    EXPECT_EQ(publish->properties.user_property_count, 1);
    EXPECT_SPAN(publish->payload, "payload");
}

/* [MQTT-3.3.4-4] */
TEST(a_delivery_has_the_identifiers_of_several_subscriptions) {
    const struct mqtt_publish *publish =
        &decoded(&from_server_5, PUBLISH, "0001 'a' 06 0B01 0BFFFF03 'x'")->publish;
    struct span rest = publish->properties.subscription_identifiers;
    uint32_t identifier = 0;
    EXPECT_TRUE(mqtt_subscription_identifier_next(&rest, &identifier));
    EXPECT_TRUE(mqtt_subscription_identifier_next(&rest, &identifier));
    EXPECT_EQ(identifier, 65535);
    EXPECT_FALSE(mqtt_subscription_identifier_next(&rest, &identifier));
}

/* [MQTT-3.3.4-6] */
TEST(a_publish_of_a_client_has_no_subscription_identifier) {
    EXPECT_REFUSED(from_client_5, PUBLISH, "0001 'a' 02 0B01", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-3.3.4-6");
}

/* [MQTT-3.3.2-1] */
/* 3.1.1: [MQTT-3.3.2-1] */
TEST(a_topic_is_a_string) {
    EXPECT_REFUSED(from_client_5, PUBLISH, "0002 C328 00", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-1.5.4-1");
    EXPECT_REFUSED(from_client_311, PUBLISH, "0003 EDA080", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-1.5.3-1");
    EXPECT_REFUSED(from_client_5, PUBLISH, "0003 'a'", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-4.13.1-1");
    EXPECT_REFUSED(from_client_311, PUBLISH, "00", MQTT_REASON_MALFORMED_PACKET, "MQTT-4.8.0-1");
}

/* [MQTT-1.5.4-2] */
/* [MQTT-4.7.3-2] */
/* 3.1.1: [MQTT-1.5.3-2] */
/* 3.1.1: [MQTT-4.7.3-2] */
TEST(a_topic_has_no_u_0000) {
    EXPECT_REFUSED(from_client_5, PUBLISH, "0003 'a' 00 'b' 00", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-1.5.4-2");
    EXPECT_REFUSED(from_client_311, PUBLISH, "0001 00", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-1.5.3-2");
}

/* [MQTT-3.3.2-2] */
/* [MQTT-4.7.0-1] */
/* 3.1.1: [MQTT-3.3.2-2] */
/* 3.1.1: [MQTT-4.7.1-1] */
TEST(a_topic_has_no_wildcard) {
    EXPECT_REFUSED(from_client_5, PUBLISH, "0003 'a/#' 00", MQTT_REASON_TOPIC_NAME_INVALID,
                   "MQTT-3.3.2-2");
    EXPECT_REFUSED(from_client_311, PUBLISH, "0003 'a+b'", MQTT_REASON_TOPIC_NAME_INVALID,
                   "MQTT-3.3.2-2");
}

/* [MQTT-4.7.3-1] */
/* 3.1.1: [MQTT-4.7.3-1] */
TEST(a_topic_is_empty_only_beside_an_alias) {
    EXPECT_REFUSED(from_client_5, PUBLISH, "0000 00 'x'", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-4.7.3-1");
    EXPECT_REFUSED(from_client_311, PUBLISH, "0000 'x'", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-4.7.3-1");
    EXPECT_EQ(
        decoded(&from_client_5, PUBLISH, "0000 03 23 0001 'x'")->publish.properties.topic_alias, 1);
}

/* [MQTT-4.7.3-3] */
/* 3.1.1: [MQTT-4.7.3-3] */
TEST(a_topic_has_at_most_65535_bytes_and_all_of_them_are_taken) {
    static uint8_t topic[MQTT_STRING_BYTES_MAX];
    struct mqtt_packet packet = {.type = MQTT_PUBLISH};
    memset(topic, 'a', sizeof(topic));
    packet.publish.topic = span_of(topic, sizeof(topic));
    struct span bytes = encoded(&from_client_5, &packet);
    EXPECT_EQ(read_packet(bytes, &from_client_5, &packet, NULL, NULL), OK);
    EXPECT_EQ(packet.publish.topic.length, 65535);
    EXPECT_EQ(packet.publish.payload.length, 0);
}

/* [MQTT-3.3.2-8] */
TEST(a_publish_has_no_topic_alias_of_0) {
    EXPECT_REFUSED(from_client_5, PUBLISH, "0001 'a' 03 23 0000", MQTT_REASON_TOPIC_ALIAS_INVALID,
                   "MQTT-3.3.2-8");
}

/* [MQTT-2.2.1-3] */
/* [MQTT-2.2.1-4] */
/* 3.1.1: [MQTT-2.3.1-1] */
TEST(the_packet_identifier_of_a_publish_is_not_0) {
    EXPECT_REFUSED(from_client_5, PUBLISH_QOS_1, "0001 'a' 0000 00", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-2.2.1-3");
    EXPECT_REFUSED(from_server_5, PUBLISH_QOS_2, "0001 'a' 0000 00", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-2.2.1-3");
    EXPECT_REFUSED(from_client_311, PUBLISH_QOS_2, "0001 'a' 0000", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-2.3.1-1");
    EXPECT_REFUSED(from_client_311, PUBLISH_QOS_1, "0001 'a' 00", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-4.8.0-1");
}

TEST(a_publish_without_its_properties_is_malformed) {
    EXPECT_REFUSED(from_client_5, PUBLISH, "0001 'a'", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-4.13.1-1");
    EXPECT_REFUSED(from_client_5, PUBLISH, "0001 'a' 05 01", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-4.13.1-1");
}

/* --- acknowledgements ------------------------------------------------------------------------ */

static const uint8_t acks[] = {PUBACK, PUBREC, PUBREL, PUBCOMP};

TEST(an_acknowledgement_of_the_older_version_is_a_packet_identifier) {
    for (size_t i = 0; i < ARRAY_COUNT(acks); i++) {
        const struct mqtt_ack *ack = &decoded(&from_client_311, acks[i], "1234")->ack;
        EXPECT_EQ(ack->packet_id, 0x1234);
        EXPECT_EQ(ack->reason, MQTT_REASON_SUCCESS);
    }
}

TEST(an_acknowledgement_of_the_newer_version_has_three_lengths) {
    static const char *const bodies[] = {"0001", "0001 92", "0001 92 00",
                                         "0001 92 0C 1F 0002 'no' 26 0001 'k' 0001 'v'"};
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
        const struct mqtt_ack *ack = &decoded(&from_client_5, PUBREL, bodies[i])->ack;
        EXPECT_EQ(ack->packet_id, 1);
        EXPECT_EQ(ack->reason,
                  i == 0 ? MQTT_REASON_SUCCESS : MQTT_REASON_PACKET_IDENTIFIER_NOT_FOUND);
        EXPECT_EQ(ack->properties.user_property_count, i == 3);
    }
}

/* [MQTT-3.4.2-1] */
TEST(a_puback_has_a_reason_of_its_table) {
    EXPECT_EQ(decoded(&from_client_5, PUBACK, "0001 97")->ack.reason, MQTT_REASON_QUOTA_EXCEEDED);
    EXPECT_REFUSED(from_client_5, PUBACK, "0001 92", MQTT_REASON_PROTOCOL_ERROR, "MQTT-3.4.2-1");
    EXPECT_REFUSED(from_client_5, PUBACK, "0001 55 00", MQTT_REASON_PROTOCOL_ERROR, "MQTT-3.4.2-1");
}

/* [MQTT-3.5.2-1] */
TEST(a_pubrec_has_a_reason_of_its_table) {
    EXPECT_EQ(decoded(&from_client_5, PUBREC, "0001 10")->ack.reason,
              MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
    EXPECT_REFUSED(from_client_5, PUBREC, "0001 04", MQTT_REASON_PROTOCOL_ERROR, "MQTT-3.5.2-1");
}

/* [MQTT-3.6.2-1] */
TEST(a_pubrel_has_a_reason_of_its_table) {
    EXPECT_REFUSED(from_client_5, PUBREL, "0001 80", MQTT_REASON_PROTOCOL_ERROR, "MQTT-3.6.2-1");
}

/* [MQTT-3.7.2-1] */
TEST(a_pubcomp_has_a_reason_of_its_table) {
    EXPECT_REFUSED(from_client_5, PUBCOMP, "0001 10", MQTT_REASON_PROTOCOL_ERROR, "MQTT-3.7.2-1");
}

/* [MQTT-2.2.1-5] */
/* 3.1.1: [MQTT-2.3.1-6] */
TEST(an_acknowledgement_of_nothing_is_refused) {
    for (size_t i = 0; i < ARRAY_COUNT(acks); i++) {
        EXPECT_REFUSED(from_client_5, acks[i], "0000", MQTT_REASON_PROTOCOL_ERROR, "MQTT-2.2.1-5");
        EXPECT_REFUSED(from_client_311, acks[i], "0000", MQTT_REASON_PROTOCOL_ERROR,
                       "MQTT-2.3.1-6");
        EXPECT_REFUSED(from_client_311, acks[i], "00", MQTT_REASON_MALFORMED_PACKET,
                       "MQTT-4.8.0-1");
    }
}

TEST(bytes_behind_an_acknowledgement_are_malformed) {
    EXPECT_REFUSED(from_client_5, PUBACK, "0001 00 00 00", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-4.13.1-1");
    EXPECT_REFUSED(from_client_311, PUBACK, "0001 00", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-4.8.0-1");
}

/* --- CONNACK --------------------------------------------------------------------------------- */

TEST(a_connack_is_read) {
    const struct mqtt_connack *connack = &decoded(&from_server_311, CONNACK, "01 00")->connack;
    EXPECT_TRUE(connack->is_session_present);
    EXPECT_EQ(connack->reason, MQTT_REASON_SUCCESS);
    connack = &decoded(&from_server_311, CONNACK, "00 05")->connack;
    EXPECT_EQ(connack->reason, MQTT_REASON_NOT_AUTHORIZED);
    connack = &decoded(&from_server_5, CONNACK, "00 00 06 21 000A 22 0014")->connack;
    EXPECT_EQ(connack->properties.receive_maximum, 10);
    EXPECT_EQ(connack->properties.topic_alias_maximum, 20);
}

/* [MQTT-3.2.2-1] */
TEST(the_reserved_flags_of_connack_are_0) {
    EXPECT_REFUSED(from_server_5, CONNACK, "02 00 00", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-3.2.2-1");
}

/* [MQTT-3.2.2-6] */
/* 3.1.1: [MQTT-3.2.2-4] */
TEST(a_connack_that_refuses_has_no_session) {
    EXPECT_REFUSED(from_server_5, CONNACK, "01 80 00", MQTT_REASON_PROTOCOL_ERROR, "MQTT-3.2.2-6");
    EXPECT_REFUSED(from_server_311, CONNACK, "01 01", MQTT_REASON_PROTOCOL_ERROR, "MQTT-3.2.2-4");
}

/* [MQTT-3.2.2-8] */
TEST(a_connack_has_a_reason_of_its_table) {
    EXPECT_REFUSED(from_server_5, CONNACK, "00 8B 00", MQTT_REASON_PROTOCOL_ERROR, "MQTT-3.2.2-8");
    EXPECT_REFUSED(from_server_311, CONNACK, "00 06", MQTT_REASON_PROTOCOL_ERROR, "MQTT-4.8.0-1");
}

TEST(a_connack_that_ends_early_or_late_is_malformed) {
    EXPECT_REFUSED(from_server_5, CONNACK, "00 00", MQTT_REASON_MALFORMED_PACKET, "MQTT-4.13.1-1");
    EXPECT_REFUSED(from_server_5, CONNACK, "00 00 00 00", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-4.13.1-1");
    EXPECT_REFUSED(from_server_311, CONNACK, "00", MQTT_REASON_MALFORMED_PACKET, "MQTT-4.8.0-1");
}

/* --- the rest -------------------------------------------------------------------------------- */

TEST(a_ping_has_no_body) {
    EXPECT_EQ(decoded(&from_client_5, PINGREQ, "")->type, MQTT_PINGREQ);
    EXPECT_EQ(decoded(&from_server_311, PINGRESP, "")->type, MQTT_PINGRESP);
    EXPECT_REFUSED(from_client_5, PINGREQ, "00", MQTT_REASON_MALFORMED_PACKET, "MQTT-4.13.1-1");
}

TEST(a_disconnect_has_three_lengths) {
    EXPECT_EQ(decoded(&from_client_311, DISCONNECT, "")->notice.reason, MQTT_REASON_SUCCESS);
    EXPECT_EQ(decoded(&from_client_5, DISCONNECT, "")->notice.reason, MQTT_REASON_SUCCESS);
    EXPECT_EQ(decoded(&from_client_5, DISCONNECT, "04")->notice.reason,
              MQTT_REASON_DISCONNECT_WITH_WILL);
    EXPECT_EQ(decoded(&from_client_5, DISCONNECT, "00 05 11 00000009")
                  ->notice.properties.session_expiry_interval,
              9);
    EXPECT_SPAN(decoded(&from_server_5, DISCONNECT, "9D 04 1C 0001 's'")
                    ->notice.properties.server_reference,
                "s");
}

/* [MQTT-3.14.2-1] */
TEST(a_disconnect_has_a_reason_that_its_sender_may_have) {
    EXPECT_REFUSED(from_client_5, DISCONNECT, "8B", MQTT_REASON_PROTOCOL_ERROR, "MQTT-3.14.2-1");
    EXPECT_REFUSED(from_client_5, DISCONNECT, "01 00", MQTT_REASON_PROTOCOL_ERROR, "MQTT-3.14.2-1");
    EXPECT_REFUSED(from_server_5, DISCONNECT, "04", MQTT_REASON_PROTOCOL_ERROR, "MQTT-3.14.2-1");
}

/* [MQTT-3.14.2-2] */
TEST(a_disconnect_of_a_server_sets_no_session_expiry) {
    EXPECT_REFUSED(from_server_5, DISCONNECT, "00 05 11 00000009", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-3.14.2-2");
}

TEST(bytes_behind_a_disconnect_are_malformed) {
    EXPECT_REFUSED(from_client_5, DISCONNECT, "00 00 00", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-4.13.1-1");
    EXPECT_REFUSED(from_client_311, DISCONNECT, "00", MQTT_REASON_MALFORMED_PACKET, "MQTT-4.8.0-1");
}

TEST(an_auth_is_read) {
    const struct mqtt_notice *notice =
        &decoded(&from_client_5, AUTH, "18 09 15 0001 'm' 16 0002 'xy'")->notice;
    EXPECT_EQ(notice->reason, MQTT_REASON_CONTINUE_AUTHENTICATION);
    EXPECT_SPAN(notice->properties.authentication_method, "m");
    EXPECT_SPAN(notice->properties.authentication_data, "xy");
    EXPECT_EQ(decoded(&from_server_5, AUTH, "")->notice.reason, MQTT_REASON_SUCCESS);
}

/* [MQTT-3.15.2-1] */
TEST(an_auth_has_a_reason_that_its_sender_may_have) {
    EXPECT_REFUSED(from_client_5, AUTH, "", MQTT_REASON_PROTOCOL_ERROR, "MQTT-3.15.2-1");
    EXPECT_REFUSED(from_client_5, AUTH, "80 00", MQTT_REASON_PROTOCOL_ERROR, "MQTT-3.15.2-1");
    EXPECT_REFUSED(from_server_5, AUTH, "19 04 15 0001 'm'", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-3.15.2-1");
}

/* [MQTT-4.12.0-5] */
TEST(an_auth_names_its_method) {
    EXPECT_REFUSED(from_client_5, AUTH, "18 00", MQTT_REASON_PROTOCOL_ERROR, "MQTT-4.12.0-5");
    EXPECT_REFUSED(from_client_5, AUTH, "18", MQTT_REASON_MALFORMED_PACKET, "MQTT-4.13.1-1");
}

static struct mqtt_frame frame_of(const struct mqtt_dialect *dialect, uint8_t first,
                                  const char *body) {
    struct mqtt_frame frame;
    EXPECT_EQ(mqtt_frame_read(packet_of(first, body), dialect, &frame, NULL, NULL), OK);
    EXPECT_TRUE(frame.is_whole);
    return frame;
}

TEST(a_packet_is_read_by_the_function_of_its_kind_too) {
    struct mqtt_packet packet;
    struct mqtt_frame frame = frame_of(&from_stranger, 0x10, "0004 'MQTT' 04 02 0009 0000");
    EXPECT_EQ(mqtt_decode_connect(&frame, &packet.connect, NULL, NULL), OK);
    EXPECT_EQ(packet.connect.keep_alive_s, 9);
    frame = frame_of(&from_server_311, CONNACK, "00 03");
    EXPECT_EQ(mqtt_decode_connack(&frame, &from_server_311, &packet.connack, NULL, NULL), OK);
    EXPECT_EQ(packet.connack.reason, MQTT_REASON_SERVER_UNAVAILABLE);
    frame = frame_of(&from_client_311, PUBLISH, "0001 'a' 'x'");
    EXPECT_EQ(mqtt_decode_publish(&frame, &from_client_311, &packet.publish, NULL, NULL), OK);
    EXPECT_SPAN(packet.publish.payload, "x");
    frame = frame_of(&from_client_5, PUBREL, "0007");
    EXPECT_EQ(mqtt_decode_ack(&frame, &from_client_5, &packet.ack, NULL, NULL), OK);
    EXPECT_EQ(packet.ack.packet_id, 7);
    frame = frame_of(&from_client_311, 0x82, "0008 0001 'a' 00");
    EXPECT_EQ(mqtt_decode_request(&frame, &from_client_311, &packet.request, NULL, NULL), OK);
    EXPECT_EQ(packet.request.packet_id, 8);
    frame = frame_of(&from_server_5, 0x90, "0009 00 00");
    EXPECT_EQ(mqtt_decode_grants(&frame, &from_server_5, &packet.grants, NULL, NULL), OK);
    EXPECT_EQ(packet.grants.reasons.length, 1);
    frame = frame_of(&from_client_5, DISCONNECT, "04");
    EXPECT_EQ(mqtt_decode_notice(&frame, &from_client_5, &packet.notice, NULL, NULL), OK);
    EXPECT_EQ(packet.notice.reason, MQTT_REASON_DISCONNECT_WITH_WILL);
}

UNIT_TESTS(UNIT(the_publish_of_the_older_specification_is_read),
           UNIT(the_publish_of_the_newer_specification_is_read),
           UNIT(a_publish_of_qos_0_has_no_packet_identifier),
           UNIT(the_properties_of_a_publish_are_read),
           UNIT(a_delivery_has_the_identifiers_of_several_subscriptions),
           UNIT(a_publish_of_a_client_has_no_subscription_identifier), UNIT(a_topic_is_a_string),
           UNIT(a_topic_has_no_u_0000), UNIT(a_topic_has_no_wildcard),
           UNIT(a_topic_has_at_most_65535_bytes_and_all_of_them_are_taken),
           UNIT(a_topic_is_empty_only_beside_an_alias), UNIT(a_publish_has_no_topic_alias_of_0),
           UNIT(the_packet_identifier_of_a_publish_is_not_0),
           UNIT(a_publish_without_its_properties_is_malformed),
           UNIT(an_acknowledgement_of_the_older_version_is_a_packet_identifier),
           UNIT(an_acknowledgement_of_the_newer_version_has_three_lengths),
           UNIT(a_puback_has_a_reason_of_its_table), UNIT(a_pubrec_has_a_reason_of_its_table),
           UNIT(a_pubrel_has_a_reason_of_its_table), UNIT(a_pubcomp_has_a_reason_of_its_table),
           UNIT(an_acknowledgement_of_nothing_is_refused),
           UNIT(bytes_behind_an_acknowledgement_are_malformed), UNIT(a_connack_is_read),
           UNIT(the_reserved_flags_of_connack_are_0), UNIT(a_connack_that_refuses_has_no_session),
           UNIT(a_connack_has_a_reason_of_its_table),
           UNIT(a_connack_that_ends_early_or_late_is_malformed), UNIT(a_ping_has_no_body),
           UNIT(a_disconnect_has_three_lengths),
           UNIT(a_disconnect_has_a_reason_that_its_sender_may_have),
           UNIT(a_disconnect_of_a_server_sets_no_session_expiry),
           UNIT(bytes_behind_a_disconnect_are_malformed), UNIT(an_auth_is_read),
           UNIT(an_auth_has_a_reason_that_its_sender_may_have), UNIT(an_auth_names_its_method),
           UNIT(a_packet_is_read_by_the_function_of_its_kind_too))
