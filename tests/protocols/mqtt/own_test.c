/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/decode.h"
#include "tests/protocols/mqtt/subscriber.h"

/* The one frame of a message, as it would leave; its QoS, or -1: it is not for this client. */
static int frame(const char *channel, uint64_t position, struct mqtt_publish *ret_publish) {
    const struct framing *framing = fakes.stream_options.framing;
    struct message *message = subscriber_message(channel, position, 2);
    struct frame_options options = {.context = framing->context};
    struct mqtt_dialect dialect = subscriber.mqtt.out;
    struct mqtt_frame packet;
    dialect.packet_bytes_max = UINT32_MAX;
    buffer_clear(&subscriber.frames);
    EXPECT_EQ(framing->slot, FRAMING_OWN);
    EXPECT_EQ(framing->put_message(&subscriber.frames, message, &options), OK);
    message_unref(message);
    if (subscriber.frames.length == 0) {
        return -1;
    }
    EXPECT_EQ(mqtt_frame_read(buffer_borrow(&subscriber.frames), &dialect, &packet, NULL, NULL),
              OK);
    EXPECT_EQ(mqtt_decode_publish(&packet, &dialect, ret_publish, NULL, NULL), OK);
    return ret_publish->qos;
}

TEST(each_message_has_the_highest_qos_of_its_filters) {
    struct mqtt_publish publish;
    subscriber_subscribe("a/#", 0x20, NULL, NULL);
    subscriber_subscribe("a/b", 0x22, NULL, NULL);
    EXPECT_EQ(frame("a/b", 101, &publish), 2);
    EXPECT_EQ(frame("a/c", 102, &publish), 0);
    EXPECT_EQ(frame("c", 103, &publish), -1);
    EXPECT_EQ(frame("a/b", 100, &publish), -1);
}

TEST(a_packet_too_large_for_the_client_is_none) {
    struct mqtt_publish publish;
    subscriber.mqtt.out.packet_bytes_max = 10;
    subscriber_subscribe("a/#", 0x20, NULL, NULL);
    EXPECT_EQ(frame("a/b", 101, &publish), 0);
    EXPECT_EQ(frame("a/bcd", 102, &publish), -1);
}

/* [MQTT-3.3.2-8] */
TEST(a_topic_is_left_out_once_the_client_knows_its_alias) {
    struct mqtt_publish publish;
    subscriber.mqtt.alias_max_peer = 1;
    subscriber_subscribe("#", 0x20, NULL, NULL);
    EXPECT_EQ(frame("a", 101, &publish), 0);
    EXPECT_EQ(publish.properties.topic_alias, 1);
    EXPECT_EQ(publish.topic.length, 1);
    EXPECT_EQ(subscriber_prepare("a", 101, "0"), 1);
    subscriber_leave(1);
    EXPECT_EQ(frame("a", 102, &publish), 0);
    EXPECT_EQ(publish.properties.topic_alias, 1);
    EXPECT_EQ(publish.topic.length, 0);
    EXPECT_EQ(frame("b", 103, &publish), 0);
    EXPECT_EQ(publish.properties.topic_alias, 0);
}

/* [MQTT-3.1.2-24] */
TEST(a_gap_too_large_for_the_client_is_none) {
    struct storage_gap gap = {.gap = {GAP_EXPIRED, 1, 9}, .selector = SPAN("a/b")};
    subscriber_subscribe("a/#", 0x24, NULL, NULL);
    const struct framing *framing = fakes.stream_options.framing;
    struct frame_options options = {.context = framing->context};
    EXPECT_EQ(framing->slot, FRAMING_OWN);
    EXPECT_EQ(framing->put_gap(&subscriber.frames, &gap, &options), OK);
    EXPECT_TRUE(subscriber.frames.length > 10);
    buffer_clear(&subscriber.frames);
    subscriber.mqtt.out.packet_bytes_max = 10;
    EXPECT_EQ(framing->put_gap(&subscriber.frames, &gap, &options), OK);
    EXPECT_EQ(subscriber.frames.length, 0);
}

/* The frame that would have told it comes as one of no bytes. */
TEST(an_alias_of_a_frame_that_is_wanted_no_more_is_not_known) {
    struct mqtt_publish publish;
    subscriber.mqtt.alias_max_peer = 1;
    subscriber_subscribe("#", 0x20, NULL, NULL);
    EXPECT_EQ(frame("a", 101, &publish), 0);
    EXPECT_EQ(publish.properties.topic_alias, 1);
    subscriber_unsubscribe("#");
    subscriber_subscribe("b", 0x20, NULL, NULL);
    EXPECT_EQ(subscriber_prepare("a", 101, "0"), 1);
    subscriber_leave(1);
    subscriber_subscribe("#", 0x20, NULL, NULL);
    EXPECT_EQ(frame("a", 102, &publish), 0);
    EXPECT_EQ(publish.topic.length, 1);
}

UNIT_TESTS(SUBSCRIBER(a_gap_too_large_for_the_client_is_none),
           SUBSCRIBER(an_alias_of_a_frame_that_is_wanted_no_more_is_not_known),
           SUBSCRIBER(each_message_has_the_highest_qos_of_its_filters),
           SUBSCRIBER(a_packet_too_large_for_the_client_is_none),
           SUBSCRIBER(a_topic_is_left_out_once_the_client_knows_its_alias))
