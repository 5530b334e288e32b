/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/mqtt/subscriber.h"

TEST(topics_come_at_once_and_again) {
    subscriber_subscribe("$SYS/#", 0, NULL, NULL);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_SUBACK);
    EXPECT_EQ(subscriber.written.bytes[0], MQTT_PUBLISH << 4 | 1); /* retained the first time */
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_PUBLISH);
    EXPECT_EQ(subscriber_take_written(NULL), 0);
    subscriber_tick();
    EXPECT_EQ(subscriber.written.bytes[0], MQTT_PUBLISH << 4);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_PUBLISH);
}

TEST(nothing_comes_behind_the_last_filter) {
    subscriber_subscribe("$SYS/#", 0, NULL, NULL);
    subscriber_unsubscribe("$SYS/#");
    buffer_clear(&subscriber.written);
    subscriber_tick();
    EXPECT_EQ(subscriber_take_written(NULL), 0);
    EXPECT_NULL(subscriber.timer);
}

TEST(a_socket_that_takes_nothing_is_passed_over) {
    subscriber_subscribe("$SYS/#", 0, NULL, NULL);
    buffer_clear(&subscriber.written);
    fakes.is_blocked = true;
    subscriber_tick();
    EXPECT_EQ(subscriber_take_written(NULL), 0);
    EXPECT_NOT_NULL(subscriber.timer);
}

UNIT_TESTS(SUBSCRIBER(topics_come_at_once_and_again),
           SUBSCRIBER(nothing_comes_behind_the_last_filter),
           SUBSCRIBER(a_socket_that_takes_nothing_is_passed_over))
