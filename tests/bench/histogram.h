/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.h — latencies in buckets that are 1.6 % wide, from 1 us to over a minute.
 *
 * Place:   filled by readers.c, printed by load.c.
 * Thread:  its owner's.
 * Bounds:  HISTOGRAM_BUCKETS counters; what is longer counts in the last.
 */
#pragma once

#include <stdint.h>

#define HISTOGRAM_STEPS 64 /* buckets a power of two */
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * 21)

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
    uint64_t highest_us;
};

void histogram_add(struct histogram *histogram, uint64_t value_us);

/* The value that `percent` of all are at or below, in microseconds; 0 when there are none. */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);
