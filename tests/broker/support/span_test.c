/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/span.h"

#include "broker/support/macros.h"
#include "tests/unit.h"

TEST(equal_bytes_are_equal_spans) {
    EXPECT_TRUE(span_is_equal(SPAN("abc"), span_of_string("abc")));
    EXPECT_TRUE(span_is_equal((struct span){0}, SPAN("")));
    EXPECT_FALSE(span_is_equal(SPAN("abc"), SPAN("abd")));
    EXPECT_FALSE(span_is_equal(SPAN("abc"), SPAN("ab")));
    EXPECT_TRUE(span_is_equal_nocase(SPAN("Content-Type"), SPAN("content-TYPE")));
    EXPECT_FALSE(span_is_equal_nocase(SPAN("a-b"), SPAN("a_b")));
}

TEST(a_prefix_is_no_longer_than_its_span) {
    EXPECT_TRUE(span_has_prefix(SPAN("t1abc"), SPAN("t1")));
    EXPECT_TRUE(span_has_prefix(SPAN("t1"), SPAN("")));
    EXPECT_FALSE(span_has_prefix(SPAN("t"), SPAN("t1")));
}

TEST(trimming_takes_blanks_and_tabs_at_both_ends) {
    EXPECT_SPAN(span_trim(SPAN(" \t a b\t ")), "a b");
    EXPECT_SPAN(span_trim(SPAN(" \t ")), "");
}

TEST(splitting_gives_each_part_once) {
    struct span rest = SPAN("a//b");
    EXPECT_SPAN(span_split(&rest, '/'), "a");
    EXPECT_SPAN(span_split(&rest, '/'), "");
    EXPECT_SPAN(span_split(&rest, '/'), "b");
    EXPECT_EQ(rest.length, 0);
}

TEST(spans_are_ordered_by_their_bytes_and_then_by_length) {
    EXPECT_TRUE(span_compare(SPAN("a"), SPAN("b")) < 0);
    EXPECT_TRUE(span_compare(SPAN("b"), SPAN("aa")) > 0);
    EXPECT_TRUE(span_compare(SPAN("a"), SPAN("aa")) < 0);
    EXPECT_TRUE(span_compare(SPAN("\xff"), SPAN("a")) > 0);
    EXPECT_TRUE(span_compare(SPAN("a"), (struct span){0}) > 0);
    EXPECT_EQ(span_compare(SPAN(""), (struct span){0}), 0);
}

TEST(a_word_consists_of_known_characters_and_is_not_empty) {
    struct span known = SPAN(SPAN_LETTERS SPAN_DIGITS "-");
    EXPECT_TRUE(span_consists_of(SPAN("A-z09"), known));
    EXPECT_FALSE(span_consists_of(SPAN("A z"), known));
    EXPECT_FALSE(span_consists_of(SPAN("A\0"), known));
    EXPECT_FALSE(span_consists_of(SPAN("\xc3\xa4"), known));
    EXPECT_FALSE(span_consists_of(SPAN(""), known));
    EXPECT_FALSE(span_consists_of((struct span){0}, known));
}

TEST(numbers_are_written_in_their_shortest_form) {
    uint8_t digits[SPAN_U64_DIGITS];
    EXPECT_SPAN(span_format_u64(0, digits), "0");
    EXPECT_SPAN(span_format_u64(1090, digits), "1090");
    EXPECT_SPAN(span_format_u64(UINT64_MAX, digits), "18446744073709551615");
}

TEST(numbers_are_digits_alone_within_64_bits) {
    uint64_t number = 5;
    EXPECT_TRUE(span_parse_u64(SPAN("18446744073709551615"), &number));
    EXPECT_TRUE(number == UINT64_MAX);
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "0x1", "18446744073709551616"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_FALSE(span_parse_u64(span_of_string(bad[i]), &number));
        EXPECT_TRUE(number == UINT64_MAX);
    }
}

UNIT_TESTS(UNIT(equal_bytes_are_equal_spans), UNIT(a_prefix_is_no_longer_than_its_span),
           UNIT(trimming_takes_blanks_and_tabs_at_both_ends), UNIT(splitting_gives_each_part_once),
           UNIT(spans_are_ordered_by_their_bytes_and_then_by_length),
           UNIT(a_word_consists_of_known_characters_and_is_not_empty),
           UNIT(numbers_are_written_in_their_shortest_form),
           UNIT(numbers_are_digits_alone_within_64_bits))
