/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/announced.h"

#include "tests/unit.h"

static struct stream_item item(uint64_t position) {
    return (struct stream_item){.place.position = position, .is_message = true};
}

TEST(an_alias_is_known_once_its_frame_left) {
    struct announced *announced = announced_create(2);
    bool is_known = true;
    EXPECT_EQ(announced_choose(announced, SPAN("a"), 5, &is_known), 1);
    EXPECT_FALSE(is_known);
    EXPECT_EQ(announced_choose(announced, SPAN("a"), 6, &is_known), 1);
    EXPECT_FALSE(is_known);
    struct stream_item items[] = {item(5), item(6)};
    announced_on_left(announced, items, 1);
    EXPECT_EQ(announced_choose(announced, SPAN("a"), 6, &is_known), 1);
    EXPECT_TRUE(is_known);
    announced_destroy(announced);
}

/* The message expired before its frame left: the one behind it has to say the topic. */
TEST(a_frame_that_never_left_announced_nothing) {
    struct announced *announced = announced_create(2);
    bool is_known = true;
    EXPECT_EQ(announced_choose(announced, SPAN("a"), 5, &is_known), 1);
    struct stream_item others[] = {item(6), item(8)};
    announced_on_left(announced, others, 2);
    EXPECT_EQ(announced_choose(announced, SPAN("a"), 9, &is_known), 1);
    EXPECT_FALSE(is_known);
    announced_destroy(announced);
}

TEST(a_frame_that_was_not_made_announced_nothing) {
    struct announced *announced = announced_create(2);
    bool is_known = true;
    uint16_t alias = announced_choose(announced, SPAN("a"), 5, &is_known);
    announced_forget(announced, alias, 5);
    struct stream_item items[] = {item(5)};
    announced_on_left(announced, items, 1);
    EXPECT_EQ(announced_choose(announced, SPAN("a"), 6, &is_known), alias);
    EXPECT_FALSE(is_known);
    announced_destroy(announced);
}

/* A filter was put anew, and its frame comes as one of no bytes. */
TEST(a_frame_that_is_for_the_client_no_more_announced_nothing) {
    struct announced *announced = announced_create(2);
    bool is_known = true;
    EXPECT_EQ(announced_choose(announced, SPAN("a"), 5, &is_known), 1);
    announced_forget_at(announced, SPAN("b"), 5);
    announced_forget_at(announced, SPAN("a"), 5);
    struct stream_item items[] = {item(5)};
    announced_on_left(announced, items, 1);
    EXPECT_EQ(announced_choose(announced, SPAN("a"), 6, &is_known), 1);
    EXPECT_FALSE(is_known);
    announced_destroy(announced);
}

/* [MQTT-3.1.2-26] */
TEST(no_alias_lies_above_the_clients_maximum) {
    struct announced *announced = announced_create(2);
    bool is_known = true;
    EXPECT_EQ(announced_choose(announced, SPAN("a"), 1, &is_known), 1);
    EXPECT_EQ(announced_choose(announced, SPAN("b"), 2, &is_known), 2);
    EXPECT_EQ(announced_choose(announced, SPAN("c"), 3, &is_known), 0);
    EXPECT_EQ(announced_choose(announced, SPAN("b"), 4, &is_known), 2);
    announced_destroy(announced);
}

UNIT_TESTS(UNIT(an_alias_is_known_once_its_frame_left),
           UNIT(a_frame_that_never_left_announced_nothing),
           UNIT(a_frame_that_was_not_made_announced_nothing),
           UNIT(a_frame_that_is_for_the_client_no_more_announced_nothing),
           UNIT(no_alias_lies_above_the_clients_maximum))
