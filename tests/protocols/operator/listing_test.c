/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/listing.h"

#include <stdlib.h>

#include "tests/unit.h"

#define TEXT_BYTES_MAX 4096

static struct buffer text;

static const char *written(void) {
    EXPECT_EQ(buffer_put_byte(&text, '\0'), OK);
    return (const char *)text.bytes;
}

static int begin(void **state) {
    (void)state;
    buffer_init(&text, TEXT_BYTES_MAX);
    return 0;
}

static int end(void **state) {
    (void)state;
    buffer_finish(&text);
    return 0;
}

TEST(a_limit_is_a_number_within_bounds) {
    size_t limit = 0;
    EXPECT_EQ(listing_parse_limit(SPAN(""), &limit, NULL), OK);
    EXPECT_EQ(limit, LISTING_ROWS_DEFAULT);
    EXPECT_EQ(listing_parse_limit(SPAN("1000"), &limit, NULL), OK);
    EXPECT_EQ(limit, LISTING_ROWS_MAX);
    static const char *const bad[] = {"0", "1001", "-1", "1.5", "x", "99999999999999999999"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct error why = {0};
        EXPECT_EQ(listing_parse_limit(span_of_string(bad[i]), &limit, &why), ERR_BAD_REQUEST);
        EXPECT_STRING(why.field, "limit");
    }
    EXPECT_EQ(limit, LISTING_ROWS_MAX);
}

TEST(an_order_is_one_of_three_words) {
    enum survey_order order = SURVEY_BY_AGE;
    EXPECT_EQ(listing_parse_order(SPAN(""), &order, NULL), OK);
    EXPECT_EQ(order, SURVEY_BY_LAG);
    EXPECT_EQ(listing_parse_order(SPAN("bytes"), &order, NULL), OK);
    EXPECT_EQ(order, SURVEY_BY_BYTES);
    EXPECT_EQ(listing_parse_order(SPAN("Lag"), &order, NULL), ERR_BAD_REQUEST);
}

TEST(what_ends_a_page_begins_the_next) {
    struct survey_rank rank = {.key = UINT64_MAX, .id = 7};
    struct survey_rank again = {0};
    EXPECT_EQ(listing_put_end_connections(&text, &rank), OK);
    EXPECT_STRING(written(), "],\"next\":\"18446744073709551615.7\"}");
    EXPECT_EQ(listing_parse_rank(SPAN("18446744073709551615.7"), &again, NULL), OK);
    EXPECT_TRUE(again.key == rank.key);
    EXPECT_EQ(again.id, rank.id);
    static const char *const bad[] = {
        "", "7", ".7", "7.", "a.7", "7.7.7", "18446744073709551616.1"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_EQ(listing_parse_rank(span_of_string(bad[i]), &again, NULL), ERR_BAD_REQUEST);
    }
    buffer_clear(&text);
    EXPECT_EQ(listing_put_end_connections(&text, NULL), OK);
    EXPECT_STRING(written(), "],\"next\":null}");
}

TEST(a_channel_is_written_with_its_rate_of_a_second) {
    struct storage_channel channel = {.name = SPAN("a\"b"),
                                      .first = 3,
                                      .last = 12,
                                      .offset_last = 12,
                                      .bytes = 900,
                                      .time_last_ms = 1000,
                                      .messages_last_minute = 75};
    EXPECT_EQ(listing_put_channel(&text, &channel, 4), OK);
    EXPECT_STRING(written(),
                  "{\"channel\":\"a\\\"b\",\"first\":3,\"last\":12,\"messages\":10,\"bytes\":900,"
                  "\"rate\":1.250,\"readers\":4,\"time_last\":\"1970-01-01T00:00:01.000Z\"}");
}

TEST(a_channel_that_keeps_nothing_says_null) {
    struct storage_channel channel = {.name = SPAN("a"), .offset_last = 12};
    EXPECT_EQ(listing_put_channel(&text, &channel, 0), OK);
    EXPECT_STRING(written(), "{\"channel\":\"a\",\"first\":null,\"last\":null,\"messages\":0,"
                             "\"bytes\":0,\"rate\":0.000,\"readers\":0,\"time_last\":null}");
}

/* A row with one reader, as a survey makes it; the caller frees it. */
static struct survey_row *make_row(struct storage_selector *selector) {
    struct survey_row *row = calloc(1, sizeof(*row) + sizeof(struct survey_reader));
    EXPECT_NOT_NULL(row);
    *row = (struct survey_row){.rank = {.key = 5, .id = 9},
                               .peer = "[::1]:5",
                               .protocol = "sse",
                               .opened_ms = 1,
                               .bytes_sent = 2,
                               .bytes_unsent = 3,
                               .is_blocked = true,
                               .client = {SPAN("dev\"1"), 20, 21, true},
                               .reader_count = 1};
    row->readers[0] = (struct survey_reader){.subscription = 2,
                                             .on_lag = ON_LAG_CONFLATE,
                                             .lag_positions = 5,
                                             .skipped = 6,
                                             .selector_count = 1,
                                             .selectors = selector};
    return row;
}

TEST(a_connection_is_written_with_its_readers) {
    struct storage_selector selector = {.text = SPAN("a/**"), .is_pattern = true};
    struct survey_row *row = make_row(&selector);
    struct listing_lag lag = {.is_known = true, .is_exact = true, .messages = 7, .bytes = 8};
    EXPECT_EQ(listing_put_connection(&text, row, &lag, 4096), OK);
    EXPECT_STRING(
        written(),
        "{\"id\":9,\"peer\":\"[::1]:5\",\"protocol\":\"sse\",\"client_id\":\"dev\\\"1\","
        "\"opened\":\"1970-01-01T00:00:00.001Z\",\"bytes_sent\":2,\"bytes_unsent\":3,"
        "\"budget\":4096,\"blocked\":true,\"unacknowledged\":20,"
        "\"unacknowledged_ms\":21,\"window_full\":true,"
        "\"readers\":[{\"sub\":2,\"channels\":[\"a/**\"],"
        "\"id\":null,\"position\":null,\"lag_messages\":7,\"lag_bytes\":8,\"lag_exact\":true,"
        "\"lag_positions\":5,\"on_lag\":\"conflate\",\"budget\":4096,\"skipped\":6,"
        "\"live\":false}]}");
    free(row);
}

TEST(what_a_row_has_no_room_for_is_counted) {
    struct storage_selector selector = {.text = SPAN("a")};
    struct survey_row *row = make_row(&selector);
    struct listing_lag lag = {0};
    row->readers_left_out = 11;
    row->readers[0].selectors_left_out = 12;
    EXPECT_EQ(listing_put_connection(&text, row, &lag, 4096), OK);
    const char *json = written();
    EXPECT_NOT_NULL(strstr(json, "\"channels\":[\"a\"],\"channels_left_out\":12,"));
    EXPECT_NOT_NULL(strstr(json, "],\"readers_left_out\":11}"));
    EXPECT_NOT_NULL(strstr(json, "\"lag_messages\":null,\"lag_bytes\":null,\"lag_exact\":false"));
    free(row);
}

TEST(a_full_buffer_is_told) {
    struct storage_channel channel = {.name = SPAN("a")};
    struct buffer small;
    buffer_init(&small, 64);
    EXPECT_EQ(listing_put_channel(&small, &channel, 0), ERR_TOO_LARGE);
    buffer_finish(&small);
}

#define TEXT_UNIT(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(UNIT(a_limit_is_a_number_within_bounds), UNIT(an_order_is_one_of_three_words),
           TEXT_UNIT(what_ends_a_page_begins_the_next),
           TEXT_UNIT(a_channel_is_written_with_its_rate_of_a_second),
           TEXT_UNIT(a_channel_that_keeps_nothing_says_null),
           TEXT_UNIT(a_connection_is_written_with_its_readers),
           TEXT_UNIT(what_a_row_has_no_room_for_is_counted), UNIT(a_full_buffer_is_told))
