/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/backlog_lane.h"

#include "tests/unit.h"

static struct backlog_lanes lanes;

static struct backlog_lane *open_for(enum sink_order order, const char *channel, const char *key) {
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .channel = span_of_string(channel),
                                    .key = span_of_string(key),
                                    .payload = SPAN("1")};
    struct message *message = message_create(&fields);
    struct backlog_lane *lane = backlog_lanes_open(&lanes, order, message);
    message_unref(message); /* the lane has its own copy of what it is called */
    EXPECT_NOT_NULL(lane);
    return lane;
}

static void close_all(struct backlog_lane *const *opened, size_t count) {
    for (size_t i = 0; i < count; i++) {
        backlog_lanes_close(&lanes, opened[i]);
    }
    backlog_lanes_finish(&lanes);
}

TEST(each_channel_has_a_lane) {
    struct backlog_lane *opened[] = {open_for(SINK_ORDER_CHANNEL, "a", "x"),
                                     open_for(SINK_ORDER_CHANNEL, "b", "x")};
    EXPECT_TRUE(opened[0] != opened[1]);
    EXPECT_TRUE(open_for(SINK_ORDER_CHANNEL, "a", "y") == opened[0]);
    close_all(opened, 2);
}

TEST(each_key_of_a_channel_has_a_lane) {
    struct backlog_lane *opened[] = {open_for(SINK_ORDER_KEY, "a", "bc"),
                                     open_for(SINK_ORDER_KEY, "ab", "c"),
                                     open_for(SINK_ORDER_KEY, "abc", "")};
    EXPECT_TRUE(opened[0] != opened[1] && opened[1] != opened[2] && opened[0] != opened[2]);
    EXPECT_TRUE(open_for(SINK_ORDER_KEY, "ab", "c") == opened[1]);
    close_all(opened, 3);
}

TEST(all_have_one_lane) {
    struct backlog_lane *lane = open_for(SINK_ORDER_ALL, "a", "x");
    EXPECT_TRUE(open_for(SINK_ORDER_ALL, "b", "y") == lane);
    close_all(&lane, 1);
}

TEST(a_lane_with_something_in_it_stays) {
    struct list node;
    struct backlog_lane *lane = open_for(SINK_ORDER_CHANNEL, "a", "");
    list_put_tail(&lane->items, &node);
    backlog_lanes_close(&lanes, lane);
    EXPECT_TRUE(open_for(SINK_ORDER_CHANNEL, "a", "") == lane);
    EXPECT_TRUE(backlog_lanes_bytes(&lanes) > 0);
    list_remove(&node);
    close_all(&lane, 1);
    EXPECT_EQ(backlog_lanes_bytes(&lanes), 0);
}

UNIT_TESTS(UNIT(each_channel_has_a_lane), UNIT(each_key_of_a_channel_has_a_lane),
           UNIT(all_have_one_lane), UNIT(a_lane_with_something_in_it_stays))
