/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/items.h"

#include "tests/unit.h"

/* The end is found where it stands, and in nothing that is shorter. */
static void expect_end(const char *text, size_t depth, size_t end) {
    for (size_t length = 0; length <= strlen(text); length++) {
        EXPECT_EQ(items_find_end((const uint8_t *)text, length, depth), length < end ? 0 : end);
    }
}

TEST(an_object_ends_with_its_own_bracket) {
    expect_end("{}", 0, 2);
    expect_end("{\"a\":[1,{\"b\":2}]},{}", 0, 17);
    expect_end("1,{}],\"next\":{}}}", 1, 5);
    expect_end("],\"a\":{}}}", 2, 9);
}

TEST(brackets_in_strings_are_text) {
    expect_end("{\"}\":\"]\\\"}\"}", 0, 12);
    expect_end("{\"a\\\\\":1}", 0, 9);
    expect_end("{\"a\\\\\\\"}\":1}", 0, 12);
    expect_end("{\"\":\"\"}", 0, 7);
}

TEST(what_does_not_end_has_none) {
    static const char text[] = "{\"a\":\"}}}}";
    EXPECT_EQ(items_find_end((const uint8_t *)text, sizeof(text) - 1, 0), 0);
    EXPECT_EQ(items_find_end((const uint8_t *)"[[[]", 4, 0), 0);
}

UNIT_TESTS(UNIT(an_object_ends_with_its_own_bracket), UNIT(brackets_in_strings_are_text),
           UNIT(what_does_not_end_has_none))
