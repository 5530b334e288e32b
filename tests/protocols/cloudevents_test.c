/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/cloudevents.h"

#include <stdio.h>

#include "broker/limits.h"
#include "broker/support/string_map.h"
#include "protocols/message_object.h"
#include "tests/unit.h"

#define REQUIRED "\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"com.example.t\""

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

#define EVENT(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(EVENT(attributes_become_fields_and_headers), EVENT(data_is_what_its_content_type_says),
           EVENT(an_event_without_data_is_null), EVENT(an_attribute_that_is_null_is_not_there),
           EVENT(what_is_no_event_is_refused_and_the_attribute_named),
           EVENT(a_type_longer_than_an_event_is_refused),
           EVENT(header_values_are_unquoted_then_percent_decoded),
           EVENT(a_value_that_is_not_utf8_is_refused), EVENT(headers_that_do_not_fit_are_refused))
