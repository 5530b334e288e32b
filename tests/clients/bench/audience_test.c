/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/audience.h"

#include "tests/unit.h"

static struct audience *make(const char *channel, uint64_t channels, uint64_t readers,
                             uint64_t subscriptions, const char *pattern) {
    struct settings settings = {.channel = channel,
                                .channels = channels,
                                .readers = readers,
                                .subscriptions = subscriptions,
                                .pattern = pattern};
    struct audience *audience = audience_create(&settings);
    EXPECT_NOT_NULL(audience);
    return audience;
}

/* What every audience must keep: a slot is the place of its channel, a channel that is not read
 * has none, and what a channel has of readers is what readers have of it. */
static void check(const struct audience *audience, uint32_t channels, uint32_t readers) {
    uint64_t counted[64] = {0};
    for (uint32_t reader = 0; reader < readers; reader++) {
        uint32_t found = 0;
        for (uint32_t channel = 0; channel < channels; channel++) {
            for (uint32_t hint = 0; hint < 3; hint++) {
                uint32_t slot = audience_slot(audience, reader, channel, hint);
                if (slot != AUDIENCE_NONE) {
                    EXPECT_EQ(audience_channel(audience, reader, slot), channel);
                    counted[channel] += hint == 0;
                    found += hint == 0;
                }
            }
        }
        EXPECT_EQ(found, audience_count(audience, reader));
        EXPECT_EQ(audience_slot(audience, reader, channels, 0), AUDIENCE_NONE);
    }
    for (uint32_t channel = 0; channel < channels; channel++) {
        EXPECT_EQ(audience_readers(audience, channel), counted[channel]);
    }
}

TEST(readers_take_the_next_channels_in_turn) {
    struct audience *audience = make("c/{n}/x", 5, 4, 2, NULL);
    size_t count;
    EXPECT_STRING(audience_name(audience, 3), "c/3/x");
    const char *const *selectors = audience_selectors(audience, 2, &count);
    EXPECT_EQ(count, 2);
    EXPECT_STRING(selectors[0], "c/4/x"); /* 0 1, 2 3, 4 0: it wraps around */
    EXPECT_STRING(selectors[1], "c/0/x");
    check(audience, 5, 4);
    audience_destroy(audience);
}

TEST(any_numbers_of_channels_readers_and_subscriptions_agree) {
    for (uint32_t channels = 1; channels < 12; channels++) {
        for (uint32_t readers = 1; readers < 12; readers++) {
            for (uint32_t subscriptions = 1; subscriptions < 14; subscriptions++) {
                struct audience *audience = make("{n}", channels, readers, subscriptions, NULL);
                check(audience, channels, readers);
                audience_destroy(audience);
            }
        }
    }
}

TEST(one_pattern_is_everyones) {
    struct audience *audience = make("a/{n}/x", 20, 3, 1, "a/1*/x");
    EXPECT_EQ(audience_count(audience, 0), 0); /* a wildcard is a whole segment */
    audience_destroy(audience);
    audience = make("a/{n}/x", 20, 3, 1, "a/*/x");
    EXPECT_EQ(audience_count(audience, 2), 20);
    check(audience, 20, 3);
    audience_destroy(audience);
}

TEST(numbered_patterns_go_round) {
    struct audience *audience = make("a/{n}/x", 4, 10, 1, "a/{n}/**");
    size_t count;
    EXPECT_STRING(audience_selectors(audience, 5, &count)[0], "a/1/**");
    EXPECT_EQ(audience_count(audience, 5), 1);
    EXPECT_EQ(audience_channel(audience, 5, 0), 1);
    EXPECT_EQ(audience_readers(audience, 1), 3); /* 1, 5, 9 */
    check(audience, 4, 10);
    audience_destroy(audience);
}

TEST(several_channels_need_a_number_in_their_name) {
    struct settings settings = {.channel = "same", .channels = 2, .readers = 1};
    EXPECT_NULL(audience_create(&settings));
}

TEST(patterns_match_as_the_brokers_do) {
    static const struct {
        const char *pattern;
        const char *name;
        bool is_match;
    } rows[] = {
        {"a/b", "a/b", true},    {"a/b", "a/c", false},    {"a/b", "a", false},
        {"a", "a/b", false},     {"a/*", "a/b", true},     {"a/*", "a", false},
        {"a/*", "a/b/c", false}, {"*/b", "a/b", true},     {"*", "a", true},
        {"*", "a/b", false},     {"a/**", "a", true},      {"a/**", "a/b/c", true},
        {"a/**", "ab", false},   {"**", "a/b", true},      {"a/*/**", "a/b", true},
        {"a/*/**", "a", false},  {"a/+/c", "a/b/c", true}, {"a/#", "a", true},
        {"a/#", "a/b/c", true},  {"a.*", "a.b", true},     {"a.>", "a.b.c", true},
        {"a.*", "a.b.c", false}, {"abc", "ab", false},     {"ab", "abc", false},
    };
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        EXPECT_EQ(audience_matches(rows[row].pattern, rows[row].name), rows[row].is_match);
    }
}

UNIT_TESTS(UNIT(readers_take_the_next_channels_in_turn),
           UNIT(any_numbers_of_channels_readers_and_subscriptions_agree),
           UNIT(one_pattern_is_everyones), UNIT(numbered_patterns_go_round),
           UNIT(several_channels_need_a_number_in_their_name),
           UNIT(patterns_match_as_the_brokers_do))
