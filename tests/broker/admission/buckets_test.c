/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/buckets.h"

#include <stdio.h>

#include "broker/limits.h"
#include "tests/unit.h"

#define NOW_US 1000000000
#define SECOND_US 1000000

static struct buckets *buckets;
static const struct rate rate = {.units_a_second = 5, .burst = 5};

static bool take(const char *channel, uint64_t units, uint64_t now_us) {
    struct allowance_state state;
    return allowance_take(buckets_find(buckets, span_of_string(channel), now_us), &rate, units,
                          now_us, &state);
}

static bool take_number(size_t number, uint64_t units) {
    char channel[32];
    snprintf(channel, sizeof(channel), "c/%zu", number);
    return take(channel, units, NOW_US);
}

TEST(each_channel_has_a_bucket_of_its_own) {
    EXPECT_EQ(buckets_create(&buckets), OK);
    EXPECT_TRUE(take("a", 5, NOW_US));
    EXPECT_FALSE(take("a", 1, NOW_US));
    EXPECT_TRUE(take("b", 5, NOW_US));
    EXPECT_TRUE(take("a", 5, NOW_US + SECOND_US + SECOND_US / 5));
    EXPECT_FALSE(take("a", 1, NOW_US + SECOND_US + SECOND_US / 5));
    buckets_destroy(buckets);
}

TEST(full_buckets_are_given_to_others) {
    EXPECT_EQ(buckets_create(&buckets), OK);
    for (uint64_t second = 0; second < 4; second++) { /* more names than there are places */
        for (size_t i = 0; i < CHANNEL_BUCKETS / 2; i++) {
            char channel[32];
            snprintf(channel, sizeof(channel), "%u/%zu", (unsigned)second, i);
            struct span name = span_of_string(channel);
            uint64_t now_us = NOW_US + second * 2 * SECOND_US;
            EXPECT_TRUE(allowance_is_full(buckets_find(buckets, name, now_us), now_us) || i > 0);
        }
    }
    buckets_destroy(buckets);
}

/* All the messages of as many channels as one likes are bounded by the places that there are. */
TEST(nobody_gains_by_many_channels) {
    EXPECT_EQ(buckets_create(&buckets), OK);
    size_t taken = 0;
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < (size_t)CHANNEL_BUCKETS * 2; i++) {
            taken += take_number(i, 5);
        }
    }
    EXPECT_TRUE(taken <= CHANNEL_BUCKETS);
    EXPECT_TRUE(taken > CHANNEL_BUCKETS / 2);
    buckets_destroy(buckets);
}

UNIT_TESTS(UNIT(each_channel_has_a_bucket_of_its_own), UNIT(full_buckets_are_given_to_others),
           UNIT(nobody_gains_by_many_channels))
