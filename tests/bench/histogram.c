/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/histogram.h"

/* Below HISTOGRAM_STEPS a bucket is 1 us; above it a power of two has HISTOGRAM_STEPS buckets. */
static uint32_t bucket_of(uint64_t value_us) {
    if (value_us < HISTOGRAM_STEPS) {
        return (uint32_t)value_us;
    }
    uint32_t power = 63 - (uint32_t)__builtin_clzll(value_us); /* 6 and up */
    uint32_t step = (uint32_t)(value_us >> (power - 6)) - HISTOGRAM_STEPS;
    uint32_t bucket = (power - 5) * HISTOGRAM_STEPS + step;
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t value_of(uint32_t bucket) {
    if (bucket < HISTOGRAM_STEPS) {
        return bucket;
    }
    uint32_t power = bucket / HISTOGRAM_STEPS + 5;
    return (uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << (power - 6);
}

void histogram_add(struct histogram *histogram, uint64_t value_us) {
    histogram->counts[bucket_of(value_us)]++;
    histogram->total++;
    if (value_us > histogram->highest_us) {
        histogram->highest_us = value_us;
    }
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent) {
    uint64_t wanted = (uint64_t)((double)histogram->total * percent / 100.0);
    uint64_t seen = 0;
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->counts[bucket];
        if (histogram->counts[bucket] > 0 && seen >= wanted) {
            return value_of(bucket);
        }
    }
    return 0;
}
