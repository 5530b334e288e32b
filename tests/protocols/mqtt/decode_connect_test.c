/* SPDX-License-Identifier: Apache-2.0 */
/* CONNECT, the part of decode.h that strangers reach. */
#include "tests/protocols/mqtt/packets.h"

#define EXPECT_ANSWERED(body, expected_reason, expected_statement, expected_answer)                \
    do {                                                                                           \
        struct mqtt_refusal connect_refusal = refused(&from_stranger, 0x10, body);                 \
        EXPECT_STRING(connect_refusal.statement, expected_statement);                              \
        EXPECT_EQ(connect_refusal.reason, expected_reason);                                        \
        EXPECT_EQ(connect_refusal.answer, expected_answer);                                        \
    } while (0)

#define EXPECT_SILENCE(body, expected_statement)                                                   \
    EXPECT_ANSWERED(body, MQTT_REASON_MALFORMED_PACKET, expected_statement, MQTT_VERSION_NONE)

#define EXPECT_MALFORMED(body, expected_statement)                                                 \
    EXPECT_ANSWERED(body, MQTT_REASON_MALFORMED_PACKET, expected_statement, MQTT_VERSION_5)

static const struct mqtt_connect *connected(const char *body) {
    return &decoded(&from_stranger, 0x10, body)->connect;
}

/* Figure 3.6 of 3.1.1, with a payload. */
/* 3.1.1: [MQTT-3.1.3-1] */
TEST(the_connect_of_the_older_specification_is_read) {
    const struct mqtt_connect *connect = connected(
        "0004 'MQTT' 04 CE 000A 0002 'id' 0004 'will' 0003 'bye' 0004 'user' 0004 'pass'");
    EXPECT_EQ(connect->version, MQTT_VERSION_3_1_1);
    EXPECT_TRUE(connect->is_clean);
    EXPECT_EQ(connect->keep_alive_s, 10);
    EXPECT_SPAN(connect->client_id, "id");
    EXPECT_TRUE(connect->has_will);
    EXPECT_EQ(connect->will.qos, 1);
    EXPECT_FALSE(connect->will.is_retained);
    EXPECT_SPAN(connect->will.topic, "will");
    EXPECT_SPAN(connect->will.payload, "bye");
    EXPECT_SPAN(connect->user_name, "user");
    EXPECT_SPAN(connect->password, "pass");
    EXPECT_EQ(connect->properties.present, 0);
    EXPECT_EQ(connect->will.properties.present, 0);
}

/* Figure 3-6 of 5.0, with a payload. */
/* [MQTT-3.1.3-1] */
TEST(the_connect_of_the_newer_specification_is_read) {
    const struct mqtt_connect *connect = connected(
        "0004 'MQTT' 05 CE 000A 05 11 0000000A 0002 'id' 05 18 00000003 0004 'will' 0003 'bye' "
        "0004 'user' 0004 'pass'");
    EXPECT_EQ(connect->version, MQTT_VERSION_5);
    EXPECT_EQ(connect->properties.session_expiry_interval, 10);
    EXPECT_EQ(connect->will.properties.will_delay_interval, 3);
    EXPECT_SPAN(connect->will.payload, "bye");
    EXPECT_SPAN(connect->password, "pass");
}

TEST(the_smallest_connects_are_read) {
    EXPECT_EQ(connected("0004 'MQTT' 04 02 0000 0000")->client_id.length, 0);
    const struct mqtt_connect *connect = connected("0004 'MQTT' 05 00 0000 00 0000");
    EXPECT_FALSE(connect->is_clean); /* and 5.0 assigns an identifier all the same */
    EXPECT_FALSE(connect->has_will);
    EXPECT_FALSE(connect->has_user_name);
}

TEST(a_will_may_be_retained_empty_and_of_qos_2) {
    const struct mqtt_connect *connect = connected("0004 'MQTT' 04 36 0000 0001 'c' 0001 'w' 0000");
    EXPECT_TRUE(connect->will.is_retained);
    EXPECT_EQ(connect->will.qos, 2);
    EXPECT_EQ(connect->will.payload.length, 0);
}

TEST(a_password_is_any_bytes) {
    const struct mqtt_connect *connect =
        connected("0004 'MQTT' 04 C2 0000 0001 'c' 0001 'u' 0003 00FF80");
    EXPECT_EQ(connect->password.length, 3);
}

/* [MQTT-3.1.2-1] */
/* 3.1.1: [MQTT-3.1.2-1] */
TEST(another_protocol_is_closed_in_silence) {
    EXPECT_ANSWERED("0004 'mqtt' 05 02 0000 00 0000", MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION,
                    "MQTT-3.1.2-1", MQTT_VERSION_NONE);
    EXPECT_ANSWERED("0005 'MQTTT' 05 02 0000 00 0000", MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION,
                    "MQTT-3.1.2-1", MQTT_VERSION_NONE);
    EXPECT_ANSWERED("0000 05", MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION, "MQTT-3.1.2-1",
                    MQTT_VERSION_NONE);
}

/* 3.1.1: [MQTT-3.1.2-2] */
TEST(an_older_level_is_answered_in_the_form_of_the_older_version) {
    static const char *const older[] = {"0004 'MQTT' 03 02 003C 0000",
                                        "0004 'MQTT' 00 02 003C 0000",
                                        "0006 'MQIsdp' 03 02 003C 0001 'c'",
                                        "0004 'MQTT' 84 02 003C 0000"}; /* Mosquitto's bridge */
    for (size_t i = 0; i < ARRAY_COUNT(older); i++) {
        EXPECT_ANSWERED(older[i], MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION, "MQTT-3.1.2-2",
                        MQTT_VERSION_3_1_1);
    }
}

/* [MQTT-3.1.2-2] */
TEST(a_newer_level_is_answered_in_the_form_of_the_newest_version) {
    EXPECT_ANSWERED("0004 'MQTT' 06 02 003C 00 0000", MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION,
                    "MQTT-3.1.2-2", MQTT_VERSION_5);
    EXPECT_ANSWERED("0004 'MQTT' 7F 02", MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION, "MQTT-3.1.2-2",
                    MQTT_VERSION_5);
}

/* [MQTT-3.1.2-3] */
/* 3.1.1: [MQTT-3.1.2-3] */
TEST(the_reserved_flag_of_connect_is_0) {
    EXPECT_MALFORMED("0004 'MQTT' 05 03 0000 00 0000", "MQTT-3.1.2-3");
    EXPECT_SILENCE("0004 'MQTT' 04 03 0000 0000", "MQTT-3.1.2-3");
}

/* [MQTT-3.1.2-11] */
/* 3.1.1: [MQTT-3.1.2-13] */
/* 3.1.1: [MQTT-3.1.2-11] */
TEST(without_a_will_its_qos_is_0) {
    EXPECT_MALFORMED("0004 'MQTT' 05 0A 0000 00 0000", "MQTT-3.1.2-11");
    EXPECT_MALFORMED("0004 'MQTT' 05 1A 0000 00 0000", "MQTT-3.1.2-11");
    EXPECT_SILENCE("0004 'MQTT' 04 12 0000 0000", "MQTT-3.1.2-13");
}

/* [MQTT-3.1.2-12] */
/* 3.1.1: [MQTT-3.1.2-14] */
TEST(a_will_is_not_of_qos_3) {
    EXPECT_MALFORMED("0004 'MQTT' 05 1E 0000 00 0000 00 0001 'w' 0000", "MQTT-3.1.2-12");
    EXPECT_SILENCE("0004 'MQTT' 04 1E 0000 0000 0001 'w' 0000", "MQTT-3.1.2-14");
}

/* [MQTT-3.1.2-13] */
/* 3.1.1: [MQTT-3.1.2-15] */
TEST(without_a_will_it_is_not_retained) {
    EXPECT_MALFORMED("0004 'MQTT' 05 22 0000 00 0000", "MQTT-3.1.2-13");
    EXPECT_SILENCE("0004 'MQTT' 04 22 0000 0000", "MQTT-3.1.2-15");
}

/* 3.1.1: [MQTT-3.1.2-22] */
TEST(a_password_without_a_user_name_is_for_the_newer_version_alone) {
    EXPECT_SILENCE("0004 'MQTT' 04 42 0000 0000 0002 'pw'", "MQTT-3.1.2-22");
    const struct mqtt_connect *connect = connected("0004 'MQTT' 05 42 0000 00 0000 0002 'pw'");
    EXPECT_FALSE(connect->has_user_name);
    EXPECT_SPAN(connect->password, "pw");
}

/* [MQTT-3.1.2-9] */
/* 3.1.1: [MQTT-3.1.2-9] */
TEST(a_will_that_was_announced_is_there) {
    EXPECT_MALFORMED("0004 'MQTT' 05 06 0000 00 0000", "MQTT-3.1.2-9");
    EXPECT_MALFORMED("0004 'MQTT' 05 06 0000 00 0000 00 0001 'w'", "MQTT-3.1.2-9");
    EXPECT_SILENCE("0004 'MQTT' 04 06 0000 0000", "MQTT-3.1.2-9");
    EXPECT_SILENCE("0004 'MQTT' 04 06 0000 0000 0001 'w' 0002 'x'", "MQTT-3.1.2-9");
}

/* [MQTT-3.1.2-17] */
/* 3.1.1: [MQTT-3.1.2-19] */
TEST(a_user_name_that_was_announced_is_there) {
    EXPECT_MALFORMED("0004 'MQTT' 05 82 0000 00 0000", "MQTT-3.1.2-17");
    EXPECT_SILENCE("0004 'MQTT' 04 82 0000 0000 0002 'u'", "MQTT-3.1.2-19");
}

/* [MQTT-3.1.2-19] */
/* 3.1.1: [MQTT-3.1.2-21] */
TEST(a_password_that_was_announced_is_there) {
    EXPECT_MALFORMED("0004 'MQTT' 05 C2 0000 00 0000 0001 'u'", "MQTT-3.1.2-19");
    EXPECT_SILENCE("0004 'MQTT' 04 C2 0000 0000 0001 'u' 0003 'pw'", "MQTT-3.1.2-21");
}

/* [MQTT-3.1.2-16] */
/* [MQTT-3.1.2-18] */
/* 3.1.1: [MQTT-3.1.2-18] */
/* 3.1.1: [MQTT-3.1.2-20] */
TEST(a_field_that_was_not_announced_is_not_there) {
    EXPECT_MALFORMED("0004 'MQTT' 05 02 0000 00 0000 0001 'u'", "MQTT-3.1.2-18");
    EXPECT_MALFORMED("0004 'MQTT' 05 82 0000 00 0000 0001 'u' 00", "MQTT-3.1.2-18");
    EXPECT_SILENCE("0004 'MQTT' 04 02 0000 0001 'c' 0001 'u'", "MQTT-3.1.2-20");
    EXPECT_SILENCE("0004 'MQTT' 04 82 0000 0001 'c' 0001 'u' 0001 'p'", "MQTT-3.1.2-20");
}

/* [MQTT-3.1.3-3] */
/* 3.1.1: [MQTT-3.1.3-3] */
TEST(a_client_identifier_is_always_there) {
    EXPECT_MALFORMED("0004 'MQTT' 05 02 0000 00", "MQTT-3.1.3-3");
    EXPECT_MALFORMED("0004 'MQTT' 05 02 0000 00 00", "MQTT-3.1.3-3");
    EXPECT_SILENCE("0004 'MQTT' 04 02 0000 0005 'c'", "MQTT-3.1.3-3");
}

/* [MQTT-3.1.3-4] */
/* 3.1.1: [MQTT-3.1.3-4] */
TEST(a_client_identifier_is_a_string) {
    EXPECT_MALFORMED("0004 'MQTT' 05 02 0000 00 0001 FF", "MQTT-1.5.4-1");
    EXPECT_MALFORMED("0004 'MQTT' 05 02 0000 00 0001 00", "MQTT-1.5.4-2");
    EXPECT_SILENCE("0004 'MQTT' 04 02 0000 0003 EDA080", "MQTT-1.5.3-1");
}

/* [MQTT-3.1.3-11] */
/* 3.1.1: [MQTT-3.1.3-10] */
TEST(the_topic_of_a_will_is_a_string) {
    EXPECT_MALFORMED("0004 'MQTT' 05 06 0000 00 0000 00 0001 80 0000", "MQTT-1.5.4-1");
    EXPECT_SILENCE("0004 'MQTT' 04 06 0000 0000 0001 00 0000", "MQTT-1.5.3-2");
}

/* [MQTT-3.1.3-12] */
/* 3.1.1: [MQTT-3.1.3-11] */
TEST(a_user_name_is_a_string) {
    EXPECT_MALFORMED("0004 'MQTT' 05 82 0000 00 0000 0001 C3", "MQTT-1.5.4-1");
    EXPECT_SILENCE("0004 'MQTT' 04 82 0000 0001 'c' 0002 C080", "MQTT-1.5.3-1");
}

/* [MQTT-4.7.0-1] */
/* 3.1.1: [MQTT-4.7.1-1] */
TEST(the_topic_of_a_will_has_no_wildcard) {
    EXPECT_ANSWERED("0004 'MQTT' 05 06 0000 00 0000 00 0003 'a/+' 0000",
                    MQTT_REASON_TOPIC_NAME_INVALID, "MQTT-4.7.0-1", MQTT_VERSION_5);
    EXPECT_ANSWERED("0004 'MQTT' 04 06 0000 0000 0001 '#' 0000", MQTT_REASON_TOPIC_NAME_INVALID,
                    "MQTT-4.7.1-1", MQTT_VERSION_NONE);
}

/* [MQTT-4.7.3-1] */
/* 3.1.1: [MQTT-4.7.3-1] */
TEST(the_topic_of_a_will_is_not_empty) {
    EXPECT_ANSWERED("0004 'MQTT' 05 06 0000 00 0000 00 0000 0000", MQTT_REASON_TOPIC_NAME_INVALID,
                    "MQTT-4.7.3-1", MQTT_VERSION_5);
}

/* 3.1.1: [MQTT-3.1.3-7] */
/* 3.1.1: [MQTT-3.1.3-8] */
TEST(a_session_without_a_name_is_refused_with_return_code_2) {
    EXPECT_ANSWERED("0004 'MQTT' 04 00 0000 0000", MQTT_REASON_CLIENT_IDENTIFIER_NOT_VALID,
                    "MQTT-3.1.3-8", MQTT_VERSION_3_1_1);
    EXPECT_EQ(mqtt_reason_to_connack_311(MQTT_REASON_CLIENT_IDENTIFIER_NOT_VALID), 2);
}

/* [MQTT-3.1.4-1] */
/* 3.1.1: [MQTT-3.1.4-1] */
TEST(a_connect_that_ends_early_is_malformed) {
    EXPECT_MALFORMED("0004 'MQTT' 05", "MQTT-3.1.4-1");
    EXPECT_MALFORMED("0004 'MQTT' 05 02 00", "MQTT-3.1.4-1");
    EXPECT_SILENCE("0004 'MQTT' 04 02 00", "MQTT-3.1.4-1");
    EXPECT_SILENCE("0004 'MQTT'", "MQTT-3.1.4-1");
    EXPECT_SILENCE("0004 'MQT'", "MQTT-3.1.4-1");
    EXPECT_SILENCE("", "MQTT-3.1.4-1");
}

/* [MQTT-1.5.5-1] */
TEST(the_length_of_a_connect_is_in_its_shortest_form) {
    struct mqtt_packet packet;
    struct mqtt_refusal refusal;
    EXPECT_EQ(read_packet(bytes_of("10 8D00 0004'MQTT' 05 02 0000 00 0000"), &from_stranger,
                          &packet, &refusal, NULL),
              ERR_PROTOCOL);
    EXPECT_STRING(refusal.statement, "MQTT-1.5.5-1");
    EXPECT_EQ(refusal.answer, MQTT_VERSION_5);
    EXPECT_EQ(read_packet(bytes_of("10 8C00 0004'MQTT' 04 02 0000 0000"), &from_stranger, &packet,
                          &refusal, NULL),
              OK);
}

TEST(authentication_data_needs_a_method) {
    EXPECT_ANSWERED("0004 'MQTT' 05 02 0000 04 16 0001 'd' 0000", MQTT_REASON_PROTOCOL_ERROR,
                    "MQTT-4.13.1-1", MQTT_VERSION_5);
    EXPECT_SPAN(connected("0004 'MQTT' 05 02 0000 08 16 0001 'd' 15 0001 'm' 0000")
                    ->properties.authentication_method,
                "m");
}

TEST(a_fault_in_the_properties_is_answered_with_its_reason) {
    EXPECT_ANSWERED("0004 'MQTT' 05 02 0000 06 21 0001 21 0001 0000", MQTT_REASON_PROTOCOL_ERROR,
                    "MQTT-4.13.1-1", MQTT_VERSION_5);
    EXPECT_MALFORMED("0004 'MQTT' 05 02 0000 02 0101 0000", "MQTT-4.13.1-1");
    EXPECT_MALFORMED("0004 'MQTT' 05 06 0000 00 0000 05 11 00000001 0001 'w' 0000",
                     "MQTT-4.13.1-1"); /* of the will */
}

UNIT_TESTS(UNIT(the_connect_of_the_older_specification_is_read),
           UNIT(the_connect_of_the_newer_specification_is_read),
           UNIT(the_smallest_connects_are_read), UNIT(a_will_may_be_retained_empty_and_of_qos_2),
           UNIT(a_password_is_any_bytes), UNIT(another_protocol_is_closed_in_silence),
           UNIT(an_older_level_is_answered_in_the_form_of_the_older_version),
           UNIT(a_newer_level_is_answered_in_the_form_of_the_newest_version),
           UNIT(the_reserved_flag_of_connect_is_0), UNIT(without_a_will_its_qos_is_0),
           UNIT(a_will_is_not_of_qos_3), UNIT(without_a_will_it_is_not_retained),
           UNIT(a_password_without_a_user_name_is_for_the_newer_version_alone),
           UNIT(a_will_that_was_announced_is_there), UNIT(a_user_name_that_was_announced_is_there),
           UNIT(a_password_that_was_announced_is_there),
           UNIT(a_field_that_was_not_announced_is_not_there),
           UNIT(a_client_identifier_is_always_there), UNIT(a_client_identifier_is_a_string),
           UNIT(the_topic_of_a_will_is_a_string), UNIT(a_user_name_is_a_string),
           UNIT(the_topic_of_a_will_has_no_wildcard), UNIT(the_topic_of_a_will_is_not_empty),
           UNIT(a_session_without_a_name_is_refused_with_return_code_2),
           UNIT(a_connect_that_ends_early_is_malformed),
           UNIT(the_length_of_a_connect_is_in_its_shortest_form),
           UNIT(authentication_data_needs_a_method),
           UNIT(a_fault_in_the_properties_is_answered_with_its_reason))
