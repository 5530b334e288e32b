/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/config.h"
#include "broker/runtime/log.h"
#include "tests/protocols/mqtt/peer.h"

#define WILL_5 "0004 'MQTT' 05 06 003c 00 0001 'a' 00 0001 'w' 0002 'hi'"
#define PUBLISH_1 "32 07 0001 'a' 0001 00 'x'"
#define PUBLISH_0 "30 05 0001 'a' 00 'y'"
#define SUBSCRIBE_B "82 07 0002 00 0001 'b' 00"
#define DISCONNECT_0 "e0 00"

static void lose(void) {
    fakes_hang_up();
    fakes.state = NULL;
    fakes_turn();
}

TEST(a_session_that_ends_with_its_connection_cannot_be_kept) { /* [MQTT-3.14.2-2] */
    peer_connect(CONNECT_5);
    peer_send(0xE0, "00 05 11 00000001");
    EXPECT_EQ(fakes.sent.bytes[2], MQTT_REASON_PROTOCOL_ERROR);
    EXPECT_EQ(peer.release.expiry_ms, 0);
}

TEST(what_the_client_asked_for_counts_where_nothing_is_granted) {
    ((struct config *)(uintptr_t)fakes.broker.config)->mqtt_session_expiry_max_ms = 0;
    peer_connect(CONNECT_5_KEPT);
    peer_send(0xE0, "00 05 11 00000001");
    EXPECT_EQ(fakes.reason, CLOSE_NORMAL);
    EXPECT_EQ(peer.release.expiry_ms, 0);
}

TEST(a_disconnect_can_change_how_long_a_session_is_kept) {
    peer_connect(CONNECT_5_KEPT);
    peer_send(0xE0, "00 05 11 00000002");
    EXPECT_EQ(fakes.reason, CLOSE_NORMAL);
    EXPECT_EQ(peer.release_count, 1);
    EXPECT_EQ(peer.release.expiry_ms, 2000);
    EXPECT_EQ(fakes.sent.length, 0);
}

TEST(a_disconnect_that_waits_has_dropped_the_will) { /* [MQTT-3.14.4-3] */
    peer_connect(WILL_5);
    fakes_receive_bytes(bytes_of(PUBLISH_1 DISCONNECT_0));
    fakes_turn();
    EXPECT_FALSE(fakes.is_closing);
    lose();
    peer_answer(OK);
    EXPECT_EQ(fakes.publish_count, 1);
    EXPECT_NULL(peer.release.will);
    EXPECT_EQ(peer.release_count, 1);
}

TEST(nothing_behind_a_disconnect_that_waits_is_done) { /* [MQTT-3.14.4-1] */
    peer_connect(CONNECT_5);
    fakes_receive_bytes(bytes_of(PUBLISH_1 DISCONNECT_0 PUBLISH_0));
    fakes_receive_bytes(bytes_of(PUBLISH_0)); /* was on its way */
    peer_answer(OK);
    EXPECT_EQ(fakes.reason, CLOSE_NORMAL);
    EXPECT_EQ(fakes.publish_count, 1);
}

TEST(what_came_before_the_network_failed_is_published) {
    peer_connect(WILL_5);
    peer.holds_requests = true;
    fakes_receive_bytes(bytes_of(SUBSCRIBE_B PUBLISH_1 PUBLISH_0 DISCONNECT_0 PUBLISH_0));
    EXPECT_EQ(fakes.publish_count, 0);
    lose();
    EXPECT_EQ(fakes.publish_count, 2);
    peer_answer(OK);
    peer_answer(OK);
    EXPECT_NULL(peer.release.will);
    EXPECT_EQ(peer.release_count, 1);
}

TEST(a_packet_that_did_not_come_whole_is_nothing) {
    peer_connect(WILL_5);
    peer.holds_requests = true;
    fakes_receive_bytes(bytes_of(SUBSCRIBE_B PUBLISH_0 "e0 02 00"));
    lose();
    EXPECT_EQ(fakes.publish_count, 2); /* and the will */
    peer_answer(OK);
    EXPECT_SPAN(fakes.publish->messages[0]->fields.payload, "hi");
    peer_answer(OK);
}

TEST(a_busy_log_is_not_waited_for_when_the_network_has_failed) {
    peer_connect(WILL_5);
    fakes.submit_result = ERR_BUSY;
    fakes_receive_bytes(bytes_of(PUBLISH_1 PUBLISH_0 DISCONNECT_0));
    fakes.submit_result = OK;
    lose();
    EXPECT_EQ(fakes.publish_count, 0); /* what is behind would overtake it */
    EXPECT_EQ(peer.release_count, 1);
    EXPECT_NULL(peer.release.will);
}

UNIT_TESTS(PEER(a_session_that_ends_with_its_connection_cannot_be_kept),
           PEER(what_the_client_asked_for_counts_where_nothing_is_granted),
           PEER(a_disconnect_can_change_how_long_a_session_is_kept),
           PEER(a_disconnect_that_waits_has_dropped_the_will),
           PEER(nothing_behind_a_disconnect_that_waits_is_done),
           PEER(what_came_before_the_network_failed_is_published),
           PEER(a_packet_that_did_not_come_whole_is_nothing),
           PEER(a_busy_log_is_not_waited_for_when_the_network_has_failed))
