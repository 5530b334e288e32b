/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/allowance.h"

#include <pthread.h>

#include "tests/unit.h"

#define SECOND_US 1000000

static bool take(struct allowance *allowance, const struct rate *rate, uint64_t units,
                 uint64_t now_us) {
    struct allowance_state state;
    return allowance_take(allowance, rate, units, now_us, &state);
}

TEST(a_full_bucket_gives_its_burst_and_no_more) {
    const struct rate rate = rate_of(10, 1000, 1);
    struct allowance allowance = {0};
    struct allowance_state state;
    for (uint64_t i = 0; i < 10; i++) {
        EXPECT_TRUE(allowance_take(&allowance, &rate, 1, SECOND_US, &state));
        EXPECT_EQ(state.units_left, 9 - i);
    }
    EXPECT_FALSE(allowance_take(&allowance, &rate, 1, SECOND_US, &state));
    EXPECT_EQ(state.units_left, 0);
    EXPECT_EQ(state.wait_us, 100000);
}

TEST(a_burst_is_there_in_single_units_whatever_the_rate) {
    for (uint64_t rate_a_second = 1; rate_a_second < 2000; rate_a_second++) {
        const struct rate rate = rate_of(rate_a_second, 1000, 1);
        struct allowance allowance = {0};
        uint64_t taken = 0;
        while (take(&allowance, &rate, 1, SECOND_US)) {
            taken++;
        }
        EXPECT_EQ(taken, rate_a_second);
    }
}

TEST(what_was_refused_is_there_after_the_wait_that_was_told) {
    const struct rate rate = rate_of(7, 1000, 1);
    struct allowance allowance = {0};
    struct allowance_state state;
    uint64_t now_us = 5 * SECOND_US;
    EXPECT_TRUE(take(&allowance, &rate, 7, now_us));
    EXPECT_FALSE(allowance_take(&allowance, &rate, 3, now_us, &state));
    EXPECT_FALSE(take(&allowance, &rate, 3, now_us + state.wait_us - 2));
    EXPECT_TRUE(take(&allowance, &rate, 3, now_us + state.wait_us));
}

TEST(more_than_a_burst_is_never_there) {
    const struct rate rate = rate_of(10, 1000, 1);
    struct allowance allowance = {0};
    struct allowance_state state;
    EXPECT_FALSE(allowance_take(&allowance, &rate, 11, SECOND_US, &state));
    EXPECT_EQ(state.wait_us, UINT64_MAX);
    EXPECT_EQ(state.units_left, 10);
    EXPECT_TRUE(allowance_is_full(&allowance, SECOND_US));
}

TEST(what_is_given_back_can_be_taken_again) {
    const struct rate rate = rate_of(10, 1000, 1);
    struct allowance allowance = {0};
    EXPECT_TRUE(take(&allowance, &rate, 10, SECOND_US));
    EXPECT_FALSE(allowance_is_full(&allowance, SECOND_US));
    allowance_give(&allowance, &rate, 10);
    EXPECT_TRUE(allowance_is_full(&allowance, SECOND_US));
    EXPECT_TRUE(take(&allowance, &rate, 10, SECOND_US));
}

TEST(rates_and_bursts_are_bounded) {
    EXPECT_EQ(rate_of(UINT64_MAX, 1000, 1).units_a_second, RATE_UNLIMITED);
    EXPECT_EQ(rate_of(RATE_MAX, 1000, 1).burst, ALLOWANCE_UNITS_MAX);
    EXPECT_EQ(rate_of(1, 1, 5).burst, 5);
    EXPECT_EQ(rate_of(100, 10000, 1).burst, 1000);
    const struct rate fastest = rate_of(RATE_MAX, 1000, 1);
    struct allowance allowance = {0};
    EXPECT_TRUE(take(&allowance, &fastest, ALLOWANCE_UNITS_MAX, SECOND_US));
    EXPECT_FALSE(take(&allowance, &fastest, ALLOWANCE_UNITS_MAX, SECOND_US));
    const struct rate slowest = rate_of(1, 1000, ALLOWANCE_UNITS_MAX);
    struct allowance_state state;
    struct allowance other = {0};
    EXPECT_TRUE(allowance_take(&other, &slowest, 1, SECOND_US, &state));
    EXPECT_EQ(state.units_left, ALLOWANCE_UNITS_MAX - 1);
}

/* xorshift: the same numbers each time. */
static uint64_t next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

#define GRANTS 4000

/* Whatever is asked for and whenever: between any two grants, both counted, there are no more than
 * burst + rate × time. */
static void check_windows(uint64_t seed) {
    static struct {
        uint64_t at_us;
        uint64_t sum; /* with this one */
    } grants[GRANTS];
    const struct rate rate = rate_of(1 + next(&seed) % 100000, 1 + next(&seed) % 3000, 1);
    struct allowance allowance = {0};
    uint64_t now_us = next(&seed) % SECOND_US;
    uint64_t sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < GRANTS; i++) {
        now_us += next(&seed) % 7 == 0
                      ? next(&seed) % (2 * (uint64_t)SECOND_US)
                      : next(&seed) % (20 * (uint64_t)SECOND_US / rate.units_a_second + 2);
        uint64_t units = next(&seed) % 3 == 0 ? 1 + next(&seed) % (2 * rate.burst) : 1;
        if (take(&allowance, &rate, units, now_us)) {
            sum += units;
            grants[count].at_us = now_us;
            grants[count++].sum = sum;
        }
    }
    for (size_t first = 0; first < count; first++) {
        uint64_t before = first == 0 ? 0 : grants[first - 1].sum;
        for (size_t last = first; last < count; last += 1 + last / 16) {
            uint64_t window_us = grants[last].at_us - grants[first].at_us;
            uint64_t most = rate.burst + window_us * rate.units_a_second / SECOND_US;
            if (grants[last].sum - before > most + 1) { /* one for the rounding of the window */
                EXPECT_EQ(grants[last].sum - before, most);
            }
        }
    }
    EXPECT_TRUE(count > 0);
}

TEST(no_window_gives_more_than_a_burst_and_its_rate) {
    for (uint64_t seed = 1; seed <= 50; seed++) {
        check_windows(seed * 0x9e3779b97f4a7c15U);
    }
}

struct taker {
    struct allowance *allowance;
    const struct rate *rate;
    uint64_t taken;
};

static void *take_many(void *argument) {
    struct taker *taker = argument;
    for (int i = 0; i < 100000; i++) {
        taker->taken += take(taker->allowance, taker->rate, 1, SECOND_US);
    }
    return NULL;
}

TEST(threads_that_take_at_once_share_one_burst) {
    const struct rate rate = rate_of(50000, 1000, 1);
    struct allowance allowance = {0};
    struct taker takers[3];
    pthread_t threads[3];
    uint64_t taken = 0;
    for (int i = 0; i < 3; i++) {
        takers[i] = (struct taker){.allowance = &allowance, .rate = &rate};
        EXPECT_EQ(pthread_create(&threads[i], NULL, take_many, &takers[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        taken += takers[i].taken;
    }
    EXPECT_EQ(taken, 50000);
}

UNIT_TESTS(UNIT(a_full_bucket_gives_its_burst_and_no_more),
           UNIT(a_burst_is_there_in_single_units_whatever_the_rate),
           UNIT(what_was_refused_is_there_after_the_wait_that_was_told),
           UNIT(more_than_a_burst_is_never_there), UNIT(what_is_given_back_can_be_taken_again),
           UNIT(rates_and_bursts_are_bounded), UNIT(no_window_gives_more_than_a_burst_and_its_rate),
           UNIT(threads_that_take_at_once_share_one_burst))
