/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/rules.h"

#include "broker/metrics/metrics.h"
#include "tests/unit.h"

static char tennis[] = "tennis/**";
static char tennis_court[] = "tennis/court-1";
static char chat[] = "chat/*";

static struct rules *make_rules(void) {
    struct channel_rule rows[] = {
        {.match = tennis, .history_messages_max = 1},
        {.match = tennis_court, .history_messages_max = 2},
        {.match = chat, .history_messages_max = 3, .durability = DURABILITY_FSYNC},
    };
    struct config config = {
        .rules = rows,
        .rule_count = ARRAY_COUNT(rows),
        .rule_default = {.history_messages_max = 4},
    };
    struct rules *rules = rules_create(&config, NULL);
    EXPECT_NOT_NULL(rules);
    return rules; /* the configuration is gone: the rules are a copy */
}

TEST(first_match_decides) {
    struct rules *rules = make_rules();
    EXPECT_EQ(rules_find(rules, SPAN("tennis/court-1"))->history_messages_max, 1);
    EXPECT_EQ(rules_find(rules, SPAN("tennis"))->history_messages_max, 1);
    EXPECT_EQ(rules_find(rules, SPAN("chat/7"))->history_messages_max, 3);
    EXPECT_EQ(rules_find(rules, SPAN("chat/7"))->durability, DURABILITY_FSYNC);
    rules_destroy(rules);
}

TEST(rules_that_ask_for_metrics_have_series_that_outlive_them) {
    struct metrics *metrics;
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    struct channel_rule rows[] = {{.match = tennis, .metrics = true}, {.match = chat}};
    struct config config = {.rules = rows, .rule_count = ARRAY_COUNT(rows)};
    struct rules *rules = rules_create(&config, metrics);
    EXPECT_EQ(rules_find(rules, SPAN("tennis/a"))->metrics_match, 1);
    EXPECT_EQ(rules_find(rules, SPAN("chat/1"))->metrics_match, 0);
    EXPECT_EQ(rules_find(rules, SPAN("other"))->metrics_match, 0);
    rules_destroy(rules);
    rows[1].metrics = true;
    struct channel_rule swapped[] = {rows[1], rows[0]};
    config.rules = swapped;
    rules = rules_create(&config, metrics);
    EXPECT_EQ(rules_find(rules, SPAN("chat/1"))->metrics_match, 2);
    EXPECT_EQ(rules_find(rules, SPAN("tennis/a"))->metrics_match, 1);
    rules_destroy(rules);
    metrics_destroy(metrics);
}

TEST(a_tenants_channel_has_the_rule_of_the_name_that_its_clients_see) {
    struct rules *rules = make_rules();
    EXPECT_EQ(rules_find(rules, SPAN("\1acme/chat/7"))->history_messages_max, 3);
    EXPECT_EQ(rules_find(rules, SPAN("\1tennis/a"))->history_messages_max, 4);
    rules_destroy(rules);
}

TEST(what_none_matches_gets_the_defaults) {
    struct rules *rules = make_rules();
    EXPECT_EQ(rules_find(rules, SPAN("chat/7/8"))->history_messages_max, 4);
    EXPECT_NULL(rules_find(rules, SPAN("other"))->match);
    rules_destroy(rules);
}

TEST(no_rules_at_all_give_the_defaults) {
    struct config config = {.rule_default = {.message_bytes_max = 9}};
    struct rules *rules = rules_create(&config, NULL);
    EXPECT_EQ(rules_find(rules, SPAN("a"))->message_bytes_max, 9);
    rules_destroy(rules);
}

TEST(the_most_generous_rule_says_what_may_come_at_all) {
    struct channel_rule generous = {.match = (char *)(uintptr_t) "files/**",
                                    .message_bytes_max = 70};
    struct config config = {
        .rules = &generous, .rule_count = 1, .rule_default = {.message_bytes_max = 9}};
    struct rules *rules = rules_create(&config, NULL);
    EXPECT_EQ(rules_message_bytes_max(rules), 70);
    rules_destroy(rules);
    generous.message_bytes_max = 1;
    rules = rules_create(&config, NULL);
    EXPECT_EQ(rules_message_bytes_max(rules), 9);
    rules_destroy(rules);
}

TEST(patterns_of_rules_are_checked_while_loading) {
    struct error why = {0};
    EXPECT_EQ(rules_check_pattern(SPAN("a//**"), NULL), OK);
    EXPECT_EQ(rules_check_pattern(SPAN("a**"), &why), ERR_BAD_CHANNEL);
    EXPECT_TRUE(strlen(why.detail) > 0);
}

UNIT_TESTS(UNIT(first_match_decides),
           UNIT(a_tenants_channel_has_the_rule_of_the_name_that_its_clients_see),
           UNIT(rules_that_ask_for_metrics_have_series_that_outlive_them),
           UNIT(what_none_matches_gets_the_defaults), UNIT(no_rules_at_all_give_the_defaults),
           UNIT(the_most_generous_rule_says_what_may_come_at_all),
           UNIT(patterns_of_rules_are_checked_while_loading))
