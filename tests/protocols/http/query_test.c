/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/query.h"

#include "tests/unit.h"

TEST(pairs_are_walked_in_order) {
    struct span rest = SPAN("&a=1&&b&=x&c==2=&a=3&"), name, value;
    static const char *const expected[][2] = {
        {"a", "1"}, {"b", ""}, {"", "x"}, {"c", "=2="}, {"a", "3"}};
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        EXPECT_TRUE(query_next(&rest, &name, &value));
        EXPECT_SPAN(name, expected[i][0]);
        EXPECT_SPAN(value, expected[i][1]);
    }
    EXPECT_FALSE(query_next(&rest, &name, &value));
}

TEST(names_are_compared_by_their_meaning) {
    EXPECT_TRUE(query_name_is(SPAN("since"), "since"));
    EXPECT_TRUE(query_name_is(SPAN("%73ince"), "since"));
    EXPECT_FALSE(query_name_is(SPAN("sinc"), "since"));
    EXPECT_FALSE(query_name_is(SPAN("since2"), "since"));
    EXPECT_FALSE(query_name_is(SPAN("%7since"), "since"));
}

TEST(the_first_value_is_found_and_decoded) {
    struct buffer buffer;
    bool is_found;
    buffer_init(&buffer, 100);
    EXPECT_EQ(query_find(SPAN("x=1&since=a%2Bb+c&since=2"), "since", &buffer, &is_found, NULL), OK);
    EXPECT_TRUE(is_found);
    EXPECT_SPAN(buffer_borrow(&buffer), "a+b c");
    EXPECT_EQ(query_find(SPAN("x=1"), "since", &buffer, &is_found, NULL), OK);
    EXPECT_FALSE(is_found);
    EXPECT_EQ(query_find(SPAN(""), "since", &buffer, &is_found, NULL), OK);
    EXPECT_FALSE(is_found);
    struct error why;
    EXPECT_EQ(query_find(SPAN("since=%2"), "since", &buffer, &is_found, &why), ERR_BAD_REQUEST);
    EXPECT_STRING(why.field, "since");
    EXPECT_EQ(query_find(SPAN("x=%2&since=1"), "since", &buffer, &is_found, NULL), OK);
    EXPECT_TRUE(is_found);
    buffer_finish(&buffer);
}

UNIT_TESTS(UNIT(pairs_are_walked_in_order), UNIT(names_are_compared_by_their_meaning),
           UNIT(the_first_value_is_found_and_decoded))
