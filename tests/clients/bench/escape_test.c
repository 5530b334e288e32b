/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/escape.h"

#include "tests/unit.h"

static void expect(struct bytes *output, const char *text) {
    bytes_put(output, "", 1);
    EXPECT_STRING((const char *)output->data, text);
    bytes_drop(output, output->length);
}

TEST(numbers_are_digits) {
    struct bytes output = {0};
    escape_put_number(&output, 0);
    escape_put_text(&output, " ");
    escape_put_number(&output, UINT64_MAX);
    expect(&output, "0 18446744073709551615");
    bytes_finish(&output);
}

TEST(a_path_keeps_its_slashes_and_a_value_does_not) {
    struct bytes output = {0};
    escape_put_path(&output, "a/b c?d%e\xc3\xa4~-._");
    expect(&output, "a/b%20c%3Fd%25e%C3%A4~-._");
    escape_put_value(&output, (const uint8_t *)"a/b&c=d+", 8);
    expect(&output, "a%2Fb%26c%3Dd%2B");
    bytes_finish(&output);
}

TEST(a_json_string_is_one) {
    struct bytes output = {0};
    escape_put_json(&output, "a\"b\\c\nd\xc3\xa4");
    expect(&output, "\"a\\u0022b\\u005Cc\\u000Ad\xc3\xa4\"");
    bytes_finish(&output);
}

TEST(a_pattern_is_said_in_another_s_words) {
    struct bytes output = {0};
    escape_put_pattern(&output, "a/*/b/**", '.', '*', '>');
    expect(&output, "a.*.b.>");
    escape_put_pattern(&output, "*/**", '/', '+', '#');
    expect(&output, "+/#");
    escape_put_pattern(&output, "", '/', '+', '#');
    expect(&output, "");
    bytes_finish(&output);
}

UNIT_TESTS(UNIT(numbers_are_digits), UNIT(a_path_keeps_its_slashes_and_a_value_does_not),
           UNIT(a_json_string_is_one), UNIT(a_pattern_is_said_in_another_s_words))
