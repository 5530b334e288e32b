/* SPDX-License-Identifier: Apache-2.0 */
/* Values below 2 × HISTOGRAM_STEPS have a bucket each. Above, each power of two has
 * HISTOGRAM_STEPS buckets, which are twice as wide as those of the power below:
 *
 *     bucket = (power - 9) × 1024 + (value >> (power - 10)) - 1024, for 2^power <= value
 */
#include "clients/bench/histogram.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define STEP_BITS 10u
static_assert(1u << STEP_BITS == HISTOGRAM_STEPS, "a power of two has 2^STEP_BITS buckets");

static unsigned power_of(uint64_t value) {
    return 63u - (unsigned)__builtin_clzll(value);
}

static unsigned bucket_of(uint64_t value) {
    if (value < HISTOGRAM_STEPS) {
        return (unsigned)value;
    }
    unsigned shift = power_of(value) - STEP_BITS;
    return shift * HISTOGRAM_STEPS + (unsigned)(value >> shift);
}

static uint64_t highest_of(unsigned bucket) {
    if (bucket < HISTOGRAM_STEPS) {
        return bucket;
    }
    unsigned shift = bucket / HISTOGRAM_STEPS - 1;
    uint64_t step = bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS;
    return ((step + 1) << shift) - 1;
}

struct histogram *histogram_create(void) {
    return calloc(1, sizeof(struct histogram));
}

void histogram_add(struct histogram *histogram, uint64_t value) {
    if (histogram->total == 0 || value < histogram->lowest) {
        histogram->lowest = value;
    }
    if (value > histogram->highest) {
        histogram->highest = value;
    }
    histogram->total++;
    histogram->sum += (double)value;
    histogram->counts[bucket_of(value < HISTOGRAM_VALUE_MAX ? value : HISTOGRAM_VALUE_MAX)]++;
}

void histogram_merge(struct histogram *histogram, const struct histogram *other) {
    if (other->total == 0) {
        return;
    }
    if (histogram->total == 0 || other->lowest < histogram->lowest) {
        histogram->lowest = other->lowest;
    }
    if (other->highest > histogram->highest) {
        histogram->highest = other->highest;
    }
    histogram->total += other->total;
    histogram->sum += other->sum;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        histogram->counts[i] += other->counts[i];
    }
}

/* 99.9 % of 1,000 are 999, though 99.9 / 100 × 1000 is a little more in binary. */
static uint64_t rank_of(uint64_t total, double percent) {
    double rank = percent / 100.0 * (double)total;
    rank = ceil(rank - rank * 1e-13);
    if (rank < 1) {
        return 1;
    }
    return rank > (double)total ? total : (uint64_t)rank;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent) {
    if (histogram->total == 0 || percent >= 100) {
        return histogram->highest;
    }
    uint64_t rank = rank_of(histogram->total, percent);
    uint64_t below = 0;
    unsigned bucket = 0;
    while (bucket < HISTOGRAM_BUCKETS - 1 && below + histogram->counts[bucket] < rank) {
        below += histogram->counts[bucket];
        bucket++;
    }
    uint64_t value = highest_of(bucket);
    return value < histogram->highest ? value : histogram->highest;
}

double histogram_mean(const struct histogram *histogram) {
    return histogram->total == 0 ? 0 : histogram->sum / (double)histogram->total;
}
