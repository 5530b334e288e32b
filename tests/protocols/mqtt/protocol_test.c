/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/protocol.h"

#include "tests/unit.h"

static const struct mqtt_dialect client_5 = {MQTT_VERSION_5, MQTT_CLIENT, UINT32_MAX};
static const struct mqtt_dialect server_5 = {MQTT_VERSION_5, MQTT_SERVER, UINT32_MAX};
static const struct mqtt_dialect server_311 = {MQTT_VERSION_3_1_1, MQTT_SERVER, UINT32_MAX};

TEST(fifteen_types_exist_and_the_others_do_not) {
    EXPECT_NULL(mqtt_type_row(0));
    for (uint8_t type = 1; type <= 15; type++) {
        EXPECT_NOT_NULL(mqtt_type_row(type));
    }
    EXPECT_NULL(mqtt_type_row(16));
    EXPECT_STRING(mqtt_type_row(MQTT_UNSUBSCRIBE)->text, "UNSUBSCRIBE");
}

TEST(auth_is_nobodys_packet_in_the_older_version) {
    EXPECT_EQ(mqtt_type_row(MQTT_AUTH)->senders_311, MQTT_NOBODY);
    EXPECT_EQ(mqtt_type_row(MQTT_AUTH)->senders_5, MQTT_BOTH);
    EXPECT_EQ(mqtt_type_row(MQTT_DISCONNECT)->senders_311, MQTT_CLIENT);
}

TEST(forty_three_reasons_exist) {
    size_t count = 0;
    for (unsigned value = 0; value <= 0xFF; value++) {
        count += mqtt_reason_row((uint8_t)value) != NULL;
    }
    EXPECT_EQ(count, 43);
    EXPECT_STRING(mqtt_reason_row(0x97)->text, "Quota exceeded");
}

/* How many reasons a packet may have from one side, as in the tables of section 3. */
static size_t count_legal(enum mqtt_type type, const struct mqtt_dialect *dialect) {
    size_t count = 0;
    for (unsigned value = 0; value <= 0xFF; value++) {
        count += mqtt_reason_is_legal((uint8_t)value, type, dialect);
    }
    return count;
}

/* [MQTT-3.2.2-8] */
/* [MQTT-3.4.2-1] */
/* [MQTT-3.5.2-1] */
/* [MQTT-3.6.2-1] */
/* [MQTT-3.7.2-1] */
/* [MQTT-3.9.3-2] */
/* [MQTT-3.11.3-2] */
/* [MQTT-3.15.2-1] */
TEST(a_packet_has_as_many_reasons_as_its_table_in_the_specification) {
    EXPECT_EQ(count_legal(MQTT_CONNACK, &server_5), 22);
    EXPECT_EQ(count_legal(MQTT_PUBACK, &server_5), 9);
    EXPECT_EQ(count_legal(MQTT_PUBREC, &server_5), 9);
    EXPECT_EQ(count_legal(MQTT_PUBACK, &client_5), 9);
    EXPECT_EQ(count_legal(MQTT_PUBREL, &client_5), 2);
    EXPECT_EQ(count_legal(MQTT_PUBCOMP, &server_5), 2);
    EXPECT_EQ(count_legal(MQTT_SUBACK, &server_5), 12);
    EXPECT_EQ(count_legal(MQTT_UNSUBACK, &server_5), 7);
    EXPECT_EQ(count_legal(MQTT_AUTH, &server_5), 2);
    EXPECT_EQ(count_legal(MQTT_AUTH, &client_5), 2);
    EXPECT_EQ(count_legal(MQTT_CONNECT, &client_5), 0);
}

/* [MQTT-3.14.2-1] */
TEST(a_disconnect_has_the_reasons_of_its_sender) {
    EXPECT_EQ(count_legal(MQTT_DISCONNECT, &client_5), 14);
    EXPECT_TRUE(mqtt_reason_is_legal(MQTT_REASON_DISCONNECT_WITH_WILL, MQTT_DISCONNECT, &client_5));
    EXPECT_FALSE(
        mqtt_reason_is_legal(MQTT_REASON_DISCONNECT_WITH_WILL, MQTT_DISCONNECT, &server_5));
    EXPECT_TRUE(mqtt_reason_is_legal(MQTT_REASON_SERVER_SHUTTING_DOWN, MQTT_DISCONNECT, &server_5));
    EXPECT_FALSE(
        mqtt_reason_is_legal(MQTT_REASON_SERVER_SHUTTING_DOWN, MQTT_DISCONNECT, &client_5));
}

/* 3.1.1: [MQTT-3.9.3-2] */
TEST(a_suback_of_the_older_version_has_four_reasons) {
    EXPECT_EQ(count_legal(MQTT_SUBACK, &server_311), 4);
    EXPECT_TRUE(mqtt_reason_is_legal(0x80, MQTT_SUBACK, &server_311));
    EXPECT_FALSE(mqtt_reason_is_legal(0x87, MQTT_SUBACK, &server_311));
}

TEST(a_return_code_of_the_older_connack_is_a_reason_and_back) {
    enum mqtt_reason reason;
    for (uint8_t code = 0; code <= 5; code++) {
        EXPECT_TRUE(mqtt_reason_from_connack_311(code, &reason));
        EXPECT_EQ(mqtt_reason_to_connack_311(reason), code);
    }
    EXPECT_FALSE(mqtt_reason_from_connack_311(6, &reason));
    EXPECT_EQ(mqtt_reason_to_connack_311(MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION), 1);
    EXPECT_EQ(mqtt_reason_to_connack_311(MQTT_REASON_SERVER_BUSY), 3);
    EXPECT_EQ(mqtt_reason_to_connack_311(MQTT_REASON_BANNED), 5);
}

/* 3.1.1: [MQTT-3.2.2-6] */
TEST(what_has_no_return_code_is_told_in_silence) {
    EXPECT_EQ(mqtt_reason_to_connack_311(MQTT_REASON_MALFORMED_PACKET), MQTT_CONNACK_SILENT);
    EXPECT_EQ(mqtt_reason_to_connack_311((enum mqtt_reason)0x55), MQTT_CONNACK_SILENT);
}

UNIT_TESTS(UNIT(fifteen_types_exist_and_the_others_do_not),
           UNIT(auth_is_nobodys_packet_in_the_older_version), UNIT(forty_three_reasons_exist),
           UNIT(a_packet_has_as_many_reasons_as_its_table_in_the_specification),
           UNIT(a_disconnect_has_the_reasons_of_its_sender),
           UNIT(a_suback_of_the_older_version_has_four_reasons),
           UNIT(a_return_code_of_the_older_connack_is_a_reason_and_back),
           UNIT(what_has_no_return_code_is_told_in_silence))
