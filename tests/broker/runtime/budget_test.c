/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/budget.h"

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "tests/unit.h"

#define MIB UINT64_C(1048576)
#define LIMIT (100 * MIB)
#define BALLAST_BYTES (32 * 1048576) /* beside which what the kernel counts late is little */

TEST(each_level_begins_at_its_share) {
    const struct {
        uint64_t used;
        enum budget_level level;
    } cases[] = {
        {0, BUDGET_ENOUGH},
        {79 * MIB, BUDGET_ENOUGH},
        {80 * MIB, BUDGET_CONNECTIONS},
        {89 * MIB, BUDGET_CONNECTIONS},
        {90 * MIB, BUDGET_PUBLISHERS},
        {95 * MIB, BUDGET_READERS},
        {200 * MIB, BUDGET_READERS},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        EXPECT_EQ(budget_judge(BUDGET_ENOUGH, cases[i].used, LIMIT), cases[i].level);
    }
}

TEST(a_level_that_has_begun_ends_a_twentieth_below) {
    EXPECT_EQ(budget_judge(BUDGET_READERS, 94 * MIB, LIMIT), BUDGET_READERS);
    EXPECT_EQ(budget_judge(BUDGET_READERS, 90 * MIB, LIMIT), BUDGET_READERS);
    EXPECT_EQ(budget_judge(BUDGET_READERS, 89 * MIB, LIMIT), BUDGET_PUBLISHERS);
    EXPECT_EQ(budget_judge(BUDGET_PUBLISHERS, 94 * MIB, LIMIT), BUDGET_PUBLISHERS);
    EXPECT_EQ(budget_judge(BUDGET_PUBLISHERS, 84 * MIB, LIMIT), BUDGET_CONNECTIONS);
    EXPECT_EQ(budget_judge(BUDGET_CONNECTIONS, 76 * MIB, LIMIT), BUDGET_CONNECTIONS);
    EXPECT_EQ(budget_judge(BUDGET_CONNECTIONS, 74 * MIB, LIMIT), BUDGET_ENOUGH);
    EXPECT_EQ(budget_judge(BUDGET_READERS, 10 * MIB, LIMIT), BUDGET_ENOUGH);
}

TEST(readers_are_closed_until_there_is_enough_also_where_it_is_short_for_long) {
    struct metrics *metrics = NULL;
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    struct metrics_shard *shard = metrics_shard(metrics, METRICS_MAIN);
    struct budget budget = {.limit_bytes = UINT64_C(1) << 50};
    static uint8_t ballast[BALLAST_BYTES];
    memset(ballast, 1, sizeof(ballast));
    budget_look(&budget, shard, 1000);
    budget.limit_bytes = atomic_load(&budget.used_bytes) / 85 * 100;
    budget_look(&budget, shard, 2000);
    EXPECT_EQ(budget_level(&budget), BUDGET_CONNECTIONS);
    EXPECT_FALSE(atomic_load(&budget.is_shedding));
    budget_look(&budget, shard, 2000 + BUDGET_PATIENCE_MS);
    EXPECT_TRUE(atomic_load(&budget.is_shedding));
    budget.limit_bytes = UINT64_C(1) << 50;
    budget_look(&budget, shard, 20000);
    EXPECT_FALSE(atomic_load(&budget.is_shedding));
    metrics_destroy(metrics);
}

TEST(without_a_limit_there_is_always_enough) {
    EXPECT_EQ(budget_judge(BUDGET_ENOUGH, UINT64_MAX - 1, UINT64_MAX), BUDGET_ENOUGH);
    EXPECT_EQ(budget_level(NULL), BUDGET_ENOUGH);
}

TEST(a_process_beyond_its_limit_is_found_so_once_an_interval) {
    struct metrics *metrics = NULL;
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    struct metrics_shard *shard = metrics_shard(metrics, METRICS_MAIN);
    struct budget budget = {.limit_bytes = 4096};
    budget_look(&budget, shard, 1000);
    EXPECT_EQ(budget_level(&budget), BUDGET_READERS);
    EXPECT_EQ(atomic_load(&budget.look), 1);
    budget_look(&budget, shard, 1001);
    EXPECT_EQ(atomic_load(&budget.look), 1);
    EXPECT_EQ(metrics_sum(metrics, METRIC_MEMORY_LEVEL, 0), BUDGET_READERS);
    budget.limit_bytes = UINT64_C(1) << 50;
    budget_look(&budget, shard, 2000);
    EXPECT_EQ(budget_level(&budget), BUDGET_ENOUGH);
    metrics_destroy(metrics);
}

TEST(what_is_pledged_between_two_looks_is_within_the_limit) {
    struct budget budget = {.limit_bytes = LIMIT, .used_bytes = 90 * MIB};
    EXPECT_TRUE(budget_pledge(&budget, 6 * MIB));
    EXPECT_TRUE(budget_pledge(&budget, 4 * MIB));
    EXPECT_FALSE(budget_pledge(&budget, 1));
    budget.limit_bytes = UINT64_MAX;
    EXPECT_TRUE(budget_pledge(&budget, 1));
    EXPECT_TRUE(budget_pledge(NULL, 1));
}

UNIT_TESTS(UNIT(what_is_pledged_between_two_looks_is_within_the_limit),
           UNIT(each_level_begins_at_its_share),
           UNIT(a_level_that_has_begun_ends_a_twentieth_below),
           UNIT(readers_are_closed_until_there_is_enough_also_where_it_is_short_for_long),
           UNIT(without_a_limit_there_is_always_enough),
           UNIT(a_process_beyond_its_limit_is_found_so_once_an_interval))
