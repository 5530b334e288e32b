/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/drain.h"

#include "broker/support/macros.h"
#include "broker/support/wheel.h"
#include "tests/unit.h"

/* Goodbyes in each tenth of a drain of `beats`, as a worker says them. */
static void drain(uint64_t count, uint64_t beats, uint64_t per_turn, uint64_t ret_tenths[10]) {
    struct drain_pace pace = {0};
    uint64_t until_ms = 1000 + beats * WHEEL_TICK_MS;
    uint64_t untold = count;
    memset(ret_tenths, 0, 10 * sizeof(*ret_tenths));
    for (uint64_t beat = 0; beat < beats; beat++) {
        drain_count_due(&pace, until_ms, 1000 + beat * WHEEL_TICK_MS, untold);
        uint64_t told = pace.due < per_turn ? pace.due : per_turn;
        pace.due -= told;
        untold -= told;
        ret_tenths[beat * 10 / beats] += told;
    }
    EXPECT_EQ(untold, 0);
}

TEST(goodbyes_are_spread_evenly) {
    static const uint64_t counts[] = {100, 1000, 12345, 100000};
    uint64_t tenths[10];
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        drain(counts[i], 500, UINT64_MAX, tenths);
        for (size_t j = 0; j < 10; j++) {
            EXPECT_TRUE(tenths[j] >= counts[i] / 10 - counts[i] / 50);
            EXPECT_TRUE(tenths[j] <= counts[i] / 10 + counts[i] / 50 + 1);
        }
    }
}

/* Each third beat comes, as on a machine that is busy. */
TEST(late_beats_do_not_leave_the_rest_to_the_end) {
    struct drain_pace pace = {0};
    uint64_t untold = 9000;
    for (uint64_t beat = 0; beat < 450; beat += 3) {
        drain_count_due(&pace, 1000 + 500 * WHEEL_TICK_MS, 1000 + beat * WHEEL_TICK_MS, untold);
        untold -= pace.due;
        pace.due = 0;
    }
    EXPECT_TRUE(untold >= 900); /* nine tenths of the time are over */
    EXPECT_TRUE(untold <= 1100);
}

TEST(fewer_connections_than_beats_do_not_go_at_once) {
    uint64_t tenths[10];
    drain(10, 500, UINT64_MAX, tenths);
    for (size_t j = 0; j < 10; j++) {
        EXPECT_TRUE(tenths[j] <= 3);
    }
    EXPECT_TRUE(tenths[0] <= 1);
}

TEST(all_go_when_there_is_no_time) {
    struct drain_pace pace = {0};
    drain_count_due(&pace, 1000, 1000, 70000);
    EXPECT_EQ(pace.due, 70000);
    drain_count_due(&pace, 1000, 5000, 3);
    EXPECT_EQ(pace.due, 3);
}

TEST(what_is_due_is_forgotten_when_it_ends) {
    struct drain_pace pace = {.due = 5, .credit = 17};
    drain_count_due(&pace, 0, 1000, 100);
    EXPECT_EQ(pace.due, 0);
    EXPECT_EQ(pace.credit, 0);
}

/* Who has gone by themselves is not owed a goodbye. */
TEST(no_more_are_due_than_there_are) {
    struct drain_pace pace = {.due = 50};
    drain_count_due(&pace, 1000 + 100 * WHEEL_TICK_MS, 1000, 20);
    EXPECT_EQ(pace.due, 20);
}

UNIT_TESTS(UNIT(goodbyes_are_spread_evenly), UNIT(late_beats_do_not_leave_the_rest_to_the_end),
           UNIT(fewer_connections_than_beats_do_not_go_at_once), UNIT(all_go_when_there_is_no_time),
           UNIT(what_is_due_is_forgotten_when_it_ends), UNIT(no_more_are_due_than_there_are))
