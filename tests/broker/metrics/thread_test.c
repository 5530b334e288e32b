/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/metrics/thread.h"

#include <pthread.h>

#include "broker/support/clock.h"
#include "tests/unit.h"

#define WORK_US 2000

/* Keeps the processor busy; returns how long that was. */
static uint64_t work(void) {
    uint64_t begin_us = clock_monotonic_us();
    uint64_t now_us = begin_us;
    while (now_us - begin_us < WORK_US) {
        now_us = clock_monotonic_us();
    }
    return now_us - begin_us;
}

struct day {
    struct metrics_shard *shard;
    char name[16];
    uint64_t worked_us;
    uint64_t slept_us;
    uint64_t whole_us;
};

/* What stands between sleep and wake is no work, whatever it is. */
static void *live(void *argument) {
    struct day *day = argument;
    uint64_t begin_us = clock_monotonic_us();
    thread_begin(day->shard);
    pthread_getname_np(pthread_self(), day->name, sizeof(day->name));
    day->worked_us = work();
    thread_sleep(day->shard);
    day->slept_us = work();
    thread_wake(day->shard);
    day->worked_us += work();
    thread_sleep(day->shard);
    day->whole_us = clock_monotonic_us() - begin_us;
    return NULL;
}

TEST(busy_is_what_is_not_asleep) {
    struct metrics *metrics;
    pthread_t thread;
    EXPECT_EQ(metrics_create(2, &metrics), OK);
    struct day day = {.shard = metrics_shard(metrics, METRICS_WORKERS + 1)};
    EXPECT_EQ(pthread_create(&thread, NULL, live, &day), 0);
    pthread_join(thread, NULL);
    uint64_t busy_us = metrics_sum(metrics, METRIC_THREAD_BUSY, 0);
    EXPECT_TRUE(busy_us >= day.worked_us);
    EXPECT_TRUE(busy_us <= day.whole_us - day.slept_us);
    EXPECT_EQ(metrics_sum(metrics, METRIC_TURNS, 0), 2);
    EXPECT_STRING(day.name, "worker-1");
    metrics_destroy(metrics);
}

TEST(a_thread_that_is_awake_stays_so) {
    struct metrics *metrics;
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    struct metrics_shard *shard = metrics_shard(metrics, METRICS_MAIN);
    thread_begin(shard);
    thread_sleep(shard);
    thread_wake(shard);
    uint64_t worked_us = work();
    thread_wake(shard);
    worked_us += work();
    thread_sleep(shard);
    EXPECT_TRUE(metrics_sum(metrics, METRIC_THREAD_BUSY, 0) >= worked_us);
    metrics_destroy(metrics);
}

TEST(processor_time_is_the_kernels) {
    struct metrics *metrics;
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    thread_begin(metrics_shard(metrics, METRICS_MAIN));
    work();
    threads_collect(metrics);
    uint32_t slot = metrics_rows[METRIC_THREAD_CPU].slot_first;
    uint64_t before_us = metrics_read_slot(metrics, METRICS_MAIN, slot);
    EXPECT_TRUE(before_us > 0);
    while (metrics_read_slot(metrics, METRICS_MAIN, slot) == before_us) { /* until the test's end */
        work();
        threads_collect(metrics);
    }
    EXPECT_EQ(metrics_read_slot(metrics, METRICS_LOG, slot), 0);
    metrics_destroy(metrics);
}

TEST(main_keeps_the_name_of_the_process) {
    struct metrics *metrics;
    char before[16];
    char after[16];
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    pthread_getname_np(pthread_self(), before, sizeof(before));
    thread_begin(metrics_shard(metrics, METRICS_MAIN));
    pthread_getname_np(pthread_self(), after, sizeof(after));
    EXPECT_STRING(after, before);
    metrics_destroy(metrics);
}

UNIT_TESTS(UNIT(busy_is_what_is_not_asleep), UNIT(a_thread_that_is_awake_stays_so),
           UNIT(processor_time_is_the_kernels), UNIT(main_keeps_the_name_of_the_process))
