/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/disk.h"

#include "broker/limits.h"
#include "broker/support/clock.h"
#include "broker/support/logger.h"

uint64_t disk_note_time(struct metrics_shard *shard, enum metric metric, uint64_t begin_us,
                        const char *step) {
    uint64_t took_us = clock_monotonic_us() - begin_us;
    metrics_observe(shard, metric, took_us);
    if (took_us >= DISK_SLOW_US) {
        log_event(DISK_SLOW, .step = step, .took_ms = took_us / 1000);
    }
    return took_us;
}
