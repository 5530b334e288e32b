/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/property.h"

#include <stdio.h>

#include "tests/protocols/mqtt/packets.h"

static struct mqtt_properties properties;

static enum mqtt_fault decode(uint32_t where, uint8_t sender, const char *notation) {
    struct mqtt_reader reader = mqtt_reader_of(bytes_of(notation));
    enum mqtt_fault fault = mqtt_properties_decode(&reader, where, sender, &properties);
    if (fault == MQTT_FAULT_NONE) {
        EXPECT_EQ(mqtt_left(&reader), 0);
    }
    return fault;
}

/* The notation without the length before it. */
static enum mqtt_fault decode_all(uint32_t where, uint8_t sender, const char *notation) {
    char whole[1024];
    uint32_t length = (uint32_t)bytes_of(notation).length;
    EXPECT_TRUE(length < 128);
    snprintf(whole, sizeof(whole), "%02X %s", length, notation);
    return decode(where, sender, whole);
}

static enum mqtt_fault of_publish(const char *notation) {
    return decode(MQTT_BIT(MQTT_PUBLISH), MQTT_CLIENT, notation);
}

static enum mqtt_fault of_connect(const char *notation) {
    return decode(MQTT_IN_CONNECT, MQTT_CLIENT, notation);
}

static enum mqtt_fault of_connack(const char *notation) {
    return decode(MQTT_IN_CONNACK, MQTT_SERVER, notation);
}

/* Table 2-4 of the specification, as it stands there: which packets have which property. */
static const struct {
    uint32_t identifier;
    const char *packets;
} table[] = {
    {0x01, "PUBLISH will"},
    {0x02, "PUBLISH will"},
    {0x03, "PUBLISH will"},
    {0x08, "PUBLISH will"},
    {0x09, "PUBLISH will"},
    {0x0B, "PUBLISH SUBSCRIBE"},
    {0x11, "CONNECT CONNACK DISCONNECT"},
    {0x12, "CONNACK"},
    {0x13, "CONNACK"},
    {0x15, "CONNECT CONNACK AUTH"},
    {0x16, "CONNECT CONNACK AUTH"},
    {0x17, "CONNECT"},
    {0x18, "will"},
    {0x19, "CONNECT"},
    {0x1A, "CONNACK"},
    {0x1C, "CONNACK DISCONNECT"},
    {0x1F, "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH"},
    {0x21, "CONNECT CONNACK"},
    {0x22, "CONNECT CONNACK"},
    {0x23, "PUBLISH"},
    {0x24, "CONNACK"},
    {0x25, "CONNACK"},
    {0x26, "CONNECT CONNACK PUBLISH will PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK "
           "UNSUBSCRIBE UNSUBACK DISCONNECT AUTH"},
    {0x27, "CONNECT CONNACK"},
    {0x28, "CONNACK"},
    {0x29, "CONNACK"},
    {0x2A, "CONNACK"},
};

static uint32_t bit_of_name(struct span name) {
    if (span_is_equal(name, SPAN("will"))) {
        return MQTT_WILL_BIT;
    }
    for (uint8_t type = 1; type < MQTT_TYPE_COUNT; type++) {
        if (span_is_equal(name, span_of_string(mqtt_type_row(type)->text))) {
            return MQTT_BIT(type);
        }
    }
    return 0;
}

TEST(a_property_stands_in_the_packets_that_the_specification_lists) {
    size_t count = 0;
    for (uint32_t identifier = 0; identifier < 300; identifier++) {
        count += mqtt_property_row(identifier) != NULL;
    }
    EXPECT_EQ(count, ARRAY_COUNT(table));
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        const struct mqtt_property_row *row = mqtt_property_row(table[i].identifier);
        struct span rest = span_of_string(table[i].packets);
        uint32_t packets = 0;
        EXPECT_NOT_NULL(row);
        while (rest.length > 0) {
            uint32_t bit = bit_of_name(span_split(&rest, ' '));
            EXPECT_TRUE(bit != 0);
            packets |= bit;
        }
        EXPECT_EQ(row->packets, packets);
    }
}

/* [MQTT-2.2.2-1] */
TEST(no_properties_are_a_length_of_zero) {
    EXPECT_EQ(of_publish("00"), MQTT_FAULT_NONE);
    EXPECT_EQ(properties.present, 0);
    EXPECT_EQ(of_publish(""), MQTT_FAULT_BODY_SHORT);
}

TEST(every_property_of_a_publish_is_read) {
    EXPECT_EQ(decode_all(MQTT_BIT(MQTT_PUBLISH), MQTT_CLIENT,
                         "0101 02 0000003C 03 0004 'text' 08 0003 'r/t' 09 0002 00FF 23 000A "
                         "26 0001 'a' 0001 'b' 26 0001 'a' 0001 'c' 26 0000 0000"
                         "26 0001 'k' 0001 'v'"),
              MQTT_FAULT_NONE);
    EXPECT_EQ(properties.payload_format_indicator, 1);
    EXPECT_EQ(properties.message_expiry_interval, 60);
    EXPECT_SPAN(properties.content_type, "text");
    EXPECT_SPAN(properties.response_topic, "r/t");
    EXPECT_EQ(properties.correlation_data.length, 2);
    EXPECT_EQ(properties.topic_alias, 10);
    EXPECT_EQ(properties.user_property_count, 4);
    EXPECT_FALSE(mqtt_has(&properties, MQTT_PROPERTY_SUBSCRIPTION_IDENTIFIER));
}

TEST(every_property_of_a_connect_is_read) {
    EXPECT_EQ(decode_all(MQTT_IN_CONNECT, MQTT_CLIENT,
                         "11 FFFFFFFF 21 0014 27 00010000 22 0005 19 01 17 00 15 0001 'm' "
                         "16 0003 'xyz'"),
              MQTT_FAULT_NONE);
    EXPECT_EQ(properties.session_expiry_interval, UINT32_MAX);
    EXPECT_EQ(properties.receive_maximum, 20);
    EXPECT_EQ(properties.maximum_packet_size, 65536);
    EXPECT_EQ(properties.topic_alias_maximum, 5);
    EXPECT_EQ(properties.request_response_information, 1);
    EXPECT_TRUE(mqtt_has(&properties, MQTT_PROPERTY_REQUEST_PROBLEM_INFORMATION));
    EXPECT_EQ(properties.request_problem_information, 0);
    EXPECT_SPAN(properties.authentication_method, "m");
    EXPECT_SPAN(properties.authentication_data, "xyz");
}

TEST(every_property_of_a_connack_is_read) {
    EXPECT_EQ(decode_all(MQTT_IN_CONNACK, MQTT_SERVER,
                         "11 00000001 21 0002 24 01 25 00 27 00000003 12 0002 'id' 22 0004 "
                         "1F 0001 'r' 28 00 29 01 2A 00 13 0005 1A 0001 'i' 1C 0001 's'"),
              MQTT_FAULT_NONE);
    EXPECT_EQ(properties.maximum_qos, 1);
    EXPECT_EQ(properties.server_keep_alive, 5);
    EXPECT_SPAN(properties.assigned_client_identifier, "id");
    EXPECT_SPAN(properties.server_reference, "s");
    EXPECT_SPAN(properties.response_information, "i");
    EXPECT_EQ(properties.subscription_identifier_available, 1);
    EXPECT_TRUE(mqtt_has(&properties, MQTT_PROPERTY_SHARED_SUBSCRIPTION_AVAILABLE));
}

TEST(a_will_has_a_delay) {
    EXPECT_EQ(decode(MQTT_WILL_BIT, MQTT_CLIENT, "05 18 00000009"), MQTT_FAULT_NONE);
    EXPECT_EQ(properties.will_delay_interval, 9);
    EXPECT_EQ(of_publish("05 18 00000009"), MQTT_FAULT_PROPERTY_MISPLACED);
    EXPECT_EQ(decode(MQTT_WILL_BIT, MQTT_CLIENT, "03 23 0001"), MQTT_FAULT_PROPERTY_MISPLACED);
}

TEST(a_property_that_does_not_exist_is_malformed) {
    static const char *const bad[] = {"02 0000", "02 0400", "02 2B00",   "02 7F00",
                                      "02 8100", "02 FF00", "03 1400 00"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_EQ(of_publish(bad[i]), MQTT_FAULT_PROPERTY_UNKNOWN);
    }
    EXPECT_EQ(mqtt_fault_row(MQTT_FAULT_PROPERTY_UNKNOWN)->reason, MQTT_REASON_MALFORMED_PACKET);
}

TEST(a_property_of_another_packet_is_malformed) {
    EXPECT_EQ(of_connect("03 23 0001"), MQTT_FAULT_PROPERTY_MISPLACED);
    EXPECT_EQ(of_publish("05 11 00000001"), MQTT_FAULT_PROPERTY_MISPLACED);
    EXPECT_EQ(decode(MQTT_BIT(MQTT_UNSUBSCRIBE), MQTT_CLIENT, "02 0B01"),
              MQTT_FAULT_PROPERTY_MISPLACED);
    EXPECT_EQ(decode(MQTT_BIT(MQTT_DISCONNECT), MQTT_CLIENT, "04 1C 0001'a'"),
              MQTT_FAULT_PROPERTY_MISPLACED); /* the server's alone */
    EXPECT_EQ(mqtt_fault_row(MQTT_FAULT_PROPERTY_MISPLACED)->reason, MQTT_REASON_MALFORMED_PACKET);
}

/* Every field that may not repeat, twice, in the first packet that may have it. */
TEST(a_property_that_stands_twice_is_a_protocol_error) {
    static const char *const values[] = {
        [MQTT_KIND_BOOLEAN] = "01",    [MQTT_KIND_U16] = "0001",
        [MQTT_KIND_POSITIVE] = "0001", [MQTT_KIND_U32] = "00000001",
        [MQTT_KIND_SIZE] = "00000001", [MQTT_KIND_STRING] = "0001'a'",
        [MQTT_KIND_TOPIC] = "0001'a'", [MQTT_KIND_BINARY] = "0001'a'",
    };
    for (uint32_t identifier = 0; identifier < MQTT_PROPERTY_COUNT; identifier++) {
        const struct mqtt_property_row *row = mqtt_property_row(identifier);
        if (row == NULL || row->kind >= MQTT_KIND_VARINT) {
            continue;
        }
        char once[64], twice[140];
        const char *value = values[row->kind];
        uint32_t where = row->packets & -row->packets;
        snprintf(once, sizeof(once), "%02X%s", identifier, value);
        snprintf(twice, sizeof(twice), "%s %s", once, once);
        bool is_servers = identifier == MQTT_PROPERTY_SERVER_REFERENCE;
        uint8_t sender = is_servers ? MQTT_SERVER : MQTT_CLIENT;
        EXPECT_EQ(decode_all(where, sender, twice), MQTT_FAULT_PROPERTY_REPEATED);
        EXPECT_EQ(decode_all(where, sender, once), MQTT_FAULT_NONE);
    }
    EXPECT_EQ(mqtt_fault_row(MQTT_FAULT_PROPERTY_REPEATED)->reason, MQTT_REASON_PROTOCOL_ERROR);
}

TEST(properties_longer_than_the_packet_are_malformed) {
    EXPECT_EQ(of_publish("01"), MQTT_FAULT_PROPERTIES_LONG);
    EXPECT_EQ(of_publish("FFFFFF7F 0101"), MQTT_FAULT_PROPERTIES_LONG);
    EXPECT_EQ(of_publish("03 0101"), MQTT_FAULT_PROPERTIES_LONG);
}

/* [MQTT-1.5.5-1] */
TEST(the_length_of_the_properties_is_in_its_shortest_form) {
    EXPECT_EQ(of_publish("8000"), MQTT_FAULT_LENGTH_NOT_SHORTEST);
    EXPECT_EQ(of_publish("80808080"), MQTT_FAULT_LENGTH_ENDLESS);
    EXPECT_EQ(decode(MQTT_BIT(MQTT_SUBSCRIBE), MQTT_CLIENT, "03 0B 8100"),
              MQTT_FAULT_LENGTH_NOT_SHORTEST);
    EXPECT_EQ(decode(MQTT_BIT(MQTT_SUBSCRIBE), MQTT_CLIENT, "05 0B 80808080"),
              MQTT_FAULT_LENGTH_ENDLESS);
}

TEST(a_property_cut_by_the_end_of_the_properties_is_malformed) {
    static const char *const cut[] = {"01 01",          "02 02 00 'zzzzz'",  "04 02 000000",
                                      "02 03 00",       "04 03 0002 'a'",    "01 26",
                                      "04 26 0001 'a'", "05 26 0001 'a' 00", "02 23 00"};
    for (size_t i = 0; i < ARRAY_COUNT(cut); i++) {
        struct mqtt_reader reader = mqtt_reader_of(bytes_of(cut[i]));
        EXPECT_EQ(mqtt_properties_decode(&reader, MQTT_BIT(MQTT_PUBLISH), MQTT_CLIENT, &properties),
                  MQTT_FAULT_PROPERTY_SHORT);
    }
    EXPECT_EQ(decode(MQTT_BIT(MQTT_SUBSCRIBE), MQTT_CLIENT, "02 0B 80"), MQTT_FAULT_PROPERTY_SHORT);
}

TEST(a_property_that_is_0_or_1_is_nothing_else) {
    EXPECT_EQ(of_publish("02 0102"), MQTT_FAULT_PROPERTY_BOOLEAN); /* payload format indicator */
    EXPECT_EQ(of_connect("02 1702"), MQTT_FAULT_PROPERTY_BOOLEAN); /* request problem information */
    EXPECT_EQ(of_connect("02 19FF"), MQTT_FAULT_PROPERTY_BOOLEAN); /* request response … */
    static const char *const of_server[] = {"02 2402", "02 2502", "02 2802", "02 2902", "02 2A80"};
    for (size_t i = 0; i < ARRAY_COUNT(of_server); i++) {
        EXPECT_EQ(of_connack(of_server[i]), MQTT_FAULT_PROPERTY_BOOLEAN);
    }
    EXPECT_EQ(mqtt_fault_row(MQTT_FAULT_PROPERTY_BOOLEAN)->reason, MQTT_REASON_PROTOCOL_ERROR);
}

TEST(a_receive_maximum_of_0_is_a_protocol_error) {
    EXPECT_EQ(of_connect("03 21 0000"), MQTT_FAULT_PROPERTY_ZERO);
    EXPECT_EQ(mqtt_fault_row(MQTT_FAULT_PROPERTY_ZERO)->reason, MQTT_REASON_PROTOCOL_ERROR);
}

TEST(a_maximum_packet_size_of_0_is_a_protocol_error) {
    EXPECT_EQ(of_connect("05 27 00000000"), MQTT_FAULT_PROPERTY_ZERO);
}

TEST(a_subscription_identifier_of_0_is_a_protocol_error) {
    EXPECT_EQ(decode(MQTT_BIT(MQTT_SUBSCRIBE), MQTT_CLIENT, "02 0B00"), MQTT_FAULT_PROPERTY_ZERO);
}

/* [MQTT-3.3.2-8] */
TEST(a_topic_alias_of_0_is_invalid) {
    EXPECT_EQ(of_publish("03 23 0000"), MQTT_FAULT_TOPIC_ALIAS_ZERO);
    EXPECT_EQ(mqtt_fault_row(MQTT_FAULT_TOPIC_ALIAS_ZERO)->reason, MQTT_REASON_TOPIC_ALIAS_INVALID);
}

TEST(a_second_topic_alias_is_a_protocol_error) {
    EXPECT_EQ(of_publish("06 23 0001 23 0001"), MQTT_FAULT_PROPERTY_REPEATED);
}

/* [MQTT-3.3.2-13] */
/* [MQTT-3.3.2-14] */
TEST(a_response_topic_is_a_topic_name) {
    EXPECT_EQ(of_publish("06 08 0003 'a/#'"), MQTT_FAULT_RESPONSE_TOPIC);
    EXPECT_EQ(of_publish("04 08 0001 '+'"), MQTT_FAULT_RESPONSE_TOPIC);
    EXPECT_EQ(of_publish("03 08 0000"), MQTT_FAULT_RESPONSE_TOPIC_EMPTY);
    EXPECT_EQ(of_publish("04 08 0001 FF"), MQTT_FAULT_UTF8);
    EXPECT_EQ(decode(MQTT_WILL_BIT, MQTT_CLIENT, "04 08 0001 '#'"), MQTT_FAULT_RESPONSE_TOPIC);
}

/* [MQTT-3.3.2-19] */
TEST(a_content_type_is_a_string) {
    EXPECT_EQ(of_publish("04 03 0001 80"), MQTT_FAULT_UTF8);
    EXPECT_EQ(of_publish("04 03 0001 00"), MQTT_FAULT_NUL);
}

/* [MQTT-1.5.7-1] */
TEST(both_strings_of_a_user_property_are_strings) {
    EXPECT_EQ(of_publish("07 26 0001 80 0001 'v'"), MQTT_FAULT_UTF8);
    EXPECT_EQ(of_publish("07 26 0001 'k' 0001 80"), MQTT_FAULT_UTF8);
    EXPECT_EQ(of_publish("07 26 0001 'k' 0001 00"), MQTT_FAULT_NUL);
}

/* [MQTT-3.3.4-6] */
TEST(a_client_publishes_no_subscription_identifier) {
    EXPECT_EQ(of_publish("02 0B01"), MQTT_FAULT_SUBSCRIPTION_ID_SENT);
    EXPECT_EQ(mqtt_fault_row(MQTT_FAULT_SUBSCRIPTION_ID_SENT)->reason, MQTT_REASON_PROTOCOL_ERROR);
}

/* [MQTT-3.14.2-2] */
TEST(a_server_sends_no_session_expiry_in_a_disconnect) {
    EXPECT_EQ(decode(MQTT_IN_DISCONNECT, MQTT_SERVER, "05 11 00000001"),
              MQTT_FAULT_SERVER_SESSION_EXPIRY);
    EXPECT_EQ(decode(MQTT_IN_DISCONNECT, MQTT_CLIENT, "05 11 00000001"), MQTT_FAULT_NONE);
    EXPECT_EQ(of_connack("05 11 00000001"), MQTT_FAULT_NONE);
}

TEST(a_subscribe_has_one_subscription_identifier_and_a_delivery_several) {
    EXPECT_EQ(decode(MQTT_BIT(MQTT_SUBSCRIBE), MQTT_CLIENT, "04 0B01 0B02"),
              MQTT_FAULT_PROPERTY_REPEATED);
    EXPECT_EQ(decode(MQTT_BIT(MQTT_SUBSCRIBE), MQTT_CLIENT, "05 0B FFFFFF7F"), MQTT_FAULT_NONE);
    EXPECT_EQ(properties.subscription_identifier, 268435455);
    EXPECT_EQ(decode(MQTT_BIT(MQTT_PUBLISH), MQTT_SERVER, "04 0B02 0B01"), MQTT_FAULT_NONE);
    EXPECT_EQ(properties.subscription_identifier, 2);
}

TEST(repeatable_properties_are_walked_in_their_order) {
    uint32_t identifier = 0;
    struct span name, value;
    EXPECT_EQ(decode_all(MQTT_BIT(MQTT_PUBLISH), MQTT_SERVER,
                         "0B01 26 0001'b' 0001'1' 0101 0B8001 26 0001'a' 0001'2' 03 0001'x'"),
              MQTT_FAULT_NONE);
    struct span rest = properties.subscription_identifiers;
    EXPECT_TRUE(mqtt_subscription_identifier_next(&rest, &identifier));
    EXPECT_EQ(identifier, 1);
    EXPECT_TRUE(mqtt_subscription_identifier_next(&rest, &identifier));
    EXPECT_EQ(identifier, 128);
    EXPECT_FALSE(mqtt_subscription_identifier_next(&rest, &identifier));
    rest = properties.user_properties;
    EXPECT_TRUE(mqtt_user_property_next(&rest, &name, &value));
    EXPECT_SPAN(name, "b");
    EXPECT_SPAN(value, "1");
    EXPECT_TRUE(mqtt_user_property_next(&rest, &name, &value));
    EXPECT_SPAN(name, "a");
    EXPECT_FALSE(mqtt_user_property_next(&rest, &name, &value));
    EXPECT_FALSE(mqtt_user_property_next(&rest, &name, &value));
}

TEST(more_user_properties_than_the_limit_exceed_the_quota) {
    struct buffer buffer;
    buffer_init(&buffer, 65536);
    for (size_t count = 1; count <= MQTT_USER_PROPERTIES_MAX + 1; count++) {
        EXPECT_EQ(mqtt_user_property_put(&buffer, SPAN("k"), SPAN("v")), OK);
    }
    for (size_t more = 0; more <= 1; more++) {
        struct buffer section;
        uint32_t length = (uint32_t)((MQTT_USER_PROPERTIES_MAX + more) * 7);
        buffer_init(&section, 65536);
        EXPECT_EQ(buffer_reserve(&section, 4), OK);
        mqtt_put_varint(&section, length);
        EXPECT_EQ(buffer_put(&section, span_of(buffer.bytes, length)), OK);
        struct mqtt_reader reader = mqtt_reader_of(buffer_borrow(&section));
        EXPECT_EQ(mqtt_properties_decode(&reader, MQTT_IN_CONNECT, MQTT_CLIENT, &properties),
                  more ? MQTT_FAULT_USER_PROPERTIES : MQTT_FAULT_NONE);
        EXPECT_EQ(properties.user_property_count, MQTT_USER_PROPERTIES_MAX);
        buffer_finish(&section);
    }
    EXPECT_EQ(mqtt_fault_row(MQTT_FAULT_USER_PROPERTIES)->reason, MQTT_REASON_QUOTA_EXCEEDED);
    buffer_finish(&buffer);
}

TEST(chosen_properties_are_put_and_take_the_room_that_was_computed) {
    struct buffer made, out;
    uint64_t alias = MQTT_PROPERTY_BIT(MQTT_PROPERTY_TOPIC_ALIAS);
    buffer_init(&made, 1000);
    buffer_init(&out, 1000);
    properties = (struct mqtt_properties){0};
    mqtt_set_topic_alias(&properties, 9);
    mqtt_set_content_type(&properties, SPAN("t"));
    mqtt_set_payload_format_indicator(&properties, 0);
    mqtt_set_message_expiry_interval(&properties, 7);
    EXPECT_EQ(mqtt_subscription_identifier_put(&made, 300), OK);
    EXPECT_EQ(mqtt_user_property_put(&made, SPAN("k"), SPAN("")), OK);
    mqtt_set_user_properties(&properties, buffer_borrow(&made));
    mqtt_set_subscription_identifiers(&properties, buffer_borrow(&made));
    EXPECT_EQ(buffer_reserve(&out, 100), OK);
    mqtt_properties_put(&out, &properties, MQTT_PROPERTIES_ALL);
    EXPECT_BYTES(buffer_borrow(&out),
                 "0100 02 00000007 03 0001't' 23 0009 0B AC02 26 0001'k' 0000");
    EXPECT_EQ(mqtt_properties_size(&properties, MQTT_PROPERTIES_ALL), out.length);
    buffer_clear(&out);
    mqtt_properties_put(&out, &properties, alias);
    EXPECT_BYTES(buffer_borrow(&out), "23 0009");
    EXPECT_EQ(mqtt_properties_size(&properties, alias), 3);
    EXPECT_EQ(mqtt_properties_size(&properties, 0), 0);
    buffer_finish(&made);
    buffer_finish(&out);
}

TEST(a_user_property_that_is_too_long_adds_nothing) {
    static uint8_t long_text[MQTT_STRING_BYTES_MAX + 1];
    struct buffer buffer;
    buffer_init(&buffer, 10);
    EXPECT_EQ(mqtt_user_property_put(&buffer, span_of(long_text, sizeof(long_text)), SPAN("")),
              ERR_TOO_LARGE);
    EXPECT_EQ(mqtt_user_property_put(&buffer, SPAN("name"), SPAN("value")), ERR_TOO_LARGE);
    EXPECT_EQ(buffer.length, 0);
    buffer_finish(&buffer);
}

TEST(no_bytes_are_no_properties) {
    properties = (struct mqtt_properties){0};
    mqtt_set_user_properties(&properties, span_of(NULL, 0));
    mqtt_set_subscription_identifiers(&properties, span_of(NULL, 0));
    EXPECT_EQ(properties.present, 0);
}

UNIT_TESTS(UNIT(a_property_stands_in_the_packets_that_the_specification_lists),
           UNIT(no_properties_are_a_length_of_zero), UNIT(every_property_of_a_publish_is_read),
           UNIT(every_property_of_a_connect_is_read), UNIT(every_property_of_a_connack_is_read),
           UNIT(a_will_has_a_delay), UNIT(a_property_that_does_not_exist_is_malformed),
           UNIT(a_property_of_another_packet_is_malformed),
           UNIT(a_property_that_stands_twice_is_a_protocol_error),
           UNIT(properties_longer_than_the_packet_are_malformed),
           UNIT(the_length_of_the_properties_is_in_its_shortest_form),
           UNIT(a_property_cut_by_the_end_of_the_properties_is_malformed),
           UNIT(a_property_that_is_0_or_1_is_nothing_else),
           UNIT(a_receive_maximum_of_0_is_a_protocol_error),
           UNIT(a_maximum_packet_size_of_0_is_a_protocol_error),
           UNIT(a_subscription_identifier_of_0_is_a_protocol_error),
           UNIT(a_topic_alias_of_0_is_invalid), UNIT(a_second_topic_alias_is_a_protocol_error),
           UNIT(a_response_topic_is_a_topic_name), UNIT(a_content_type_is_a_string),
           UNIT(both_strings_of_a_user_property_are_strings),
           UNIT(a_client_publishes_no_subscription_identifier),
           UNIT(a_server_sends_no_session_expiry_in_a_disconnect),
           UNIT(a_subscribe_has_one_subscription_identifier_and_a_delivery_several),
           UNIT(repeatable_properties_are_walked_in_their_order),
           UNIT(more_user_properties_than_the_limit_exceed_the_quota),
           UNIT(chosen_properties_are_put_and_take_the_room_that_was_computed),
           UNIT(a_user_property_that_is_too_long_adds_nothing), UNIT(no_bytes_are_no_properties))
