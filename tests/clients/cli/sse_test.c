/* SPDX-License-Identifier: Apache-2.0 */
/* HTML standard, section 9.2.6. Each stream is fed whole and in pieces: both must be the same. */
#include "clients/cli/sse.h"

#include <stdio.h>

#include "tests/unit.h"

#define BYTES_MAX 64

/* What came out, as text: "type|data|id;" an event. */
struct seen {
    char text[512];
    size_t length;
};

static bool note_event(void *context, const struct sse_event *event) {
    struct seen *seen = context;
    seen->length += (size_t)snprintf(seen->text + seen->length, sizeof(seen->text) - seen->length,
                                     "%s|%.*s|%s;", event->type, (int)event->length, event->data,
                                     event->last_event_id);
    EXPECT_TRUE(seen->length < sizeof(seen->text));
    EXPECT_EQ(event->data[event->length], '\0');
    return true;
}

static void expect_stream(const char *stream, size_t length, const char *events,
                          const char *last_event_id) {
    for (size_t step = 1; step <= length; step = step == 1 ? 3 : step == 3 ? length : length + 1) {
        struct seen seen = {0};
        struct sse_parser parser;
        sse_init(&parser, BYTES_MAX, note_event, &seen);
        for (size_t i = 0; i < length; i += step) {
            EXPECT_TRUE(sse_feed(&parser, stream + i, i + step < length ? step : length - i));
        }
        EXPECT_STRING(seen.text, events);
        EXPECT_STRING(sse_last_event_id(&parser), last_event_id);
        sse_finish(&parser);
    }
}

#define EXPECT_STREAM(stream, events, id) expect_stream(stream, sizeof(stream) - 1, events, id)

TEST(events_end_with_a_blank_line) {
    EXPECT_STREAM("data: a\n\ndata: b\n\n", "message|a|;message|b|;", "");
    EXPECT_STREAM("data: a\n", "", "");
    EXPECT_STREAM("data: a", "", "");
}

TEST(all_three_line_ends_count) {
    EXPECT_STREAM("data: a\r\rdata: b\r\r", "message|a|;message|b|;", "");
    EXPECT_STREAM("data: a\r\n\r\ndata: b\r\n\r\n", "message|a|;message|b|;", "");
    EXPECT_STREAM("data: a\r\ndata: b\n\r\n", "message|a\nb|;", "");
}

TEST(data_lines_are_joined) {
    EXPECT_STREAM("data: YHOO\ndata: +2\ndata: 10\n\n", "message|YHOO\n+2\n10|;", "");
    EXPECT_STREAM("data\n\ndata\ndata\n\ndata:\n", "message||;message|\n|;", "");
}

TEST(one_blank_behind_the_colon_is_left_out) {
    EXPECT_STREAM("data:test\n\ndata: test\n\ndata:  test\n\n",
                  "message|test|;message|test|;message| test|;", "");
}

TEST(ids_stay_until_they_are_replaced) {
    EXPECT_STREAM(": test stream\n\ndata: first\nid: 1\n\ndata:second\nid\n\ndata:  third\n\n",
                  "message|first|1;message|second|;message| third|;", "");
    EXPECT_STREAM("id: t1\ndata: a\n\ndata: b\n\n", "message|a|t1;message|b|t1;", "t1");
}

TEST(an_id_alone_is_progress_and_no_event) {
    EXPECT_STREAM("id: t1\ndata: a\n\nid: t2\n\n", "message|a|t1;", "t2");
}

TEST(an_id_that_no_blank_line_followed_does_not_count) {
    EXPECT_STREAM("id: t1\n\nid: t2\ndata: a\n", "", "t1");
}

TEST(an_id_with_nul_is_left_alone) {
    EXPECT_STREAM("id: a\n\nid: b\0c\n\n", "", "a");
}

TEST(event_names_last_for_one_event) {
    EXPECT_STREAM("event: gap\ndata: a\n\ndata: b\n\nevent: x\n\ndata: c\n\n",
                  "gap|a|;message|b|;message|c|;", "");
}

TEST(comments_and_unknown_fields_are_left_alone) {
    EXPECT_STREAM(": hello\n:\nother: x\nDATA: x\n data: x\ndata: a\n\n", "message|a|;", "");
}

TEST(byte_order_mark_is_left_out_at_the_beginning_alone) {
    EXPECT_STREAM("\xef\xbb\xbf"
                  "data: a\n\n\xef\xbb\xbf"
                  "data: b\n\n",
                  "message|a|;", "");
}

static bool ignore_event(void *context, const struct sse_event *event) {
    (void)context;
    (void)event;
    return true;
}

TEST(retry_is_digits_alone) {
    struct sse_parser parser;
    sse_init(&parser, BYTES_MAX, ignore_event, NULL);
    EXPECT_TRUE(sse_feed(&parser, "retry: 1500\n", 12));
    EXPECT_EQ(parser.retry_ms, 1500);
    EXPECT_TRUE(sse_feed(&parser, "retry: 15s\nretry\nretry: 99999999999999999999\n", 43));
    EXPECT_EQ(parser.retry_ms, 1500);
    sse_finish(&parser);
}

TEST(what_is_above_the_bound_ends_the_stream) {
    char stream[2 * BYTES_MAX];
    memset(stream, 'x', sizeof(stream));
    memcpy(stream, "data:", 5);
    struct sse_parser parser;
    sse_init(&parser, BYTES_MAX, ignore_event, NULL);
    EXPECT_TRUE(sse_feed(&parser, stream, BYTES_MAX));
    EXPECT_FALSE(sse_feed(&parser, stream, 1));
    sse_finish(&parser);
    sse_init(&parser, BYTES_MAX, ignore_event, NULL);
    stream[BYTES_MAX - 4] = '\n';
    EXPECT_TRUE(sse_feed(&parser, stream, BYTES_MAX - 3));
    EXPECT_FALSE(sse_feed(&parser, stream, BYTES_MAX - 3));
    sse_finish(&parser);
}

TEST(a_new_connection_keeps_the_id_and_drops_the_half_event) {
    struct seen seen = {0};
    struct sse_parser parser;
    sse_init(&parser, BYTES_MAX, note_event, &seen);
    EXPECT_TRUE(sse_feed(&parser, "id: t1\ndata: a\n\nid: t2\nevent: e\ndata: lo", 38));
    sse_restart(&parser);
    EXPECT_STRING(sse_last_event_id(&parser), "t1");
    EXPECT_TRUE(sse_feed(&parser, "data: b\n\n", 9));
    EXPECT_STRING(seen.text, "message|a|t1;message|b|t1;");
    sse_finish(&parser);
}

static bool refuse_second(void *context, const struct sse_event *event) {
    unsigned *count = context;
    EXPECT_EQ(event->length, 1);
    return ++*count != 2;
}

TEST(the_id_stays_before_an_event_that_was_not_dealt_with) {
    static const char stream[] = "id: t1\ndata: a\n\nid: t2\ndata: b\n\nid: t3\ndata: c\n\n";
    unsigned count = 0;
    struct sse_parser parser;
    sse_init(&parser, BYTES_MAX, refuse_second, &count);
    EXPECT_FALSE(sse_feed(&parser, stream, sizeof(stream) - 1));
    EXPECT_EQ(count, 2);
    EXPECT_STRING(sse_last_event_id(&parser), "t1");
    sse_finish(&parser);
}

UNIT_TESTS(UNIT(events_end_with_a_blank_line), UNIT(all_three_line_ends_count),
           UNIT(data_lines_are_joined), UNIT(one_blank_behind_the_colon_is_left_out),
           UNIT(ids_stay_until_they_are_replaced), UNIT(an_id_alone_is_progress_and_no_event),
           UNIT(an_id_that_no_blank_line_followed_does_not_count),
           UNIT(an_id_with_nul_is_left_alone), UNIT(event_names_last_for_one_event),
           UNIT(comments_and_unknown_fields_are_left_alone),
           UNIT(byte_order_mark_is_left_out_at_the_beginning_alone), UNIT(retry_is_digits_alone),
           UNIT(what_is_above_the_bound_ends_the_stream),
           UNIT(a_new_connection_keeps_the_id_and_drops_the_half_event),
           UNIT(the_id_stays_before_an_event_that_was_not_dealt_with))
