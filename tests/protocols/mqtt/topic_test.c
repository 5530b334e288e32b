/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/topic.h"

#include "broker/support/macros.h"
#include "tests/unit.h"

static enum mqtt_fault check(const char *filter) {
    enum mqtt_fault fault = mqtt_filter_check(span_of_string(filter), MQTT_VERSION_5);
    EXPECT_EQ(mqtt_filter_check(span_of_string(filter), MQTT_VERSION_3_1_1), fault);
    return fault;
}

static enum mqtt_fault check_share(const char *filter) {
    return mqtt_filter_check(span_of_string(filter), MQTT_VERSION_5);
}

/* [MQTT-4.7.0-1] */
/* 3.1.1: [MQTT-4.7.1-1] */
TEST(a_wildcard_anywhere_is_found_in_a_topic) {
    EXPECT_TRUE(mqtt_topic_has_wildcard(SPAN("a/+")));
    EXPECT_TRUE(mqtt_topic_has_wildcard(SPAN("#")));
    EXPECT_TRUE(mqtt_topic_has_wildcard(SPAN("a+b")));
    EXPECT_FALSE(mqtt_topic_has_wildcard(SPAN("a/b*c")));
    EXPECT_FALSE(mqtt_topic_has_wildcard(SPAN("")));
}

/* [MQTT-4.7.1-1] */
/* 3.1.1: [MQTT-4.7.1-2] */
TEST(the_multi_level_wildcard_is_alone_in_the_last_level) {
    static const char *const good[] = {"#", "/#", "sport/tennis/player1/#", "sport/#", "a//#"};
    static const char *const bad[] = {
        "sport/tennis#", "sport/tennis/#/ranking", "##", "#/", "a/#b", "#a"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        EXPECT_EQ(check(good[i]), MQTT_FAULT_NONE);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_EQ(check(bad[i]), MQTT_FAULT_FILTER_MULTI);
    }
}

/* [MQTT-4.7.1-2] */
/* 3.1.1: [MQTT-4.7.1-3] */
TEST(the_single_level_wildcard_is_alone_in_its_level) {
    static const char *const good[] = {"+", "+/tennis/#", "sport/+/player1", "/+", "+/+", "a/+/"};
    static const char *const bad[] = {"sport+", "+a", "a/b+/c", "++", "a/+b"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        EXPECT_EQ(check(good[i]), MQTT_FAULT_NONE);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_EQ(check(bad[i]), MQTT_FAULT_FILTER_SINGLE);
    }
}

/* [MQTT-4.7.3-1] */
/* 3.1.1: [MQTT-4.7.3-1] */
TEST(a_filter_has_at_least_one_character) {
    EXPECT_EQ(check(""), MQTT_FAULT_FILTER_EMPTY);
    EXPECT_EQ(check("/"), MQTT_FAULT_NONE);
    EXPECT_EQ(check(" "), MQTT_FAULT_NONE);
}

/* [MQTT-4.8.2-1] */
TEST(a_share_has_a_name_of_at_least_one_character) {
    EXPECT_EQ(check_share("$share//a"), MQTT_FAULT_SHARE_NAME_EMPTY);
    EXPECT_EQ(check_share("$share/"), MQTT_FAULT_SHARE_NAME_EMPTY);
    EXPECT_EQ(check_share("$share/g/a"), MQTT_FAULT_NONE);
    EXPECT_EQ(check_share("$share"), MQTT_FAULT_NONE); /* a topic of that name */
    EXPECT_EQ(check_share("$shared//a"), MQTT_FAULT_NONE);
}

/* [MQTT-4.8.2-2] */
TEST(a_share_has_no_wildcard_in_its_name_and_a_filter_behind_it) {
    static const char *const bad[] = {"$share/g",    "$share/g/",    "$share/+/a",
                                      "$share/g#/a", "$share/a+b/c", "$share/#"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_EQ(check_share(bad[i]), MQTT_FAULT_SHARE_NAME);
    }
    EXPECT_EQ(check_share("$share/g//"), MQTT_FAULT_NONE);
    EXPECT_EQ(check_share("$share/g/a#"), MQTT_FAULT_FILTER_MULTI);
    EXPECT_EQ(check_share("$share/g/+/#"), MQTT_FAULT_NONE);
}

TEST(the_older_version_knows_no_shares) {
    EXPECT_EQ(mqtt_filter_check(SPAN("$share/g"), MQTT_VERSION_3_1_1), MQTT_FAULT_NONE);
    EXPECT_EQ(mqtt_filter_check(SPAN("$share//a"), MQTT_VERSION_3_1_1), MQTT_FAULT_NONE);
    EXPECT_EQ(mqtt_filter_check(SPAN("$share/g#"), MQTT_VERSION_3_1_1), MQTT_FAULT_FILTER_MULTI);
}

TEST(a_share_is_split_into_name_and_pattern) {
    struct span share, pattern;
    mqtt_filter_split(SPAN("$share/consumer1/sport/tennis/+"), &share, &pattern);
    EXPECT_SPAN(share, "consumer1");
    EXPECT_SPAN(pattern, "sport/tennis/+");
    mqtt_filter_split(SPAN("$share/consumer1//finance"), &share, &pattern);
    EXPECT_SPAN(share, "consumer1");
    EXPECT_SPAN(pattern, "/finance");
}

TEST(what_is_no_share_is_left_as_it_is) {
    static const char *const plain[] = {"a/b",        "$share",    "$share/g",    "$share//a",
                                        "$share/+/a", "$share/g/", "$sharex/g/a", ""};
    for (size_t i = 0; i < ARRAY_COUNT(plain); i++) {
        struct span share, pattern;
        mqtt_filter_split(span_of_string(plain[i]), &share, &pattern);
        EXPECT_EQ(share.length, 0);
        EXPECT_SPAN(pattern, plain[i]);
    }
}

UNIT_TESTS(UNIT(a_wildcard_anywhere_is_found_in_a_topic),
           UNIT(the_multi_level_wildcard_is_alone_in_the_last_level),
           UNIT(the_single_level_wildcard_is_alone_in_its_level),
           UNIT(a_filter_has_at_least_one_character),
           UNIT(a_share_has_a_name_of_at_least_one_character),
           UNIT(a_share_has_no_wildcard_in_its_name_and_a_filter_behind_it),
           UNIT(the_older_version_knows_no_shares), UNIT(a_share_is_split_into_name_and_pattern),
           UNIT(what_is_no_share_is_left_as_it_is))
