/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/reading.h"

#include <stdio.h>

#include "broker/limits.h"
#include "tests/unit.h"

#define NOW_MS 1700000000000

static struct reading reading;
static struct error why;

static enum error_code parse(const char *query, enum reading_kind kind) {
    reading = (struct reading){0};
    why = (struct error){0};
    return reading_parse(span_of_string(query), (struct span){0}, kind, NOW_MS, &reading, &why);
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
    EXPECT_EQ(
        reading_parse(SPAN("since=earliest"), SPAN("5"), READING_EVENTS, NOW_MS, &reading, &why),
        OK);
    EXPECT_EQ(reading.query.start, STORAGE_AFTER_OFFSET);
    EXPECT_EQ(reading.query.place.offset, 5);
    EXPECT_TRUE(reading_parse(SPAN(""), SPAN("x y"), READING_EVENTS, NOW_MS, &reading, &why) != OK);
    EXPECT_STRING(why.field, "Last-Event-ID");
}

TEST(a_stream_catches_up_and_says_so_when_asked_for_more) {
    EXPECT_EQ(parse("on_lag=catch_up", READING_EVENTS), OK);
    EXPECT_EQ(parse("on_lag=conflate", READING_EVENTS), ERR_BAD_REQUEST);
    EXPECT_STRING(why.field, "on_lag");
}

UNIT_TESTS(UNIT(without_a_start_a_page_is_the_newest_and_a_stream_begins_now),
           UNIT(each_form_of_since_is_a_start), UNIT(before_and_limit_bound_a_page),
           UNIT(what_means_nothing_is_refused_and_named),
           UNIT(what_is_of_pages_is_refused_on_streams), UNIT(a_bare_payload_is_for_events_alone),
           UNIT(last_event_id_beats_since),
           UNIT(a_stream_catches_up_and_says_so_when_asked_for_more))
