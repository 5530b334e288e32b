/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/seek.h"

#include "broker/support/macros.h"
#include "tests/unit.h"

struct row {
    uint32_t other;
    uint64_t number;
};

TEST(the_first_that_is_not_below_is_found_whatever_the_count) {
    struct row rows[20];
    for (size_t count = 0; count <= ARRAY_COUNT(rows); count++) {
        for (size_t i = 0; i < count; i++) {
            rows[i] = (struct row){.other = UINT32_MAX, .number = 10 * (i + 1)};
        }
        for (size_t i = 0; i < count; i++) {
            EXPECT_EQ(SEEK_ROW(rows, count, struct row, number, 10 * (i + 1)), i);
            EXPECT_EQ(SEEK_ROW(rows, count, struct row, number, 10 * (i + 1) + 1), i + 1);
        }
        EXPECT_EQ(SEEK_ROW(rows, count, struct row, number, 0), 0);
        EXPECT_EQ(SEEK_ROW(rows, count, struct row, number, UINT64_MAX), count);
    }
}

TEST(of_equal_ones_it_is_the_first) {
    static const uint64_t numbers[] = {1, 5, 5, 5, 9};
    EXPECT_EQ(seek_number(numbers, ARRAY_COUNT(numbers), sizeof(numbers[0]), 0, 5), 1);
}

TEST(without_rows_there_is_none) {
    EXPECT_EQ(SEEK_ROW(NULL, 0, struct row, number, 7), 0);
}

UNIT_TESTS(UNIT(the_first_that_is_not_below_is_found_whatever_the_count),
           UNIT(of_equal_ones_it_is_the_first), UNIT(without_rows_there_is_none))
