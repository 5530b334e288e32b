/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/message_object.h"

#include <stdio.h>

#include "broker/support/string_map.h"
#include "tests/unit.h"

static struct buffer scratch;
static struct message_object object;
static struct error why;

static enum error_code parse_with(const char *text, bool may_have_idempotency_key) {
    struct json_value value;
    buffer_finish(&scratch);
    buffer_init(&scratch, 100000);
    why = (struct error){0};
    EXPECT_EQ(json_parse(span_of_string(text), &value, NULL, NULL), OK);
    EXPECT_EQ(buffer_reserve(&scratch, message_object_scratch_bytes(value.text)), OK);
    return message_object_parse(value, may_have_idempotency_key, &scratch, &object, &why);
}

static enum error_code parse(const char *text) {
    return parse_with(text, false);
}

static int end(void **state) {
    (void)state;
    buffer_finish(&scratch);
    return 0;
}

TEST(an_object_has_all_fields_of_a_message) {
    EXPECT_EQ(parse("{\"channel\":\"chat\\/7\",\"data\":{ \"n\": 1.50e+2},\"event\":\"goal\","
                    "\"key\":\"\\u00fc\",\"headers\":{\"lang\":\"de\",\"x\":\"\"},\"ttl\":60,"
                    "\"retain\":true}"),
              OK);
    EXPECT_EQ(object.fields.kind, MESSAGE_DATA);
    EXPECT_SPAN(object.fields.channel, "chat/7");
    EXPECT_EQ(object.fields.payload_kind, PAYLOAD_JSON);
    EXPECT_SPAN(object.fields.payload, "{ \"n\": 1.50e+2}");
    EXPECT_SPAN(object.fields.event, "goal");
    EXPECT_SPAN(object.fields.key, "\xC3\xBC");
    EXPECT_EQ(object.fields.ttl_ms, 60000);
    EXPECT_EQ(object.fields.flags, MESSAGE_RETAIN);
    struct span rest = object.fields.headers, name, value;
    EXPECT_TRUE(string_map_next(&rest, &name, &value));
    EXPECT_SPAN(name, "lang");
    EXPECT_SPAN(value, "de");
    EXPECT_TRUE(string_map_next(&rest, &name, &value));
    EXPECT_SPAN(name, "x");
    EXPECT_EQ(value.length, 0);
    EXPECT_FALSE(string_map_next(&rest, &name, &value));
}

TEST(a_type_says_what_data_is) {
    EXPECT_EQ(parse("{\"data\":\"a\\nb\",\"type\":\"text/plain\"}"), OK);
    EXPECT_EQ(object.fields.payload_kind, PAYLOAD_TEXT);
    EXPECT_SPAN(object.fields.payload, "a\nb");
    EXPECT_SPAN(object.fields.type, "text/plain");
    EXPECT_EQ(parse("{\"type\":\"application/json\",\"data\":\"a\"}"), OK);
    EXPECT_SPAN(object.fields.payload, "\"a\"");
    EXPECT_EQ(object.fields.type.length, 0);
    EXPECT_EQ(parse("{\"type\":\"application/geo+json\",\"data\":{}}"), OK);
    EXPECT_EQ(object.fields.payload_kind, PAYLOAD_JSON);
    EXPECT_SPAN(object.fields.type, "application/geo+json");
    EXPECT_EQ(parse("{\"type\":\"text/plain\",\"data\":{}}"), ERR_BAD_REQUEST);
    EXPECT_STRING(why.field, "data");
}

TEST(base64_is_bytes_unless_a_type_says_more) {
    EXPECT_EQ(parse("{\"data_base64\":\"AAE=\"}"), OK);
    EXPECT_EQ(object.fields.payload_kind, PAYLOAD_BINARY);
    EXPECT_EQ(object.fields.payload.length, 2);
    EXPECT_SPAN(object.fields.type, "application/octet-stream");
    EXPECT_EQ(parse("{\"data_base64\":\"\\/\\/\\u002f\\/\",\"type\":\"image/png\"}"), OK);
    EXPECT_EQ(object.fields.payload.length, 3);
    EXPECT_SPAN(object.fields.type, "image/png");
    EXPECT_EQ(parse("{\"data_base64\":\"MQ==\",\"type\":\"application/json\"}"), OK);
    EXPECT_EQ(object.fields.payload_kind, PAYLOAD_JSON);
    EXPECT_SPAN(object.fields.payload, "1");
    EXPECT_EQ(parse("{\"data_base64\":\"/w==\",\"type\":\"text/plain\"}"), ERR_BAD_UTF8);
    EXPECT_STRING(why.field, "data_base64");
}

static const struct {
    const char *text, *field;
} faults[] = {
    {"[]", ""},
    {"1", ""},
    {"{}", "data"},
    {"{\"data\":1,\"data_base64\":\"\"}", "data"},
    {"{\"data\":1,\"data\":2}", "data"},
    {"{\"data\":1,\"dta\":2}", "dta"},
    {"{\"data\":1,\"idempotency_key\":\"k\"}", "idempotency_key"},
    {"{\"data\":1,\"channel\":7}", "channel"},
    {"{\"data\":1,\"channel\":\"\"}", "channel"},
    {"{\"data\":1,\"type\":\"nonsense\"}", "type"},
    {"{\"data\":1,\"type\":\"text/plain; charset=latin1\"}", "type"},
    {"{\"data\":1,\"event\":\"a\\nb\"}", "event"},
    {"{\"data\":1,\"key\":\"\\ud800\"}", "key"},
    {"{\"data\":1,\"key\":\"a\\u0000b\"}", "key"},
    {"{\"data\":1,\"headers\":[]}", "headers"},
    {"{\"data\":1,\"headers\":{\"a\":1}}", "headers"},
    {"{\"data\":1,\"headers\":{\"\":\"a\"}}", "headers"},
    {"{\"data\":1,\"headers\":{\"a\":\"1\",\"\\u0061\":\"2\"}}", "headers"},
    {"{\"data\":1,\"ttl\":0}", "ttl"},
    {"{\"data\":1,\"ttl\":1.5}", "ttl"},
    {"{\"data\":1,\"ttl\":3153600001}", "ttl"},
    {"{\"data\":1,\"retain\":1}", "retain"},
    {"{\"data_base64\":\"!\"}", "data_base64"},
    {"{\"data_base64\":1}", "data_base64"},
};

TEST(what_is_no_message_is_refused_and_the_member_named) {
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        EXPECT_TRUE(parse(faults[i].text) != OK);
        EXPECT_STRING(why.field, faults[i].field);
        EXPECT_TRUE(why.detail[0] != '\0');
    }
}

TEST(an_idempotency_key_is_a_member_where_it_may_be_one) {
    EXPECT_EQ(parse_with("{\"data\":1,\"idempotency_key\":\"k\\u0031\"}", true), OK);
    EXPECT_SPAN(object.idempotency_key, "k1");
}

TEST(a_long_name_that_is_not_known_is_shown_in_part) {
    char text[300];
    snprintf(text, sizeof(text), "{\"%0*d\":1}", 200, 0);
    EXPECT_EQ(parse(text), ERR_BAD_REQUEST);
    EXPECT_EQ(strlen(why.field), 40 + strlen("…"));
}

TEST(headers_have_a_bound) {
    char text[4096] = "{\"data\":1,\"headers\":{";
    size_t length = strlen(text);
    for (int i = 0; i < 101; i++) {
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s\"n%d\":\"\"",
                                   i == 0 ? "" : ",", i);
    }
    snprintf(text + length, sizeof(text) - length, "}}");
    EXPECT_EQ(parse(text), ERR_BAD_REQUEST);
    EXPECT_STRING(why.field, "headers");
}

#define OBJECT(name) cmocka_unit_test_teardown(name, end)

UNIT_TESTS(OBJECT(an_object_has_all_fields_of_a_message), OBJECT(a_type_says_what_data_is),
           OBJECT(base64_is_bytes_unless_a_type_says_more),
           OBJECT(what_is_no_message_is_refused_and_the_member_named),
           OBJECT(an_idempotency_key_is_a_member_where_it_may_be_one),
           OBJECT(a_long_name_that_is_not_known_is_shown_in_part), OBJECT(headers_have_a_bound))
