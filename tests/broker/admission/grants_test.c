/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/grants.h"

#include <stdio.h>
#include <string.h>

#include "broker/limits.h"
#include "tests/unit.h"

static bool allows(const struct grants *grants, const char *text) {
    struct span pattern;
    return grants_allow(grants, ACTION_PUBLISH, span_of_string(text), &pattern);
}

static struct grants *grants_of(const char *pattern) {
    struct grants *grants = grants_create();
    EXPECT_EQ(grants_add(grants, ACTION_PUBLISH, span_of_string(pattern), NULL), OK);
    return grants;
}

/* What the pattern allows once it is bound. */
static bool bound_allows(const char *pattern, const char *subject, const char *tenant,
                         const char *text) {
    struct grants *grants = grants_of(pattern);
    struct grants *bound = grants_bind(grants, span_of_string(subject), span_of_string(tenant));
    bool result = allows(bound, text);
    grants_destroy(grants);
    grants_destroy(bound);
    return result;
}

TEST(nothing_is_allowed_until_it_is_granted) {
    struct grants *grants = grants_create();
    EXPECT_FALSE(allows(grants, "a"));
    grants_set_all(grants, ACTION_HISTORY);
    EXPECT_FALSE(allows(grants, "a"));
    grants_set_all(grants, ACTION_PUBLISH);
    EXPECT_TRUE(allows(grants, "a"));
    EXPECT_TRUE(allows(grants, "a/**"));
    EXPECT_TRUE(allows(grants, "**"));
    grants_destroy(grants);
}

TEST(all_is_not_what_belongs_to_the_broker) {
    struct grants *grants = grants_create();
    grants_set_all(grants, ACTION_PUBLISH);
    EXPECT_FALSE(allows(grants, "$SYS/broker"));
    EXPECT_FALSE(allows(grants, "$SYS/**"));
    grants_destroy(grants);
    EXPECT_FALSE(bound_allows("**", "", "", "$SYS/broker"));
    EXPECT_FALSE(bound_allows("*/broker", "", "", "$SYS/broker"));
    EXPECT_TRUE(bound_allows("$SYS/**", "", "", "$SYS/broker"));
    EXPECT_TRUE(bound_allows("$SYS/**", "", "", "$SYS/**"));
}

TEST(an_asked_pattern_is_covered_by_one_granted_pattern) {
    struct grants *grants = grants_of("a/*");
    EXPECT_EQ(grants_add(grants, ACTION_PUBLISH, SPAN("a"), NULL), OK);
    EXPECT_EQ(grants_add(grants, ACTION_PUBLISH, SPAN("a/*/**"), NULL), OK);
    EXPECT_FALSE(allows(grants, "a/**")); /* though the three together are all of it */
    EXPECT_TRUE(allows(grants, "a/*/**"));
    EXPECT_TRUE(allows(grants, "a/b/c"));
    grants_destroy(grants);
}

TEST(who_asks_is_put_in_literally) {
    EXPECT_TRUE(bound_allows("user/{sub}/**", "alice", "", "user/alice/inbox"));
    EXPECT_FALSE(bound_allows("user/{sub}/**", "alice", "", "user/bob/inbox"));
    EXPECT_TRUE(bound_allows("t/{tenant}-{sub}", "alice", "acme", "t/acme-alice"));
    EXPECT_TRUE(bound_allows("{sub}{sub}", "ab", "", "abab"));
    EXPECT_TRUE(bound_allows("u/{sub}", "{tenant}", "acme", "u/{tenant}"));
    EXPECT_FALSE(bound_allows("u/{sub}", "{tenant}", "acme", "u/acme"));
}

TEST(a_subject_that_would_change_the_pattern_matches_nothing) {
    static const char *const subjects[] = {"",    "/",    "a/b",  "*",    "**",      "a*",
                                           "+",   "#",    "a+b",  "a#b",  "a\tb",    "a\nb",
                                           "a/*", "\x7f", "\x1f", "\xff", "\xc2\x85"};
    for (size_t i = 0; i < ARRAY_COUNT(subjects); i++) {
        struct grants *grants = grants_of("user/{sub}/**");
        struct grants *bound = grants_bind(grants, span_of_string(subjects[i]), SPAN("acme"));
        char own[64];
        snprintf(own, sizeof(own), "user/%s/x", subjects[i]);
        EXPECT_FALSE(allows(bound, own));
        EXPECT_FALSE(allows(bound, "user/a/x"));
        EXPECT_FALSE(allows(bound, "user/a/b/x"));
        EXPECT_FALSE(allows(bound, "user/**"));
        EXPECT_FALSE(allows(bound, "user//x"));
        grants_destroy(grants);
        grants_destroy(bound);
    }
    EXPECT_FALSE(bound_allows("{sub}/**", "$SYS", "", "$SYS/broker"));
    EXPECT_TRUE(bound_allows("u{sub}/**", "$SYS", "", "u$SYS/broker"));
    EXPECT_FALSE(bound_allows("u/{tenant}", "alice", "", "u/"));
}

TEST(a_bound_pattern_is_no_longer_than_a_name) {
    char subject[SUBJECT_BYTES_MAX + 1];
    memset(subject, 'a', SUBJECT_BYTES_MAX);
    subject[SUBJECT_BYTES_MAX] = '\0';
    char name[2 * SUBJECT_BYTES_MAX + 2];
    snprintf(name, sizeof(name), "%s/%s", subject, subject);
    EXPECT_FALSE(bound_allows("{sub}/{sub}", subject, "", name));
    EXPECT_TRUE(bound_allows("{sub}/*", subject, "", name));
}

TEST(an_unbound_placeholder_matches_nothing) {
    struct grants *grants = grants_of("user/{sub}");
    EXPECT_FALSE(allows(grants, "user/{sub}"));
    grants_destroy(grants);
}

TEST(the_pattern_is_told_as_it_was_written) {
    struct grants *grants = grants_of("user/{sub}/**");
    struct grants *bound = grants_bind(grants, SPAN("alice"), SPAN(""));
    struct span pattern;
    EXPECT_TRUE(grants_allow(bound, ACTION_PUBLISH, SPAN("user/alice"), &pattern));
    EXPECT_SPAN(pattern, "user/{sub}/**");
    grants_destroy(grants);
    grants_destroy(bound);
}

TEST(bad_patterns_and_too_many_are_refused) {
    struct grants *grants = grants_create();
    struct error why = {0};
    EXPECT_EQ(grants_add(grants, ACTION_PUBLISH, SPAN("a*"), &why), ERR_BAD_CHANNEL);
    EXPECT_TRUE(strlen(why.detail) > 0);
    EXPECT_EQ(grants_add(grants, ACTION_PUBLISH, SPAN(""), NULL), ERR_BAD_CHANNEL);
    EXPECT_EQ(grants_add(grants, ACTION_PUBLISH, SPAN("a/+"), NULL), ERR_BAD_CHANNEL);
    EXPECT_EQ(grants_add(grants, ACTION_PUBLISH,
                         SPAN("\x01"
                              "acme/a"),
                         NULL),
              ERR_BAD_CHANNEL);
    for (size_t i = 0; i < GRANT_PATTERNS_MAX; i++) {
        EXPECT_EQ(grants_add(grants, ACTION_PUBLISH, SPAN("a"), NULL), OK);
    }
    EXPECT_EQ(grants_add(grants, ACTION_PUBLISH, SPAN("a"), NULL), ERR_FULL);
    grants_destroy(grants);
}

TEST(what_was_granted_can_be_listed) {
    struct grants *grants = grants_of("a");
    EXPECT_EQ(grants_add(grants, ACTION_PUBLISH, SPAN("b/{sub}"), NULL), OK);
    grants_set_all(grants, ACTION_PUBLISH);
    static const char *const expected[] = {"**", "a", "b/{sub}"};
    size_t cursor = 0;
    struct span pattern;
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        EXPECT_TRUE(grants_next(grants, ACTION_PUBLISH, &cursor, &pattern));
        EXPECT_SPAN(pattern, expected[i]);
    }
    EXPECT_FALSE(grants_next(grants, ACTION_PUBLISH, &cursor, &pattern));
    grants_destroy(grants);
}

TEST(actions_have_names_both_ways) {
    for (size_t i = 0; i < ACTION_COUNT; i++) {
        enum action action = ACTION_COUNT;
        EXPECT_TRUE(action_parse(span_of_string(action_name((enum action)i)), &action));
        EXPECT_EQ(action, i);
    }
    enum action action;
    EXPECT_FALSE(action_parse(SPAN("Publish"), &action));
}

UNIT_TESTS(UNIT(nothing_is_allowed_until_it_is_granted),
           UNIT(all_is_not_what_belongs_to_the_broker),
           UNIT(an_asked_pattern_is_covered_by_one_granted_pattern),
           UNIT(who_asks_is_put_in_literally),
           UNIT(a_subject_that_would_change_the_pattern_matches_nothing),
           UNIT(a_bound_pattern_is_no_longer_than_a_name),
           UNIT(an_unbound_placeholder_matches_nothing),
           UNIT(the_pattern_is_told_as_it_was_written), UNIT(bad_patterns_and_too_many_are_refused),
           UNIT(what_was_granted_can_be_listed), UNIT(actions_have_names_both_ways))
