/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/via.h"

#include "broker/support/string_map.h"
#include "tests/unit.h"

#define OURS UINT64_C(0x00000000deadbeef)

static void expect(const struct buffer *buffer, const char *text) {
    EXPECT_SPAN(buffer_borrow(buffer), text);
}

TEST(first_log_stands_alone_and_the_next_one_behind_it) {
    struct buffer first, second;
    buffer_init(&first, 1000);
    buffer_init(&second, 1000);
    EXPECT_EQ(via_put(&first, (struct span){0}, OURS), OK);
    expect(&first, "00000000deadbeef");
    EXPECT_EQ(via_put(&second, buffer_borrow(&first), 1), OK);
    expect(&second, "00000000deadbeef,0000000000000001");
    EXPECT_TRUE(via_has(buffer_borrow(&second), OURS));
    EXPECT_TRUE(via_has(buffer_borrow(&second), 1));
    EXPECT_FALSE(via_has(buffer_borrow(&second), 2));
    buffer_finish(&first);
    buffer_finish(&second);
}

TEST(way_of_sixteen_logs_is_refused_and_nothing_is_added) {
    struct buffer way, next;
    buffer_init(&way, 1000);
    buffer_init(&next, 1000);
    for (uint64_t i = 1; i <= VIA_LOGS_MAX; i++) {
        buffer_clear(&next);
        EXPECT_EQ(via_put(&next, buffer_borrow(&way), i), OK);
        buffer_clear(&way);
        EXPECT_EQ(buffer_put(&way, buffer_borrow(&next)), OK);
    }
    size_t before = next.length;
    EXPECT_EQ(via_put(&next, buffer_borrow(&way), 99), ERR_FULL);
    EXPECT_EQ(next.length, before);
    buffer_finish(&way);
    buffer_finish(&next);
}

TEST(text_that_is_no_list_of_logs_is_of_no_log) {
    EXPECT_FALSE(via_has((struct span){0}, OURS));
    EXPECT_FALSE(via_has(SPAN(",,,"), OURS));
    EXPECT_FALSE(via_has(SPAN("deadbeef"), OURS));
    EXPECT_TRUE(via_has(SPAN("what, 00000000DEADBEEF ,ever"), OURS));
}

TEST(header_is_found_among_others) {
    struct buffer headers;
    buffer_init(&headers, 1000);
    EXPECT_EQ(string_map_put(&headers, SPAN("a"), SPAN("b")), OK);
    EXPECT_EQ(via_find(buffer_borrow(&headers)).length, 0);
    EXPECT_EQ(string_map_put(&headers, SPAN(VIA_HEADER), SPAN("1")), OK);
    EXPECT_SPAN(via_find(buffer_borrow(&headers)), "1");
    buffer_finish(&headers);
}

UNIT_TESTS(UNIT(first_log_stands_alone_and_the_next_one_behind_it),
           UNIT(way_of_sixteen_logs_is_refused_and_nothing_is_added),
           UNIT(text_that_is_no_list_of_logs_is_of_no_log), UNIT(header_is_found_among_others))
