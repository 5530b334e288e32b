/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/mqtt/subscriber.h"

static bool give(uint64_t token, uint8_t qos) {
    struct message *message = subscriber_message("a", 200, qos);
    struct sharing_delivery delivery = {.message = message, .token = token, .count = 1};
    bool is_taken = subscriber.share.on_message(subscriber.share.context, &delivery);
    message_unref(message);
    return is_taken;
}

static void join(uint8_t qos) {
    subscriber_subscribe("$share/g/a", qos, NULL, NULL);
    EXPECT_EQ(subscriber_take_written(NULL), 0);
    EXPECT_EQ(subscriber.credit, 0);
    subscriber.share.on_joined(subscriber.share.context, OK);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_SUBACK);
    EXPECT_EQ(subscriber.credit, 3);
}

TEST(a_lease_ends_with_its_puback) {
    join(1);
    EXPECT_TRUE(give(77, 1));
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_PUBLISH);
    EXPECT_EQ(subscriber.acknowledged_token, 0);
    EXPECT_EQ(outbound_on_puback(&subscriber.mqtt, 1, MQTT_REASON_SUCCESS), MQTT_REASON_SUCCESS);
    EXPECT_EQ(subscriber.acknowledged_token, 77);
}

TEST(qos_0_is_done_with_when_it_is_sent) {
    join(0);
    EXPECT_TRUE(give(78, 1));
    EXPECT_EQ(subscriber.acknowledged_token, 78);
}

TEST(a_member_takes_no_more_than_its_client) {
    join(1);
    for (uint64_t token = 1; token <= 3; token++) {
        EXPECT_TRUE(give(token, 1));
    }
    EXPECT_FALSE(give(4, 1));
    subscriber.credit = 0;
    EXPECT_EQ(outbound_on_puback(&subscriber.mqtt, 2, MQTT_REASON_SUCCESS), MQTT_REASON_SUCCESS);
    EXPECT_EQ(subscriber.credit, 3);
    EXPECT_TRUE(give(4, 1));
}

TEST(a_group_that_takes_nobody_is_told_by_the_reason) {
    uint8_t reason = 0;
    subscriber_subscribe("$share/g/a", 1, NULL, NULL);
    subscriber.share.on_joined(subscriber.share.context, ERR_FULL);
    EXPECT_EQ(subscriber_take_written(&reason), MQTT_SUBACK);
    EXPECT_EQ(reason, MQTT_REASON_QUOTA_EXCEEDED);
    EXPECT_EQ(subscriber.leave_count, 1);
    EXPECT_EQ(subscriber.mqtt.session->filters.count, 0);
}

TEST(unsubscribe_leaves_the_group) {
    join(1);
    subscriber_unsubscribe("$share/g/a");
    EXPECT_EQ(subscriber.leave_count, 1);
}

UNIT_TESTS(SUBSCRIBER(a_lease_ends_with_its_puback), SUBSCRIBER(qos_0_is_done_with_when_it_is_sent),
           SUBSCRIBER(a_member_takes_no_more_than_its_client),
           SUBSCRIBER(a_group_that_takes_nobody_is_told_by_the_reason),
           SUBSCRIBER(unsubscribe_leaves_the_group))
