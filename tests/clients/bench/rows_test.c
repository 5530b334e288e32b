/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/rows.h"

#include <stdlib.h>

#include "tests/unit.h"

static void add(struct rows *rows, double from_s, uint64_t delivered, uint64_t latency_ns) {
    struct histogram *delivery = histogram_create();
    for (uint64_t index = 0; index < delivered; index++) {
        histogram_add(delivery, latency_ns);
    }
    struct result_second second = {
        .from_s = from_s, .length_s = 1, .due = 1, .published = 2, .delivered = delivered};
    rows_add(rows, &second, delivery);
    EXPECT_EQ(second.highest_ns, latency_ns);
    free(delivery);
}

TEST(each_second_has_a_row) {
    struct rows rows;
    rows_init(&rows, 1);
    add(&rows, 0, 3, 100);
    add(&rows, 1, 4, 200);
    EXPECT_EQ(rows.count, 2);
    EXPECT_EQ(rows.all[0].delivered, 3);
    EXPECT_EQ(rows.all[1].delivered, 4);
    EXPECT_EQ(rows.all[1].p50_ns, 200);
    rows_finish(&rows);
}

TEST(several_seconds_share_a_row) {
    struct rows rows;
    rows_init(&rows, 3);
    for (unsigned second = 0; second < 7; second++) {
        add(&rows, second, second + 1, 100 * (second + 1));
    }
    EXPECT_EQ(rows.count, 3);
    EXPECT_EQ(rows.all[0].delivered, 1 + 2 + 3);
    EXPECT_EQ(rows.all[0].due, 3);
    EXPECT_EQ(rows.all[0].published, 6);
    EXPECT_EQ(rows.all[0].p50_ns, 200); /* of all six, not of the last second */
    EXPECT_EQ(rows.all[0].highest_ns, 300);
    EXPECT_TRUE(rows.all[1].from_s == 3 && rows.all[1].length_s == 3);
    EXPECT_EQ(rows.all[2].delivered, 7);
    rows_finish(&rows);
}

TEST(a_rest_is_added_to_the_row_before_it) {
    struct rows rows;
    rows_init(&rows, 1);
    add(&rows, 0, 3, 100);
    struct histogram *delivery = histogram_create();
    struct result_second rest = {.from_s = 1, .length_s = 0.01, .delivered = 5};
    rows_add(&rows, &rest, delivery);
    free(delivery);
    EXPECT_EQ(rows.count, 1);
    EXPECT_EQ(rows.all[0].delivered, 8);
    EXPECT_TRUE(rows.all[0].length_s > 1);
    rows_finish(&rows);
}

TEST(what_comes_behind_the_last_row_is_added_to_it) {
    struct rows rows;
    rows_init(&rows, 1);
    rows.count = RESULT_SECONDS_MAX; /* as if so many had come */
    add(&rows, RESULT_SECONDS_MAX, 3, 100);
    EXPECT_EQ(rows.count, RESULT_SECONDS_MAX);
    EXPECT_EQ(rows.all[RESULT_SECONDS_MAX - 1].delivered, 3);
    rows_finish(&rows);
}

UNIT_TESTS(UNIT(each_second_has_a_row), UNIT(several_seconds_share_a_row),
           UNIT(a_rest_is_added_to_the_row_before_it),
           UNIT(what_comes_behind_the_last_row_is_added_to_it))
