/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/metrics/process.h"

#include <time.h>
#include <unistd.h>

#include "tests/unit.h"

TEST(process_is_measured) {
    struct metrics *metrics;
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    struct metrics_shard *shard = metrics_shard(metrics, METRICS_OPERATOR);
    process_collect(shard);
    uint64_t descriptors = metrics_sum(metrics, METRIC_PROCESS_OPEN_FDS, 0);
    uint64_t start_ms = metrics_sum(metrics, METRIC_PROCESS_START, 0);
    uint64_t now_ms = (uint64_t)time(NULL) * 1000;
    EXPECT_TRUE(descriptors >= 3);
    EXPECT_TRUE(metrics_sum(metrics, METRIC_PROCESS_MAX_FDS, 0) > descriptors);
    EXPECT_TRUE(metrics_sum(metrics, METRIC_PROCESS_RESIDENT, 0) > 100000);
    EXPECT_TRUE(metrics_sum(metrics, METRIC_PROCESS_VIRTUAL, 0) >
                metrics_sum(metrics, METRIC_PROCESS_RESIDENT, 0));
    EXPECT_TRUE(metrics_sum(metrics, METRIC_MEMORY_ANONYMOUS, 0) <=
                metrics_sum(metrics, METRIC_PROCESS_RESIDENT, 0));
    EXPECT_TRUE(start_ms <= now_ms + 1000);
    EXPECT_TRUE(start_ms + 600000 > now_ms);
    metrics_destroy(metrics);
}

TEST(each_open_descriptor_counts_once) {
    struct metrics *metrics;
    int ends[2];
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    struct metrics_shard *shard = metrics_shard(metrics, METRICS_OPERATOR);
    process_collect(shard);
    uint64_t before = metrics_sum(metrics, METRIC_PROCESS_OPEN_FDS, 0);
    EXPECT_EQ(pipe(ends), 0);
    process_collect(shard);
    EXPECT_EQ(metrics_sum(metrics, METRIC_PROCESS_OPEN_FDS, 0), before + 2);
    close(ends[0]);
    close(ends[1]);
    metrics_destroy(metrics);
}

TEST(start_does_not_move) {
    struct metrics *metrics;
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    struct metrics_shard *shard = metrics_shard(metrics, METRICS_OPERATOR);
    metrics_set(shard, METRIC_PROCESS_START, 1234);
    process_collect(shard);
    EXPECT_EQ(metrics_sum(metrics, METRIC_PROCESS_START, 0), 1234);
    metrics_destroy(metrics);
}

TEST(kilobytes_are_found_by_name) {
    struct span status =
        SPAN("Name:\ttidings\nVmRSS:\t    5120 kB\nRssAnon:\t\t 7 kB\nBad:\tx kB\n");
    uint64_t value = 0;
    EXPECT_TRUE(process_find_kilobytes(status, "VmRSS:", &value));
    EXPECT_EQ(value, 5120);
    EXPECT_TRUE(process_find_kilobytes(status, "RssAnon:", &value));
    EXPECT_EQ(value, 7);
    EXPECT_FALSE(process_find_kilobytes(status, "Bad:", &value));
    EXPECT_FALSE(process_find_kilobytes(status, "VmSwap:", &value));
    EXPECT_FALSE(process_find_kilobytes((struct span){0}, "VmRSS:", &value));
}

TEST(program_names_with_parentheses_do_not_shift_the_fields) {
    uint64_t value = 0;
    struct span stat = SPAN("12 (a) b) S 1 22 333\n");
    EXPECT_TRUE(process_find_stat(stat, 4, &value));
    EXPECT_EQ(value, 1);
    EXPECT_TRUE(process_find_stat(stat, 6, &value));
    EXPECT_EQ(value, 333);
    EXPECT_FALSE(process_find_stat(stat, 7, &value));
    EXPECT_FALSE(process_find_stat(SPAN("12 (a)"), 4, &value));
    EXPECT_FALSE(process_find_stat((struct span){0}, 4, &value));
}

UNIT_TESTS(UNIT(process_is_measured), UNIT(each_open_descriptor_counts_once),
           UNIT(start_does_not_move), UNIT(kilobytes_are_found_by_name),
           UNIT(program_names_with_parentheses_do_not_shift_the_fields))
