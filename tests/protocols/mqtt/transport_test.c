/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/transport.h"

#include "tests/protocols/mqtt/peer.h"

/* Frames as a client sends them, masked with nothing: the first byte, then the payload. */
static void send_frame(uint8_t first, struct span payload) {
    struct buffer frame;
    const uint8_t head[] = {first, (uint8_t)(0x80 | payload.length), 0, 0, 0, 0};
    buffer_init(&frame, 1000);
    EXPECT_TRUE(payload.length < 126);
    EXPECT_EQ(buffer_put(&frame, span_of(head, sizeof(head))), OK);
    EXPECT_EQ(buffer_put(&frame, payload), OK);
    fakes_receive_bytes(buffer_borrow(&frame));
    buffer_finish(&frame);
    fakes_turn();
}

static void begin(void) {
    send_frame(0x82, packet_of(0x10, CONNECT_311));
    peer_grant(OK, (struct span){0});
}

TEST(each_packet_goes_out_in_a_frame) { /* [MQTT-6.0.0-2] */
    begin();
    EXPECT_SENT("82 04" CONNACK_311);
}

TEST(packets_span_frames_and_share_them) {
    struct span connect_packet = packet_of(0x10, CONNECT_311);
    send_frame(0x82, span_of(connect_packet.bytes, 5));
    send_frame(0x82, span_of(connect_packet.bytes + 5, connect_packet.length - 5));
    peer_grant(OK, (struct span){0});
    fakes_forget_sent();
    send_frame(0x02, bytes_of("c0 00 c0 00 c0"));
    send_frame(0x80, bytes_of("00"));
    EXPECT_SENT("82 02 d0 00 82 02 d0 00 82 02 d0 00");
}

TEST(text_ends_the_connection) { /* [MQTT-6.0.0-1] */
    begin();
    send_frame(0x81, bytes_of("'x'"));
    EXPECT_EQ(fakes.reason, CLOSE_UNSUPPORTED);
}

TEST(a_ping_of_the_websocket_is_answered) {
    begin();
    fakes_forget_sent();
    send_frame(0x89, bytes_of("'hi'"));
    EXPECT_SENT("8a 02 'hi'");
}

TEST(a_close_frame_is_answered_and_no_disconnect) {
    begin();
    fakes_forget_sent();
    send_frame(0x88, bytes_of("03e8"));
    EXPECT_EQ(fakes.reason, CLOSE_NORMAL);
    EXPECT_EQ(fakes.sent.bytes[0], 0x88);
    EXPECT_EQ(peer.release_count, 1);
}

/* In one read, behind a publish that is not answered and a request that waits for it. */
TEST(a_close_frame_does_not_overtake_what_came_before_it) {
    begin();
    fakes_forget_sent();
    fakes_receive_bytes(bytes_of("82 88 00000000 32 06 0001 'a' 0001 'x'"
                                 "82 82 00000000 c0 00"
                                 "82 87 00000000 30 05 0001 'a' 'yz'"
                                 "88 82 00000000 03e8"));
    fakes_turn();
    EXPECT_FALSE(fakes.is_closing);
    peer_answer(OK);
    EXPECT_EQ(fakes.publish_count, 2);
    EXPECT_EQ(fakes.reason, CLOSE_NORMAL);
    EXPECT_BYTES(span_of(fakes.sent.bytes, 11), "82 04 40 02 0001 82 02 d0 00 88");
    peer_answer(OK);
}

TEST(an_unmasked_frame_breaks_the_protocol) {
    begin();
    fakes_receive_bytes(bytes_of("82 02 c0 00"));
    EXPECT_EQ(fakes.reason, CLOSE_PROTOCOL_ERROR);
    fakes_turn();
}

TEST(the_end_is_told_by_a_close_frame_too) {
    begin();
    fakes_forget_sent();
    send_frame(0x82, bytes_of("e0 00"));
    EXPECT_EQ(fakes.sent.bytes[0], 0x88);
    EXPECT_EQ(fakes.sent.bytes[2] << 8 | fakes.sent.bytes[3], 1000);
}

UNIT_TESTS(PEER_WEBSOCKET(each_packet_goes_out_in_a_frame),
           PEER_WEBSOCKET(packets_span_frames_and_share_them),
           PEER_WEBSOCKET(text_ends_the_connection),
           PEER_WEBSOCKET(a_ping_of_the_websocket_is_answered),
           PEER_WEBSOCKET(a_close_frame_is_answered_and_no_disconnect),
           PEER_WEBSOCKET(a_close_frame_does_not_overtake_what_came_before_it),
           PEER_WEBSOCKET(an_unmasked_frame_breaks_the_protocol),
           PEER_WEBSOCKET(the_end_is_told_by_a_close_frame_too))
