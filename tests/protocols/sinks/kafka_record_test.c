/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/kafka_record.h"

#include <stdio.h>

#include "broker/support/string_map.h"
#include "tests/unit.h"

static struct kafka_record record;
static struct sink_row row;
static struct message *message;
static struct buffer headers;

static int begin(void **state) {
    (void)state;
    kafka_record_init(&record);
    buffer_init(&headers, 4096);
    row = (struct sink_row){.format = SINK_FORMAT_DATA,
                            .kafka_topic = (char *)"{channel}",
                            .kafka_key = (char *)"{key}"};
    return 0;
}

static int end(void **state) {
    (void)state;
    kafka_record_finish(&record);
    buffer_finish(&headers);
    message_unref(message);
    message = NULL;
    return 0;
}

static enum error_code make(const char *channel, const char *key, const char *event,
                            struct error *why) {
    const struct message_fields fields = {.kind = MESSAGE_DATA,
                                          .channel = span_of_string(channel),
                                          .key = span_of_string(key),
                                          .event = span_of_string(event),
                                          .headers = buffer_borrow(&headers),
                                          .payload = SPAN("{\"a\":1}")};
    const struct place place = {
        .log_id = 7, .generation = 1, .position = 100, .channel_id = 5, .offset = 42};
    message_unref(message);
    message = message_create(&fields);
    message_order(message, &place, 1700000000123);
    return kafka_record_make(&record, &row, message, why);
}

static void expect_header(const char *name, const char *expected) {
    const void *value;
    size_t size;
    EXPECT_EQ(rd_kafka_header_get_last(record.headers, name, &value, &size),
              RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_SPAN(span_of(value, size), expected);
}

static bool has_header(const char *name) {
    const void *value;
    size_t size;
    return rd_kafka_header_get_last(record.headers, name, &value, &size) ==
           RD_KAFKA_RESP_ERR_NO_ERROR;
}

TEST(a_channel_is_a_topic_with_dots_for_slashes) {
    EXPECT_EQ(make("orders/eu/7", "k", "", NULL), OK);
    EXPECT_SPAN(record.topic_name, "orders.eu.7");
    EXPECT_SPAN(record.key, "k");
    EXPECT_SPAN(record.value, "{\"a\":1}");
}

TEST(of_a_tenant_the_channel_is_told_without_the_tenant) {
    EXPECT_EQ(make("\x01"
                   "acme/orders/7",
                   "", "", NULL),
              OK);
    EXPECT_SPAN(record.topic_name, "orders.7");
    EXPECT_SPAN(record.key, "orders/7");
    expect_header("tidings-channel", "orders/7");
}

TEST(a_template_makes_topic_and_key) {
    row.kafka_topic = (char *)"site-a.{channel}";
    row.kafka_key = (char *)"{channel}|{key}";
    EXPECT_EQ(make("orders/7", "", "", NULL), OK);
    EXPECT_SPAN(record.topic_name, "site-a.orders.7");
    EXPECT_SPAN(record.key, "orders/7|orders/7");
}

TEST(a_name_that_no_topic_can_have_is_refused) {
    struct error why = {0};
    char longest[251];
    EXPECT_EQ(make("orders/caf\xc3\xa9", "", "", &why), ERR_BAD_CHANNEL);
    assert_non_null(strstr(why.detail, "is no topic"));
    EXPECT_EQ(make("a b", "", "", NULL), ERR_BAD_CHANNEL);
    memset(longest, 'a', 250);
    longest[250] = 0;
    EXPECT_EQ(make(longest, "", "", NULL), ERR_BAD_CHANNEL);
    longest[249] = 0;
    EXPECT_EQ(make(longest, "", "", NULL), OK);
    EXPECT_FALSE(kafka_record_is_topic(SPAN("..")));
    EXPECT_FALSE(kafka_record_is_topic(SPAN("")));
}

TEST(data_says_where_it_is_from_in_headers) {
    EXPECT_EQ(string_map_put(&headers, SPAN("trace"), SPAN("abc")), OK);
    EXPECT_EQ(make("orders", "k", "created", NULL), OK);
    expect_header("tidings-channel", "orders");
    expect_header("tidings-offset", "42");
    expect_header("tidings-event", "created");
    expect_header("content-type", "application/json");
    expect_header("trace", "abc");
    EXPECT_TRUE(has_header("tidings-id"));
}

TEST(an_envelope_is_the_value) {
    row.format = SINK_FORMAT_ENVELOPE;
    EXPECT_EQ(make("orders", "k", "created", NULL), OK);
    EXPECT_TRUE(span_has_prefix(record.value, SPAN("{\"channel\":\"orders\",\"offset\":42,")));
    EXPECT_FALSE(has_header("tidings-event"));
}

TEST(a_message_becomes_a_cloudevent_of_the_binary_mode) {
    row.format = SINK_FORMAT_CLOUDEVENTS;
    EXPECT_EQ(string_map_put(&headers, SPAN("trace"), SPAN("abc")), OK);
    EXPECT_EQ(make("orders/7", "k", "created", NULL), OK);
    EXPECT_SPAN(record.value, "{\"a\":1}");
    expect_header("ce_specversion", "1.0");
    expect_header("ce_type", "created");
    expect_header("ce_source", "/channels/orders/7");
    expect_header("ce_partitionkey", "k");
    expect_header("content-type", "application/json");
    expect_header("trace", "abc");
    EXPECT_FALSE(has_header("ce_datacontenttype"));
}

TEST(what_came_as_a_cloudevent_is_that_one_again) {
    row.format = SINK_FORMAT_CLOUDEVENTS;
    EXPECT_EQ(string_map_put(&headers, SPAN("ce-specversion"), SPAN("1.0")), OK);
    EXPECT_EQ(string_map_put(&headers, SPAN("ce-id"), SPAN("77")), OK);
    EXPECT_EQ(string_map_put(&headers, SPAN("ce-source"), SPAN("/shop")), OK);
    EXPECT_EQ(make("orders", "", "sold", NULL), OK);
    expect_header("ce_id", "77");
    expect_header("ce_source", "/shop");
    expect_header("ce_type", "sold");
    EXPECT_FALSE(has_header("ce-id"));
}

TEST(a_topic_that_no_channel_can_make_legal_is_a_fault) {
    EXPECT_EQ(kafka_record_check_topic(SPAN("bad topic!"), NULL), ERR_CONFIG);
    EXPECT_EQ(kafka_record_check_topic(SPAN("a/{channel}"), NULL), ERR_CONFIG);
    EXPECT_EQ(kafka_record_check_topic(SPAN("a_b-c.1"), NULL), OK);
}

TEST(a_word_that_is_not_known_is_a_fault) {
    EXPECT_EQ(kafka_record_check_topic(SPAN("a.{channel}"), NULL), OK);
    EXPECT_EQ(kafka_record_check_topic(SPAN("{key}"), NULL), ERR_CONFIG);
    EXPECT_EQ(kafka_record_check_key(SPAN("{key}"), NULL), OK);
    EXPECT_EQ(kafka_record_check_key(SPAN("{chanel}"), NULL), ERR_CONFIG);
}

#define RECORD(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        RECORD(a_channel_is_a_topic_with_dots_for_slashes),
        RECORD(of_a_tenant_the_channel_is_told_without_the_tenant),
        RECORD(a_template_makes_topic_and_key),
        RECORD(a_name_that_no_topic_can_have_is_refused),
        RECORD(data_says_where_it_is_from_in_headers),
        RECORD(an_envelope_is_the_value),
        RECORD(a_message_becomes_a_cloudevent_of_the_binary_mode),
        RECORD(what_came_as_a_cloudevent_is_that_one_again),
        RECORD(a_topic_that_no_channel_can_make_legal_is_a_fault),
        RECORD(a_word_that_is_not_known_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
