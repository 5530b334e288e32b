/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/retries.h"

#include "tests/unit.h"

#define NOW_MS UINT64_C(5000000)
#define MINUTE UINT64_C(60000)
#define HOUR UINT64_C(3600000)

static struct sink_row row;
static struct retries retries;

static void set(char **items, size_t count) {
    row = (struct sink_row){.retry_after_max_ms = 24 * HOUR};
    row.retries = (struct config_list){.items = items, .count = count, .is_given = items != NULL};
    retries_init(&retries, &row);
}

TEST(unless_told_the_schedule_is_that_of_standard_webhooks) {
    static const uint64_t expected[] = {5000,      5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR,
                                        10 * HOUR, 14 * HOUR,  20 * HOUR,   24 * HOUR};
    uint64_t due_ms;
    set(NULL, 0);
    EXPECT_EQ(retries.count, ARRAY_COUNT(expected));
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        EXPECT_EQ(retries.waits_ms[i], expected[i]);
    }
    EXPECT_TRUE(retries_next(&retries, 9, NOW_MS, 0, 0, &due_ms));
    EXPECT_FALSE(retries_next(&retries, 10, NOW_MS, 0, 0, &due_ms));
}

TEST(the_row_says_otherwise) {
    char first[] = "50ms", second[] = "2m";
    char *items[] = {first, second};
    uint64_t due_ms;
    set(items, 2);
    EXPECT_EQ(retries.waits_ms[0], 50);
    EXPECT_EQ(retries.waits_ms[1], 2 * MINUTE);
    EXPECT_FALSE(retries_next(&retries, 3, NOW_MS, 0, 0, &due_ms));
}

TEST(an_empty_schedule_tries_once) {
    char *items[] = {NULL};
    uint64_t due_ms;
    set(items, 0);
    EXPECT_FALSE(retries_next(&retries, 1, NOW_MS, 0, 0, &due_ms));
}

TEST(times_lie_within_a_fifth_and_reach_both_ends) {
    uint64_t due_ms, least = UINT64_MAX, most = 0, state = 1;
    set(NULL, 0);
    for (int i = 0; i < 20000; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407U;
        EXPECT_TRUE(retries_next(&retries, 2, NOW_MS, 0, state >> 13, &due_ms));
        least = due_ms < least ? due_ms : least;
        most = due_ms > most ? due_ms : most;
    }
    EXPECT_TRUE(least >= NOW_MS + 4 * MINUTE && least < NOW_MS + 4 * MINUTE + 1000);
    EXPECT_TRUE(most <= NOW_MS + 6 * MINUTE && most > NOW_MS + 6 * MINUTE - 1000);
}

TEST(short_waits_are_spread_too) {
    char first[] = "50ms";
    char *items[] = {first};
    uint64_t due_ms;
    set(items, 1);
    EXPECT_TRUE(retries_next(&retries, 1, NOW_MS, 0, 0, &due_ms));
    EXPECT_EQ(due_ms, NOW_MS + 40);
    EXPECT_TRUE(retries_next(&retries, 1, NOW_MS, 0, 20, &due_ms));
    EXPECT_EQ(due_ms, NOW_MS + 60);
}

TEST(it_is_not_tried_before_the_endpoint_wants_it) {
    uint64_t due_ms;
    set(NULL, 0);
    EXPECT_TRUE(retries_next(&retries, 1, NOW_MS, HOUR, 0, &due_ms));
    EXPECT_EQ(due_ms, NOW_MS + HOUR);
    EXPECT_TRUE(retries_next(&retries, 2, NOW_MS, 1000, 0, &due_ms));
    EXPECT_EQ(due_ms, NOW_MS + 4 * MINUTE);
}

TEST(what_the_endpoint_wants_is_cut) {
    uint64_t due_ms;
    set(NULL, 0);
    EXPECT_TRUE(retries_next(&retries, 1, NOW_MS, UINT64_MAX, 0, &due_ms));
    EXPECT_EQ(due_ms, NOW_MS + 24 * HOUR);
    EXPECT_EQ(retries_cut(&retries, 5), 5);
}

UNIT_TESTS(UNIT(unless_told_the_schedule_is_that_of_standard_webhooks),
           UNIT(the_row_says_otherwise), UNIT(an_empty_schedule_tries_once),
           UNIT(times_lie_within_a_fifth_and_reach_both_ends), UNIT(short_waits_are_spread_too),
           UNIT(it_is_not_tried_before_the_endpoint_wants_it), UNIT(what_the_endpoint_wants_is_cut))
