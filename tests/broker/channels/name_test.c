/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/name.h"

#include "broker/limits.h"
#include "tests/unit.h"

TEST(sound_names_are_accepted) {
    static const char *const good[] = {"a",
                                       "tennis/court-1",
                                       "gr\xC3\xBC\xC3\x9F/\xF0\x9F\x8E\xBE",
                                       "$sys/load",
                                       "a b",
                                       "a.b:c@d",
                                       "%2F",
                                       "\xC2\xA0"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        EXPECT_EQ(channel_name_check(span_of_string(good[i]), false, NULL), OK);
    }
}

TEST(names_against_the_rules_are_refused) {
    static const char *const bad[] = {"",      "a+b",       "#",    "a/*",          "a*b",  "a\nb",
                                      "a\x7F", "a\xC2\x85", "\x80", "\xED\xA0\x80", "\x1F", "a/+"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct error why = {0};
        EXPECT_EQ(channel_name_check(span_of_string(bad[i]), true, &why), ERR_BAD_CHANNEL);
        EXPECT_TRUE(why.detail[0] != '\0');
    }
    EXPECT_EQ(channel_name_check(span_of("a\0b", 3), true, NULL), ERR_BAD_CHANNEL);
}

TEST(who_writes_a_filter_of_mqtt_is_told_what_patterns_have) {
    struct error why = {0};
    EXPECT_EQ(channel_name_check(span_of_string("a/#"), false, &why), ERR_BAD_CHANNEL);
    EXPECT_STRING(why.detail,
                  "A channel's name has no '#'; a pattern, to read many, has `*` and `**`");
}

TEST(empty_segments_are_for_bodies_and_mqtt) {
    static const char *const empty[] = {"/a", "a/", "a//b", "/", "//"};
    for (size_t i = 0; i < ARRAY_COUNT(empty); i++) {
        EXPECT_EQ(channel_name_check(span_of_string(empty[i]), false, NULL), ERR_BAD_CHANNEL);
        EXPECT_EQ(channel_name_check(span_of_string(empty[i]), true, NULL), OK);
    }
}

TEST(length_is_bounded_and_with_it_the_depth) {
    char name[CHANNEL_NAME_BYTES_MAX + 1];
    memset(name, 'a', sizeof(name));
    EXPECT_EQ(channel_name_check(span_of(name, CHANNEL_NAME_BYTES_MAX), false, NULL), OK);
    EXPECT_EQ(channel_name_check(span_of(name, sizeof(name)), false, NULL), ERR_BAD_CHANNEL);
    for (size_t i = 1; i < sizeof(name); i += 2) {
        name[i] = '/';
    }
    EXPECT_EQ(channel_name_check(span_of(name, CHANNEL_NAME_BYTES_MAX - 1), false, NULL), OK);
    EXPECT_EQ(channel_name_check(span_of(name, CHANNEL_NAME_BYTES_MAX), true, NULL), OK);
}

TEST(the_broker_owns_what_begins_with_a_dollar) {
    EXPECT_TRUE(channel_name_is_reserved(SPAN("$sys")));
    EXPECT_FALSE(channel_name_is_reserved(SPAN("a/$sys")));
    EXPECT_FALSE(channel_name_is_reserved(SPAN("")));
}

UNIT_TESTS(UNIT(sound_names_are_accepted), UNIT(names_against_the_rules_are_refused),
           UNIT(who_writes_a_filter_of_mqtt_is_told_what_patterns_have),
           UNIT(empty_segments_are_for_bodies_and_mqtt),
           UNIT(length_is_bounded_and_with_it_the_depth),
           UNIT(the_broker_owns_what_begins_with_a_dollar))
