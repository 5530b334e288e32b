/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sources/kafka_arrival.h"

#include <stdio.h>

#include "broker/channels/id.h"
#include "broker/support/string_map.h"
#include "tests/unit.h"

#define OUR_LOG 77

/* One record, and what became of it. */
struct reading {
    struct kafka_arrival record;
    rd_kafka_headers_t *list;
    struct buffer headers;
    struct buffer scratch;
    struct message_fields fields;
    bool is_own;
    struct error why;
};

static void begin(struct reading *reading, const char *value) {
    memset(reading, 0, sizeof(*reading));
    buffer_init(&reading->headers, MESSAGE_HEADERS_BYTES_MAX);
    buffer_init(&reading->scratch, KAFKA_SCRATCH_BYTES_MAX);
    reading->list = rd_kafka_headers_new(4);
    reading->record = (struct kafka_arrival){.value = span_of_string(value),
                                             .has_value = value != NULL,
                                             .headers = reading->list,
                                             .timestamp_ms = -1};
}

static void add(struct reading *reading, const char *name, const char *value) {
    EXPECT_EQ(rd_kafka_header_add(reading->list, name, -1, value, -1), 0);
}

static enum error_code take(struct reading *reading) {
    return kafka_arrival_read(&reading->record, OUR_LOG, &reading->headers, &reading->scratch,
                              &reading->fields, &reading->is_own, &reading->why);
}

static void end(struct reading *reading) {
    rd_kafka_headers_destroy(reading->list);
    buffer_finish(&reading->headers);
    buffer_finish(&reading->scratch);
}

/* The value of a message's header; "-": it has none. */
static struct span header(const struct reading *reading, const char *wanted) {
    struct span rest = reading->fields.headers, name, value;
    while (string_map_next(&rest, &name, &value)) {
        if (span_is_equal(name, span_of_string(wanted))) {
            return value;
        }
    }
    return SPAN("-");
}

static void add_id(struct reading *reading, const char *name, uint64_t log_id) {
    char text[ID_TEXT_BYTES_MAX];
    const struct place place = {
        .log_id = log_id, .generation = 1, .position = 9, .channel_id = 2, .offset = 3};
    EXPECT_EQ(rd_kafka_header_add(reading->list, name, -1, text, (ssize_t)id_format(&place, text)),
              0);
}

TEST(a_value_is_what_an_untyped_publish_would_be) {
    static const struct {
        const char *value;
        enum payload_kind kind;
        const char *type;
    } rows[] = {
        {"{\"a\":1}", PAYLOAD_JSON, ""},
        {"17", PAYLOAD_JSON, ""},
        {"hello", PAYLOAD_TEXT, "text/plain"},
        {"", PAYLOAD_TEXT, "text/plain"},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", PAYLOAD_TEXT,
         "text/plain"},
        {"\xff\xfe", PAYLOAD_BINARY, "application/octet-stream"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct reading reading;
        begin(&reading, rows[i].value);
        EXPECT_EQ(take(&reading), OK);
        EXPECT_EQ(reading.fields.payload_kind, rows[i].kind);
        EXPECT_SPAN(reading.fields.type, rows[i].type);
        EXPECT_SPAN(reading.fields.payload, rows[i].value);
        EXPECT_EQ(reading.fields.headers.length, 0);
        EXPECT_FALSE(reading.is_own);
        end(&reading);
    }
}

TEST(a_tombstone_is_null) {
    struct reading reading;
    begin(&reading, NULL);
    reading.record.key = SPAN("k");
    EXPECT_EQ(take(&reading), OK);
    EXPECT_SPAN(reading.fields.payload, "null");
    EXPECT_EQ(reading.fields.payload_kind, PAYLOAD_JSON);
    EXPECT_SPAN(reading.fields.key, "k");
    end(&reading);
}

TEST(headers_that_are_text_are_kept_and_of_one_name_the_last) {
    struct reading reading;
    begin(&reading, "1");
    add(&reading, "trace", "old");
    add(&reading, "trace", "new");
    add(&reading, "empty", "");
    add(&reading, "bytes", "\xff\x01");
    EXPECT_EQ(rd_kafka_header_add(reading.list, "none", -1, NULL, 0), 0);
    EXPECT_EQ(take(&reading), OK);
    EXPECT_SPAN(header(&reading, "trace"), "new");
    EXPECT_SPAN(header(&reading, "empty"), "");
    EXPECT_SPAN(header(&reading, "none"), "");
    EXPECT_SPAN(header(&reading, "bytes"), "-");
    end(&reading);
}

TEST(a_content_type_counts_where_the_value_is_of_it) {
    struct reading reading;
    begin(&reading, "<a/>");
    add(&reading, "Content-Type", "application/xml");
    EXPECT_EQ(take(&reading), OK);
    EXPECT_SPAN(reading.fields.type, "application/xml");
    EXPECT_EQ(reading.fields.payload_kind, PAYLOAD_TEXT);
    EXPECT_SPAN(header(&reading, "Content-Type"), "-");
    end(&reading);
    begin(&reading, "no json");
    add(&reading, "content-type", "application/json");
    EXPECT_EQ(take(&reading), OK);
    EXPECT_SPAN(reading.fields.type, "text/plain");
    end(&reading);
}

TEST(a_key_is_kept_where_it_is_text) {
    struct reading reading;
    char large[KEY_BYTES_MAX + 2];
    memset(large, 'k', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    const struct {
        struct span key;
        const char *expected;
    } rows[] = {
        {SPAN("player-7"), "player-7"},
        {SPAN("\x00\x00\x00\x07"), ""},
        {span_of_string(large), ""},
        {(struct span){0}, ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        begin(&reading, "1");
        reading.record.key = rows[i].key;
        EXPECT_EQ(take(&reading), OK);
        EXPECT_SPAN(reading.fields.key, rows[i].expected);
        end(&reading);
    }
}

TEST(a_timestamp_becomes_a_header) {
    struct reading reading;
    begin(&reading, "1");
    reading.record.timestamp_ms = 1700000000123;
    add(&reading, "kafka-timestamp", "of a hop before");
    EXPECT_EQ(take(&reading), OK);
    EXPECT_SPAN(header(&reading, "kafka-timestamp"), "2023-11-14T22:13:20.123Z");
    end(&reading);
}

TEST(an_event_in_headers_is_a_cloudevent) {
    struct reading reading;
    begin(&reading, "{\"a\":1}");
    add(&reading, "ce_specversion", "1.0");
    add(&reading, "ce_id", "17");
    add(&reading, "ce_source", "/shop");
    add(&reading, "ce_type", "order.placed");
    add(&reading, "content-type", "application/json");
    add(&reading, "other", "x");
    EXPECT_EQ(take(&reading), OK);
    EXPECT_SPAN(reading.fields.event, "order.placed");
    EXPECT_SPAN(header(&reading, "ce-id"), "17");
    EXPECT_SPAN(header(&reading, "ce-source"), "/shop");
    EXPECT_SPAN(header(&reading, "other"), "x");
    EXPECT_EQ(reading.fields.payload_kind, PAYLOAD_JSON);
    end(&reading);
}

TEST(an_event_that_lacks_something_is_a_plain_record) {
    struct reading reading;
    begin(&reading, "1");
    add(&reading, "ce_specversion", "1.0");
    add(&reading, "ce_id", "17");
    EXPECT_EQ(take(&reading), OK);
    EXPECT_EQ(reading.fields.event.length, 0);
    EXPECT_SPAN(header(&reading, "ce_id"), "17");
    end(&reading);
}

TEST(a_structured_event_is_taken_apart) {
    struct reading reading;
    begin(&reading, "{\"specversion\":\"1.0\",\"id\":\"3\",\"source\":\"/s\",\"type\":\"t\","
                    "\"data\":{\"b\":2}}");
    add(&reading, "content-type", "application/cloudevents+json; charset=utf-8");
    EXPECT_EQ(take(&reading), OK);
    EXPECT_SPAN(reading.fields.payload, "{\"b\":2}");
    EXPECT_SPAN(reading.fields.event, "t");
    EXPECT_SPAN(header(&reading, "ce-source"), "/s");
    end(&reading);
}

TEST(what_our_own_log_wrote_is_known) {
    struct reading reading;
    begin(&reading, "1");
    add_id(&reading, "tidings-id", OUR_LOG);
    EXPECT_EQ(take(&reading), OK);
    EXPECT_TRUE(reading.is_own);
    end(&reading);
    begin(&reading, "1");
    add_id(&reading, "tidings-id", OUR_LOG + 1);
    add_id(&reading, "tidings-origin", OUR_LOG);
    EXPECT_EQ(take(&reading), OK);
    EXPECT_TRUE(reading.is_own);
    end(&reading);
    begin(&reading, "1");
    add(&reading, "tidings-id", "no id");
    EXPECT_EQ(take(&reading), OK);
    EXPECT_FALSE(reading.is_own);
    end(&reading);
}

TEST(what_another_log_wrote_keeps_its_first_id_event_and_key) {
    struct reading reading;
    begin(&reading, "1");
    add_id(&reading, "tidings-id", OUR_LOG + 1);
    add(&reading, "tidings-channel", "a/b");
    add(&reading, "tidings-offset", "3");
    add(&reading, "tidings-event", "goal");
    reading.record.key = SPAN("a/b");
    EXPECT_EQ(take(&reading), OK);
    EXPECT_FALSE(reading.is_own);
    EXPECT_TRUE(header(&reading, "tidings-origin").length > 20);
    EXPECT_SPAN(header(&reading, "tidings-channel"), "-");
    EXPECT_SPAN(header(&reading, "tidings-offset"), "-");
    EXPECT_SPAN(reading.fields.event, "goal");
    EXPECT_EQ(reading.fields.key.length, 0); /* the sink's, for want of one */
    end(&reading);
}

TEST(more_headers_than_a_message_may_have_are_refused) {
    struct reading reading;
    begin(&reading, "1");
    for (int i = 0; i <= MESSAGE_HEADERS_MAX; i++) {
        char name[24];
        snprintf(name, sizeof(name), "h%d", i);
        add(&reading, name, "v");
    }
    EXPECT_EQ(take(&reading), ERR_HEADERS_TOO_LARGE);
    end(&reading);
}

UNIT_TESTS(UNIT(a_value_is_what_an_untyped_publish_would_be), UNIT(a_tombstone_is_null),
           UNIT(headers_that_are_text_are_kept_and_of_one_name_the_last),
           UNIT(a_content_type_counts_where_the_value_is_of_it),
           UNIT(a_key_is_kept_where_it_is_text), UNIT(a_timestamp_becomes_a_header),
           UNIT(an_event_in_headers_is_a_cloudevent),
           UNIT(an_event_that_lacks_something_is_a_plain_record),
           UNIT(a_structured_event_is_taken_apart), UNIT(what_our_own_log_wrote_is_known),
           UNIT(what_another_log_wrote_keeps_its_first_id_event_and_key),
           UNIT(more_headers_than_a_message_may_have_are_refused))
