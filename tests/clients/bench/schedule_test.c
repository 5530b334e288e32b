/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/schedule.h"

#include <math.h>

#include "tests/unit.h"

#define SECOND 1000000000ull

static const struct schedule even[] = {
    {.profile = SCHEDULE_CONSTANT, .rate = 100, .duration_ns = 10 * SECOND},
    {.profile = SCHEDULE_CONSTANT, .rate = 7, .duration_ns = SECOND},
    {.profile = SCHEDULE_CONSTANT, .rate = 0.5, .duration_ns = 60 * SECOND},
    {.profile = SCHEDULE_RAMP, .rate = 10, .rate_to = 1000, .duration_ns = 10 * SECOND},
    {.profile = SCHEDULE_RAMP, .rate = 1000, .rate_to = 10, .duration_ns = 10 * SECOND},
    {.profile = SCHEDULE_RAMP, .rate = 0, .rate_to = 500, .duration_ns = 20 * SECOND},
    {.profile = SCHEDULE_RAMP, .rate = 500, .rate_to = 0, .duration_ns = 20 * SECOND},
    {.profile = SCHEDULE_RAMP, .rate = 200, .rate_to = 200, .duration_ns = 5 * SECOND},
    {.profile = SCHEDULE_SPIKE, .rate = 100, .rate_to = 2000, .duration_ns = 10 * SECOND},
    {.profile = SCHEDULE_SPIKE, .rate = 100, .rate_to = 0, .duration_ns = 10 * SECOND},
};
#define EVEN (sizeof(even) / sizeof(even[0]))

static double rate_at(const struct schedule *schedule, double share) {
    if (schedule->profile == SCHEDULE_RAMP) {
        return schedule->rate + (schedule->rate_to - schedule->rate) * share;
    }
    bool is_spike = schedule->profile == SCHEDULE_SPIKE && share >= 0.4 && share < 0.6;
    return is_spike ? schedule->rate_to : schedule->rate;
}

/* The integral of the rate, by small rectangles: what the closed forms are to agree with. */
#define RECTANGLES 100000
static double integral(const struct schedule *schedule, double until) {
    double seconds = (double)schedule->duration_ns / 1e9;
    double sum = 0;
    for (int i = 0; i < RECTANGLES && (i + 0.5) / RECTANGLES < until; i++) {
        sum += rate_at(schedule, (i + 0.5) / RECTANGLES) * seconds / RECTANGLES;
    }
    return sum;
}

TEST(as_many_are_due_as_the_rate_makes_over_the_time) {
    for (size_t i = 0; i < EVEN; i++) {
        struct schedule schedule = even[i];
        double counts[11] = {0};
        uint64_t last = 0;
        uint64_t due;
        while ((due = schedule_next(&schedule)) != UINT64_MAX) {
            EXPECT_TRUE(due >= last);
            EXPECT_TRUE(due < schedule.duration_ns);
            last = due;
            counts[due * 10 / schedule.duration_ns + 1]++;
        }
        EXPECT_EQ(schedule_next(&schedule), UINT64_MAX);
        double so_far = 0;
        for (int tenth = 0; tenth <= 10; tenth++) {
            so_far += counts[tenth];
            EXPECT_TRUE(fabs(so_far - integral(&even[i], tenth / 10.0)) <= 1.1);
        }
        EXPECT_EQ(schedule.count, so_far);
    }
}

TEST(a_constant_rate_is_a_message_every_so_often_without_drift) {
    struct schedule schedule = {
        .profile = SCHEDULE_CONSTANT, .rate = 3000, .duration_ns = 1000 * SECOND};
    for (uint64_t n = 0; n < 3000000; n++) {
        uint64_t due = schedule_next(&schedule);
        uint64_t exact = n * SECOND / 3000;
        EXPECT_TRUE(due == exact || due == exact - 1 || due == exact + 1);
    }
    EXPECT_EQ(schedule_next(&schedule), UINT64_MAX);
}

TEST(poisson_gaps_have_the_mean_and_the_spread_of_poisson) {
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct schedule schedule = {.profile = SCHEDULE_CONSTANT,
                                    .is_poisson = true,
                                    .rate = 1000,
                                    .duration_ns = 200 * SECOND,
                                    .seed = seed};
        double sum = 0;
        double squares = 0;
        uint64_t last = 0;
        uint64_t due;
        while ((due = schedule_next(&schedule)) != UINT64_MAX) {
            EXPECT_TRUE(due >= last);
            double gap_ms = (double)(due - last) / 1e6;
            sum += gap_ms;
            squares += gap_ms * gap_ms;
            last = due;
        }
        double count = (double)schedule.count;
        double mean = sum / count;
        double variance = squares / count - mean * mean;
        /* 200,000 draws: five standard deviations of the mean are 0.011, of the variance 0.032. */
        EXPECT_TRUE(fabs(count - 200000) < 5 * sqrt(200000));
        EXPECT_TRUE(fabs(mean - 1) < 0.011);
        EXPECT_TRUE(fabs(variance - 1) < 0.032);
    }
}

TEST(poisson_follows_the_profile) {
    for (size_t i = 0; i < EVEN; i++) {
        struct schedule schedule = even[i];
        schedule.is_poisson = true;
        schedule.seed = i;
        while (schedule_next(&schedule) != UINT64_MAX) {
        }
        double mean = integral(&even[i], 1);
        EXPECT_TRUE(fabs((double)schedule.count - mean) < 5 * sqrt(mean));
    }
}

TEST(the_same_seed_draws_the_same_times) {
    struct schedule one = {.is_poisson = true, .rate = 50, .duration_ns = SECOND, .seed = 9};
    struct schedule two = one;
    struct schedule three = one;
    three.seed = 10;
    uint64_t first = schedule_next(&one);
    EXPECT_EQ(schedule_next(&two), first);
    EXPECT_TRUE(schedule_next(&three) != first);
}

TEST(what_is_left_is_what_would_still_come) {
    for (size_t i = 0; i < EVEN; i++) {
        struct schedule schedule = even[i];
        uint64_t asked = 0;
        while (asked < 20 && schedule_next(&schedule) != UINT64_MAX) {
            asked++;
        }
        uint64_t left = schedule_left(&schedule);
        uint64_t come = 0;
        while (schedule_next(&schedule) != UINT64_MAX) {
            come++;
        }
        EXPECT_TRUE(left + 1 >= come && left <= come + 1); /* the last may fall on the end itself */
        EXPECT_TRUE(schedule_left(&schedule) <= 1);
    }
    struct schedule constant = {.rate = 100, .duration_ns = 300000000};
    EXPECT_EQ(schedule_left(&constant), 30);
}

TEST(no_rate_has_no_schedule) {
    struct schedule schedule = {.profile = SCHEDULE_CONSTANT, .duration_ns = SECOND};
    EXPECT_EQ(schedule_next(&schedule), UINT64_MAX);
}

UNIT_TESTS(UNIT(as_many_are_due_as_the_rate_makes_over_the_time),
           UNIT(a_constant_rate_is_a_message_every_so_often_without_drift),
           UNIT(poisson_gaps_have_the_mean_and_the_spread_of_poisson),
           UNIT(poisson_follows_the_profile), UNIT(the_same_seed_draws_the_same_times),
           UNIT(what_is_left_is_what_would_still_come), UNIT(no_rate_has_no_schedule))
