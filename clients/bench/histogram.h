/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.h — durations with three significant digits, in the way of HdrHistogram.
 *
 * Place:   one a thread while a load runs; merged into the results.
 * Thread:  its owner's.
 * Bounds:  HISTOGRAM_BUCKETS counters; what is longer than HISTOGRAM_VALUE_MAX counts as that, and
 *          is seen in `highest`.
 *
 * Values are nanoseconds by convention, but any unsigned number will do.
 */
#pragma once

#include <stdint.h>

/* A power of two has 1,024 buckets: 0.1 % wide. */
#define HISTOGRAM_STEPS 1024u
#define HISTOGRAM_POWERS 42u /* up to 2^(10+32) ns, 73 minutes, and one more */
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * (HISTOGRAM_POWERS - 9u))
#define HISTOGRAM_VALUE_MAX ((1ull << HISTOGRAM_POWERS) - 1)

struct histogram {
    uint64_t total;
    uint64_t lowest; /* 0 when there are none */
    uint64_t highest;
    double sum;
    uint64_t counts[HISTOGRAM_BUCKETS];
};

/* Zeroed and on the heap; the caller frees with free(). NULL: out of memory. */
struct histogram *histogram_create(void);

void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *histogram, const struct histogram *other);

/* The highest value of the bucket that `percent` (0 to 100) of all are at or below; 0 when there
 * are none. 100 gives `highest` itself. */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

double histogram_mean(const struct histogram *histogram);
