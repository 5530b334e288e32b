/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/json.h"

#include "tests/unit.h"

TEST(json_of_every_kind_is_accepted) {
    static const char *const good[] = {
        "null",
        " true ",
        "false",
        "0",
        "-0",
        "-0.5e+10",
        "1E5",
        "\"\"",
        "[]",
        "{}",
        "[1,2 , 3]",
        "{\"a\":1,\"a\":{\"b\":[]}}",
        "\"\\u0000 \\ud83c\\udfbe \\/ \\n\"",
        "\t\r\n[ ] ",
        "\"gr\xC3\xBC\xC3\x9F, and a text of more than sixteen bytes\"",
        "[[[[[[]]]],{}]]"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        EXPECT_EQ(json_check(span_of_string(good[i]), NULL, NULL), OK);
    }
}

TEST(a_fault_is_told_with_its_position) {
    static const struct {
        const char *text;
        size_t position;
    } bad[] = {{"", 0},
               {"  ", 2},
               {"{", 1},
               {"[1,]", 3},
               {"{\"a\":1,}", 7},
               {"{\"a\"1}", 4},
               {"[1 2]", 3},
               {"01", 1},
               {"-", 1},
               {"1.", 2},
               {".5", 0},
               {"1e", 2},
               {"+1", 0},
               {"tru", 3},
               {"nul1", 3},
               {"\"a", 2},
               {"\"\n\"", 1},
               {"\"\\x\"", 2},
               {"\"\\u12g4\"", 5},
               {"{1:2}", 1},
               {"[}", 1},
               {"{]", 1},
               {"[1}", 2},
               {"1 1", 2},
               {"'a'", 0},
               {"{\"a\":}", 5},
               {"\xEF\xBB\xBF{}", 0},
               {"\"\xC3\x28\"", 2},
               {"\"\xED\xA0\x80\"", 2},
               {"[\"abcdefgh\x01\"]", 10},
               {"NaN", 0},
               {"[1,2]]", 5},
               {"\"\xC3", 1},
               {"// no", 0},
               {"\"\\", 2},
               {"\"a\x7F\x1F\"", 3}};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        size_t position = 999;
        const char *fault = NULL;
        EXPECT_EQ(json_check(span_of_string(bad[i].text), &position, &fault), ERR_BAD_JSON);
        EXPECT_NOT_NULL(fault);
        EXPECT_EQ(position, bad[i].position);
    }
    EXPECT_EQ(json_check(span_of("\"\0\"", 3), NULL, NULL), ERR_BAD_JSON);
}

TEST(nesting_is_bounded) {
    char text[2 * JSON_DEPTH_MAX + 2];
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    EXPECT_EQ(json_check(span_of(text + 1, 2 * JSON_DEPTH_MAX), NULL, NULL), OK);
    size_t position;
    EXPECT_EQ(json_check(span_of(text, sizeof(text)), &position, NULL), ERR_BAD_JSON);
    EXPECT_EQ(position, JSON_DEPTH_MAX);
}

TEST(members_are_walked_in_order_with_their_bytes_untouched) {
    struct json_value object;
    EXPECT_EQ(json_parse(SPAN(" { \"a\" : 1.50 , \"b\":[ true,{\"x\":\"]}\"} ],\"\\u0063\":null} "),
                         &object, NULL, NULL),
              OK);
    EXPECT_EQ(object.kind, JSON_KIND_OBJECT);
    struct json_walk walk = json_walk_of(object);
    struct json_member member;
    EXPECT_TRUE(json_object_next(&walk, &member));
    EXPECT_SPAN(member.name, "\"a\"");
    EXPECT_EQ(member.value.kind, JSON_KIND_NUMBER);
    EXPECT_SPAN(member.value.text, "1.50");
    EXPECT_TRUE(json_object_next(&walk, &member));
    EXPECT_EQ(member.value.kind, JSON_KIND_ARRAY);
    struct json_walk elements = json_walk_of(member.value);
    struct json_value element;
    EXPECT_TRUE(json_array_next(&elements, &element));
    EXPECT_EQ(element.kind, JSON_KIND_TRUE);
    EXPECT_TRUE(json_array_next(&elements, &element));
    EXPECT_SPAN(element.text, "{\"x\":\"]}\"}");
    EXPECT_FALSE(json_array_next(&elements, &element));
    EXPECT_TRUE(json_object_next(&walk, &member));
    EXPECT_TRUE(json_string_is(member.name, "c"));
    EXPECT_EQ(member.value.kind, JSON_KIND_NULL);
    EXPECT_FALSE(json_object_next(&walk, &member));
}

TEST(a_scalar_has_nothing_to_walk) {
    struct json_value value;
    EXPECT_EQ(json_parse(SPAN(" \"[1]\" "), &value, NULL, NULL), OK);
    EXPECT_EQ(value.kind, JSON_KIND_STRING);
    EXPECT_SPAN(value.text, "\"[1]\"");
    struct json_walk walk = json_walk_of(value);
    EXPECT_FALSE(json_array_next(&walk, &value));
}

TEST(a_string_gives_back_what_it_means) {
    struct buffer buffer;
    buffer_init(&buffer, 200);
    EXPECT_EQ(json_string_put(&buffer, SPAN("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t"
                                            "\\u00fc\\u20AC\\ud83c\\udfbe z\"")),
              OK);
    EXPECT_SPAN(buffer_borrow(&buffer), "a\"\\/\b\f\n\r\t\xC3\xBC\xE2\x82\xAC\xF0\x9F\x8E\xBE z");
    buffer_finish(&buffer);
}

TEST(half_a_surrogate_pair_is_refused) {
    static const char *const bad[] = {"\"\\ud83c\"", "\"\\ud83cx\"", "\"\\udfbe\\ud83c\"",
                                      "\"\\ud83c\\u0041\"", "\"\\ud83c\\n12345\""};
    struct buffer buffer;
    buffer_init(&buffer, 200);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_EQ(json_check(span_of_string(bad[i]), NULL, NULL), OK);
        EXPECT_EQ(json_string_put(&buffer, span_of_string(bad[i])), ERR_BAD_JSON);
        EXPECT_EQ(buffer.length, 0);
    }
    buffer_finish(&buffer);
}

TEST(escaping_any_text_gives_json_that_means_it) {
    char text[300];
    for (size_t i = 0; i < 128; i++) {
        text[i] = (char)i;
    }
    memcpy(text + 128, "gr\xC3\xBC\xC3\x9F \xF0\x9F\x8E\xBE", 11);
    struct span whole = span_of(text, 139);
    struct buffer escaped, back;
    buffer_init(&escaped, 2000);
    buffer_init(&back, 2000);
    for (size_t i = 0; i < 20; i++) {
        struct span part = span_of(whole.bytes + i, whole.length - i);
        buffer_clear(&escaped);
        buffer_clear(&back);
        EXPECT_EQ(json_escape_put(&escaped, part), OK);
        EXPECT_EQ(json_check(buffer_borrow(&escaped), NULL, NULL), OK);
        EXPECT_EQ(json_string_put(&back, buffer_borrow(&escaped)), OK);
        EXPECT_TRUE(span_is_equal(buffer_borrow(&back), part));
    }
    buffer_clear(&escaped);
    EXPECT_EQ(json_escape_put(&escaped, (struct span){0}), OK);
    EXPECT_SPAN(buffer_borrow(&escaped), "\"\"");
    buffer_finish(&escaped);
    buffer_finish(&back);
}

TEST(a_name_is_compared_by_its_meaning) {
    EXPECT_TRUE(json_string_is(SPAN("\"data\""), "data"));
    EXPECT_TRUE(json_string_is(SPAN("\"d\\u0061ta\""), "data"));
    EXPECT_FALSE(json_string_is(SPAN("\"dat\""), "data"));
    EXPECT_FALSE(json_string_is(SPAN("\"data2\""), "data"));
    EXPECT_FALSE(json_string_is(SPAN("\"\""), "data"));
    EXPECT_TRUE(json_string_is(SPAN("\"\""), ""));
}

TEST(whole_numbers_are_read_and_others_are_not) {
    struct json_value value;
    uint64_t number = 7;
    EXPECT_EQ(json_parse(SPAN("18446744073709551615"), &value, NULL, NULL), OK);
    EXPECT_TRUE(json_number_u64(value, &number));
    EXPECT_TRUE(number == UINT64_MAX);
    static const char *const bad[] = {"18446744073709551616", "-1", "1.0", "1e3", "\"1\"", "null"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_EQ(json_parse(span_of_string(bad[i]), &value, NULL, NULL), OK);
        EXPECT_FALSE(json_number_u64(value, &number));
    }
}

UNIT_TESTS(UNIT(json_of_every_kind_is_accepted), UNIT(a_fault_is_told_with_its_position),
           UNIT(nesting_is_bounded), UNIT(members_are_walked_in_order_with_their_bytes_untouched),
           UNIT(a_scalar_has_nothing_to_walk), UNIT(a_string_gives_back_what_it_means),
           UNIT(half_a_surrogate_pair_is_refused), UNIT(escaping_any_text_gives_json_that_means_it),
           UNIT(a_name_is_compared_by_its_meaning), UNIT(whole_numbers_are_read_and_others_are_not))
