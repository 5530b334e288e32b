/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/metrics/metrics.h"

#include <pthread.h>

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
    uint64_t observed = 0;
    for (uint32_t i = 0; i <= METRICS_BUCKETS; i++) {
        observed += metrics_sum_slot(metrics, METRICS_SLOT_PUBLISH_TO_WRITE + i);
    }
    EXPECT_EQ(observed, 3 * COUNTED);
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
    static const struct {
        uint64_t value;
        uint32_t bucket;
    } cases[] = {{0, 0},
                 {64, 0},
                 {65, 1},
                 {128, 1},
                 {129, 2},
                 {UINT64_C(64) << (METRICS_BUCKETS - 1), METRICS_BUCKETS - 1},
                 {(UINT64_C(64) << (METRICS_BUCKETS - 1)) + 1, METRICS_BUCKETS},
                 {UINT64_MAX, METRICS_BUCKETS}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct metrics *metrics;
        EXPECT_EQ(metrics_create(1, &metrics), OK);
        metrics_observe(metrics_shard(metrics, METRICS_MAIN), METRIC_PUBLISH_ANSWER,
                        cases[i].value);
        EXPECT_EQ(metrics_sum_slot(metrics, METRICS_SLOT_PUBLISH_ANSWER + cases[i].bucket), 1);
        metrics_destroy(metrics);
    }
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
           UNIT(buckets_hold_values_up_to_their_bound), UNIT(threads_have_names_of_their_own))
