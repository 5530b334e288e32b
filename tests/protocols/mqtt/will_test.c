/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/will.h"

#include "broker/runtime/log.h"
#include "tests/protocols/mqtt/peer.h"

#define WILL_5 "0004 'MQTT' 05 2e 003c 00 0001 'a' 00 0001 'w' 0002 'hi'"
#define WILL_DELAYED                                                                               \
    "0004 'MQTT' 05 06 003c 05 11 00000e10 0001 'a' 05 18 00000005 0001 'w' 0002 'hi'"

static const struct message_fields *published(void) {
    EXPECT_NOT_NULL(fakes.publish);
    return &fakes.publish->messages[0]->fields;
}

TEST(a_client_that_is_lost_leaves_its_will) { /* [MQTT-3.1.2-8] */
    peer_connect(WILL_5);
    fakes_hang_up();
    fakes.state = NULL;
    EXPECT_SPAN(published()->channel, "w");
    EXPECT_SPAN(published()->payload, "hi");
    EXPECT_SPAN(published()->publisher, "a");
    EXPECT_EQ(published()->qos, 1);
    EXPECT_TRUE((published()->flags & MESSAGE_RETAIN) != 0); /* [MQTT-3.1.2-15] */
    fakes_turn();
    EXPECT_EQ(peer.release_count, 0); /* its will is in the log before the session goes */
    peer_answer(OK);
    EXPECT_EQ(peer.release_count, 1);
    EXPECT_NULL(peer.release.will);
}

TEST(a_disconnect_drops_the_will) { /* [MQTT-3.1.2-10] [MQTT-3.14.4-3] */
    peer_connect(WILL_5);
    peer_send(0xE0, "");
    EXPECT_EQ(fakes.publish_count, 0);
    EXPECT_NULL(peer.release.will);
}

TEST(a_disconnect_with_a_will_leaves_it) {
    peer_connect(WILL_5);
    peer_send(0xE0, "04");
    EXPECT_SPAN(published()->payload, "hi");
    peer_answer(OK);
}

TEST(a_protocol_error_leaves_the_will) {
    peer_connect(WILL_5);
    peer_send(0x10, CONNECT_5);
    EXPECT_SPAN(published()->payload, "hi");
    peer_answer(OK);
}

TEST(a_will_with_a_delay_is_for_the_registry) { /* [MQTT-3.1.3-9] */
    peer_connect(WILL_DELAYED);
    fakes_hang_up();
    fakes.state = NULL;
    fakes_turn();
    EXPECT_EQ(fakes.publish_count, 0);
    EXPECT_EQ(peer.release.will_delay_ms, 5000);
    EXPECT_SPAN(peer.release.will->fields.payload, "hi");
}

TEST(a_will_that_finds_the_log_busy_is_not_lost) {
    peer_connect(WILL_5);
    fakes.submit_result = ERR_BUSY;
    fakes_hang_up();
    fakes.state = NULL;
    fakes_turn();
    EXPECT_SPAN(peer.release.will->fields.payload, "hi");
    EXPECT_EQ(peer.release.will_delay_ms, 0);
}

TEST(the_end_of_the_broker_is_no_reason_for_a_will) {
    peer_connect(WILL_5);
    atomic_store(&fakes.broker.is_stopping, true);
    mqtt_protocol.on_drain(fakes_connection(), fakes.state);
    fakes_turn();
    EXPECT_EQ(fakes.publish_count, 0);
    EXPECT_EQ(peer.release_count, 1);
}

TEST(a_client_that_is_refused_leaves_no_will) {
    peer_send(0x10, WILL_5);
    peer_grant(ERR_FULL, (struct span){0});
    EXPECT_EQ(fakes.publish_count, 0);
}

UNIT_TESTS(PEER(a_client_that_is_lost_leaves_its_will), PEER(a_disconnect_drops_the_will),
           PEER(a_disconnect_with_a_will_leaves_it), PEER(a_protocol_error_leaves_the_will),
           PEER(a_will_with_a_delay_is_for_the_registry),
           PEER(a_will_that_finds_the_log_busy_is_not_lost),
           PEER(the_end_of_the_broker_is_no_reason_for_a_will),
           PEER(a_client_that_is_refused_leaves_no_will))
