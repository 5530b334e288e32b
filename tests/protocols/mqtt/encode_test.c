/* SPDX-License-Identifier: Apache-2.0 */
/* That what is decoded is encoded to the same stands in the tests of decoding (packets.h). */
#include "protocols/mqtt/encode.h"

#include "tests/protocols/mqtt/packets.h"

static struct buffer out;
static struct mqtt_dialect to_5;
static struct mqtt_dialect to_311;

static void begin(void) {
    buffer_finish(&out);
    buffer_init(&out, PACKET_BYTES_MAX);
    to_5 = from_server_5;
    to_311 = from_server_311;
}

/* The packet that was just put. */
static struct span taken(void) {
    struct span copy = bytes_copy(buffer_borrow(&out));
    buffer_clear(&out);
    return copy;
}

static struct mqtt_properties spoken(struct buffer *users) {
    struct mqtt_properties properties = {0};
    buffer_init(users, 1000);
    EXPECT_EQ(mqtt_user_property_put(users, SPAN("k"), SPAN("v")), OK);
    mqtt_set_user_properties(&properties, buffer_borrow(users));
    mqtt_set_reason_string(&properties, SPAN("because"));
    return properties;
}

/* Bytes that the specifications show, which come out as they went in. */
static const struct {
    const struct mqtt_dialect *dialect;
    const char *notation;
} vectors[] = {
    {&from_stranger, "10 10 0004'MQTT' 04 02 003C 0004'DIGI'"},
    {&from_stranger, "10 31 0004'MQTT' 05 CE 000A 05 11 0000000A 0002'id' 05 18 00000003 0004'will'"
                     "0003'bye' 0004'user' 0004'pass'"},
    {&from_server_311, "20 02 01 00"},
    {&from_server_311, "20 02 00 02"},
    {&from_server_5, "20 09 00 00 06 21 000A 22 0014"},
    {&from_client_311, "30 0A 0003'a/b' 'hello'"},
    {&from_client_311, "3D 0C 0003'a/b' 000A 'hello'"},
    {&from_client_5, "32 0D 0003'a/b' 000A 00 'hello'"},
    {&from_client_5, "30 07 0000 03 23 0001 'x'"},
    {&from_client_311, "40 02 000A"},
    {&from_client_5, "40 02 000A"},
    {&from_client_5, "50 03 000A 10"},
    {&from_client_5, "62 0A 000A 92 06 1F 0003'why'"},
    {&from_client_311, "70 02 FFFF"},
    {&from_client_311, "82 0E 000A 0003'a/b' 01 0003'c/d' 02"},
    {&from_client_5, "82 11 000A 02 0B01 0003'a/b' 01 0003'c/d' 02"},
    {&from_server_311, "90 05 000A 00 02 80"},
    {&from_server_5, "90 06 000A 00 00 02 80"},
    {&from_client_311, "A2 0C 000A 0003'a/b' 0003'c/d'"},
    {&from_client_5, "A2 0D 000A 00 0003'a/b' 0003'c/d'"},
    {&from_server_311, "B0 02 000A"},
    {&from_server_5, "B0 05 000A 00 00 11"},
    {&from_client_311, "C0 00"},
    {&from_server_5, "D0 00"},
    {&from_client_311, "E0 00"},
    {&from_client_5, "E0 00"},
    {&from_client_5, "E0 01 04"},
    {&from_server_5, "E0 06 9D 04 1C 0001's'"},
    {&from_client_5, "F0 06 18 04 15 0001'm'"},
    {&from_server_5, "F0 00"},
};

TEST(packets_of_the_specifications_come_out_as_they_went_in) {
    for (size_t i = 0; i < ARRAY_COUNT(vectors); i++) {
        struct mqtt_packet packet;
        struct mqtt_dialect dialect = *vectors[i].dialect;
        struct span bytes = bytes_of(vectors[i].notation);
        EXPECT_EQ(read_packet(bytes, &dialect, &packet, NULL, NULL), OK);
        dialect.version =
            packet.type == MQTT_CONNECT ? packet.connect.version : vectors[i].dialect->version;
        expect_bytes(encoded(&dialect, &packet), bytes);
    }
}

TEST(a_packet_that_does_not_fit_the_buffer_adds_nothing) {
    struct mqtt_publish publish = {.topic = SPAN("a"), .payload = SPAN("payload")};
    struct buffer small;
    buffer_init(&small, 12);
    EXPECT_EQ(mqtt_encode_publish(&small, &from_server_5, &publish), ERR_TOO_LARGE);
    EXPECT_EQ(small.length, 0);
    EXPECT_EQ(mqtt_encode_publish(&small, &from_server_311, &publish), OK);
    EXPECT_EQ(small.length, 12);
    EXPECT_EQ(mqtt_encode_ping(&small, MQTT_PINGRESP), ERR_TOO_LARGE);
    EXPECT_EQ(small.length, 12);
    buffer_finish(&small);
}

/* [MQTT-3.1.2-24] */
TEST(a_publish_larger_than_the_receiver_takes_is_refused) {
    begin();
    struct mqtt_publish publish = {.topic = SPAN("a"), .payload = SPAN("payload")};
    to_5.packet_bytes_max = (uint32_t)mqtt_publish_size(&to_5, &publish);
    EXPECT_EQ(mqtt_encode_publish(&out, &to_5, &publish), OK);
    EXPECT_EQ(out.length, to_5.packet_bytes_max);
    to_5.packet_bytes_max--;
    EXPECT_EQ(mqtt_encode_publish(&out, &to_5, &publish), ERR_TOO_LARGE);
    EXPECT_EQ(out.length, to_5.packet_bytes_max + 1);
}

TEST(the_size_of_a_publish_is_known_without_encoding_it) {
    static const size_t lengths[] = {0,     121,   122,   123,     124,     125,     16376,
                                     16377, 16378, 16380, 2097143, 2097144, 2097145, 2097150};
    static uint8_t payload[2097152];
    begin();
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        struct mqtt_publish publish = {
            .topic = SPAN("a"), .payload = span_of(payload, lengths[i]), .qos = 1, .packet_id = 1};
        mqtt_set_topic_alias(&publish.properties, 1);
        EXPECT_EQ(mqtt_encode_publish(&out, &to_5, &publish), OK);
        EXPECT_EQ(out.length, mqtt_publish_size(&to_5, &publish));
        buffer_clear(&out);
        EXPECT_EQ(mqtt_encode_publish(&out, &to_311, &publish), OK);
        EXPECT_EQ(out.length, mqtt_publish_size(&to_311, &publish));
        buffer_clear(&out);
    }
}

TEST(a_publish_beyond_the_greatest_length_is_refused_whoever_takes_it) {
    begin();
    struct mqtt_publish publish = {.topic = SPAN("a"), .payload = span_of("", MQTT_LENGTH_MAX)};
    to_5.packet_bytes_max = UINT32_MAX;
    EXPECT_TRUE(mqtt_publish_size(&to_5, &publish) > MQTT_LENGTH_MAX + 5);
    EXPECT_EQ(mqtt_encode_publish(&out, &to_5, &publish), ERR_TOO_LARGE);
}

TEST(the_properties_of_a_publish_stand_between_its_id_and_its_payload) {
    begin();
    struct mqtt_publish publish = {
        .topic = SPAN("a/b"), .payload = SPAN("hello"), .qos = 1, .packet_id = 0x2222};
    mqtt_set_message_expiry_interval(&publish.properties, 59);
    mqtt_set_content_type(&publish.properties, SPAN("t"));
    mqtt_set_topic_alias(&publish.properties, 9);
    EXPECT_EQ(mqtt_encode_publish(&out, &to_5, &publish), OK);
    EXPECT_BYTES(taken(), "32 19 0003'a/b' 2222 0C 02 0000003B 03 0001't' 23 0009 'hello'");
}

/* [MQTT-3.3.2-17] */
/* [MQTT-3.3.2-18] */
/* [MQTT-3.1.3-10] */
TEST(user_properties_go_out_in_the_order_in_which_they_came) {
    begin();
    struct mqtt_packet packet;
    EXPECT_EQ(read_packet(bytes_of("30 1B 0001'a' 17 26 0001'z' 0001'1' 0101 26 0001'a' 0001'2' "
                                   "26 0001'z' 0001'1'"),
                          &from_client_5, &packet, NULL, NULL),
              OK);
    expect_bytes(encoded(&to_5, &packet),
                 bytes_of("30 1B 0001'a' 17 0101 26 0001'z' 0001'1' 26 0001'a' 0001'2' "
                          "26 0001'z' 0001'1'"));
}

/* [MQTT-3.4.2-2] */
/* [MQTT-3.4.2-3] */
/* [MQTT-3.5.2-2] */
/* [MQTT-3.5.2-3] */
/* [MQTT-3.6.2-2] */
/* [MQTT-3.6.2-3] */
/* [MQTT-3.7.2-2] */
/* [MQTT-3.7.2-3] */
TEST(an_acknowledgement_leaves_out_what_would_be_too_large) {
    static const enum mqtt_type types[] = {MQTT_PUBACK, MQTT_PUBREC, MQTT_PUBREL, MQTT_PUBCOMP};
    begin();
    struct buffer users;
    struct mqtt_ack ack = {.packet_id = 1, .properties = spoken(&users)};
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        to_5.packet_bytes_max = 2 + 3 + 1 + 10 + 7;
        EXPECT_EQ(mqtt_encode_ack(&out, &to_5, types[i], &ack), OK);
        EXPECT_EQ(out.length, to_5.packet_bytes_max); /* it fits exactly */
        buffer_clear(&out);
        to_5.packet_bytes_max--;
        EXPECT_EQ(mqtt_encode_ack(&out, &to_5, types[i], &ack), OK);
        EXPECT_EQ(taken().length, 2 + 3 + 1 + 10); /* no user properties */
        to_5.packet_bytes_max = 2 + 3 + 1 + 10 - 1;
        EXPECT_EQ(mqtt_encode_ack(&out, &to_5, types[i], &ack), OK);
        EXPECT_EQ(taken().length, 2 + 2); /* no reason string either */
        to_5.packet_bytes_max = 3;
        EXPECT_EQ(mqtt_encode_ack(&out, &to_5, types[i], &ack), ERR_TOO_LARGE);
        EXPECT_EQ(out.length, 0);
    }
    buffer_finish(&users);
}

/* [MQTT-3.2.2-19] */
/* [MQTT-3.2.2-20] */
TEST(a_connack_leaves_out_what_would_be_too_large) {
    begin();
    struct buffer users;
    struct mqtt_connack connack = {.properties = spoken(&users)};
    mqtt_set_receive_maximum(&connack.properties, 5);
    to_5.packet_bytes_max = 2 + 2 + 1 + 3;
    EXPECT_EQ(mqtt_encode_connack(&out, &to_5, &connack), OK);
    EXPECT_BYTES(taken(), "20 06 00 00 03 21 0005");
    to_5.packet_bytes_max--;
    EXPECT_EQ(mqtt_encode_connack(&out, &to_5, &connack), ERR_TOO_LARGE);
    buffer_finish(&users);
}

/* [MQTT-3.9.2-1] */
/* [MQTT-3.9.2-2] */
/* [MQTT-3.11.2-1] */
/* [MQTT-3.11.2-2] */
TEST(a_suback_leaves_out_what_would_be_too_large) {
    begin();
    struct buffer users;
    struct mqtt_grants grants = {
        .packet_id = 1, .reasons = bytes_of("00"), .properties = spoken(&users)};
    to_5.packet_bytes_max = 10;
    EXPECT_EQ(mqtt_encode_grants(&out, &to_5, MQTT_SUBACK, &grants), OK);
    EXPECT_BYTES(taken(), "90 04 0001 00 00");
    EXPECT_EQ(mqtt_encode_grants(&out, &to_5, MQTT_UNSUBACK, &grants), OK);
    EXPECT_BYTES(taken(), "B0 04 0001 00 00");
    buffer_finish(&users);
}

/* [MQTT-3.14.2-3] */
/* [MQTT-3.14.2-4] */
/* [MQTT-3.15.2-2] */
/* [MQTT-3.15.2-3] */
TEST(a_disconnect_and_an_auth_leave_out_what_would_be_too_large) {
    begin();
    struct buffer users;
    struct mqtt_notice notice = {.reason = MQTT_REASON_PROTOCOL_ERROR,
                                 .properties = spoken(&users)};
    to_5.packet_bytes_max = 10;
    EXPECT_EQ(mqtt_encode_notice(&out, &to_5, MQTT_DISCONNECT, &notice), OK);
    EXPECT_BYTES(taken(), "E0 01 82");
    notice.reason = MQTT_REASON_CONTINUE_AUTHENTICATION;
    mqtt_set_authentication_method(&notice.properties, SPAN("m"));
    EXPECT_EQ(mqtt_encode_notice(&out, &to_5, MQTT_AUTH, &notice), OK);
    EXPECT_BYTES(taken(), "F0 06 18 04 15 0001'm'");
    buffer_finish(&users);
}

/* [MQTT-3.2.2-6] */
/* 3.1.1: [MQTT-3.2.2-4] */
TEST(a_connack_that_refuses_says_that_there_is_no_session) {
    begin();
    struct mqtt_connack connack = {.is_session_present = true,
                                   .reason = MQTT_REASON_NOT_AUTHORIZED};
    EXPECT_EQ(mqtt_encode_connack(&out, &to_5, &connack), OK);
    EXPECT_BYTES(taken(), "20 03 00 87 00");
    EXPECT_EQ(mqtt_encode_connack(&out, &to_311, &connack), OK);
    EXPECT_BYTES(taken(), "20 02 00 05");
}

/* 3.1.1: [MQTT-3.2.2-6] */
TEST(a_reason_without_a_return_code_has_no_connack_in_the_older_version) {
    begin();
    struct mqtt_connack connack = {.reason = MQTT_REASON_MALFORMED_PACKET};
    EXPECT_EQ(mqtt_encode_connack(&out, &to_311, &connack), ERR_NOT_IMPLEMENTED);
    connack.reason = MQTT_REASON_UNSUPPORTED_PROTOCOL_VERSION;
    EXPECT_EQ(mqtt_encode_connack(&out, &to_311, &connack), OK);
    EXPECT_BYTES(taken(), "20 02 00 01");
}

TEST(a_server_has_no_disconnect_in_the_older_version) {
    begin();
    struct mqtt_notice notice = {.reason = MQTT_REASON_SERVER_BUSY};
    EXPECT_EQ(mqtt_encode_notice(&out, &to_311, MQTT_DISCONNECT, &notice), ERR_NOT_IMPLEMENTED);
    EXPECT_EQ(mqtt_encode_notice(&out, &from_client_311, MQTT_AUTH, &notice), ERR_NOT_IMPLEMENTED);
    EXPECT_EQ(out.length, 0);
}

/* 3.1.1: [MQTT-3.9.3-2] */
TEST(a_suback_of_the_older_version_says_0x80_for_every_failure) {
    begin();
    struct mqtt_grants grants = {.packet_id = 1, .reasons = bytes_of("00 01 02 80 87 8F A2")};
    EXPECT_EQ(mqtt_encode_grants(&out, &to_311, MQTT_SUBACK, &grants), OK);
    EXPECT_BYTES(taken(), "90 09 0001 00 01 02 80 80 80 80");
    EXPECT_EQ(mqtt_encode_grants(&out, &to_311, MQTT_UNSUBACK, &grants), OK);
    EXPECT_BYTES(taken(), "B0 02 0001");
}

TEST(the_older_version_leaves_properties_away) {
    begin();
    struct buffer users;
    struct mqtt_ack ack = {.packet_id = 1, .properties = spoken(&users)};
    EXPECT_EQ(mqtt_encode_ack(&out, &to_311, MQTT_PUBACK, &ack), OK);
    EXPECT_BYTES(taken(), "40 02 0001");
    buffer_finish(&users);
}

TEST(entries_of_a_request_are_put_as_they_are_read) {
    begin();
    struct mqtt_subscription subscription = {.filter = SPAN("a/#"),
                                             .qos = 1,
                                             .is_no_local = true,
                                             .is_retained_as_published = true,
                                             .retain_handling = 2};
    EXPECT_EQ(mqtt_subscription_put(&out, &subscription), OK);
    EXPECT_EQ(mqtt_filter_put(&out, SPAN("b")), OK);
    EXPECT_BYTES(taken(), "0003'a/#' 2D 0001'b'");
    buffer_finish(&out);
}

UNIT_TESTS(UNIT(packets_of_the_specifications_come_out_as_they_went_in),
           UNIT(a_packet_that_does_not_fit_the_buffer_adds_nothing),
           UNIT(a_publish_larger_than_the_receiver_takes_is_refused),
           UNIT(the_size_of_a_publish_is_known_without_encoding_it),
           UNIT(a_publish_beyond_the_greatest_length_is_refused_whoever_takes_it),
           UNIT(the_properties_of_a_publish_stand_between_its_id_and_its_payload),
           UNIT(user_properties_go_out_in_the_order_in_which_they_came),
           UNIT(an_acknowledgement_leaves_out_what_would_be_too_large),
           UNIT(a_connack_leaves_out_what_would_be_too_large),
           UNIT(a_suback_leaves_out_what_would_be_too_large),
           UNIT(a_disconnect_and_an_auth_leave_out_what_would_be_too_large),
           UNIT(a_connack_that_refuses_says_that_there_is_no_session),
           UNIT(a_reason_without_a_return_code_has_no_connack_in_the_older_version),
           UNIT(a_server_has_no_disconnect_in_the_older_version),
           UNIT(a_suback_of_the_older_version_says_0x80_for_every_failure),
           UNIT(the_older_version_leaves_properties_away),
           UNIT(entries_of_a_request_are_put_as_they_are_read))
