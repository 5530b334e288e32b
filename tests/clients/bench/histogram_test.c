/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/histogram.h"

#include <math.h>
#include <stdlib.h>

#include "tests/unit.h"

#define VALUES 20000

static const double percents[] = {0, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 100};
#define PERCENTS (sizeof(percents) / sizeof(percents[0]))

static int compare(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* From 1 ns to 10^12 ns, each decade as often as any other. */
static uint64_t draw(unsigned short state[3]) {
    return (uint64_t)pow(10, 12 * erand48(state));
}

/* Integers throughout: what the definition says, without floating point. */
static size_t rank_of(size_t count, double percent) {
    size_t hundredths = (size_t)lround(percent * 100);
    size_t rank = (count * hundredths + 9999) / 10000;
    return rank == 0 ? 1 : rank;
}

static void expect_percentiles_of(const struct histogram *histogram, uint64_t *values,
                                  size_t count) {
    qsort(values, count, sizeof(values[0]), compare);
    for (size_t i = 0; i < PERCENTS; i++) {
        uint64_t exact = values[rank_of(count, percents[i]) - 1];
        uint64_t told = histogram_percentile(histogram, percents[i]);
        EXPECT_TRUE(told >= exact);
        EXPECT_TRUE(told - exact <= exact / 1000);
    }
    EXPECT_EQ(histogram->lowest, values[0]);
    EXPECT_EQ(histogram->highest, values[count - 1]);
    EXPECT_EQ(histogram_percentile(histogram, 100), values[count - 1]);
    EXPECT_EQ(histogram->total, count);
}

TEST(percentiles_are_within_a_thousandth_of_the_sorted_values) {
    unsigned short state[3] = {1, 2, 3};
    uint64_t *values = calloc(VALUES, sizeof(values[0]));
    for (size_t count = 1; count <= VALUES; count = count * 3 + 1) {
        struct histogram *histogram = histogram_create();
        double sum = 0;
        for (size_t i = 0; i < count; i++) {
            values[i] = draw(state);
            sum += (double)values[i];
            histogram_add(histogram, values[i]);
        }
        expect_percentiles_of(histogram, values, count);
        EXPECT_TRUE(fabs(histogram_mean(histogram) - sum / (double)count) <= sum * 1e-12);
        free(histogram);
    }
    free(values);
}

TEST(a_merge_is_what_one_histogram_of_all_would_be) {
    unsigned short state[3] = {4, 5, 6};
    uint64_t *values = calloc(VALUES, sizeof(values[0]));
    struct histogram *parts[3] = {histogram_create(), histogram_create(), histogram_create()};
    struct histogram *merged = histogram_create();
    for (size_t i = 0; i < VALUES; i++) {
        values[i] = draw(state);
        histogram_add(parts[i * i % 3], values[i]); /* the third stays empty */
    }
    for (size_t i = 0; i < 3; i++) {
        histogram_merge(merged, parts[i]);
        free(parts[i]);
    }
    expect_percentiles_of(merged, values, VALUES);
    free(merged);
    free(values);
}

TEST(small_numbers_are_exact) {
    struct histogram *histogram = histogram_create();
    for (uint64_t value = 0; value < 2048; value++) {
        histogram_add(histogram, value);
    }
    for (uint64_t value = 0; value < 2048; value++) {
        EXPECT_EQ(histogram_percentile(histogram, 100.0 * (double)(value + 1) / 2048), value);
    }
    free(histogram);
}

TEST(nothing_has_no_percentile) {
    struct histogram *histogram = histogram_create();
    EXPECT_EQ(histogram_percentile(histogram, 50), 0);
    EXPECT_EQ(histogram_percentile(histogram, 100), 0);
    EXPECT_TRUE(histogram_mean(histogram) == 0);
    free(histogram);
}

TEST(what_is_too_long_counts_as_the_longest_and_is_seen_at_the_top) {
    struct histogram *histogram = histogram_create();
    histogram_add(histogram, UINT64_MAX);
    histogram_add(histogram, HISTOGRAM_VALUE_MAX);
    EXPECT_EQ(histogram_percentile(histogram, 50), HISTOGRAM_VALUE_MAX);
    EXPECT_TRUE(histogram_percentile(histogram, 100) == UINT64_MAX);
    free(histogram);
}

UNIT_TESTS(UNIT(percentiles_are_within_a_thousandth_of_the_sorted_values),
           UNIT(a_merge_is_what_one_histogram_of_all_would_be), UNIT(small_numbers_are_exact),
           UNIT(nothing_has_no_percentile),
           UNIT(what_is_too_long_counts_as_the_longest_and_is_seen_at_the_top))
