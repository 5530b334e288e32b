/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/starting.h"

#include "tests/unit.h"

TEST(each_kind_of_since_is_a_start) {
    static const struct {
        struct since since;
        enum storage_start start;
    } rows[] = {
        {{.kind = SINCE_NOT_GIVEN}, STORAGE_NOW},
        {{.kind = SINCE_NOW}, STORAGE_NOW},
        {{.kind = SINCE_EARLIEST}, STORAGE_EARLIEST},
        {{.kind = SINCE_OFFSET, .offset = 7}, STORAGE_AFTER_OFFSET},
        {{.kind = SINCE_PLACE, .place = {.position = 9}}, STORAGE_AFTER_PLACE},
        {{.kind = SINCE_LAST, .count = 20}, STORAGE_NEWEST},
        {{.kind = SINCE_TIME, .time_ms = 5000}, STORAGE_AFTER_TIME},
        {{.kind = SINCE_AGO, .ago_ms = 4000}, STORAGE_AFTER_TIME},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct storage_query query = {0};
        starting_set_query(&query, &rows[i].since, 10000);
        EXPECT_EQ(query.start, rows[i].start);
        EXPECT_EQ(query.place.offset, rows[i].since.offset);
        EXPECT_EQ(query.place.position, rows[i].since.place.position);
        EXPECT_EQ(query.newest, rows[i].since.count);
    }
}

TEST(a_time_ago_is_never_before_the_beginning) {
    struct storage_query query = {0};
    starting_set_query(&query, &(struct since){.kind = SINCE_AGO, .ago_ms = 4000}, 10000);
    EXPECT_EQ(query.time_ms, 6000);
    starting_set_query(&query, &(struct since){.kind = SINCE_AGO, .ago_ms = 20000}, 10000);
    EXPECT_EQ(query.time_ms, 0);
}

UNIT_TESTS(UNIT(each_kind_of_since_is_a_start), UNIT(a_time_ago_is_never_before_the_beginning))
