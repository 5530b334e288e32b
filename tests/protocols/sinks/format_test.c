/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/format.h"

#include <jansson.h>

#include "broker/support/string_map.h"
#include "tests/unit.h"

#define MESSAGES 4

#define ID_1 "t1cxHtXgAAAAAAAAAMYys"
#define TIME "2026-01-31T08:05:09.123Z"

static struct message *messages[MESSAGES];
static struct buffer body;

static struct message *make(struct message_fields fields, uint64_t position) {
    const struct place place = {0x5eed, 0, position, 12, 43 + position - 99};
    fields.kind = MESSAGE_DATA;
    fields.channel = SPAN("\x01"
                          "acme/chat/7");
    struct message *message = message_create(&fields);
    message_order(message, &place, 1769846709123);
    return message;
}

static int begin(void **state) {
    (void)state;
    buffer_init(&body, 10000);
    messages[0] = make((struct message_fields){.payload = SPAN("{\"a\":\r\n1}")}, 99);
    messages[1] = make((struct message_fields){.payload_kind = PAYLOAD_TEXT,
                                               .type = SPAN("text/csv"),
                                               .payload = SPAN("a,b\n\"c\"")},
                       100);
    messages[2] = make((struct message_fields){.payload_kind = PAYLOAD_BINARY,
                                               .event = SPAN("e"),
                                               .payload = SPAN("\0\xFF\n")},
                       101);
    messages[3] =
        make((struct message_fields){.payload_kind = PAYLOAD_TEXT, .payload = SPAN("")}, 102);
    return 0;
}

static int end(void **state) {
    (void)state;
    for (size_t i = 0; i < MESSAGES; i++) {
        message_unref(messages[i]);
    }
    buffer_finish(&body);
    return 0;
}

static struct span put(struct format format, size_t first, size_t count) {
    buffer_clear(&body);
    EXPECT_EQ(format_put(&body, &format, &messages[first], count), OK);
    return buffer_borrow(&body);
}

static struct span type_of(struct format format, size_t message) {
    return format_media_type(&format, messages[message]);
}

static const struct format envelope = {.format = SINK_FORMAT_ENVELOPE};
static const struct format data = {.format = SINK_FORMAT_DATA};
static const struct format events = {.format = SINK_FORMAT_CLOUDEVENTS};

static struct format list_of(struct format format, enum sink_batch form) {
    format.is_list = true;
    format.form = form;
    return format;
}

/* --- one message ------------------------------------------------------------------------------ */

TEST(an_envelope_is_what_every_reader_gets_without_the_tenant) {
    EXPECT_SPAN(put(envelope, 0, 1), "{\"channel\":\"chat/7\",\"offset\":43,\"id\":\"" ID_1
                                     "\",\"time\":\"" TIME "\",\"data\":{\"a\":\r\n1}}");
    EXPECT_SPAN(type_of(envelope, 0), "application/json");
}

TEST(data_is_the_payload_byte_for_byte_with_its_type) {
    EXPECT_TRUE(span_is_equal(put(data, 0, 1), SPAN("{\"a\":\r\n1}")));
    EXPECT_TRUE(span_is_equal(put(data, 1, 1), SPAN("a,b\n\"c\"")));
    EXPECT_TRUE(span_is_equal(put(data, 2, 1), SPAN("\0\xFF\n")));
    EXPECT_EQ(put(data, 3, 1).length, 0);
    EXPECT_SPAN(type_of(data, 0), "application/json");
    EXPECT_SPAN(type_of(data, 1), "text/csv");
    EXPECT_SPAN(type_of(data, 2), "application/octet-stream");
    EXPECT_SPAN(type_of(data, 3), "text/plain; charset=utf-8");
}

TEST(an_event_is_structured) {
    EXPECT_SPAN(
        put(events, 2, 1),
        "{\"specversion\":\"1.0\",\"id\":\"t1Fu_tXgAAAAAAAAAMZS0\",\"source\":\"/channels/chat/7\","
        "\"type\":\"e\",\"time\":\"" TIME "\",\"tidingsoffset\":\"45\","
        "\"datacontenttype\":\"application/octet-stream\",\"data_base64\":\"AP8K\"}");
    EXPECT_SPAN(type_of(events, 2), "application/cloudevents+json");
}

/* --- lists ------------------------------------------------------------------------------------ */

TEST(a_list_of_data_is_an_array_of_json_values) {
    struct format list = list_of(data, SINK_BATCH_ARRAY);
    EXPECT_SPAN(put(list, 0, 4), "[{\"a\":\r\n1},\"a,b\\n\\\"c\\\"\",\"AP8K\",\"\"]");
    EXPECT_SPAN(type_of(list, 1), "application/json");
}

TEST(one_alone_is_a_list_too_where_lists_are_sent) {
    struct format list = list_of(data, SINK_BATCH_ARRAY);
    EXPECT_SPAN(put(list, 2, 1), "[\"AP8K\"]");
    list.form = SINK_BATCH_NDJSON;
    EXPECT_SPAN(put(list, 2, 1), "\"AP8K\"\n");
}

TEST(a_line_holds_one_message_whatever_line_ends_its_json_has) {
    struct format list = list_of(data, SINK_BATCH_NDJSON);
    EXPECT_SPAN(put(list, 0, 3), "{\"a\":  1}\n\"a,b\\n\\\"c\\\"\"\n\"AP8K\"\n");
    EXPECT_SPAN(type_of(list, 1), "application/x-ndjson");
    list.format = SINK_FORMAT_ENVELOPE;
    EXPECT_SPAN(put(list, 0, 1), "{\"channel\":\"chat/7\",\"offset\":43,\"id\":\"" ID_1
                                 "\",\"time\":\"" TIME "\",\"data\":{\"a\":  1}}\n");
}

TEST(a_list_of_events_is_the_batch_format) {
    struct format list = list_of(events, SINK_BATCH_ARRAY);
    struct span text = put(list, 0, MESSAGES);
    json_t *array = json_loadb((const char *)text.bytes, text.length, 0, NULL);
    EXPECT_EQ(json_array_size(array), MESSAGES);
    for (size_t i = 0; i < MESSAGES; i++) {
        const json_t *event = json_array_get(array, i);
        EXPECT_STRING(json_string_value(json_object_get(event, "specversion")), "1.0");
    }
    json_decref(array);
    EXPECT_SPAN(type_of(list, 0), "application/cloudevents-batch+json");
}

TEST(a_body_that_does_not_fit_leaves_the_buffer_as_it_was) {
    static const struct format *const formats[] = {&envelope, &data, &events};
    for (size_t i = 0; i < 9; i++) {
        struct format format = *formats[i % 3];
        struct buffer small;
        format.is_list = i >= 3;
        format.form = i >= 6 ? SINK_BATCH_NDJSON : SINK_BATCH_ARRAY;
        buffer_init(&small, 10);
        EXPECT_EQ(buffer_put(&small, SPAN("abcde")), OK);
        EXPECT_EQ(format_put(&small, &format, messages, format.is_list ? 2 : 1), ERR_TOO_LARGE);
        EXPECT_SPAN(buffer_borrow(&small), "abcde");
        buffer_finish(&small);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(CASE(an_envelope_is_what_every_reader_gets_without_the_tenant),
           CASE(data_is_the_payload_byte_for_byte_with_its_type), CASE(an_event_is_structured),
           CASE(a_list_of_data_is_an_array_of_json_values),
           CASE(one_alone_is_a_list_too_where_lists_are_sent),
           CASE(a_line_holds_one_message_whatever_line_ends_its_json_has),
           CASE(a_list_of_events_is_the_batch_format),
           CASE(a_body_that_does_not_fit_leaves_the_buffer_as_it_was))
