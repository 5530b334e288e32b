/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/frame.h"

#include "broker/support/macros.h"
#include "tests/protocols/mqtt/packets.h"

static struct mqtt_refusal refusal;
static struct mqtt_frame frame;

static enum error_code read_bytes(const char *notation, const struct mqtt_dialect *dialect) {
    refusal = (struct mqtt_refusal){0};
    return mqtt_frame_read(bytes_of(notation), dialect, &frame, &refusal, NULL);
}

static void expect_fault(const char *notation, const struct mqtt_dialect *dialect,
                         enum mqtt_fault fault, const char *statement) {
    EXPECT_TRUE(read_bytes(notation, dialect) != OK);
    EXPECT_EQ(refusal.fault, fault);
    EXPECT_STRING(refusal.statement, statement);
}

TEST(an_empty_input_wants_more) {
    EXPECT_EQ(mqtt_frame_read(span_of(NULL, 0), &from_client_5, &frame, NULL, NULL), OK);
    EXPECT_FALSE(frame.is_whole);
    EXPECT_EQ(frame.packet_length, 0);
}

TEST(a_packet_is_whole_with_its_last_byte) {
    EXPECT_EQ(read_bytes("30 05 0001 'a' 'xy' C000", &from_client_311), OK);
    EXPECT_TRUE(frame.is_whole);
    EXPECT_EQ(frame.type, MQTT_PUBLISH);
    EXPECT_EQ(frame.packet_length, 7);
    EXPECT_EQ(frame.body.length, 5);
    EXPECT_EQ(read_bytes("30 05 0001 'a' 'x'", &from_client_311), OK);
    EXPECT_FALSE(frame.is_whole);
    EXPECT_EQ(frame.packet_length, 7);
    EXPECT_EQ(read_bytes("30 80", &from_client_311), OK);
    EXPECT_EQ(frame.packet_length, 0);
}

/* [MQTT-3.1.0-1] */
/* 3.1.1: [MQTT-3.1.0-1] */
TEST(the_first_byte_tells_that_the_first_packet_is_not_connect) {
    static const char *const first_bytes[] = {"30", "C0", "00", "F0", "20", "'GET / HTTP'"};
    for (size_t i = 0; i < ARRAY_COUNT(first_bytes); i++) {
        expect_fault(first_bytes[i], &from_stranger, MQTT_FAULT_CONNECT_MISSING, "MQTT-3.1.0-1");
        EXPECT_EQ(refusal.reason, MQTT_REASON_PROTOCOL_ERROR);
        EXPECT_EQ(refusal.answer, MQTT_VERSION_NONE);
    }
    EXPECT_EQ(read_bytes("10", &from_stranger), OK);
}

TEST(a_reserved_type_is_malformed) {
    expect_fault("00", &from_client_5, MQTT_FAULT_TYPE_RESERVED, "MQTT-4.13.1-1");
    expect_fault("00", &from_client_311, MQTT_FAULT_TYPE_RESERVED, "MQTT-4.8.0-1");
    expect_fault("F0", &from_client_311, MQTT_FAULT_TYPE_RESERVED, "MQTT-4.8.0-1");
    EXPECT_EQ(read_bytes("F000", &from_client_5), OK);
}

TEST(a_client_sends_nothing_that_only_a_server_sends) {
    static const char *const of_server[] = {"20", "90", "B0", "D0"};
    for (size_t i = 0; i < ARRAY_COUNT(of_server); i++) {
        expect_fault(of_server[i], &from_client_5, MQTT_FAULT_SENDER, "MQTT-4.13.1-1");
        EXPECT_EQ(read_bytes(of_server[i], &from_server_5), OK);
    }
    static const char *const of_client[] = {"10", "82", "A2", "C0"};
    for (size_t i = 0; i < ARRAY_COUNT(of_client); i++) {
        expect_fault(of_client[i], &from_server_5, MQTT_FAULT_SENDER, "MQTT-4.13.1-1");
    }
    expect_fault("E000", &from_server_311, MQTT_FAULT_SENDER, "MQTT-4.8.0-1");
}

/* [MQTT-2.1.3-1] */
/* 3.1.1: [MQTT-2.2.2-1] */
/* 3.1.1: [MQTT-2.2.2-2] */
TEST(reserved_flags_are_refused_before_the_length_comes) {
    static const char *const bad[] = {"41", "58", "72", "C1", "44"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        expect_fault(bad[i], &from_client_5, MQTT_FAULT_FLAGS, "MQTT-2.1.3-1");
        EXPECT_EQ(refusal.reason, MQTT_REASON_MALFORMED_PACKET);
        expect_fault(bad[i], &from_client_311, MQTT_FAULT_FLAGS, "MQTT-2.2.2-2");
    }
    expect_fault("11", &from_stranger, MQTT_FAULT_FLAGS, "MQTT-2.1.3-1");
    expect_fault("16 0301", &from_stranger, MQTT_FAULT_FLAGS, "MQTT-2.1.3-1"); /* TLS */
}

/* [MQTT-3.6.1-1] */
/* 3.1.1: [MQTT-3.6.1-1] */
TEST(the_flags_of_pubrel_are_0010) {
    expect_fault("60", &from_client_5, MQTT_FAULT_FLAGS_PUBREL, "MQTT-3.6.1-1");
    expect_fault("63", &from_client_311, MQTT_FAULT_FLAGS_PUBREL, "MQTT-3.6.1-1");
    EXPECT_EQ(read_bytes("62", &from_client_5), OK);
}

/* [MQTT-3.8.1-1] */
/* 3.1.1: [MQTT-3.8.1-1] */
TEST(the_flags_of_subscribe_are_0010) {
    expect_fault("80", &from_client_5, MQTT_FAULT_FLAGS_SUBSCRIBE, "MQTT-3.8.1-1");
    expect_fault("8A", &from_client_311, MQTT_FAULT_FLAGS_SUBSCRIBE, "MQTT-3.8.1-1");
}

/* [MQTT-3.10.1-1] */
/* 3.1.1: [MQTT-3.10.1-1] */
TEST(the_flags_of_unsubscribe_are_0010) {
    expect_fault("A0", &from_client_5, MQTT_FAULT_FLAGS_UNSUBSCRIBE, "MQTT-3.10.1-1");
    expect_fault("A6", &from_client_311, MQTT_FAULT_FLAGS_UNSUBSCRIBE, "MQTT-3.10.1-1");
}

/* [MQTT-3.14.1-1] */
/* 3.1.1: [MQTT-3.14.1-1] */
TEST(the_flags_of_disconnect_are_0000) {
    expect_fault("E1", &from_client_5, MQTT_FAULT_FLAGS_DISCONNECT, "MQTT-3.14.1-1");
    expect_fault("E8", &from_client_311, MQTT_FAULT_FLAGS_DISCONNECT, "MQTT-3.14.1-1");
    EXPECT_EQ(refusal.reason, MQTT_REASON_MALFORMED_PACKET);
}

/* [MQTT-3.15.1-1] */
TEST(the_flags_of_auth_are_0000) {
    expect_fault("F2", &from_client_5, MQTT_FAULT_FLAGS_AUTH, "MQTT-3.15.1-1");
}

/* [MQTT-3.3.1-4] */
/* 3.1.1: [MQTT-3.3.1-4] */
TEST(a_publish_of_qos_3_is_refused_by_its_first_byte) {
    expect_fault("36", &from_client_5, MQTT_FAULT_PUBLISH_QOS, "MQTT-3.3.1-4");
    EXPECT_EQ(refusal.reason, MQTT_REASON_MALFORMED_PACKET);
    expect_fault("3F", &from_client_311, MQTT_FAULT_PUBLISH_QOS, "MQTT-3.3.1-4");
}

/* [MQTT-3.3.1-2] */
/* 3.1.1: [MQTT-3.3.1-2] */
TEST(a_publish_of_qos_0_is_no_repetition) {
    expect_fault("38", &from_client_5, MQTT_FAULT_PUBLISH_DUP, "MQTT-3.3.1-2");
    expect_fault("39", &from_client_311, MQTT_FAULT_PUBLISH_DUP, "MQTT-3.3.1-2");
    EXPECT_EQ(read_bytes("3A", &from_client_5), OK);
    EXPECT_EQ(read_bytes("3D", &from_client_5), OK);
}

/* [MQTT-1.5.5-1] */
TEST(a_length_of_five_bytes_is_malformed) {
    expect_fault("30 80808080", &from_client_5, MQTT_FAULT_LENGTH_ENDLESS, "MQTT-1.5.5-1");
    expect_fault("30 FFFFFFFF", &from_client_311, MQTT_FAULT_LENGTH_ENDLESS, "MQTT-4.8.0-1");
    expect_fault("10 FFFFFFFF7F", &from_stranger, MQTT_FAULT_LENGTH_ENDLESS, "MQTT-1.5.5-1");
}

/* [MQTT-1.5.5-1] */
TEST(a_length_that_is_not_in_its_shortest_form_is_malformed_in_the_newer_version) {
    expect_fault("C0 8000", &from_client_5, MQTT_FAULT_LENGTH_NOT_SHORTEST, "MQTT-1.5.5-1");
    expect_fault("30 85808000", &from_client_5, MQTT_FAULT_LENGTH_NOT_SHORTEST, "MQTT-1.5.5-1");
    EXPECT_EQ(read_bytes("C0 8000", &from_client_311), OK); /* which does not forbid it */
    EXPECT_TRUE(frame.is_whole);
}

/* [MQTT-3.2.2-15] */
TEST(a_packet_is_refused_by_its_length_before_its_body_comes) {
    struct mqtt_dialect dialect = {MQTT_VERSION_5, MQTT_CLIENT, 100};
    EXPECT_EQ(read_bytes("30 62", &dialect), OK); /* 98 and 2 of header */
    EXPECT_EQ(frame.packet_length, 100);
    EXPECT_EQ(read_bytes("30 63", &dialect), ERR_TOO_LARGE);
    EXPECT_EQ(refusal.reason, MQTT_REASON_PACKET_TOO_LARGE);
    EXPECT_STRING(refusal.statement, "MQTT-3.2.2-15");
    EXPECT_EQ(read_bytes("30 FFFFFF7F", &dialect), ERR_TOO_LARGE);
    dialect.version = MQTT_VERSION_NONE;
    EXPECT_EQ(read_bytes("10 FFFFFF7F", &dialect), ERR_TOO_LARGE);
}

TEST(the_greatest_length_of_all_is_no_overflow) {
    struct mqtt_dialect dialect = {MQTT_VERSION_5, MQTT_CLIENT, UINT32_MAX};
    EXPECT_EQ(read_bytes("30 FFFFFF7F", &dialect), OK);
    EXPECT_FALSE(frame.is_whole);
    EXPECT_EQ(frame.packet_length, 268435460);
}

TEST(a_body_where_there_is_none_is_refused_by_its_length) {
    expect_fault("C0 01", &from_client_5, MQTT_FAULT_BODY_LONG, "MQTT-4.13.1-1");
    expect_fault("D0 01", &from_server_5, MQTT_FAULT_BODY_LONG, "MQTT-4.13.1-1");
    expect_fault("E0 01", &from_client_311, MQTT_FAULT_BODY_LONG, "MQTT-4.8.0-1");
    expect_fault("40 03", &from_client_311, MQTT_FAULT_BODY_LONG, "MQTT-4.8.0-1");
    EXPECT_EQ(read_bytes("40 03", &from_client_5), OK);
}

UNIT_TESTS(UNIT(an_empty_input_wants_more), UNIT(a_packet_is_whole_with_its_last_byte),
           UNIT(the_first_byte_tells_that_the_first_packet_is_not_connect),
           UNIT(a_reserved_type_is_malformed),
           UNIT(a_client_sends_nothing_that_only_a_server_sends),
           UNIT(reserved_flags_are_refused_before_the_length_comes),
           UNIT(the_flags_of_pubrel_are_0010), UNIT(the_flags_of_subscribe_are_0010),
           UNIT(the_flags_of_unsubscribe_are_0010), UNIT(the_flags_of_disconnect_are_0000),
           UNIT(the_flags_of_auth_are_0000), UNIT(a_publish_of_qos_3_is_refused_by_its_first_byte),
           UNIT(a_publish_of_qos_0_is_no_repetition), UNIT(a_length_of_five_bytes_is_malformed),
           UNIT(a_length_that_is_not_in_its_shortest_form_is_malformed_in_the_newer_version),
           UNIT(a_packet_is_refused_by_its_length_before_its_body_comes),
           UNIT(the_greatest_length_of_all_is_no_overflow),
           UNIT(a_body_where_there_is_none_is_refused_by_its_length))
