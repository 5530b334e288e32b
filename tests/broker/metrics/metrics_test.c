/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/metrics/metrics.h"

#include <pthread.h>
#include <stdio.h>

#include "tests/unit.h"

#define COUNTED 100000

static void *count(void *argument) {
    struct metrics_shard *shard = argument;
    for (size_t i = 0; i < COUNTED; i++) {
        metrics_add(shard, METRIC_PAGES_READ, 1);
        metrics_observe(shard, METRIC_PUBLISH_TO_WRITE, i);
        metrics_sub_at(shard, METRIC_READERS_OPEN, METRICS_PROTOCOL_SSE, 1);
    }
    return NULL;
}

TEST(threads_that_count_at_once_lose_nothing) {
    struct metrics *metrics;
    pthread_t threads[3];
    EXPECT_EQ(metrics_create(3, &metrics), OK);
    metrics_set_at(metrics_shard(metrics, METRICS_MAIN), METRIC_READERS_OPEN, METRICS_PROTOCOL_SSE,
                   3 * COUNTED + 5);
    for (size_t i = 0; i < 3; i++) {
        EXPECT_EQ(
            pthread_create(&threads[i], NULL, count, metrics_shard(metrics, METRICS_WORKERS + i)),
            0);
    }
    uint64_t before = 0;
    for (size_t i = 0; i < 1000; i++) { /* a scrape beside the threads */
        uint64_t sum = metrics_sum(metrics, METRIC_PAGES_READ, 0);
        EXPECT_TRUE(sum >= before);
        before = sum;
    }
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    EXPECT_EQ(metrics_sum(metrics, METRIC_PAGES_READ, 0), 3 * COUNTED);
    EXPECT_EQ(metrics_sum(metrics, METRIC_READERS_OPEN, METRICS_PROTOCOL_SSE), 5);
    EXPECT_EQ(metrics_count_observed(metrics, METRIC_PUBLISH_TO_WRITE, 0), 3 * COUNTED);
    metrics_destroy(metrics);
}

TEST(series_of_one_metric_do_not_touch) {
    struct metrics *metrics;
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    struct metrics_shard *shard = metrics_shard(metrics, METRICS_LOG);
    size_t series = METRICS_PAIR(METRIC_CONNECTIONS_CLOSED, METRICS_PROTOCOL_HTTP, CLOSE_INTERNAL);
    metrics_add_at(shard, METRIC_CONNECTIONS_CLOSED, series, 9);
    for (size_t i = 0; i < metrics_rows[METRIC_CONNECTIONS_CLOSED].series_count; i++) {
        EXPECT_EQ(metrics_sum(metrics, METRIC_CONNECTIONS_CLOSED, i), i == series ? 9 : 0);
    }
    metrics_destroy(metrics);
}

TEST(buckets_hold_values_up_to_their_bound) {
    static const enum metrics_unit units[] = {METRICS_COUNT, METRICS_BYTES, METRICS_MICROSECONDS};
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        uint64_t before = 0;
        EXPECT_EQ(metrics_bucket_of(units[i], 0), 0);
        for (uint32_t bucket = 0; bucket < METRICS_BUCKETS; bucket++) {
            uint64_t bound = metrics_bucket_bound(units[i], bucket);
            EXPECT_TRUE(bound > before);
            EXPECT_EQ(metrics_bucket_of(units[i], bound), bucket);
            EXPECT_EQ(metrics_bucket_of(units[i], bound + 1), bucket + 1);
            before = bound;
        }
        EXPECT_EQ(metrics_bucket_of(units[i], UINT64_MAX), METRICS_BUCKETS);
    }
    EXPECT_EQ(metrics_bucket_bound(METRICS_MICROSECONDS, 0), 64);
    EXPECT_EQ(metrics_bucket_bound(METRICS_BYTES, METRICS_BUCKETS - 1), 67108864);
    EXPECT_EQ(metrics_bucket_bound(METRICS_COUNT, 1), 4);
}

TEST(histogram_counts_each_series_for_itself) {
    struct metrics *metrics;
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    metrics_observe_at(metrics_shard(metrics, METRICS_LOG), METRIC_PUBLISH,
                       METRICS_PROTOCOL_WEBSOCKET, 65);
    const struct metrics_row *row = &metrics_rows[METRIC_PUBLISH];
    for (uint32_t series = 0; series < row->series_count; series++) {
        uint32_t slot = row->slot_first + series * METRICS_HISTOGRAM_SLOTS;
        bool is_own = series == METRICS_PROTOCOL_WEBSOCKET;
        EXPECT_EQ(metrics_sum_slot(metrics, slot + 1), is_own);
        EXPECT_EQ(metrics_sum_slot(metrics, slot + METRICS_BUCKETS + 1), is_own ? 65 : 0);
    }
    metrics_destroy(metrics);
}

TEST(pattern_keeps_its_series_and_there_is_an_end_to_them) {
    struct metrics *metrics;
    char pattern[16];
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    for (size_t i = 0; i < METRICS_MATCHES_MAX; i++) {
        snprintf(pattern, sizeof(pattern), "a/%zu/*", i);
        EXPECT_EQ(metrics_add_match(metrics, pattern), i);
    }
    EXPECT_EQ(metrics_add_match(metrics, "a/7/*"), 7);
    EXPECT_EQ(metrics_add_match(metrics, "b"), METRICS_MATCHES_MAX);
    EXPECT_EQ(metrics_match_count(metrics), METRICS_MATCHES_MAX);
    EXPECT_STRING(metrics_match(metrics, 1), "a/1/*");
    metrics_destroy(metrics);
}

TEST(threads_have_names_of_their_own) {
    char name[METRICS_THREAD_NAME_BYTES];
    metrics_thread_name(METRICS_MAIN, name);
    EXPECT_STRING(name, "main");
    metrics_thread_name(METRICS_OPERATOR, name);
    EXPECT_STRING(name, "operator");
    metrics_thread_name(METRICS_READS + 1, name);
    EXPECT_STRING(name, "read-1");
    metrics_thread_name(METRICS_WORKERS + 255, name);
    EXPECT_STRING(name, "worker-255");
}

UNIT_TESTS(UNIT(threads_that_count_at_once_lose_nothing), UNIT(series_of_one_metric_do_not_touch),
           UNIT(buckets_hold_values_up_to_their_bound),
           UNIT(histogram_counts_each_series_for_itself),
           UNIT(pattern_keeps_its_series_and_there_is_an_end_to_them),
           UNIT(threads_have_names_of_their_own))
