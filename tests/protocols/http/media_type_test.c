/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/media_type.h"

#include "tests/unit.h"

TEST(a_type_is_taken_apart) {
    struct media_type type;
    struct span text = SPAN(" Text/Plain ; charset=\"utf-8\";; a=b ; q=\"x;\\\"y\" ");
    EXPECT_TRUE(media_type_parse(text, &type));
    EXPECT_SPAN(type.type, "Text");
    EXPECT_SPAN(type.subtype, "Plain");
    struct span rest = type.parameters, name, value;
    EXPECT_TRUE(media_type_next_parameter(&rest, &name, &value));
    EXPECT_SPAN(name, "charset");
    EXPECT_SPAN(value, "utf-8");
    EXPECT_TRUE(media_type_next_parameter(&rest, &name, &value));
    EXPECT_SPAN(value, "b");
    EXPECT_TRUE(media_type_next_parameter(&rest, &name, &value));
    EXPECT_SPAN(value, "x;\\\"y");
    EXPECT_FALSE(media_type_next_parameter(&rest, &name, &value));
}

TEST(what_is_no_type_is_refused) {
    static const char *const bad[] = {"",
                                      "text",
                                      "text/",
                                      "/plain",
                                      "text/pl ain",
                                      "text /plain",
                                      "text/plain; charset",
                                      "text/plain; =x",
                                      "text/plain; a=",
                                      "text/plain; a=\"b",
                                      "text/plain; a=\"b\"c",
                                      "a/b/c",
                                      "text/plain; a=\"\x01\"",
                                      "text/plain; a=\"\xC3\xBC\"",
                                      "text/plain, text/html",
                                      "text/plain; a=b c"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct media_type type;
        EXPECT_FALSE(media_type_parse(span_of_string(bad[i]), &type));
    }
}

TEST(types_are_compared_without_parameters_and_case) {
    EXPECT_TRUE(media_type_is(SPAN("Application/JSON; charset=utf-8"), "application/json"));
    EXPECT_TRUE(media_type_is(SPAN(" application/json "), "application/json"));
    EXPECT_FALSE(media_type_is(SPAN("application/json5"), "application/json"));
}

TEST(a_range_is_told_from_a_type) {
    static const char *const ranges[] = {"*/*", "text/*", "*/plain; q=1"};
    struct media_type type;
    for (size_t i = 0; i < ARRAY_COUNT(ranges); i++) {
        EXPECT_TRUE(media_type_parse(span_of_string(ranges[i]), &type));
        EXPECT_TRUE(media_type_is_range(&type));
    }
    EXPECT_TRUE(media_type_parse(SPAN("text/x*"), &type));
    EXPECT_FALSE(media_type_is_range(&type));
}

UNIT_TESTS(UNIT(a_type_is_taken_apart), UNIT(what_is_no_type_is_refused),
           UNIT(types_are_compared_without_parameters_and_case), UNIT(a_range_is_told_from_a_type))
