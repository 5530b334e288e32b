/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/reading.h"

#include <stdio.h>

#include "broker/limits.h"
#include "tests/unit.h"

#define NOW_MS 1700000000000

static struct storage_selector channel = {.text = {(const uint8_t *)"a", 1}};
static struct storage_selector pattern = {.text = {(const uint8_t *)"a/*", 3}, .is_pattern = true};
static struct storage_selector two[] = {{.text = {(const uint8_t *)"a", 1}},
                                        {.text = {(const uint8_t *)"b", 1}}};
static struct reading reading;
static struct error why;

static enum error_code parse_all(struct storage_selector *selectors, size_t count,
                                 const char *query, const char *last_event_id,
                                 enum reading_kind kind) {
    reading = (struct reading){.kind = kind, .selectors = selectors, .selector_count = count};
    why = (struct error){0};
    return reading_parse(&reading, span_of_string(query), span_of_string(last_event_id), NOW_MS,
                         &why);
}

static enum error_code parse(const char *query, enum reading_kind kind) {
    return parse_all(&channel, 1, query, NULL, kind);
}

TEST(without_a_start_a_page_is_the_newest_and_a_stream_begins_now) {
    EXPECT_EQ(parse("", READING_PAGE), OK);
    EXPECT_EQ(reading.query.start, STORAGE_NEWEST);
    EXPECT_EQ(reading.query.limit, PAGE_MESSAGES_DEFAULT);
    EXPECT_EQ(reading.query.newest, 0);
    EXPECT_FALSE(reading.has_start);
    EXPECT_EQ(parse("", READING_EVENTS), OK);
    EXPECT_EQ(reading.query.start, STORAGE_NOW);
}

TEST(each_form_of_since_is_a_start) {
    EXPECT_EQ(parse("since=earliest", READING_PAGE), OK);
    EXPECT_EQ(reading.query.start, STORAGE_EARLIEST);
    EXPECT_EQ(parse("since=42", READING_PAGE), OK);
    EXPECT_EQ(reading.query.start, STORAGE_AFTER_OFFSET);
    EXPECT_EQ(reading.query.place.offset, 42);
    EXPECT_EQ(parse("since=-7", READING_WEBSOCKET), OK);
    EXPECT_EQ(reading.query.start, STORAGE_NEWEST);
    EXPECT_EQ(reading.query.newest, 7);
    EXPECT_EQ(parse("since=-5m", READING_EVENTS), OK);
    EXPECT_EQ(reading.query.start, STORAGE_AFTER_TIME);
    EXPECT_EQ(reading.query.time_ms, NOW_MS - 300000);
    EXPECT_EQ(parse("since=1970-01-01T00:00:01Z", READING_PAGE), OK);
    EXPECT_EQ(reading.query.time_ms, 1000);
    EXPECT_EQ(parse("since=now", READING_PAGE), OK);
    EXPECT_EQ(reading.query.start, STORAGE_NOW);
    EXPECT_TRUE(reading.has_start);
}

TEST(before_and_limit_bound_a_page) {
    EXPECT_EQ(parse("before=9&limit=1000", READING_PAGE), OK);
    EXPECT_TRUE(reading.query.has_before);
    EXPECT_EQ(reading.query.before.offset, 9);
    EXPECT_EQ(reading.query.limit, 1000);
    EXPECT_EQ(reading.query.start, STORAGE_NEWEST);
}

TEST(what_means_nothing_is_refused_and_named) {
    static const char *const names[] = {"since", "before", "limit", "wait", "envelope", "on_lag"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char query[64];
        snprintf(query, sizeof(query), "%s=nonsense", names[i]);
        EXPECT_TRUE(parse(query, READING_PAGE) != OK);
        EXPECT_STRING(why.field, names[i]);
        snprintf(query, sizeof(query), "%s=", names[i]);
        EXPECT_TRUE(parse(query, READING_PAGE) != OK);
        EXPECT_STRING(why.field, names[i]);
    }
    EXPECT_EQ(parse("limit=0", READING_PAGE), ERR_BAD_REQUEST);
    EXPECT_EQ(parse("limit=1001", READING_PAGE), ERR_BAD_REQUEST);
    EXPECT_EQ(parse("since=%zz", READING_PAGE), ERR_BAD_REQUEST);
}

TEST(what_is_said_twice_is_refused_and_named) {
    static const char *const queries[] = {"since=1&since=1", "before=3&%62efore=4",
                                          "limit=1&x=1&limit=x", "wait=1s&wait=2s",
                                          "on_lag=drop&on_lag=drop"};
    static const char *const names[] = {"since", "before", "limit", "wait", "on_lag"};
    for (size_t i = 0; i < ARRAY_COUNT(queries); i++) {
        EXPECT_EQ(parse(queries[i], READING_PAGE), ERR_BAD_REQUEST);
        EXPECT_STRING(why.field, names[i]);
    }
    EXPECT_EQ(parse("x=1&x=1", READING_PAGE), OK);
}

TEST(what_is_of_pages_is_refused_on_streams) {
    EXPECT_EQ(parse("limit=5", READING_EVENTS), ERR_BAD_REQUEST);
    EXPECT_STRING(why.field, "limit");
    EXPECT_EQ(parse("before=5", READING_WEBSOCKET), ERR_BAD_REQUEST);
}

TEST(a_bare_payload_is_for_events_alone) {
    EXPECT_EQ(parse("envelope=none", READING_EVENTS), OK);
    EXPECT_TRUE(reading.is_bare);
    EXPECT_EQ(parse("envelope=none", READING_WEBSOCKET), ERR_BAD_REQUEST);
    EXPECT_EQ(parse("envelope=some", READING_EVENTS), ERR_BAD_REQUEST);
}

TEST(last_event_id_beats_since) {
    EXPECT_EQ(parse_all(&channel, 1, "since=earliest", "5", READING_EVENTS), OK);
    EXPECT_EQ(reading.query.start, STORAGE_AFTER_OFFSET);
    EXPECT_EQ(reading.query.place.offset, 5);
    EXPECT_TRUE(parse_all(&channel, 1, "", "x y", READING_EVENTS) != OK);
    EXPECT_STRING(why.field, "Last-Event-ID");
}

TEST(an_offset_means_nothing_in_a_pattern_or_in_several_channels) {
    struct storage_selector *both[] = {&pattern, two};
    for (size_t i = 0; i < ARRAY_COUNT(both); i++) {
        EXPECT_EQ(parse_all(both[i], i + 1, "since=5", NULL, READING_PAGE), ERR_BAD_SINCE);
        EXPECT_STRING(why.field, "since");
        EXPECT_EQ(parse_all(both[i], i + 1, "before=5", NULL, READING_PAGE), ERR_BAD_SINCE);
        EXPECT_STRING(why.field, "before");
        EXPECT_EQ(parse_all(both[i], i + 1, "", "5", READING_EVENTS), ERR_BAD_SINCE);
        EXPECT_STRING(why.field, "Last-Event-ID");
        EXPECT_EQ(parse_all(both[i], i + 1, "since=-5", NULL, READING_EVENTS), OK);
        EXPECT_EQ(parse_all(both[i], i + 1, "since=-5m", NULL, READING_EVENTS), OK);
    }
}

TEST(a_socket_without_channels_starts_in_its_subscriptions) {
    EXPECT_EQ(parse_all(NULL, 0, "", NULL, READING_WEBSOCKET), OK);
    EXPECT_EQ(parse_all(NULL, 0, "since=earliest", NULL, READING_WEBSOCKET), ERR_BAD_SINCE);
    EXPECT_STRING(why.field, "since");
}

TEST(one_channel_is_asked_for_by_name_and_all_else_by_selectors) {
    struct storage_query query;
    EXPECT_EQ(parse("limit=3", READING_PAGE), OK);
    reading_get_query(&reading, &query);
    EXPECT_SPAN(query.channel, "a");
    EXPECT_EQ(query.selector_count, 0);
    EXPECT_EQ(query.limit, 3);
    EXPECT_EQ(parse_all(&pattern, 1, "", NULL, READING_PAGE), OK);
    reading_get_query(&reading, &query);
    EXPECT_EQ(query.channel.length, 0);
    EXPECT_EQ(query.selector_count, 1);
    EXPECT_TRUE(query.selectors == &pattern);
    EXPECT_EQ(parse_all(two, 2, "", NULL, READING_PAGE), OK);
    reading_get_query(&reading, &query);
    EXPECT_EQ(query.selector_count, 2);
}

TEST(waiting_does_not_change_where_a_page_begins) {
    EXPECT_EQ(parse("wait=30s", READING_PAGE), OK);
    EXPECT_EQ(reading.wait_ms, 30000);
    EXPECT_EQ(reading.query.start, STORAGE_NEWEST);
    EXPECT_EQ(parse("wait=30s&since=now", READING_PAGE), OK);
    EXPECT_EQ(reading.query.start, STORAGE_NOW);
    EXPECT_EQ(parse("wait=60s&since=4", READING_PAGE), OK);
    EXPECT_EQ(reading.query.start, STORAGE_AFTER_OFFSET);
}

TEST(a_wait_is_a_time_of_pages_and_of_what_comes) {
    static const char *const queries[] = {"wait=61s",         "wait=61",
                                          "wait=s",           "wait=-1s",
                                          "wait=2m",          "wait=18446744073709551616s",
                                          "wait=3s&before=9", "wait=18446744073709551615",
                                          "wait=1.5"};
    for (size_t i = 0; i < ARRAY_COUNT(queries); i++) {
        EXPECT_TRUE(parse(queries[i], READING_PAGE) != OK);
        EXPECT_STRING(why.field, "wait");
    }
    EXPECT_TRUE(parse("wait=3s", READING_EVENTS) != OK);
    EXPECT_EQ(parse("wait=250ms", READING_PAGE), OK);
    EXPECT_EQ(reading.wait_ms, 250);
    EXPECT_EQ(parse("wait=1m", READING_PAGE), OK);
    EXPECT_EQ(reading.wait_ms, 60000);
    EXPECT_EQ(parse("wait=30", READING_PAGE), OK);
    EXPECT_EQ(reading.wait_ms, 30000);
}

TEST(each_policy_can_be_asked_for) {
    static const char *const names[] = {"catch_up", "conflate", "drop", "disconnect"};
    static const enum on_lag policies[] = {ON_LAG_CATCH_UP, ON_LAG_CONFLATE, ON_LAG_DROP,
                                           ON_LAG_DISCONNECT};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char query[64];
        snprintf(query, sizeof(query), "on_lag=%s", names[i]);
        EXPECT_EQ(parse(query, READING_EVENTS), OK);
        EXPECT_EQ(reading.on_lag, policies[i]);
    }
    EXPECT_EQ(parse("", READING_EVENTS), OK);
    EXPECT_EQ(reading.on_lag, ON_LAG_AUTO);
    EXPECT_EQ(parse("on_lag=auto", READING_EVENTS), ERR_BAD_REQUEST);
    EXPECT_STRING(why.field, "on_lag");
}

TEST(a_policy_is_the_readers_or_that_of_its_only_channel) {
    struct channel_rule rule = {.match = (char *)(uintptr_t) "a", .on_lag = ON_LAG_DROP};
    struct config config = {.rules = &rule, .rule_count = 1};
    config.rule_default.on_lag = ON_LAG_CONFLATE;
    struct rules *rules = rules_create(&config, NULL);
    struct storage_selector catch_all = {.text = SPAN("**"), .is_pattern = true};
    EXPECT_NOT_NULL(rules);
    EXPECT_EQ(reading_choose_on_lag(ON_LAG_DISCONNECT, &channel, 1, rules), ON_LAG_DISCONNECT);
    EXPECT_EQ(reading_choose_on_lag(ON_LAG_AUTO, &channel, 1, rules), ON_LAG_DROP);
    EXPECT_EQ(reading_choose_on_lag(ON_LAG_AUTO, &two[1], 1, rules), ON_LAG_CONFLATE);
    EXPECT_EQ(reading_choose_on_lag(ON_LAG_AUTO, two, 2, rules), ON_LAG_CATCH_UP);
    EXPECT_EQ(reading_choose_on_lag(ON_LAG_AUTO, &catch_all, 1, rules), ON_LAG_CATCH_UP);
    rules_destroy(rules);
}

UNIT_TESTS(UNIT(without_a_start_a_page_is_the_newest_and_a_stream_begins_now),
           UNIT(each_form_of_since_is_a_start), UNIT(before_and_limit_bound_a_page),
           UNIT(what_means_nothing_is_refused_and_named),
           UNIT(what_is_said_twice_is_refused_and_named),
           UNIT(what_is_of_pages_is_refused_on_streams), UNIT(a_bare_payload_is_for_events_alone),
           UNIT(last_event_id_beats_since),
           UNIT(an_offset_means_nothing_in_a_pattern_or_in_several_channels),
           UNIT(a_socket_without_channels_starts_in_its_subscriptions),
           UNIT(one_channel_is_asked_for_by_name_and_all_else_by_selectors),
           UNIT(waiting_does_not_change_where_a_page_begins),
           UNIT(a_wait_is_a_time_of_pages_and_of_what_comes), UNIT(each_policy_can_be_asked_for),
           UNIT(a_policy_is_the_readers_or_that_of_its_only_channel))
