/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/permission.h"

#include "broker/runtime/log.h"
#include "tests/protocols/mqtt/peer.h"

#define PUBLISH_1 "0003 'a/b' 0001 00 'x'"
#define PUBLISH_2 "0003 'a/b' 0001 00 'x'"

static void connect_as_alice(void) {
    gate.next = gate_make("alice", NULL);
    peer_connect(CONNECT_5);
}

TEST(everyone_is_not_asked_for) {
    peer_connect(CONNECT_5);
    peer_send(0x32, PUBLISH_1);
    EXPECT_EQ(gate.permit_count, 0);
    peer_answer(OK);
}

TEST(each_publish_is_asked_for) {
    connect_as_alice();
    peer_send(0x32, PUBLISH_1);
    EXPECT_STRING(gate.asked, "publish a/b");
    EXPECT_EQ(fakes.publish_count, 1);
    peer_answer(OK);
}

TEST(what_is_refused_is_told_and_not_published) {
    connect_as_alice();
    gate.forbidden = "publish a/b";
    peer_send(0x32, PUBLISH_1);
    EXPECT_EQ(fakes.sent.bytes[0], 0x40);
    EXPECT_EQ(fakes.sent.bytes[4], 0x87);
    EXPECT_EQ(fakes.publish_count, 0);
    EXPECT_FALSE(fakes.is_closing);
}

TEST(a_refused_id_of_qos_2_is_free_again) {
    connect_as_alice();
    gate.forbidden = "publish a/b";
    peer_send(0x34, PUBLISH_2);
    EXPECT_EQ(fakes.sent.bytes[0], 0x50);
    EXPECT_EQ(fakes.sent.bytes[4], 0x87);
    fakes_forget_sent();
    gate.forbidden = NULL;
    peer_send(0x34, PUBLISH_2); /* another message, of the same id */
    EXPECT_EQ(fakes.publish_count, 1);
    peer_answer(OK);
}

TEST(in_3_1_1_a_refused_publish_counts_as_done) {
    gate.next = gate_make("alice", NULL);
    peer_connect(CONNECT_311);
    gate.forbidden = "publish a/b";
    peer_send(0x32, "0003 'a/b' 0001 'x'");
    EXPECT_SENT("40 02 0001");
    EXPECT_EQ(fakes.publish_count, 0);
}

TEST(an_alias_is_asked_for_by_what_it_stands_for) {
    connect_as_alice();
    peer_send(0x30, "0003 'a/b' 03 23 0001 'x'");
    peer_answer(OK);
    gate.forbidden = "publish a/b";
    peer_send(0x32, "0000 0002 03 23 0001 'x'");
    EXPECT_EQ(fakes.publish_count, 1);
    EXPECT_EQ(gate.permit_count, 2);
}

TEST(nothing_overtakes_a_publish_that_is_asked_for) {
    connect_as_alice();
    gate.is_slow = true;
    peer_send(0x32, PUBLISH_1);
    EXPECT_TRUE(fakes.is_paused);
    EXPECT_EQ(fakes.publish_count, 0);
    gate.is_slow = false;
    gate_answer(OK);
    EXPECT_FALSE(fakes.is_paused);
    EXPECT_EQ(fakes.publish_count, 1);
    peer_answer(OK);
}

TEST(a_late_refusal_is_told) {
    connect_as_alice();
    gate.is_slow = true;
    peer_send(0x34, PUBLISH_2);
    gate_answer(ERR_FORBIDDEN);
    fakes_turn();
    EXPECT_EQ(fakes.publish_count, 0);
    EXPECT_EQ(fakes.sent.bytes[0], 0x50);
    EXPECT_EQ(fakes.sent.bytes[4], 0x87);
    EXPECT_FALSE(fakes.is_paused);
}

TEST(what_waits_when_the_client_goes_is_not_published) {
    connect_as_alice();
    gate.is_slow = true;
    peer_send(0x32, PUBLISH_1);
    fakes_hang_up();
    fakes.state = NULL;
    gate_answer(OK);
    EXPECT_EQ(fakes.publish_count, 0);
    fakes_turn();
    EXPECT_EQ(peer.release_count, 1);
}

TEST(a_publish_goes_to_the_channel_of_the_tenant) {
    gate.next = gate_make("alice", "acme");
    peer_connect(CONNECT_5);
    peer_send(0x32, PUBLISH_1);
    EXPECT_STRING(gate.asked, "publish a/b");
    EXPECT_SPAN(fakes.publish->messages[0]->fields.channel, "\001acme/a/b");
    EXPECT_SPAN(fakes.publish->messages[0]->fields.publisher, "\001acme/a");
    peer_answer(OK);
}

UNIT_TESTS(PEER(everyone_is_not_asked_for), PEER(each_publish_is_asked_for),
           PEER(what_is_refused_is_told_and_not_published),
           PEER(a_refused_id_of_qos_2_is_free_again),
           PEER(in_3_1_1_a_refused_publish_counts_as_done),
           PEER(an_alias_is_asked_for_by_what_it_stands_for),
           PEER(nothing_overtakes_a_publish_that_is_asked_for), PEER(a_late_refusal_is_told),
           PEER(what_waits_when_the_client_goes_is_not_published),
           PEER(a_publish_goes_to_the_channel_of_the_tenant))
