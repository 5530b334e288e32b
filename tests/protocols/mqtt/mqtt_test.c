/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/mqtt.h"

#include "tests/protocols/mqtt/peer.h"

TEST(a_first_packet_that_is_no_connect_ends_the_connection_at_once) { /* [MQTT-3.1.0-1] */
    peer_send(0xC0, "");
    EXPECT_TRUE(fakes.is_aborted);
    EXPECT_EQ(fakes.reason, CLOSE_PROTOCOL_ERROR);
    EXPECT_EQ(fakes.sent.length, 0);
    EXPECT_EQ(fakes.body_room_bytes, 0);
}

TEST(a_huge_length_is_refused_with_the_header) {
    fakes_receive_bytes(bytes_of("10 ff ff ff 7f"));
    EXPECT_TRUE(fakes.is_aborted);
    EXPECT_EQ(fakes.reason, CLOSE_TOO_BIG);
    EXPECT_EQ(fakes.body_room_bytes, 0);
}

TEST(packets_may_come_a_byte_at_a_time) {
    struct span connect = packet_of(0x10, CONNECT_5);
    for (size_t i = 0; i < connect.length; i++) {
        fakes_receive_bytes(span_of(connect.bytes + i, 1));
    }
    peer_grant(OK, (struct span){0});
    EXPECT_SENT(CONNACK_5);
    fakes_receive_bytes(bytes_of("c0"));
    EXPECT_SENT("");
    fakes_receive_bytes(bytes_of("00"));
    EXPECT_SENT("d0 00");
    EXPECT_EQ(fakes.body_room_bytes, 0);
}

TEST(what_comes_before_the_grant_waits_for_it) { /* [MQTT-3.1.4-5] */
    struct buffer both;
    buffer_init(&both, 1000);
    EXPECT_EQ(buffer_put(&both, packet_of(0x10, CONNECT_311)), OK);
    EXPECT_EQ(buffer_put(&both, bytes_of("c0 00 c0 00")), OK);
    fakes_receive_bytes(buffer_borrow(&both));
    buffer_finish(&both);
    EXPECT_SENT("");
    EXPECT_TRUE(fakes.is_paused);
    peer_grant(OK, (struct span){0});
    EXPECT_FALSE(fakes.is_paused);
    EXPECT_SENT(CONNACK_311 "d0 00 d0 00");
}

TEST(a_second_connect_is_a_protocol_error) { /* [MQTT-3.1.0-2] */
    peer_connect(CONNECT_5);
    peer_send(0x10, CONNECT_5);
    EXPECT_EQ(fakes.reason, CLOSE_PROTOCOL_ERROR);
    EXPECT_EQ(fakes.sent.bytes[0], 0xE0);
    EXPECT_EQ(fakes.sent.bytes[2], MQTT_REASON_PROTOCOL_ERROR);
    EXPECT_EQ(peer.release_count, 1);
}

TEST(what_breaks_3_1_1_closes_without_a_word) { /* [MQTT-4.8.0-1] */
    peer_connect(CONNECT_311);
    peer_send(0x36, "0001 'a' 0001"); /* QoS 3 */
    EXPECT_EQ(fakes.reason, CLOSE_PROTOCOL_ERROR);
    EXPECT_EQ(fakes.sent.length, 0);
}

TEST(a_client_that_does_not_read_is_not_read) {
    peer_connect(CONNECT_311);
    fakes.is_blocked = true;
    peer_send(0xC0, "");
    EXPECT_TRUE(fakes.is_paused);
    fakes_receive_bytes(bytes_of("c0 00 c0 00")); /* was on its way */
    size_t sent = fakes.sent.length;
    fakes_turn();
    EXPECT_EQ(fakes.sent.length, sent);
    fakes_drain_socket();
    EXPECT_FALSE(fakes.is_paused);
    EXPECT_SENT("d0 00 d0 00 d0 00");
}

TEST(a_request_that_is_held_holds_what_follows) {
    peer_connect(CONNECT_311);
    peer.holds_requests = true;
    peer_send(0x82, "0001 0001 'a' 00");
    EXPECT_TRUE(fakes.is_paused);
    peer_send(0xC0, "");
    EXPECT_SENT("");
    peer_answer_request();
    EXPECT_SENT("d0 00");
}

TEST(without_room_for_a_packet_the_client_is_told) {
    peer_connect(CONNECT_5);
    fakes.body_room_max = 100;
    fakes_receive_bytes(bytes_of("30 ff ff 3f 00"));
    EXPECT_EQ(fakes.reason, CLOSE_MEMORY);
    EXPECT_EQ(fakes.sent.bytes[2], MQTT_REASON_SERVER_BUSY);
    EXPECT_EQ(fakes.body_room_bytes, 0);
}

TEST(an_acknowledgement_that_fits_nothing_ends_the_connection) {
    peer_connect(CONNECT_5);
    peer_send(0x40, "0001");
    EXPECT_EQ(peer.ack_count, 1);
    peer.ack_result = MQTT_REASON_PROTOCOL_ERROR;
    peer_send(0x40, "0001");
    EXPECT_EQ(fakes.reason, CLOSE_PROTOCOL_ERROR);
}

TEST(a_goodbye_has_its_reason) {
    static const struct {
        enum close_reason close_reason;
        enum mqtt_reason reason;
    } rows[] = {{CLOSE_DRAINING, MQTT_REASON_SERVER_SHUTTING_DOWN},
                {CLOSE_TOKEN_EXPIRED, MQTT_REASON_MAXIMUM_CONNECT_TIME},
                {CLOSE_REVOKED, MQTT_REASON_NOT_AUTHORIZED},
                {CLOSE_UNAUTHORIZED, MQTT_REASON_NOT_AUTHORIZED},
                {CLOSE_OPERATOR, MQTT_REASON_ADMINISTRATIVE_ACTION}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        peer_connect(CONNECT_5);
        mqtt_protocol.on_dismissed(fakes_connection(), fakes.state, rows[i].close_reason);
        EXPECT_EQ(fakes.sent.bytes[0], 0xE0);
        EXPECT_EQ(fakes.sent.bytes[2], rows[i].reason);
        EXPECT_EQ(fakes.reason, rows[i].close_reason);
        peer_end(NULL);
        peer_begin(NULL);
    }
}

TEST(an_auth_without_a_method_is_a_protocol_error) { /* [MQTT-4.12.0-6] */
    peer_connect(CONNECT_5);
    peer_send(0xF0, "18 04 15 0001 'x'");
    EXPECT_EQ(fakes.reason, CLOSE_PROTOCOL_ERROR);
}

UNIT_TESTS(PEER(a_first_packet_that_is_no_connect_ends_the_connection_at_once),
           PEER(a_huge_length_is_refused_with_the_header), PEER(packets_may_come_a_byte_at_a_time),
           PEER(what_comes_before_the_grant_waits_for_it),
           PEER(a_second_connect_is_a_protocol_error),
           PEER(what_breaks_3_1_1_closes_without_a_word),
           PEER(a_client_that_does_not_read_is_not_read),
           PEER(a_request_that_is_held_holds_what_follows),
           PEER(without_room_for_a_packet_the_client_is_told),
           PEER(an_acknowledgement_that_fits_nothing_ends_the_connection),
           PEER(a_goodbye_has_its_reason), PEER(an_auth_without_a_method_is_a_protocol_error))
