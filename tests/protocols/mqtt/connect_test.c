/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/session.h"
#include "tests/protocols/mqtt/peer.h"

/* A CONNECT of 5.0 with a will: its flags, its properties. */
#define WILL(flags, properties, topic)                                                             \
    "0004 'MQTT' 05 " flags " 003c 00 0001 'a' " properties " " topic " 0002 'hi'"

TEST(a_connack_tells_what_is_granted) {
    peer_send(0x10, CONNECT_5);
    EXPECT_TRUE(peer.claim->is_clean);
    EXPECT_EQ(peer.claim->client_id_length, 1);
    peer_grant(OK, (struct span){0});
    EXPECT_SENT(CONNACK_5);
    EXPECT_EQ(peer.start_count, 1);
}

TEST(a_session_that_was_there_is_told) { /* [MQTT-3.2.2-2] */
    struct session *session = session_create();
    struct buffer state;
    buffer_init(&state, SESSION_STATE_BYTES_MAX);
    EXPECT_EQ(session_note_received(session, 7), OK);
    EXPECT_EQ(session_encode(session, &state), OK);
    session_destroy(session);
    peer_send(0x10, "0004 'MQTT' 04 00 003c 0001 'a'");
    EXPECT_FALSE(peer.claim->is_clean);
    peer_grant(OK, buffer_borrow(&state));
    EXPECT_SENT("20 02 01 00");
    EXPECT_TRUE(session_has_received(peer_mqtt()->session, 7));
    buffer_finish(&state);
}

TEST(a_will_that_waited_is_let_go_when_the_session_is_opened) { /* [MQTT-3.1.3-9] */
    struct message_fields fields = {.kind = MESSAGE_DATA, .channel = SPAN("w")};
    peer_send(0x10, CONNECT_5_KEPT);
    peer.claim->will = message_create(&fields);
    EXPECT_NOT_NULL(peer.claim->will);
    peer_grant(OK, (struct span){0});
    EXPECT_NULL(peer.claim->will);
    fakes_hang_up();
    fakes.state = NULL;
    fakes_turn();
    EXPECT_EQ(peer.release_count, 1);
    EXPECT_FALSE(peer.release.is_unopened);
}

TEST(a_state_that_cannot_be_read_is_a_new_session) {
    peer_send(0x10, "0004 'MQTT' 04 00 003c 0001 'a'");
    peer_grant(OK, bytes_of("ff ff ff"));
    EXPECT_SENT("20 02 00 00");
}

TEST(a_refused_claim_is_told) {
    static const struct {
        enum error_code code;
        const char *connack_5; /* up to its properties */
        const char *connack_311;
    } rows[] = {{ERR_FULL, "00 97", "20 02 00 03"},
                {ERR_DRAINING, "00 88", "20 02 00 03"},
                {ERR_BUSY, "00 89", "20 02 00 03"}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        peer_send(0x10, CONNECT_5);
        peer_grant(rows[i].code, (struct span){0});
        EXPECT_EQ(fakes.sent.bytes[0], 0x20);
        expect_bytes(span_of(fakes.sent.bytes + 2, 2), bytes_of(rows[i].connack_5));
        EXPECT_TRUE(fakes.is_closing);
        peer_end(NULL);
        peer_begin(NULL);
        peer_send(0x10, CONNECT_311);
        peer_grant(rows[i].code, (struct span){0});
        EXPECT_SENT(rows[i].connack_311);
        peer_end(NULL);
        peer_begin(NULL);
    }
    EXPECT_EQ(peer.release_count, 0);
}

TEST(a_claim_that_is_not_taken_is_told_at_once) {
    peer.claim_result = ERR_BUSY;
    peer_send(0x10, CONNECT_311);
    EXPECT_SENT("20 02 00 03");
}

TEST(a_client_without_a_name_is_given_one) { /* [MQTT-3.1.3-6] [MQTT-3.1.3-7] */
    peer_send(0x10, "0004 'MQTT' 05 02 003c 00 0000");
    EXPECT_TRUE(peer.claim->client_id_length > 16);
    peer_grant(OK, (struct span){0});
    EXPECT_TRUE(memmem(fakes.sent.bytes, fakes.sent.length, "auto-", 5) != NULL);
}

TEST(a_name_that_is_too_long_is_refused) { /* [MQTT-3.1.3-8] */
    struct buffer body;
    buffer_init(&body, 1000);
    EXPECT_EQ(buffer_put(&body, bytes_of("10 8f 02 0004 'MQTT' 04 02 003c 0101")), OK);
    for (int i = 0; i < 257; i++) {
        EXPECT_EQ(buffer_put_byte(&body, 'a'), OK);
    }
    body.bytes[1] = 0x80 | ((body.length - 3) & 0x7F);
    body.bytes[2] = (uint8_t)((body.length - 3) >> 7);
    fakes_receive_bytes(buffer_borrow(&body));
    buffer_finish(&body);
    EXPECT_SENT("20 02 00 02");
    EXPECT_EQ(peer.claim_count, 0);
}

TEST(an_authentication_method_is_refused) { /* [MQTT-4.12.0-1] */
    peer_send(0x10, "0004 'MQTT' 05 02 003c 04 15 0001 'x' 0001 'a'");
    EXPECT_EQ(fakes.sent.bytes[3], MQTT_REASON_BAD_AUTHENTICATION_METHOD);
    EXPECT_EQ(peer.claim_count, 0);
}

TEST(a_session_is_kept_no_longer_than_the_limit_which_is_told) {
    peer_send(0x10, "0004 'MQTT' 05 02 003c 05 11 ffffffff 0001 'a'");
    peer_grant(OK, (struct span){0});
    EXPECT_SENT("20 13 00 00 10 11 00093a80 21 0400 22 0040 27 00140000"); /* 7 days */
    peer_send(0xE0, "");
    EXPECT_EQ(peer.release.expiry_ms, UINT64_C(7) * 24 * 3600 * 1000);
}

TEST(a_client_of_3_1_1_keeps_its_session_unless_it_is_clean) {
    peer_connect("0004 'MQTT' 04 00 003c 0001 'a'");
    peer_send(0xE0, "");
    EXPECT_EQ(peer.release.expiry_ms, UINT64_C(7) * 24 * 3600 * 1000);
    EXPECT_TRUE(peer.release.state_length > 0);
    peer_end(NULL);
    peer_begin(NULL);
    peer_connect(CONNECT_311);
    peer_send(0xE0, "");
    EXPECT_EQ(peer.release.expiry_ms, 0);
    EXPECT_EQ(peer.release.state_length, 0);
}

TEST(a_client_that_goes_before_the_grant_gives_it_back) {
    peer_send(0x10, CONNECT_5_KEPT);
    fakes_hang_up();
    fakes.state = NULL;
    fakes_turn();
    EXPECT_EQ(peer.release_count, 0);
    peer_grant(OK, (struct span){0});
    EXPECT_EQ(peer.release_count, 1);
    EXPECT_EQ(peer.start_count, 0);
}

TEST(a_client_that_goes_before_the_grant_leaves_no_will) {
    peer_send(0x10, WILL("06", "00", "0001 'w'"));
    fakes_hang_up();
    fakes.state = NULL;
    fakes_turn();
    peer_grant(OK, (struct span){0});
    EXPECT_EQ(fakes.publish_count, 0);
    EXPECT_EQ(peer.release_count, 1);
    EXPECT_NULL(peer.release.will);
}

TEST(a_client_that_comes_when_the_broker_goes_is_told) {
    peer_send(0x10, CONNECT_311);
    mqtt_protocol.on_drain(fakes_connection(), fakes.state);
    EXPECT_SENT("20 02 00 03");
    EXPECT_EQ(fakes.reason, CLOSE_DRAINING);
    peer_grant(OK, (struct span){0});
    EXPECT_EQ(peer.release_count, 1);
}

TEST(a_session_that_is_taken_over_is_told_and_given_back) { /* [MQTT-3.1.4-3] */
    peer_connect(CONNECT_5_KEPT);
    peer.claim->calls->on_taken_over(peer.claim);
    fakes_turn();
    EXPECT_EQ(fakes.sent.bytes[2], MQTT_REASON_SESSION_TAKEN_OVER);
    EXPECT_EQ(fakes.reason, CLOSE_TAKEN_OVER);
    EXPECT_EQ(peer.release_count, 1);
    EXPECT_EQ(peer.stop_count, 1);
}

TEST(a_session_that_the_operator_ends_is_told_so) {
    peer_connect(CONNECT_5_KEPT);
    peer.claim->is_dismissed = true;
    peer.claim->calls->on_taken_over(peer.claim);
    EXPECT_EQ(fakes.sent.bytes[2], MQTT_REASON_ADMINISTRATIVE_ACTION);
    EXPECT_EQ(fakes.reason, CLOSE_OPERATOR);
    fakes_turn();
}

TEST(a_will_that_could_not_be_published_is_refused) {
    peer_send(0x10, WILL("06", "00", "0002 '$x'"));
    EXPECT_TRUE(fakes.sent.bytes[3] == MQTT_REASON_NOT_AUTHORIZED ||
                fakes.sent.bytes[3] == MQTT_REASON_TOPIC_NAME_INVALID);
    EXPECT_EQ(peer.claim_count, 0);
}

TEST(a_client_that_takes_no_connack_is_sent_none) { /* [MQTT-3.1.2-24] */
    peer_send(0x10, "0004 'MQTT' 05 02 003c 05 27 00000004 0001 'a'");
    peer_grant(OK, (struct span){0});
    EXPECT_EQ(fakes.sent.length, 0);
    EXPECT_TRUE(fakes.is_closing);
    EXPECT_EQ(peer.release_count, 1);
}

UNIT_TESTS(PEER(a_connack_tells_what_is_granted), PEER(a_session_that_was_there_is_told),
           PEER(a_will_that_waited_is_let_go_when_the_session_is_opened),
           PEER(a_state_that_cannot_be_read_is_a_new_session), PEER(a_refused_claim_is_told),
           PEER(a_claim_that_is_not_taken_is_told_at_once),
           PEER(a_client_without_a_name_is_given_one), PEER(a_name_that_is_too_long_is_refused),
           PEER(an_authentication_method_is_refused),
           PEER(a_session_is_kept_no_longer_than_the_limit_which_is_told),
           PEER(a_client_of_3_1_1_keeps_its_session_unless_it_is_clean),
           PEER(a_client_that_goes_before_the_grant_gives_it_back),
           PEER(a_client_that_goes_before_the_grant_leaves_no_will),
           PEER(a_client_that_comes_when_the_broker_goes_is_told),
           PEER(a_session_that_is_taken_over_is_told_and_given_back),
           PEER(a_session_that_the_operator_ends_is_told_so),
           PEER(a_will_that_could_not_be_published_is_refused),
           PEER(a_client_that_takes_no_connack_is_sent_none))
