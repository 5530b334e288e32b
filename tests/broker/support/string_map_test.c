/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/string_map.h"

#include "tests/unit.h"

TEST(pairs_come_back_in_order) {
    struct buffer map;
    buffer_init(&map, 100);
    EXPECT_EQ(string_map_put(&map, SPAN("lang"), SPAN("de")), OK);
    EXPECT_EQ(string_map_put(&map, SPAN("empty"), SPAN("")), OK);
    struct span rest = buffer_borrow(&map), name, value;
    EXPECT_TRUE(string_map_next(&rest, &name, &value));
    EXPECT_SPAN(name, "lang");
    EXPECT_SPAN(value, "de");
    EXPECT_TRUE(string_map_next(&rest, &name, &value));
    EXPECT_SPAN(name, "empty");
    EXPECT_SPAN(value, "");
    EXPECT_FALSE(string_map_next(&rest, &name, &value));
    EXPECT_EQ(rest.length, 0);
    buffer_finish(&map);
}

TEST(a_pair_that_does_not_fit_leaves_no_half) {
    struct buffer map;
    buffer_init(&map, 10);
    EXPECT_EQ(string_map_put(&map, SPAN("lang"), SPAN("deutsch")), ERR_TOO_LARGE);
    EXPECT_EQ(map.length, 0);
    buffer_finish(&map);
    static const uint8_t zeros[65536];
    buffer_init(&map, 200000);
    EXPECT_EQ(string_map_put(&map, SPAN("a"), span_of(zeros, 65536)), ERR_TOO_LARGE);
    EXPECT_EQ(map.length, 0);
    EXPECT_EQ(string_map_put(&map, SPAN("a"), span_of(zeros, 65535)), OK);
    buffer_finish(&map);
}

TEST(damaged_bytes_end_the_walk_where_they_begin) {
    static const char *const bad[] = {"\x05", "\x05\x01", "\x02\x01z", "\x01\x01"};
    for (size_t i = 0; i < 4; i++) {
        struct span rest = span_of_string(bad[i]), name, value;
        EXPECT_FALSE(string_map_next(&rest, &name, &value));
        EXPECT_EQ(rest.length, strlen(bad[i]));
    }
}

TEST(a_name_is_found_or_the_pairs_are_counted) {
    struct buffer map;
    size_t index = 7;
    buffer_init(&map, 100);
    EXPECT_FALSE(string_map_find(buffer_borrow(&map), SPAN("a"), &index));
    EXPECT_EQ(index, 0);
    EXPECT_EQ(string_map_put(&map, SPAN("ab"), SPAN("cb")), OK);
    EXPECT_EQ(string_map_put(&map, SPAN("cb"), SPAN("")), OK);
    EXPECT_EQ(string_map_put(&map, SPAN(""), SPAN("x")), OK);
    EXPECT_TRUE(string_map_find(buffer_borrow(&map), SPAN("cb"), &index));
    EXPECT_EQ(index, 1);
    EXPECT_TRUE(string_map_find(buffer_borrow(&map), SPAN(""), &index));
    EXPECT_EQ(index, 2);
    EXPECT_FALSE(string_map_find(buffer_borrow(&map), SPAN("b"), &index));
    EXPECT_EQ(index, 3);
    buffer_finish(&map);
}

UNIT_TESTS(UNIT(pairs_come_back_in_order), UNIT(a_pair_that_does_not_fit_leaves_no_half),
           UNIT(damaged_bytes_end_the_walk_where_they_begin),
           UNIT(a_name_is_found_or_the_pairs_are_counted))
