/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/intake.h"

#include <stdio.h>

#include "broker/config/config.h"
#include "broker/runtime/log.h"
#include "protocols/mqtt/session.h"
#include "tests/protocols/mqtt/peer.h"

TEST(acknowledgements_go_out_in_the_order_of_the_packets) { /* [MQTT-4.6.0-2] */
    peer_connect(CONNECT_311);
    peer_send(0x32, "0001 'a' 0001 'x'");
    peer_send(0x32, "0001 '*' 0002 'x'"); /* refused at once, and acknowledged in its turn */
    peer_send(0x34, "0001 'a' 0003 'x'");
    EXPECT_SENT("");
    peer_answer(OK);
    EXPECT_SENT("40 02 0001 40 02 0002");
    peer_answer(OK);
    EXPECT_SENT("50 02 0003");
}

TEST(an_acknowledgement_of_5_tells_the_place) {
    peer_connect(CONNECT_5);
    peer_send(0x32, "0001 'a' 0001 00 'x'");
    peer_answer(OK);
    EXPECT_EQ(fakes.sent.bytes[0], 0x40);
    EXPECT_TRUE(fakes_has_sent("offset"));
}

TEST(a_client_that_wants_no_problem_information_is_given_none) { /* [MQTT-3.1.2-29] */
    peer_connect("0004 'MQTT' 05 02 003c 02 17 00 0001 'a'");
    peer_send(0x32, "0001 'a' 0001 00 'x'");
    peer_answer(OK);
    EXPECT_SENT("40 02 0001");
    peer_send(0x32, "0001 '*' 0002 00 'x'");
    EXPECT_SENT("40 03 0002 90");
}

TEST(an_operator_may_want_acknowledgements_short) {
    ((struct config *)(uintptr_t)fakes.broker.config)->mqtt_acknowledge_offsets = false;
    peer_connect(CONNECT_5);
    peer_send(0x32, "0001 'a' 0001 00 'x'");
    peer_answer(OK);
    EXPECT_SENT("40 02 0001");
    peer_send(0x32, "0001 '*' 0002 00 'x'");
    EXPECT_SENT("40 03 0002 90");
}

static void expect_refused(uint8_t first, uint8_t reason, const char *text) {
    EXPECT_EQ(fakes.sent.bytes[0], first);
    EXPECT_EQ(fakes.sent.bytes[4], reason);
    EXPECT_EQ(fakes.sent.bytes[6], 0x1F); /* the reason string */
    EXPECT_TRUE(fakes_has_sent(text));
    fakes_forget_sent();
}

TEST(a_refused_publish_of_5_is_told_why) {
    peer_connect(CONNECT_5);
    peer_send(0x32, "0001 '*' 0001 00 'x'");
    expect_refused(0x40, 0x90, "*");
    peer_send(0x34, "0002 '$x' 0002 00 'x'");
    expect_refused(0x50, 0x90, "topics that begin with $ are the broker's own");
    peer_send(0x32, "0001 'a' 0003 02 01 01 ff"); /* no UTF-8 */
    expect_refused(0x40, 0x99, "the payload is said to be UTF-8 and is not");
    EXPECT_EQ(fakes.publish_count, 0);
}

TEST(why_is_left_out_where_it_does_not_fit) { /* [MQTT-3.4.2-2] */
    peer_connect("0004 'MQTT' 05 02 003c 05 27 00000018 0001 'a'");
    peer_send(0x32, "0001 '*' 0001 00 'x'");
    EXPECT_SENT("40 03 0001 90");
}

TEST(a_qos_2_message_goes_into_the_log_once) { /* [MQTT-4.3.3-10] */
    peer_connect(CONNECT_311);
    peer_send(0x34, "0001 'a' 0005 'x'");
    peer_send(0x3C, "0001 'a' 0005 'x'"); /* again, before the first is answered */
    EXPECT_EQ(fakes.publish_count, 1);
    peer_answer(OK);
    EXPECT_SENT("50 02 0005 50 02 0005");
    peer_send(0x3C, "0001 'a' 0005 'x'");
    EXPECT_SENT("50 02 0005");
    EXPECT_EQ(fakes.publish_count, 1);
    peer_send(0x62, "0005");
    EXPECT_SENT("70 02 0005");
    peer_send(0x34, "0001 'a' 0005 'y'"); /* the id is free again */
    EXPECT_EQ(fakes.publish_count, 2);
    peer_answer(OK);
}

TEST(a_kept_session_journals_the_steps_of_qos_2) {
    peer_connect(CONNECT_5_KEPT);
    peer_send(0x34, "0001 'a' 0005 00 'x'");
    EXPECT_EQ(fakes.publish->count, 2); /* the message and the step: both or none */
    EXPECT_EQ(fakes.publish->messages[1]->fields.kind, MESSAGE_COMMAND);
    peer_answer(OK);
    fakes_forget_sent();
    peer_send(0x62, "0005");
    EXPECT_SENT("");
    EXPECT_EQ(fakes.publish->count, 1);
    peer_answer(OK);
    EXPECT_SENT("70 02 0005");
}

TEST(a_release_of_nothing_is_told_in_5_and_done_in_3_1_1) {
    peer_connect(CONNECT_5);
    peer_send(0x62, "0005");
    EXPECT_SENT("70 03 0005 92");
    peer_end(NULL);
    peer_begin(NULL);
    peer_connect(CONNECT_311);
    peer_send(0x62, "0005"); /* [MQTT-4.3.3-12] */
    EXPECT_SENT("70 02 0005");
}

TEST(the_session_is_given_back_when_the_log_has_answered) {
    peer_connect(CONNECT_5_KEPT);
    peer_send(0x34, "0001 'a' 0005 00 'x'");
    fakes_hang_up();
    fakes.state = NULL;
    fakes_turn();
    EXPECT_EQ(peer.release_count, 0);
    peer_answer(OK);
    EXPECT_EQ(peer.release_count, 1);
    struct session *session = NULL;
    EXPECT_EQ(session_decode(span_of(peer.release.state, peer.release.state_length),
                             (struct span){0}, &session, NULL),
              OK);
    EXPECT_TRUE(session_has_received(session, 5));
    session_destroy(session);
}

TEST(a_busy_log_holds_the_client_back) {
    peer_connect(CONNECT_311);
    fakes.submit_result = ERR_BUSY;
    peer_send(0x32, "0001 'a' 0001 'x'");
    EXPECT_TRUE(fakes.is_paused);
    fakes_pass(1000);
    EXPECT_TRUE(fakes.is_paused);
    fakes.submit_result = OK;
    fakes_pass(1000);
    EXPECT_FALSE(fakes.is_paused);
    EXPECT_EQ(fakes.publish_count, 1);
    peer_answer(OK);
    EXPECT_SENT("40 02 0001");
}

TEST(what_the_busy_log_was_not_given_goes_with_the_client) {
    peer_connect(CONNECT_5_KEPT);
    fakes.submit_result = ERR_BUSY;
    peer_send(0x34, "0001 'a' 0005 00 'x'");
    fakes_hang_up();
    fakes.state = NULL;
    fakes_turn();
    EXPECT_EQ(peer.release_count, 1);
}

TEST(a_failed_publish_of_3_1_1_is_not_acknowledged) {
    peer_connect(CONNECT_311);
    peer_send(0x32, "0001 'a' 0001 'x'");
    peer_answer(ERR_IO);
    EXPECT_EQ(fakes.reason, CLOSE_INTERNAL);
    EXPECT_EQ(fakes.sent.length, 0);
}

TEST(a_failed_publish_of_5_is_told) {
    peer_connect(CONNECT_5);
    peer_send(0x32, "0001 'a' 0001 00 'x'");
    peer_answer(ERR_STORAGE_FULL);
    EXPECT_SENT("40 03 0001 97");
}

TEST(ids_in_doubt_are_bounded) { /* [MQTT-3.3.4-7] */
    peer_connect(CONNECT_311);
    char body[32];
    for (unsigned id = 1; id <= 1024; id++) {
        snprintf(body, sizeof(body), "0001 'a' %04x 'x'", id);
        peer_send(0x34, body);
        peer_answer(OK);
    }
    EXPECT_FALSE(fakes.is_closing);
    peer_send(0x34, "0001 'a' 0401 'x'");
    EXPECT_EQ(fakes.reason, CLOSE_PROTOCOL_ERROR);
}

TEST(too_much_under_way_holds_the_client_back) {
    peer_connect(CONNECT_311);
    struct buffer many;
    buffer_init(&many, 10000);
    for (unsigned i = 0; i < 200; i++) {
        EXPECT_EQ(buffer_put(&many, packet_of(0x62, "0001")), OK);
    }
    peer_send(0x32, "0001 'a' 0001 'x'");
    fakes_receive_bytes(buffer_borrow(&many));
    EXPECT_FALSE(fakes.is_paused);
    fakes_receive_bytes(buffer_borrow(&many));
    EXPECT_TRUE(fakes.is_paused);
    buffer_finish(&many);
    peer_answer(OK);
    EXPECT_FALSE(fakes.is_paused);
    EXPECT_EQ(fakes.sent.length, 401 * 4);
}

TEST(what_asks_waits_for_what_was_published) {
    peer_connect(CONNECT_311);
    peer_send(0x30, "0001 'a' 'x'");
    peer_send(0x82, "0001 0001 'a' 00");
    EXPECT_EQ(peer.request_count, 0);
    peer_answer(OK);
    EXPECT_EQ(peer.request_count, 1);
    peer_send(0x32, "0001 'a' 0001 'x'");
    peer_send(0xC0, "");
    peer_send(0xE0, "");
    EXPECT_SENT("");
    peer_answer(OK);
    EXPECT_SENT("40 02 0001 d0 00");
    EXPECT_EQ(fakes.reason, CLOSE_NORMAL);
}

TEST(an_alias_stands_for_its_topic) {
    peer_connect(CONNECT_5);
    peer_send(0x30, "0001 'a' 03 23 0001 'x'");
    peer_answer(OK);
    peer_send(0x30, "0000 03 23 0001 'y'");
    EXPECT_SPAN(fakes.publish->messages[0]->fields.channel, "a");
    EXPECT_SPAN(fakes.publish->messages[0]->fields.publisher, "a");
    peer_answer(OK);
    peer_send(0x30, "0000 03 23 0002 'y'");
    EXPECT_EQ(fakes.sent.bytes[2], MQTT_REASON_PROTOCOL_ERROR);
}

TEST(an_alias_above_the_maximum_ends_the_connection) { /* [MQTT-3.3.2-9] */
    peer_connect(CONNECT_5);
    peer_send(0x30, "0001 'a' 03 23 0041 'x'");
    EXPECT_EQ(fakes.sent.bytes[2], MQTT_REASON_TOPIC_ALIAS_INVALID);
}

static void count_pending(void *context, uint16_t packet_id, bool is_release) {
    unsigned *ids = context;
    *ids = *ids * 100 + packet_id * 2 + is_release;
}

TEST(steps_under_way_are_told_in_order) {
    unsigned ids = 0;
    peer_connect(CONNECT_5_KEPT);
    peer_send(0x34, "0001 'a' 0005 00 'x'");
    peer_answer(OK);
    peer_send(0x62, "0005");
    peer_send(0x34, "0001 'a' 0006 00 'x'");
    intake_each_pending(peer_mqtt(), count_pending, &ids);
    EXPECT_EQ(ids, 1112);
    peer_answer(OK);
    peer_answer(OK);
}

TEST(a_snapshot_that_counted_on_a_refused_message_is_followed_by_another) {
    unsigned ids = 0;
    peer_connect(CONNECT_5_KEPT);
    peer_send(0x34, "0001 'a' 0005 00 'x'");
    peer_answer(ERR_STORAGE_FULL);
    EXPECT_EQ(peer.store_count, 0);
    peer_send(0x34, "0001 'a' 0006 00 'x'");
    intake_each_pending(peer_mqtt(), count_pending, &ids);
    EXPECT_EQ(ids, 12);
    peer_answer(ERR_STORAGE_FULL);
    EXPECT_EQ(peer.store_count, 1);
    ids = 0;
    intake_each_pending(peer_mqtt(), count_pending, &ids);
    EXPECT_EQ(ids, 0);
}

UNIT_TESTS(PEER(acknowledgements_go_out_in_the_order_of_the_packets),
           PEER(an_acknowledgement_of_5_tells_the_place),
           PEER(a_client_that_wants_no_problem_information_is_given_none),
           PEER(an_operator_may_want_acknowledgements_short),
           PEER(a_refused_publish_of_5_is_told_why), PEER(why_is_left_out_where_it_does_not_fit),
           PEER(a_qos_2_message_goes_into_the_log_once),
           PEER(a_kept_session_journals_the_steps_of_qos_2),
           PEER(a_release_of_nothing_is_told_in_5_and_done_in_3_1_1),
           PEER(the_session_is_given_back_when_the_log_has_answered),
           PEER(a_busy_log_holds_the_client_back),
           PEER(what_the_busy_log_was_not_given_goes_with_the_client),
           PEER(a_failed_publish_of_3_1_1_is_not_acknowledged), PEER(a_failed_publish_of_5_is_told),
           PEER(ids_in_doubt_are_bounded), PEER(too_much_under_way_holds_the_client_back),
           PEER(what_asks_waits_for_what_was_published), PEER(an_alias_stands_for_its_topic),
           PEER(an_alias_above_the_maximum_ends_the_connection),
           PEER(steps_under_way_are_told_in_order),
           PEER(a_snapshot_that_counted_on_a_refused_message_is_followed_by_another))
