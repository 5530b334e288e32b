/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/aliases.h"

#include "broker/limits.h"
#include "tests/unit.h"

TEST(an_alias_is_found_once_it_is_set) {
    struct aliases *aliases = NULL;
    struct span topic = {0};
    EXPECT_FALSE(aliases_find(aliases, 1, &topic));
    EXPECT_EQ(aliases_set(&aliases, 3, SPAN("a/b")), OK);
    EXPECT_FALSE(aliases_find(aliases, 1, &topic));
    EXPECT_FALSE(aliases_find(aliases, 4, &topic));
    EXPECT_TRUE(aliases_find(aliases, 3, &topic));
    EXPECT_SPAN(topic, "a/b");
    aliases_destroy(aliases);
}

TEST(an_alias_can_be_given_another_topic) {
    struct aliases *aliases = NULL;
    struct span topic = {0};
    EXPECT_EQ(aliases_set(&aliases, 1, SPAN("a")), OK);
    EXPECT_EQ(aliases_set(&aliases, 64, SPAN("z")), OK);
    EXPECT_EQ(aliases_set(&aliases, 1, SPAN("b")), OK);
    EXPECT_TRUE(aliases_find(aliases, 1, &topic));
    EXPECT_SPAN(topic, "b");
    EXPECT_TRUE(aliases_find(aliases, 64, &topic));
    EXPECT_SPAN(topic, "z");
    aliases_destroy(aliases);
}

TEST(a_topic_that_is_too_long_stays_too_long_and_costs_no_more) {
    static const uint8_t topic[65535];
    struct aliases *aliases = NULL;
    struct span found = {0};
    EXPECT_EQ(aliases_set(&aliases, 1, span_of(topic, sizeof(topic))), OK);
    EXPECT_TRUE(aliases_find(aliases, 1, &found));
    EXPECT_EQ(found.length, CHANNEL_NAME_BYTES_MAX + 1);
    aliases_destroy(aliases);
}

UNIT_TESTS(UNIT(an_alias_is_found_once_it_is_set), UNIT(an_alias_can_be_given_another_topic),
           UNIT(a_topic_that_is_too_long_stays_too_long_and_costs_no_more))
