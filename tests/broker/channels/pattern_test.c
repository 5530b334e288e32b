/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/pattern.h"

#include <stdio.h>

#include "broker/channels/name.h"
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

TEST(what_a_tenant_has_only_its_own_patterns_name) {
    static const struct {
        const char *pattern;
        const char *name;
        bool matches;
    } cases[] = {
        {"\1t/**", "\1t/a", true},     {"\1t/**", "\1t/a/b", true}, {"\1t/*", "\1t/a", true},
        {"\1t/a", "\1t/a", true},      {"\1t/**", "\1u/a", false},  {"\1t/**", "a", false},
        {"\1t/**", "\1tt/a", false},   {"\1tt/**", "\1t/a", false}, {"**", "\1t/a", false},
        {"*/a", "\1t/a", false},       {"*/**", "\1t/a", false},    {"a", "\1t/a", false},
        {"\1t/**", "\1t/$s/a", false}, {"\1t/*", "\1t/$s", false},  {"\1t/$s/*", "\1t/$s/a", true},
        {"\1t/a/*", "\1t/a/$s", true},
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

/* All texts of up to `depth` segments of these words that `check` takes. */
struct texts {
    char rows[1024][24];
    size_t count;
};

static void add_texts(struct texts *texts, const char *before, size_t depth,
                      const char *const *words, size_t word_count, bool are_patterns) {
    for (size_t i = 0; i < word_count; i++) {
        char text[24];
        snprintf(text, sizeof(text), "%s%s", before, words[i]);
        enum error_code code = are_patterns ? pattern_check(span_of_string(text), true, NULL)
                                            : channel_name_check(span_of_string(text), true, NULL);
        if (code == OK) {
            EXPECT_TRUE(texts->count < ARRAY_COUNT(texts->rows));
            memcpy(texts->rows[texts->count++], text, sizeof(text));
        }
        if (depth > 1 && strlen(text) + 4 < sizeof(text) && strcmp(words[i], "**") != 0) {
            char longer[24];
            snprintf(longer, sizeof(longer), "%.22s/", text);
            add_texts(texts, longer, depth - 1, words, word_count, are_patterns);
        }
    }
}

/* `z` is in no pattern, and names go one segment deeper than patterns: if any name tells two
 * patterns apart, one of these does. */
TEST(a_pattern_covers_another_if_and_only_if_it_matches_all_its_names) {
    static const char *const pattern_words[] = {"a", "$", "", "*", "**"};
    static const char *const name_words[] = {"a", "$", "", "z"};
    static struct texts patterns, names;
    add_texts(&patterns, "", 3, pattern_words, ARRAY_COUNT(pattern_words), true);
    add_texts(&names, "", 4, name_words, ARRAY_COUNT(name_words), false);
    for (size_t i = 0; i < patterns.count; i++) {
        for (size_t j = 0; j < patterns.count; j++) {
            struct span granted = span_of_string(patterns.rows[i]);
            struct span asked = span_of_string(patterns.rows[j]);
            bool are_all_matched = true;
            for (size_t k = 0; k < names.count && are_all_matched; k++) {
                struct span name = span_of_string(names.rows[k]);
                are_all_matched = !pattern_matches(asked, name) || pattern_matches(granted, name);
            }
            if (pattern_covers(granted, asked) != are_all_matched) {
                print_error("`%s` and `%s`\n", patterns.rows[i], patterns.rows[j]);
            }
            EXPECT_EQ(pattern_covers(granted, asked), are_all_matched);
        }
    }
    EXPECT_TRUE(patterns.count > 80);
    EXPECT_TRUE(names.count > 300);
}

UNIT_TESTS(UNIT(wildcards_stand_for_segments),
           UNIT(a_wildcard_first_never_matches_the_brokers_channels),
           UNIT(what_a_tenant_has_only_its_own_patterns_name),
           UNIT(patterns_against_the_rules_are_refused),
           UNIT(patterns_are_bounded_in_depth_and_names_by_their_length),
           UNIT(a_star_makes_a_pattern),
           UNIT(a_pattern_covers_another_if_and_only_if_it_matches_all_its_names))
