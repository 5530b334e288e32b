/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/bodies.h"

#include <stdio.h>

#include "broker/support/string_map.h"
#include "protocols/rest/batch.h"
#include "protocols/rest/message_head.h"
#include "tests/protocols/fakes.h"
#include "tests/unit.h"

#define EVENT                                                                                      \
    "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\",\"data\":{\"a\":1}}"

static struct message_head head;
static struct batch batch;
static struct error why;

static int begin(void **state) {
    message_head_init(&head);
    return fakes_begin(state);
}

static int end(void **state) {
    message_head_finish(&head);
    batch_finish(&batch);
    return fakes_end(state);
}

static enum error_code read(body_read *on_body, const char *text) {
    struct body body = {.bytes = span_of_string(text),
                        .channel = on_body == body_read_objects ? (struct span){0} : SPAN("a"),
                        .head = &head,
                        .rules = fakes.broker.rules,
                        .batch = &batch};
    batch_finish(&batch);
    why = (struct error){0};
    return on_body(&body, &why);
}

static const struct message_fields *message(size_t index) {
    EXPECT_TRUE(index < batch.count);
    return &batch.messages[index]->fields;
}

static size_t header_count(const struct message_fields *fields) {
    struct span rest = fields->headers, name, value;
    size_t count = 0;
    while (string_map_next(&rest, &name, &value)) {
        count++;
    }
    return count;
}

TEST(a_line_is_a_message_and_a_blank_one_is_none) {
    EXPECT_EQ(read(body_read_lines, "{\"n\": 1}\r\n\n \t\r\n [2] \n\"x\""), OK);
    EXPECT_EQ(batch.count, 3);
    EXPECT_SPAN(message(0)->payload, "{\"n\": 1}");
    EXPECT_SPAN(message(1)->payload, "[2]");
    EXPECT_SPAN(message(2)->payload, "\"x\"");
    EXPECT_EQ(message(2)->payload_kind, PAYLOAD_JSON);
    EXPECT_SPAN(message(2)->channel, "a");
    EXPECT_EQ(read(body_read_lines, "1\n"), OK);
    EXPECT_EQ(batch.count, 1);
    EXPECT_EQ(read(body_read_lines, ""), OK);
    EXPECT_EQ(batch.count, 0);
}

TEST(the_head_applies_to_each_line) {
    head.fields.key = SPAN("k");
    head.fields.ttl_ms = 5000;
    EXPECT_EQ(string_map_put(&head.headers, SPAN("h"), SPAN("v")), OK);
    EXPECT_EQ(read(body_read_lines, "1\n2"), OK);
    for (size_t i = 0; i < 2; i++) {
        EXPECT_SPAN(message(i)->key, "k");
        EXPECT_EQ(message(i)->ttl_ms, 5000);
        EXPECT_EQ(header_count(message(i)), 1);
    }
}

TEST(a_fault_names_its_line) {
    EXPECT_EQ(read(body_read_lines, "1\n\n{\"a\":}\n2"), ERR_BAD_JSON);
    EXPECT_STRING(why.field, "line 3");
    EXPECT_NOT_NULL(strstr(why.detail, "byte 5"));
    EXPECT_EQ(read(body_read_lines, "1 2"), ERR_BAD_JSON);
    EXPECT_STRING(why.field, "line 1");
}

TEST(an_array_of_objects_goes_to_many_channels) {
    EXPECT_EQ(read(body_read_objects, " [{\"channel\":\"a//b\",\"data\":{ \"x\":1.0}},"
                                      "{\"data_base64\":\"AA==\",\"channel\":\"\\u00fc\"}] "),
              OK);
    EXPECT_EQ(batch.count, 2);
    EXPECT_SPAN(message(0)->channel, "a//b");
    EXPECT_SPAN(message(0)->payload, "{ \"x\":1.0}");
    EXPECT_SPAN(message(1)->channel, "\xC3\xBC");
    EXPECT_EQ(message(1)->payload_kind, PAYLOAD_BINARY);
}

TEST(one_object_may_come_without_an_array) {
    EXPECT_EQ(read(body_read_objects, "{\"channel\":\"a\",\"data\":1}"), OK);
    EXPECT_EQ(batch.count, 1);
    EXPECT_EQ(read(body_read_objects, "{\"channel\":\"a\",\"dat\":1}"), ERR_BAD_REQUEST);
    EXPECT_STRING(why.field, "dat");
}

TEST(a_fault_names_its_element) {
    static const struct {
        const char *element, *field;
    } faults[] = {
        {"{\"data\":1}", "[1].channel"},
        {"{\"channel\":\"a/+\",\"data\":1}", "[1].channel"},
        {"{\"channel\":\"$x\",\"data\":1}", "[1].channel"},
        {"{\"channel\":\"a\",\"data\":1,\"kye\":1}", "[1].kye"},
        {"{\"channel\":\"a\"}", "[1].data"},
        {"7", "[1]"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        char text[256];
        snprintf(text, sizeof(text), "[{\"channel\":\"a\",\"data\":1},%s]", faults[i].element);
        EXPECT_TRUE(read(body_read_objects, text) != OK);
        EXPECT_STRING(why.field, faults[i].field);
    }
}

TEST(what_is_no_json_is_found_in_its_element) {
    static const struct {
        const char *text, *field;
    } faults[] = {
        {"[{\"channel\":\"a\",\"data\":1},{\"channel\":\"a\",\"data\":tru}]", "[1]"},
        {" [{\"a\":[1,\"],\\\",\"]},2 , 3x]", "[2]"},
        {"[x]", "[0]"},
        {"[{},]", "[1]"},
        {"[1,{", "[1]"},
        {"[1,2] 3", ""},
        {"{\"data\":[1,tru]}", ""},
        {"\"[,\" x", ""},
        {"", ""},
        {"]]\xFF", ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        EXPECT_EQ(read(body_read_objects, faults[i].text), ERR_BAD_JSON);
        EXPECT_STRING(why.field, faults[i].field);
        EXPECT_NOT_NULL(strstr(why.detail, "the body is no JSON at byte "));
    }
    EXPECT_EQ(read(body_read_events, "[" EVENT ",nil]"), ERR_BAD_JSON);
    EXPECT_STRING(why.field, "[1]");
    EXPECT_TRUE(strncmp(why.detail, "message [1]: ", 13) == 0);
}

TEST(events_come_alone_or_in_an_array) {
    EXPECT_EQ(string_map_put(&head.headers, SPAN("h"), SPAN("v")), OK);
    EXPECT_EQ(read(body_read_event, EVENT), OK);
    EXPECT_SPAN(message(0)->event, "t");
    EXPECT_SPAN(message(0)->payload, "{\"a\":1}");
    EXPECT_EQ(read(body_read_events, "[" EVENT "," EVENT "]"), OK);
    EXPECT_EQ(batch.count, 2);
    EXPECT_EQ(header_count(message(0)), 4);
    EXPECT_EQ(header_count(message(1)), 4);
    EXPECT_EQ(read(body_read_events, EVENT), ERR_BAD_REQUEST);
    EXPECT_EQ(read(body_read_event, "[" EVENT "]"), ERR_BAD_REQUEST);
    EXPECT_EQ(read(body_read_events, "[" EVENT ",{\"id\":\"1\"}]"), ERR_BAD_REQUEST);
    EXPECT_STRING(why.field, "[1].specversion");
}

TEST(an_events_own_words_are_not_said_twice) {
    head.fields.key = SPAN("k");
    EXPECT_EQ(read(body_read_event, EVENT), OK);
    EXPECT_SPAN(message(0)->key, "k");
    EXPECT_EQ(read(body_read_event, "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\","
                                    "\"type\":\"t\",\"partitionkey\":\"p\"}"),
              ERR_BAD_REQUEST);
    EXPECT_STRING(why.field, "partitionkey");
    head.fields.event = SPAN("e");
    EXPECT_EQ(read(body_read_event, EVENT), ERR_BAD_REQUEST);
    EXPECT_STRING(why.field, "Tidings-Event");
    EXPECT_EQ(read(body_read_events, "[" EVENT "]"), ERR_BAD_REQUEST);
}

TEST(the_body_of_an_event_in_binary_mode_is_its_data) {
    head.is_event = true;
    head.content_type = SPAN("text/plain");
    EXPECT_EQ(read(body_read_whole, "hi"), OK);
    EXPECT_EQ(message(0)->payload_kind, PAYLOAD_TEXT);
    EXPECT_EQ(read(body_read_whole, ""), OK);
    EXPECT_SPAN(message(0)->payload, "null");
    EXPECT_EQ(message(0)->type.length, 0);
}

#define BODY(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(BODY(a_line_is_a_message_and_a_blank_one_is_none), BODY(the_head_applies_to_each_line),
           BODY(a_fault_names_its_line), BODY(an_array_of_objects_goes_to_many_channels),
           BODY(one_object_may_come_without_an_array), BODY(a_fault_names_its_element),
           BODY(what_is_no_json_is_found_in_its_element), BODY(events_come_alone_or_in_an_array),
           BODY(an_events_own_words_are_not_said_twice),
           BODY(the_body_of_an_event_in_binary_mode_is_its_data))
