/* SPDX-License-Identifier: Apache-2.0 */
/* disk.h — how long the disk took over a step: counted always, logged where it was too long.
 *
 * Place:   called by the threads that write: log.c, sync.c, store.c.
 * Thread:  the one that owns the shard.
 * Bounds:  none of its own.
 */
#pragma once

#include <stdint.h>

#include "broker/metrics/metrics.h"

/* `metric` is a histogram of microseconds; `begin_us` monotonic; `step` a constant, for the log.
 * Returns how long it took, in microseconds. */
uint64_t disk_note_time(struct metrics_shard *shard, enum metric metric, uint64_t begin_us,
                        const char *step);
