/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/cloudevents.h"

#include <jansson.h>
#include <stdio.h>

#include "broker/limits.h"
#include "broker/support/string_map.h"
#include "protocols/message_object.h"
#include "tests/unit.h"

#define REQUIRED "\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"com.example.t\""

#define ID "t1cxHtXgAAAAAAAAAMYys"

static struct buffer scratch;
static struct buffer headers;
static struct message_fields fields;
static struct error why;

static enum error_code parse(const char *text) {
    struct json_value value;
    buffer_clear(&scratch);
    buffer_clear(&headers);
    why = (struct error){0};
    fields = (struct message_fields){0};
    EXPECT_EQ(json_parse(span_of_string(text), &value, NULL, NULL), OK);
    EXPECT_EQ(buffer_reserve(&scratch, message_object_scratch_bytes(value.text)), OK);
    return cloudevent_parse(value, &scratch, &headers, &fields, &why);
}

static int begin(void **state) {
    (void)state;
    buffer_init(&scratch, 100000);
    buffer_init(&headers, MESSAGE_HEADERS_BYTES_MAX);
    return 0;
}

static int end(void **state) {
    (void)state;
    buffer_finish(&scratch);
    buffer_finish(&headers);
    return 0;
}

static const char *header(const char *wanted) {
    static char text[256];
    struct span rest = buffer_borrow(&headers), name, value;
    while (string_map_next(&rest, &name, &value)) {
        if (span_is_equal(name, span_of_string(wanted))) {
            snprintf(text, sizeof(text), "%.*s", SPAN_PRINTF(value));
            return text;
        }
    }
    return "(none)";
}

/* --- the JSON event format -------------------------------------------------------------------- */

/* The first example of the JSON format, section 3.2. */
TEST(attributes_become_fields_and_headers) {
    EXPECT_EQ(parse("{\"specversion\":\"1.0\",\"type\":\"com.example.someevent\","
                    "\"source\":\"/mycontext\",\"id\":\"A234-1234-1234\","
                    "\"time\":\"2018-04-05T17:31:00Z\",\"comexampleextension1\":\"value\","
                    "\"comexampleothervalue\":5,\"partitionkey\":\"p\",\"flag\":true,"
                    "\"datacontenttype\":\"application/vnd.apache.thrift.binary\","
                    "\"data_base64\":\"AAE=\"}"),
              OK);
    EXPECT_EQ(fields.kind, MESSAGE_DATA);
    EXPECT_SPAN(fields.event, "com.example.someevent");
    EXPECT_SPAN(fields.key, "p");
    EXPECT_SPAN(fields.type, "application/vnd.apache.thrift.binary");
    EXPECT_EQ(fields.payload_kind, PAYLOAD_BINARY);
    EXPECT_EQ(fields.payload.length, 2);
    EXPECT_STRING(header("ce-specversion"), "1.0");
    EXPECT_STRING(header("ce-id"), "A234-1234-1234");
    EXPECT_STRING(header("ce-source"), "/mycontext");
    EXPECT_STRING(header("ce-time"), "2018-04-05T17:31:00Z");
    EXPECT_STRING(header("ce-comexampleextension1"), "value");
    EXPECT_STRING(header("ce-comexampleothervalue"), "5");
    EXPECT_STRING(header("ce-flag"), "true");
    EXPECT_STRING(header("ce-type"), "(none)");
    EXPECT_STRING(header("ce-partitionkey"), "(none)");
}

/* Sections 3.1.2 and 2.2. */
TEST(data_is_what_its_content_type_says) {
    EXPECT_EQ(parse("{" REQUIRED ",\"data\":{ \"a\":[1.50]}}"), OK);
    EXPECT_EQ(fields.payload_kind, PAYLOAD_JSON);
    EXPECT_SPAN(fields.payload, "{ \"a\":[1.50]}");
    EXPECT_EQ(parse("{" REQUIRED ",\"data\":\"{}\"}"), OK);
    EXPECT_SPAN(fields.payload, "\"{}\"");
    EXPECT_EQ(parse("{" REQUIRED ",\"datacontenttype\":\"application/xml\",\"data\":\"<a/>\"}"),
              OK);
    EXPECT_EQ(fields.payload_kind, PAYLOAD_TEXT);
    EXPECT_SPAN(fields.payload, "<a/>");
    EXPECT_EQ(parse("{" REQUIRED ",\"datacontenttype\":\"application/xml\",\"data\":{}}"),
              ERR_BAD_REQUEST);
}

TEST(an_event_without_data_is_null) {
    EXPECT_EQ(parse("{" REQUIRED "}"), OK);
    EXPECT_EQ(fields.payload_kind, PAYLOAD_JSON);
    EXPECT_SPAN(fields.payload, "null");
    EXPECT_EQ(parse("{" REQUIRED ",\"data\":null}"), OK);
    EXPECT_SPAN(fields.payload, "null");
}

TEST(an_attribute_that_is_null_is_not_there) {
    EXPECT_EQ(parse("{" REQUIRED ",\"subject\":null,\"datacontenttype\":null,\"data\":1}"), OK);
    EXPECT_STRING(header("ce-subject"), "(none)");
    EXPECT_EQ(parse("{\"specversion\":\"1.0\",\"id\":null,\"source\":\"/s\",\"type\":\"t\"}"),
              ERR_BAD_REQUEST);
    EXPECT_STRING(why.field, "id");
}

static const struct {
    const char *text, *field;
} faults[] = {
    {"[]", ""},
    {"{\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}", "specversion"},
    {"{\"specversion\":\"1.0\",\"source\":\"/s\",\"type\":\"t\"}", "id"},
    {"{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"t\"}", "source"},
    {"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\"}", "type"},
    {"{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}", "specversion"},
    {"{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"/s\",\"type\":\"t\"}", "id"},
    {"{\"specversion\":\"1.0\",\"id\":7,\"source\":\"/s\",\"type\":\"t\"}", "id"},
    {"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":true}", "type"},
    {"{" REQUIRED ",\"partitionkey\":7}", "partitionkey"},
    {"{" REQUIRED ",\"subject\":\"\"}", "subject"},
    {"{" REQUIRED ",\"time\":\"yesterday\"}", "time"},
    {"{" REQUIRED ",\"datacontenttype\":\"json\"}", "datacontenttype"},
    {"{" REQUIRED ",\"data\":1,\"data_base64\":\"AA==\"}", "data"},
    {"{" REQUIRED ",\"data\":1,\"data\":2}", "data"},
    {"{" REQUIRED ",\"data_base64\":\"?\"}", "data_base64"},
    {"{" REQUIRED ",\"id\":\"2\"}", "id"},
    {"{" REQUIRED ",\"ext\":\"1\",\"ext\":\"2\"}", "ext"},
    {"{" REQUIRED ",\"ext\":{}}", "ext"},
    {"{" REQUIRED ",\"ext\":1.5}", "ext"},
    {"{" REQUIRED ",\"ext\":2147483648}", "ext"},
    {"{" REQUIRED ",\"ext\":\"a\\nb\"}", "ext"},
    {"{" REQUIRED ",\"ext\":\"\\udead\"}", "ext"},
    {"{" REQUIRED ",\"my_ext\":1}", "my_ext"},
    {"{" REQUIRED ",\"Ext\":1}", "Ext"},
    {"{" REQUIRED ",\"\":1}", ""},
};

TEST(what_is_no_event_is_refused_and_the_attribute_named) {
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        EXPECT_TRUE(parse(faults[i].text) != OK);
        EXPECT_STRING(why.field, faults[i].field);
        EXPECT_TRUE(why.detail[0] != '\0');
    }
    EXPECT_EQ(parse("{" REQUIRED ",\"ext\":-2147483648,\"empty\":\"\"}"), OK);
}

TEST(a_type_longer_than_an_event_is_refused) {
    char text[512];
    snprintf(text, sizeof(text),
             "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"%0256d\"}", 0);
    EXPECT_EQ(parse(text), ERR_BAD_REQUEST);
    EXPECT_STRING(why.field, "type");
}

/* --- HTTP headers ----------------------------------------------------------------------------- */

static const char *decoded(const char *value) {
    static char text[256];
    struct span result;
    buffer_clear(&scratch);
    if (cloudevent_decode_header(span_of_string(value), &scratch, &result, &why) != OK) {
        return "(refused)";
    }
    snprintf(text, sizeof(text), "%.*s", SPAN_PRINTF(result));
    return text;
}

/* The example of section 3.1.3.2 of the HTTP binding, and what it says of older senders. */
TEST(header_values_are_unquoted_then_percent_decoded) {
    EXPECT_STRING(decoded("Euro%20%E2%82%AC%20%F0%9F%98%80"), "Euro \xE2\x82\xAC \xF0\x9F\x98\x80");
    EXPECT_STRING(decoded("\"a b \\\"c\\\" \\\\\""), "a b \"c\" \\");
    EXPECT_STRING(decoded("\"%41\\%42\""), "AB");
    EXPECT_STRING(decoded("a%2541"), "a%41");
    EXPECT_STRING(decoded("a+b"), "a+b");
    EXPECT_STRING(decoded(""), "");
    EXPECT_STRING(decoded("%4"), "(refused)");
    EXPECT_STRING(decoded("%zz"), "(refused)");
    EXPECT_STRING(decoded("\"a"), "(refused)");
    EXPECT_STRING(decoded("\"a\\"), "(refused)");
    EXPECT_STRING(decoded("\"a\"b"), "(refused)");
    EXPECT_STRING(decoded("\""), "(refused)");
}

TEST(a_value_that_is_not_utf8_is_refused) {
    struct cloudevent event;
    struct span value;
    buffer_clear(&scratch);
    cloudevent_init(&event, &headers);
    EXPECT_EQ(cloudevent_decode_header(SPAN("%C0%A0"), &scratch, &value, NULL), OK);
    EXPECT_EQ(cloudevent_put(&event, SPAN("id"), value, &why), ERR_BAD_UTF8);
    EXPECT_STRING(why.field, "id");
}

TEST(headers_that_do_not_fit_are_refused) {
    struct cloudevent event;
    static uint8_t large[MESSAGE_HEADERS_BYTES_MAX];
    memset(large, 'x', sizeof(large));
    cloudevent_init(&event, &headers);
    EXPECT_EQ(cloudevent_put(&event, SPAN("ext"), span_of(large, sizeof(large)), &why),
              ERR_HEADERS_TOO_LARGE);
    EXPECT_STRING(why.field, "ext");
}

/* --- messages as events ----------------------------------------------------------------------- */

static struct message *make_message(struct message_fields given) {
    const struct place place = {0x5eed, 0, 99, 12, 43};
    given.kind = MESSAGE_DATA;
    struct message *message = message_create(&given);
    message_order(message, &place, 1769846709123);
    return message;
}

/* "Context Attributes" and "Type System" of the specification, and section 3 of the JSON format. */
static void expect_sound_event(json_t *event) {
    const char *name;
    json_t *value;
    EXPECT_STRING(json_string_value(json_object_get(event, "specversion")), "1.0");
    EXPECT_TRUE(json_string_length(json_object_get(event, "id")) > 0);
    EXPECT_TRUE(json_string_length(json_object_get(event, "source")) > 0);
    EXPECT_TRUE(json_string_length(json_object_get(event, "type")) > 0);
    EXPECT_FALSE(json_object_get(event, "data") != NULL &&
                 json_object_get(event, "data_base64") != NULL);
    json_object_foreach(event, name, value) {
        bool is_data = strcmp(name, "data") == 0 || strcmp(name, "data_base64") == 0;
        size_t length = strlen(name);
        EXPECT_TRUE(is_data || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") == length);
        EXPECT_TRUE(is_data || json_is_string(value));
    }
    const char *source = json_string_value(json_object_get(event, "source"));
    EXPECT_EQ(strcspn(source, " <>\"{}|\\^`"), strlen(source)); /* RFC 3986 has none of them */
}

static void expect_event(struct message_fields given, const char *expected) {
    struct message *message = make_message(given);
    buffer_clear(&scratch);
    EXPECT_EQ(cloudevent_put_json(&scratch, message), OK);
    EXPECT_SPAN(buffer_borrow(&scratch), expected);
    json_t *event =
        json_loadb((const char *)scratch.bytes, scratch.length, JSON_REJECT_DUPLICATES, NULL);
    EXPECT_NOT_NULL(event);
    expect_sound_event(event);
    json_decref(event);
    message_unref(message);
}

#define HEAD "{\"specversion\":\"1.0\",\"id\":\"" ID "\",\"source\":\"/channels/"
#define BEHIND_TYPE ",\"time\":\"2026-01-31T08:05:09.123Z\",\"tidingsoffset\":\"43\""
#define TAIL "\",\"type\":\"message\"" BEHIND_TYPE

TEST(a_message_is_an_event_of_its_channel) {
    expect_event((struct message_fields){.channel = SPAN("tennis/court-1"),
                                         .event = SPAN("score"),
                                         .key = SPAN("k"),
                                         .payload = SPAN("{ \"a\" : 1.50 }")},
                 HEAD "tennis/court-1\",\"type\":\"score\"" BEHIND_TYPE
                      ",\"datacontenttype\":\"application/json\",\"partitionkey\":\"k\","
                      "\"data\":{ \"a\" : 1.50 }}");
}

TEST(a_source_is_a_uri_reference_and_names_no_tenant) {
    expect_event((struct message_fields){.channel = SPAN("\x01"
                                                         "acme/a b/\xC3\xA4?{"),
                                         .payload = SPAN("1")},
                 HEAD "a%20b/%C3%A4%3F%7B" TAIL
                      ",\"datacontenttype\":\"application/json\",\"data\":1}");
}

TEST(text_is_a_string_and_bytes_are_base64) {
    expect_event((struct message_fields){.channel = SPAN("a"),
                                         .payload_kind = PAYLOAD_TEXT,
                                         .payload = SPAN("say \"hi\"\n")},
                 HEAD "a" TAIL ",\"datacontenttype\":\"text/plain; charset=utf-8\","
                      "\"data\":\"say \\\"hi\\\"\\n\"}");
    expect_event((struct message_fields){.channel = SPAN("a"),
                                         .payload_kind = PAYLOAD_BINARY,
                                         .type = SPAN("image/png"),
                                         .payload = SPAN("\0\1")},
                 HEAD "a" TAIL ",\"datacontenttype\":\"image/png\",\"data_base64\":\"AAE=\"}");
}

/* A string in `data` would be taken for JSON that is a string. */
TEST(text_that_calls_itself_json_goes_as_bytes) {
    expect_event((struct message_fields){.channel = SPAN("a"),
                                         .payload_kind = PAYLOAD_TEXT,
                                         .type = SPAN("application/problem+json"),
                                         .payload = SPAN("{")},
                 HEAD
                 "a" TAIL
                 ",\"datacontenttype\":\"application/problem+json\",\"data_base64\":\"ew==\"}");
}

TEST(a_type_that_is_no_media_type_is_not_told) {
    expect_event((struct message_fields){.channel = SPAN("a"),
                                         .payload_kind = PAYLOAD_BINARY,
                                         .type = SPAN("whatever"),
                                         .payload = SPAN("x")},
                 HEAD "a" TAIL ",\"datacontenttype\":\"application/octet-stream\","
                      "\"data_base64\":\"eA==\"}");
}

TEST(a_trace_goes_with_the_event) {
    struct buffer map;
    buffer_init(&map, MESSAGE_HEADERS_BYTES_MAX);
    EXPECT_EQ(string_map_put(&map, SPAN("other"), SPAN("x")), OK);
    EXPECT_EQ(string_map_put(&map, SPAN("tracestate"), SPAN("a=b")), OK);
    EXPECT_EQ(string_map_put(&map, SPAN("traceparent"), SPAN("00-1-2-01")), OK);
    expect_event((struct message_fields){.channel = SPAN("a"),
                                         .headers = buffer_borrow(&map),
                                         .payload = SPAN("1")},
                 HEAD "a" TAIL ",\"traceparent\":\"00-1-2-01\",\"tracestate\":\"a=b\","
                      "\"datacontenttype\":\"application/json\",\"data\":1}");
    buffer_finish(&map);
}

/* Reads an event, makes the message that its publisher's channel would have, and writes it. */
static void expect_return(const char *text, const char *expected) {
    EXPECT_EQ(parse(text), OK);
    fields.channel = SPAN("a");
    fields.headers = buffer_borrow(&headers);
    struct buffer kept; /* the message's spans point into scratch, which is written to */
    buffer_init(&kept, 4000);
    struct message *message = make_message(fields);
    EXPECT_EQ(cloudevent_put_json(&kept, message), OK);
    EXPECT_SPAN(buffer_borrow(&kept), expected);
    message_unref(message);
    buffer_finish(&kept);
}

TEST(what_came_as_an_event_goes_out_as_that_event) {
    const char *event = "{\"specversion\":\"1.0\",\"id\":\"A234\",\"source\":\"/mycontext\","
                        "\"type\":\"com.example.t\",\"subject\":\"s\","
                        "\"time\":\"2018-04-05T17:31:00Z\",\"dataschema\":\"urn:x\",\"ext\":\"\","
                        "\"datacontenttype\":\"application/json\",\"partitionkey\":\"p\","
                        "\"data\":{\"x\" : [1]}}";
    expect_return(event, event);
    const char *binary =
        "{" REQUIRED ",\"datacontenttype\":\"image/png\",\"data_base64\":\"AAE=\"}";
    expect_return(binary, binary);
    const char *text = "{" REQUIRED ",\"datacontenttype\":\"text/plain\",\"data\":\"hi\"}";
    expect_return(text, text);
}

TEST(an_event_without_data_stays_without) {
    expect_return("{" REQUIRED "}", "{" REQUIRED "}");
    expect_return("{" REQUIRED ",\"flag\":true,\"number\":-5}",
                  "{" REQUIRED ",\"flag\":\"true\",\"number\":\"-5\"}");
}

/* Headers are anybody's: a publisher of MQTT may call them as it likes, and repeat them. */
TEST(headers_that_are_no_attributes_are_not_told) {
    struct buffer map;
    buffer_init(&map, MESSAGE_HEADERS_BYTES_MAX);
    static const char *const pairs[][2] = {
        {"ce-id", "1"},
        {"ce-specversion", "1.0"},
        {"ce-source", "/s"},
        {"ce-id", "2"},
        {"ce-type", "x"},
        {"ce-data", "x"},
        {"ce-Upper", "x"},
        {"ce-a_b", "x"},
        {"ce-time", "never"},
        {"ce-subject", ""},
        {"ce-", "x"},
        {"plain", "x"},
        {"ce-ext", "kept"},
        {"ce-ext", "twice"},
        {"ce-partitionkey", "x"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        EXPECT_EQ(string_map_put(&map, span_of_string(pairs[i][0]), span_of_string(pairs[i][1])),
                  OK);
    }
    expect_event((struct message_fields){.channel = SPAN("a"),
                                         .event = SPAN("com.example.t"),
                                         .headers = buffer_borrow(&map),
                                         .payload = SPAN("1")},
                 "{" REQUIRED ",\"ext\":\"kept\",\"datacontenttype\":\"application/json\","
                 "\"data\":1}");
    buffer_finish(&map);
}

TEST(an_event_that_does_not_fit_leaves_the_buffer_as_it_was) {
    struct buffer small;
    struct message *message =
        make_message((struct message_fields){.channel = SPAN("a"), .payload = SPAN("1")});
    buffer_init(&small, 150);
    EXPECT_EQ(buffer_put(&small, SPAN("abc")), OK);
    EXPECT_EQ(cloudevent_put_json(&small, message), ERR_TOO_LARGE);
    EXPECT_SPAN(buffer_borrow(&small), "abc");
    buffer_finish(&small);
    message_unref(message);
}

#define EVENT(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(EVENT(attributes_become_fields_and_headers), EVENT(data_is_what_its_content_type_says),
           EVENT(an_event_without_data_is_null), EVENT(an_attribute_that_is_null_is_not_there),
           EVENT(what_is_no_event_is_refused_and_the_attribute_named),
           EVENT(a_type_longer_than_an_event_is_refused),
           EVENT(header_values_are_unquoted_then_percent_decoded),
           EVENT(a_value_that_is_not_utf8_is_refused), EVENT(headers_that_do_not_fit_are_refused),
           EVENT(a_message_is_an_event_of_its_channel),
           EVENT(a_source_is_a_uri_reference_and_names_no_tenant),
           EVENT(text_is_a_string_and_bytes_are_base64),
           EVENT(text_that_calls_itself_json_goes_as_bytes),
           EVENT(a_type_that_is_no_media_type_is_not_told), EVENT(a_trace_goes_with_the_event),
           EVENT(what_came_as_an_event_goes_out_as_that_event),
           EVENT(an_event_without_data_stays_without),
           EVENT(headers_that_are_no_attributes_are_not_told),
           EVENT(an_event_that_does_not_fit_leaves_the_buffer_as_it_was))
