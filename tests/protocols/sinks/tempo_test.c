/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/tempo.h"

#include "tests/unit.h"

#define SECOND UINT64_C(1000000)
#define MS UINT64_C(1000)

static struct tempo tempo;

static size_t begin_all(uint64_t now_us) {
    size_t count = 0;
    uint64_t due_us;
    for (; tempo_may_begin(&tempo, now_us, &due_us); count++) {
        tempo_on_begun(&tempo, now_us);
    }
    return count;
}

/* --- the window ------------------------------------------------------------------------------- */

/* An endpoint that takes `capacity` at once and turns away what is more, in rounds of one request's
 * time. Gives the mean and the highest window of the second half. */
static void simulate(size_t capacity, size_t window_max, double *ret_mean, size_t *ret_highest) {
    const int rounds = 400;
    double sum = 0;
    uint64_t now_us = SECOND;
    tempo_init(&tempo, window_max, UINT64_MAX);
    *ret_highest = 0;
    for (int round = 0; round < rounds; round++) {
        uint64_t begun_us = now_us;
        size_t count = begin_all(now_us);
        now_us += 20 * MS;
        for (size_t i = 0; i < count; i++) {
            tempo_on_settled(&tempo, i < capacity ? OUTCOME_DELIVERED : OUTCOME_THROTTLED, begun_us,
                             now_us, 0);
        }
        if (round >= rounds / 2) {
            size_t window = tempo_window(&tempo);
            sum += (double)window;
            *ret_highest = window > *ret_highest ? window : *ret_highest;
        }
    }
    *ret_mean = sum / (rounds / 2);
}

TEST(the_window_settles_near_what_the_endpoint_takes) {
    static const size_t capacities[] = {2, 4, 10, 25, 60, 120};
    for (size_t i = 0; i < ARRAY_COUNT(capacities); i++) {
        double mean, capacity = (double)capacities[i];
        size_t highest;
        simulate(capacities[i], 256, &mean, &highest);
        EXPECT_TRUE(mean >= capacity * 0.6 && mean <= capacity + 1);
        EXPECT_TRUE(highest <= capacities[i] + 1);
    }
}

TEST(an_endpoint_that_takes_one_gets_one_or_two) {
    double mean;
    size_t highest;
    simulate(1, 256, &mean, &highest);
    EXPECT_TRUE(highest <= 2);
}

TEST(an_endpoint_that_takes_all_gets_the_whole_window) {
    double mean;
    size_t highest;
    simulate(10000, 32, &mean, &highest);
    EXPECT_EQ(highest, 32);
    EXPECT_TRUE(mean > 31.9);
}

TEST(it_doubles_at_first) {
    uint64_t now_us = SECOND;
    tempo_init(&tempo, 256, UINT64_MAX);
    for (size_t expected = TEMPO_BEGIN; expected <= 128; expected *= 2) {
        size_t count = begin_all(now_us);
        EXPECT_EQ(count, expected);
        for (size_t i = 0; i < count; i++) {
            tempo_on_settled(&tempo, OUTCOME_DELIVERED, now_us, now_us + MS, 0);
        }
        now_us += MS;
    }
}

TEST(a_window_that_is_not_used_does_not_grow) {
    tempo_init(&tempo, 256, UINT64_MAX);
    for (uint64_t now_us = SECOND; now_us < 2 * SECOND; now_us += MS) {
        tempo_on_begun(&tempo, now_us);
        tempo_on_settled(&tempo, OUTCOME_DELIVERED, now_us, now_us, 0);
    }
    EXPECT_EQ(tempo_window(&tempo), TEMPO_BEGIN);
}

/* The shipment is written into the ledger between begin and ship. */
TEST(a_window_of_one_grows_although_shipments_leave_after_they_began) {
    tempo_init(&tempo, 16, UINT64_MAX);
    tempo.window = 1;
    tempo.is_starting = false;
    tempo_on_begun(&tempo, SECOND);
    tempo_on_settled(&tempo, OUTCOME_DELIVERED, SECOND + 5 * MS, SECOND + 9 * MS, 0);
    EXPECT_EQ(tempo_window(&tempo), 2);
}

TEST(it_is_halved_once_a_round_trip_and_never_below_one) {
    tempo_init(&tempo, 16, UINT64_MAX);
    tempo.window = 16;
    for (int i = 0; i < 16; i++) {
        tempo_on_begun(&tempo, SECOND);
    }
    for (int i = 0; i < 16; i++) {
        tempo_on_settled(&tempo, OUTCOME_UNREACHED, SECOND, 2 * SECOND, 0);
    }
    EXPECT_EQ(tempo_window(&tempo), 8);
    for (int i = 0; i < 10; i++) {
        uint64_t now_us = (3 + (uint64_t)i) * SECOND;
        tempo_on_begun(&tempo, now_us);
        tempo_on_settled(&tempo, OUTCOME_UNREACHED, now_us, now_us + 1, 0);
    }
    EXPECT_EQ(tempo_window(&tempo), 1);
}

TEST(an_answer_that_refuses_says_nothing_of_how_many) {
    tempo_init(&tempo, 16, UINT64_MAX);
    tempo.window = 8;
    for (int i = 0; i < 8; i++) {
        tempo_on_begun(&tempo, SECOND);
    }
    for (int i = 0; i < 8; i++) {
        tempo_on_settled(&tempo, i % 2 == 0 ? OUTCOME_FAILED : OUTCOME_ABANDONED, SECOND,
                         2 * SECOND, 0);
    }
    EXPECT_EQ(tempo_window(&tempo), 8);
    EXPECT_EQ(tempo.under_way, 0);
}

TEST(a_full_window_waits_for_one_that_settles) {
    uint64_t due_us = 0;
    tempo_init(&tempo, 1, UINT64_MAX);
    EXPECT_EQ(begin_all(SECOND), 1);
    EXPECT_FALSE(tempo_may_begin(&tempo, SECOND, &due_us));
    EXPECT_EQ(due_us, UINT64_MAX);
}

/* --- rate and pause --------------------------------------------------------------------------- */

/* How many begin in ten seconds where each settles at once, asked each millisecond. */
static size_t count_begun(uint64_t rate) {
    size_t count = 0;
    tempo_init(&tempo, 256, rate);
    for (uint64_t now_us = 100 * SECOND; now_us < 110 * SECOND; now_us += MS) {
        size_t begun = begin_all(now_us);
        for (size_t i = 0; i < begun; i++) {
            tempo_on_settled(&tempo, OUTCOME_DELIVERED, now_us, now_us, 0);
        }
        count += begun;
    }
    return count;
}

TEST(the_rate_is_kept_but_for_a_tenth_of_a_second_at_first) {
    static const uint64_t rates[] = {1, 3, 7, 50, 1000, 3000};
    for (size_t i = 0; i < ARRAY_COUNT(rates); i++) {
        size_t count = count_begun(rates[i]);
        EXPECT_TRUE(count >= rates[i] * 10 - 1);
        EXPECT_TRUE(count <= rates[i] * 10 + rates[i] / 10 + 1);
    }
}

TEST(a_rate_says_when_the_next_may_begin) {
    uint64_t due_us = 0;
    tempo_init(&tempo, 256, 2);
    EXPECT_EQ(begin_all(100 * SECOND), 1);
    EXPECT_FALSE(tempo_may_begin(&tempo, 100 * SECOND, &due_us));
    EXPECT_EQ(due_us, 100 * SECOND + 400 * MS);
    EXPECT_TRUE(tempo_may_begin(&tempo, due_us, &due_us));
}

TEST(a_throttled_one_pauses_all_for_as_long_as_was_asked) {
    uint64_t due_us = 0;
    tempo_init(&tempo, 256, UINT64_MAX);
    tempo_on_begun(&tempo, SECOND);
    tempo_on_begun(&tempo, SECOND);
    tempo_on_settled(&tempo, OUTCOME_THROTTLED, SECOND, 2 * SECOND, 3000);
    tempo_on_settled(&tempo, OUTCOME_THROTTLED, SECOND, 2 * SECOND, 1000);
    EXPECT_FALSE(tempo_may_begin(&tempo, 2 * SECOND, &due_us));
    EXPECT_EQ(due_us, 5 * SECOND);
    EXPECT_TRUE(tempo_may_begin(&tempo, 5 * SECOND, &due_us));
}

UNIT_TESTS(UNIT(the_window_settles_near_what_the_endpoint_takes),
           UNIT(an_endpoint_that_takes_one_gets_one_or_two),
           UNIT(an_endpoint_that_takes_all_gets_the_whole_window), UNIT(it_doubles_at_first),
           UNIT(a_window_that_is_not_used_does_not_grow),
           UNIT(a_window_of_one_grows_although_shipments_leave_after_they_began),
           UNIT(it_is_halved_once_a_round_trip_and_never_below_one),
           UNIT(an_answer_that_refuses_says_nothing_of_how_many),
           UNIT(a_full_window_waits_for_one_that_settles),
           UNIT(the_rate_is_kept_but_for_a_tenth_of_a_second_at_first),
           UNIT(a_rate_says_when_the_next_may_begin),
           UNIT(a_throttled_one_pauses_all_for_as_long_as_was_asked))
