/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/metrics/thread.h"

#include <pthread.h>
#include <time.h>

#include "broker/support/clock.h"

void thread_begin(struct metrics_shard *shard) {
    clockid_t clock;
    if (shard->index != METRICS_MAIN) { /* its name is the process's */
        char name[METRICS_THREAD_NAME_BYTES];
        metrics_thread_name(shard->index, name);
        IGNORE_RESULT(pthread_setname_np(pthread_self(), name) != 0); /* only `top` is poorer */
    }
    shard->woke_us = clock_monotonic_us();
    if (pthread_getcpuclockid(pthread_self(), &clock) == 0) {
        atomic_store(&shard->cpu_clock, clock);
        atomic_store(&shard->has_clock, true);
    }
}

void thread_sleep(struct metrics_shard *shard) {
    metrics_add(shard, METRIC_THREAD_BUSY, clock_monotonic_us() - shard->woke_us);
    metrics_add(shard, METRIC_TURNS, 1);
    shard->is_asleep = true;
}

void thread_wake(struct metrics_shard *shard) {
    if (shard->is_asleep) {
        shard->is_asleep = false;
        shard->woke_us = clock_monotonic_us();
    }
}

void threads_collect(struct metrics *metrics) {
    for (size_t i = 0; i < metrics_shard_count(metrics); i++) {
        struct metrics_shard *shard = metrics_shard(metrics, i);
        struct timespec used;
        /* The clock of a thread that ended is refused: its last figure stays. */
        if (atomic_load(&shard->has_clock) &&
            clock_gettime(atomic_load(&shard->cpu_clock), &used) == 0) {
            metrics_set(shard, METRIC_THREAD_CPU,
                        (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000);
        }
    }
}
