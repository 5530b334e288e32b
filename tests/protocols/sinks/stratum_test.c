/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/stratum.h"

#include <stdlib.h>

#include "protocols/sinks/lane_key.h"
#include "tests/unit.h"

#define TEXTS_OF(literal)                                                                          \
    { (const uint8_t *)(literal), sizeof(literal) }

static struct stratum stratum;
static const struct stratum_view channels = {.texts = TEXTS_OF("a\0b/**")};

static int begin(void **state) {
    (void)state;
    stratum = (struct stratum){0};
    EXPECT_EQ(stratum_set_view(&stratum, &channels), OK);
    return 0;
}

static int end(void **state) {
    (void)state;
    stratum_finish(&stratum);
    return 0;
}

static struct message at(const char *channel, uint64_t position) {
    return (struct message){.place = {.position = position},
                            .fields = {.channel = span_of_string(channel)}};
}

static bool is_done(const char *channel, uint64_t position) {
    const struct message message = at(channel, position);
    return stratum_is_done(&stratum, &message);
}

static void put_done(uint64_t position, uint64_t previous) {
    EXPECT_EQ(stratum_put_done(&stratum, position, previous, STRATUM_RANGES_MAX), OK);
}

static struct stratum_hold hold(const char *channel, uint64_t first) {
    const struct message message = at(channel, first);
    return (struct stratum_hold){lane_key_hash(SINK_ORDER_CHANNEL, &message), first};
}

static void condense(uint64_t reach, const struct stratum_hold *holds, size_t count) {
    struct stratum_hold *copy = malloc((count + 1) * sizeof(*copy));
    if (count > 0) {
        memcpy(copy, holds, count * sizeof(*copy));
    }
    EXPECT_EQ(stratum_condense(&stratum, reach, copy, count), OK);
}

TEST(what_is_done_is_of_the_channels_that_were_read) {
    put_done(10, 0);
    put_done(20, 10);
    EXPECT_TRUE(is_done("a", 15));
    EXPECT_TRUE(is_done("b", 20));
    EXPECT_TRUE(is_done("b/c/d", 10));
    EXPECT_FALSE(is_done("c", 15));
    EXPECT_FALSE(is_done("a", 21));
}

TEST(one_that_does_not_say_is_of_all_channels) {
    stratum_finish(&stratum);
    put_done(10, 0);
    EXPECT_TRUE(is_done("x", 10));
}

TEST(a_view_is_its_channels_mode_and_order) {
    struct stratum_view other = channels;
    EXPECT_TRUE(stratum_has_view(&stratum, &other));
    other.order = SINK_ORDER_KEY;
    EXPECT_FALSE(stratum_has_view(&stratum, &other));
    other = channels;
    other.mode = SINK_MODE_PARALLEL;
    EXPECT_FALSE(stratum_has_view(&stratum, &other));
    other = (struct stratum_view){.texts = TEXTS_OF("a\0b/*")};
    EXPECT_FALSE(stratum_has_view(&stratum, &other));
}

TEST(holds_say_all_but_the_lanes_that_are_held) {
    const struct stratum_hold holds[] = {hold("b/x", 12), hold("a", 30)};
    condense(100, holds, 2);
    EXPECT_TRUE(is_done("b/c", 100));
    EXPECT_FALSE(is_done("b/c", 101));
    EXPECT_TRUE(is_done("b/x", 11));
    EXPECT_FALSE(is_done("b/x", 12));
    EXPECT_FALSE(is_done("a", 99));
    EXPECT_TRUE(is_done("a", 29));
    EXPECT_FALSE(is_done("c", 50)); /* is read by others */
    EXPECT_EQ(stratum_last(&stratum), 100);
}

TEST(what_is_done_of_a_held_lane_is_said_by_ranges) {
    const struct stratum_hold holds[] = {hold("a", 30)};
    condense(100, holds, 1);
    put_done(30, 29);
    EXPECT_TRUE(is_done("a", 30));
    EXPECT_FALSE(is_done("a", 31));
}

TEST(holds_stand_for_the_ranges_up_to_their_reach) {
    put_done(10, 0);
    put_done(20, 0);
    put_done(120, 0);
    condense(100, NULL, 0);
    EXPECT_EQ(stratum.range_count, 1);
    EXPECT_EQ(stratum.ranges[0].first, 120);
    EXPECT_TRUE(is_done("a", 15));
}

/* The log is read from the floor again: what it has not come to is as it was. */
TEST(a_shorter_reach_keeps_what_is_known_beyond_it) {
    const struct stratum_hold before[] = {hold("a", 30), hold("b/x", 40), hold("b/y", 50)};
    const struct stratum_hold now[] = {hold("a", 35)};
    condense(100, before, 3);
    condense(45, now, 1);
    EXPECT_EQ(stratum.reach, 100);
    EXPECT_TRUE(is_done("a", 34));
    EXPECT_FALSE(is_done("a", 80));
    EXPECT_TRUE(is_done("b/x", 45));
    EXPECT_FALSE(is_done("b/x", 46));
    EXPECT_TRUE(is_done("b/y", 49));
    EXPECT_FALSE(is_done("b/y", 50));
    EXPECT_TRUE(is_done("b/z", 100));
    condense(200, now, 1);
    EXPECT_EQ(stratum.hold_count, 1);
}

/* What hides behind another's hash is sent once more, and not lost. */
TEST(lanes_of_one_hash_are_held_where_the_first_is) {
    const struct stratum_hold holds[] = {{7, 50}, {7, 30}, {7, 40}};
    condense(100, holds, 3);
    EXPECT_EQ(stratum.hold_count, 1);
    EXPECT_EQ(stratum.holds[0].first, 30);
}

TEST(more_lanes_than_may_be_held_are_refused) {
    struct stratum_hold *holds = calloc(STRATUM_HOLDS_MAX + 1, sizeof(*holds));
    for (size_t i = 0; i <= STRATUM_HOLDS_MAX; i++) {
        holds[i] = (struct stratum_hold){i, 1};
    }
    put_done(10, 0);
    EXPECT_EQ(stratum_condense(&stratum, 100, holds, STRATUM_HOLDS_MAX + 1), ERR_FULL);
    EXPECT_EQ(stratum.reach, 0);
    EXPECT_TRUE(is_done("a", 10));
}

TEST(behind_the_floor_nothing_is_left) {
    const struct stratum_hold holds[] = {hold("a", 30)};
    put_done(150, 0);
    condense(100, holds, 1);
    stratum_move_floor(&stratum, 99);
    EXPECT_FALSE(stratum_is_empty(&stratum));
    stratum_move_floor(&stratum, 150);
    EXPECT_TRUE(stratum_is_empty(&stratum));
    EXPECT_EQ(stratum.hold_count, 0);
    EXPECT_EQ(stratum_last(&stratum), 0);
}

TEST(it_is_crowded_when_there_are_many_holes_and_not_at_once_again) {
    for (uint64_t position = 10; stratum.range_count < STRATUM_RANGES_CROWDED; position += 10) {
        EXPECT_FALSE(stratum_is_crowded(&stratum));
        put_done(position, 0);
    }
    EXPECT_TRUE(stratum_is_crowded(&stratum));
    condense(1, NULL, 0);
    EXPECT_FALSE(stratum_is_crowded(&stratum));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(CASE(what_is_done_is_of_the_channels_that_were_read),
           CASE(one_that_does_not_say_is_of_all_channels),
           CASE(a_view_is_its_channels_mode_and_order),
           CASE(holds_say_all_but_the_lanes_that_are_held),
           CASE(what_is_done_of_a_held_lane_is_said_by_ranges),
           CASE(holds_stand_for_the_ranges_up_to_their_reach),
           CASE(a_shorter_reach_keeps_what_is_known_beyond_it),
           CASE(lanes_of_one_hash_are_held_where_the_first_is),
           CASE(more_lanes_than_may_be_held_are_refused), CASE(behind_the_floor_nothing_is_left),
           CASE(it_is_crowded_when_there_are_many_holes_and_not_at_once_again))
