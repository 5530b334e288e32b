/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/pattern.h"

#include "broker/limits.h"
#include "tests/unit.h"

TEST(wildcards_stand_for_segments) {
    static const struct {
        const char *pattern;
        const char *name;
        bool matches;
    } cases[] = {
        {"a", "a", true},         {"a", "b", false},         {"a", "a/b", false},
        {"*", "a", true},         {"*", "a/b", false},       {"*/b", "a/b", true},
        {"a/*", "a", false},      {"a/*", "a/b", true},      {"a/*", "a/b/c", false},
        {"a/*/c", "a/b/c", true}, {"a/*/c", "a/b/d", false}, {"a/**", "a", true},
        {"a/**", "a/b", true},    {"a/**", "a/b/c", true},   {"a/**", "ab", false},
        {"a/**", "ab/c", false},  {"**", "a", true},         {"**", "a/b/c", true},
        {"*/**", "a", true},      {"*/**", "a/b/c", true},   {"a/*/**", "a", false},
        {"a/*/**", "a/b", true},  {"a/*/**", "a/b/c", true}, {"a/*", "a/", true},
        {"*", "", true},          {"*/*", "/a", true},       {"*", "/a", false},
        {"**", "/a", true},       {"a/b", "a", false},       {"a", "a/", false},
        {"a/", "a", false},       {"a/", "a/", true},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        bool matches =
            pattern_matches(span_of_string(cases[i].pattern), span_of_string(cases[i].name));
        if (matches != cases[i].matches) {
            print_error("%s against %s\n", cases[i].pattern, cases[i].name);
        }
        EXPECT_EQ(matches, cases[i].matches);
    }
}

TEST(a_wildcard_first_never_matches_the_brokers_channels) {
    EXPECT_FALSE(pattern_matches(SPAN("**"), SPAN("$sys/load")));
    EXPECT_FALSE(pattern_matches(SPAN("*"), SPAN("$sys")));
    EXPECT_FALSE(pattern_matches(SPAN("*/load"), SPAN("$sys/load")));
    EXPECT_TRUE(pattern_matches(SPAN("$sys/**"), SPAN("$sys/load")));
    EXPECT_TRUE(pattern_matches(SPAN("a/*"), SPAN("a/$b")));
}

TEST(patterns_against_the_rules_are_refused) {
    static const char *const bad[] = {"",      "a*", "*a/b", "a/**/b", "**/a",  "***",
                                      "a/b**", "+",  "a/#",  "a\n/*",  "\x80/*"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct error why = {0};
        EXPECT_EQ(pattern_check(span_of_string(bad[i]), true, &why), ERR_BAD_CHANNEL);
        EXPECT_TRUE(why.detail[0] != '\0');
    }
    EXPECT_EQ(pattern_check(SPAN("a//*"), false, NULL), ERR_BAD_CHANNEL);
    EXPECT_EQ(pattern_check(SPAN("a//*"), true, NULL), OK);
    EXPECT_EQ(pattern_check(SPAN("*/a/*/**"), false, NULL), OK);
    EXPECT_EQ(pattern_check(SPAN("tennis/court-1"), false, NULL), OK);
}

TEST(patterns_are_bounded_in_depth_and_names_by_their_length) {
    char text[CHANNEL_NAME_BYTES_MAX];
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = i % 2 == 0 ? 'a' : '/';
    }
    EXPECT_EQ(pattern_check(span_of(text, sizeof(text) - 1), false, NULL), OK);
    text[0] = '*';
    EXPECT_EQ(pattern_check(span_of(text, 2 * PATTERN_SEGMENTS_MAX - 1), false, NULL), OK);
    EXPECT_EQ(pattern_check(span_of(text, 2 * PATTERN_SEGMENTS_MAX + 1), false, NULL),
              ERR_BAD_CHANNEL);
}

TEST(a_star_makes_a_pattern) {
    EXPECT_TRUE(pattern_is_pattern(SPAN("a/*")));
    EXPECT_TRUE(pattern_is_pattern(SPAN("**")));
    EXPECT_FALSE(pattern_is_pattern(SPAN("a/b")));
    EXPECT_FALSE(pattern_is_pattern(SPAN("")));
}

UNIT_TESTS(UNIT(wildcards_stand_for_segments),
           UNIT(a_wildcard_first_never_matches_the_brokers_channels),
           UNIT(patterns_against_the_rules_are_refused),
           UNIT(patterns_are_bounded_in_depth_and_names_by_their_length),
           UNIT(a_star_makes_a_pattern))
