/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/mqtt/peer.h"

TEST(a_connect_has_to_come_in_time) { /* [MQTT-3.1.0-1] */
    fakes_pass(HANDSHAKE_TIMEOUT_MS - 1);
    EXPECT_FALSE(fakes.is_closing);
    fakes_receive_bytes(bytes_of("10")); /* a beginning is not enough */
    fakes_pass(1);
    EXPECT_EQ(fakes.reason, CLOSE_HANDSHAKE_TIMEOUT);
}

TEST(a_silent_client_is_cut_off_after_one_and_a_half_keep_alives) { /* [MQTT-3.1.2-22] */
    peer_connect("0004 'MQTT' 05 02 000a 00 0001 'a'");
    fakes_pass(10000);
    peer_send(0xC0, "");
    fakes_forget_sent();
    fakes_pass(14999);
    EXPECT_FALSE(fakes.is_closing);
    fakes_pass(1);
    EXPECT_EQ(fakes.reason, CLOSE_KEEP_ALIVE);
    EXPECT_EQ(fakes.sent.bytes[2], MQTT_REASON_KEEP_ALIVE_TIMEOUT);
}

TEST(a_client_without_a_keep_alive_may_be_silent) { /* [MQTT-3.1.2-10] */
    peer_connect("0004 'MQTT' 04 02 0000 0001 'a'");
    for (int i = 0; i < 100; i++) {
        fakes_pass(1000000);
    }
    EXPECT_FALSE(fakes.is_closing);
}

TEST(a_client_is_not_silent_while_it_is_not_read) {
    peer_connect("0004 'MQTT' 04 02 000a 0001 'a'");
    peer.holds_requests = true;
    peer_send(0x82, "0001 0001 'a' 00");
    fakes_pass(100000);
    EXPECT_FALSE(fakes.is_closing);
    peer_answer_request();
    fakes_pass(14000);
    EXPECT_FALSE(fakes.is_closing);
}

TEST(what_a_client_is_sent_is_due_when_it_says) {
    peer_connect("0004 'MQTT' 04 02 003c 0001 'a'");
    fakes_pass(500);
    peer.due_ms = fakes.now_ms + 1000;
    deadlines_arm(peer_mqtt());
    fakes_pass(999);
    EXPECT_EQ(peer.due_count, 0);
    fakes_pass(1);
    EXPECT_EQ(peer.due_count, 1);
    fakes_pass(60 * 1500 - 1501); /* and the client is cut off when it would have been */
    EXPECT_FALSE(fakes.is_closing);
    fakes_pass(1);
    EXPECT_EQ(fakes.reason, CLOSE_KEEP_ALIVE);
    EXPECT_EQ(peer.due_count, 1);
}

/* Each packet that begins sets the deadline anew, never behind what was due before. */
TEST(packets_do_not_put_off_what_a_client_is_sent) {
    peer_connect("0004 'MQTT' 04 02 003c 0001 'a'");
    for (unsigned due_count = 1; due_count <= 3; due_count++) {
        peer.due_ms = fakes.now_ms + 1000;
        deadlines_arm(peer_mqtt());
        for (int passed = 0; passed < 990; passed += 10) {
            fakes_receive_bytes(bytes_of("40 02"));
            fakes_pass(10);
            fakes_receive_bytes(bytes_of("0001"));
        }
        fakes_receive_bytes(bytes_of("40 02"));
        fakes_pass(9);
        EXPECT_EQ(peer.due_count, due_count - 1);
        fakes_receive_bytes(bytes_of("0001"));
        fakes_pass(1);
        EXPECT_EQ(peer.due_count, due_count);
    }
}

TEST(a_packet_that_has_begun_has_to_go_on) {
    peer_connect("0004 'MQTT' 04 02 0000 0001 'a'");
    fakes_receive_bytes(bytes_of("30 ff 7f 0001 'a'"));
    for (uint64_t passed = 0; passed + 1000 < BODY_TIMEOUT_MS; passed += 1000) {
        fakes_pass(1000);
        fakes_receive_bytes(bytes_of("'x'")); /* a byte now and then */
    }
    EXPECT_FALSE(fakes.is_closing);
    fakes_pass(1000);
    EXPECT_TRUE(fakes.is_closing);
    fakes_turn();
    EXPECT_EQ(fakes.body_room_bytes, 0);
}

TEST(a_packet_that_makes_progress_has_its_time) {
    static const uint8_t progress[MQTT_PROGRESS_BYTES];
    peer_connect("0004 'MQTT' 04 02 0000 0001 'a'");
    fakes_receive_bytes(bytes_of("30 85 80 02 0001 'a'"));
    for (int i = 0; i < 8; i++) {
        fakes_pass(BODY_TIMEOUT_MS - 1);
        fakes_receive_bytes(span_of(progress, sizeof(progress)));
    }
    EXPECT_FALSE(fakes.is_closing);
    fakes_receive_bytes(bytes_of("0000"));
    fakes_pass(BODY_TIMEOUT_MS * 2);
    EXPECT_FALSE(fakes.is_closing);
}

TEST(each_packet_that_begins_has_its_time) {
    peer_connect("0004 'MQTT' 04 02 0000 0001 'a'");
    fakes_receive_bytes(bytes_of("40"));
    for (int i = 0; i < 8; i++) {
        fakes_pass(BODY_TIMEOUT_MS / 2 + 1);
        fakes_receive_bytes(bytes_of("02 0001 40")); /* as much of the next as there was of it */
    }
    EXPECT_FALSE(fakes.is_closing);
    fakes_pass(BODY_TIMEOUT_MS);
    EXPECT_EQ(fakes.reason, CLOSE_IDLE);
}

TEST(a_packet_has_its_time_anew_when_it_is_read_again) {
    peer_connect("0004 'MQTT' 04 02 0000 0001 'a'");
    fakes.is_blocked = true;
    fakes_receive_bytes(bytes_of("c0 00 30 ff 7f 0001 'a'")); /* the answer does not go out */
    fakes_turn();
    EXPECT_TRUE(fakes.is_paused);
    fakes_pass(BODY_TIMEOUT_MS + 1000);
    EXPECT_FALSE(fakes.is_closing);
    fakes_drain_socket();
    fakes_pass(BODY_TIMEOUT_MS - 1);
    EXPECT_FALSE(fakes.is_closing);
    fakes_pass(1);
    EXPECT_EQ(fakes.reason, CLOSE_IDLE);
}

TEST(a_peer_that_takes_nothing_is_stalled) {
    peer_connect("0004 'MQTT' 04 02 0000 0001 'a'");
    fakes.is_blocked = true;
    fakes_pass(300000);
    fakes_pass(300000);
    EXPECT_EQ(fakes.reason, CLOSE_STALLED);
}

/* What left between two looks at it counts from when it left. */
TEST(a_stall_lasts_no_longer_than_its_timeout) {
    const uint64_t timeout_ms = fakes.broker.config->stall_timeout_ms;
    peer_connect("0004 'MQTT' 04 02 0000 0001 'a'");
    fakes_pass(1000);
    fakes.is_blocked = true;
    fakes.sent_ms = fakes.now_ms;
    fakes_pass(timeout_ms - 1);
    EXPECT_FALSE(fakes.is_closing);
    fakes_pass(1);
    EXPECT_EQ(fakes.reason, CLOSE_STALLED);
}

UNIT_TESTS(PEER(a_connect_has_to_come_in_time),
           PEER(a_silent_client_is_cut_off_after_one_and_a_half_keep_alives),
           PEER(a_client_without_a_keep_alive_may_be_silent),
           PEER(a_client_is_not_silent_while_it_is_not_read),
           PEER(what_a_client_is_sent_is_due_when_it_says),
           PEER(packets_do_not_put_off_what_a_client_is_sent),
           PEER(a_packet_that_has_begun_has_to_go_on),
           PEER(a_packet_that_makes_progress_has_its_time),
           PEER(each_packet_that_begins_has_its_time),
           PEER(a_packet_has_its_time_anew_when_it_is_read_again),
           PEER(a_peer_that_takes_nothing_is_stalled),
           PEER(a_stall_lasts_no_longer_than_its_timeout))
