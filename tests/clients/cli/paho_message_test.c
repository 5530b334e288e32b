/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/paho_message.h"

#include <stdlib.h>

#include "tests/unit.h"

static void expect_filter(const char *pattern, const char *expected) {
    char *filter = paho_filter_of(pattern);
    EXPECT_STRING(filter, expected);
    free(filter);
}

TEST(wildcards_are_turned_segment_by_segment) {
    expect_filter("tennis/*", "tennis/+");
    expect_filter("*/court/**", "+/court/#");
    expect_filter("**", "#");
    expect_filter("a*/b**", "a*/b**");
}

TEST(empty_segments_stay) {
    expect_filter("", "");
    expect_filter("/a//b/", "/a//b/");
    expect_filter("/*", "/+");
}

TEST(a_wildcard_is_a_whole_segment_and_the_hash_the_last) {
    static const char *const good[] = {"a", "/", "a//b", "+", "#", "a/+/b", "+/#", "a*/b**"};
    static const char *const bad[] = {"", "a+b", "+a", "a/#/b", "#/", "a#", "++", "a/##", "a/b+/c"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        EXPECT_TRUE(paho_is_filter(good[i]));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        EXPECT_FALSE(paho_is_filter(bad[i]));
    }
}

/* Of an array of the test's own: Paho's account of its memory begins with its first client. */
static void put_property(MQTTClient_message *message, enum MQTTPropertyCodes code, const char *name,
                         const char *value) {
    MQTTProperty *property = &message->properties.array[message->properties.count++];
    *property = (MQTTProperty){.identifier = code};
    property->value.data.data = (char *)(uintptr_t)name;
    property->value.data.len = (int)strlen(name);
    property->value.value.data = (char *)(uintptr_t)value;
    property->value.value.len = (int)strlen(value);
}

static void expect_envelope(const char *payload, size_t length, const char *type,
                            const char *expected) {
    MQTTClient_message message = MQTTClient_message_initializer;
    MQTTProperty properties[4];
    size_t envelope_length = 0;
    message.properties.array = properties;
    message.payload = (void *)(uintptr_t)payload;
    message.payloadlen = (int)length;
    if (type != NULL) {
        put_property(&message, MQTTPROPERTY_CODE_CONTENT_TYPE, type, "");
    }
    put_property(&message, MQTTPROPERTY_CODE_USER_PROPERTY, "id", "t1evil"); /* a publisher's */
    put_property(&message, MQTTPROPERTY_CODE_USER_PROPERTY, "offset", "7");
    put_property(&message, MQTTPROPERTY_CODE_USER_PROPERTY, "id", "t1x");
    char *envelope = paho_envelope_of("a/b", 3, &message, &envelope_length);
    EXPECT_STRING(envelope, expected);
    EXPECT_EQ(strlen(envelope), envelope_length);
    free(envelope);
}

TEST(json_is_put_in_as_it_came) {
    expect_envelope("{\"x\":1.50}", 10, NULL,
                    "{\"channel\":\"a/b\",\"offset\":7,\"id\":\"t1x\",\"data\":{\"x\":1.50}}");
    expect_envelope("2", 1, "application/json",
                    "{\"channel\":\"a/b\",\"offset\":7,\"id\":\"t1x\",\"data\":2}");
    expect_envelope("[1]", 3, "application/ld+json",
                    "{\"channel\":\"a/b\",\"offset\":7,\"id\":\"t1x\",\"data\":[1],"
                    "\"type\":\"application/ld+json\"}");
}

TEST(what_is_no_json_is_text) {
    expect_envelope("a\"b", 3, NULL,
                    "{\"channel\":\"a/b\",\"offset\":7,\"id\":\"t1x\",\"data\":\"a\\\"b\","
                    "\"type\":\"text/plain\"}");
    expect_envelope("1", 1, "text/csv",
                    "{\"channel\":\"a/b\",\"offset\":7,\"id\":\"t1x\",\"data\":\"1\","
                    "\"type\":\"text/csv\"}");
    expect_envelope("", 0, NULL,
                    "{\"channel\":\"a/b\",\"offset\":7,\"id\":\"t1x\",\"data\":\"\","
                    "\"type\":\"text/plain\"}");
}

TEST(what_is_no_text_is_base64) {
    expect_envelope("\xff\x01", 2, "image/png",
                    "{\"channel\":\"a/b\",\"offset\":7,\"id\":\"t1x\",\"data_base64\":\"/wE=\","
                    "\"type\":\"image/png\"}");
}

TEST(event_key_and_headers_have_members_of_their_own) {
    MQTTClient_message message = MQTTClient_message_initializer;
    MQTTProperty properties[4];
    size_t length = 0;
    message.properties.array = properties;
    message.payload = (void *)(uintptr_t) "1";
    message.payloadlen = 1;
    put_property(&message, MQTTPROPERTY_CODE_USER_PROPERTY, "tidings-event", "goal");
    put_property(&message, MQTTPROPERTY_CODE_USER_PROPERTY, "tidings-key", "k");
    put_property(&message, MQTTPROPERTY_CODE_USER_PROPERTY, "unit", "m\"s");
    put_property(&message, MQTTPROPERTY_CODE_USER_PROPERTY, "b", "");
    char *envelope = paho_envelope_of("c", 1, &message, &length);
    EXPECT_STRING(envelope, "{\"channel\":\"c\",\"data\":1,\"event\":\"goal\",\"key\":\"k\","
                            "\"headers\":{\"unit\":\"m\\\"s\",\"b\":\"\"}}");
    free(envelope);
}

UNIT_TESTS(UNIT(wildcards_are_turned_segment_by_segment), UNIT(empty_segments_stay),
           UNIT(a_wildcard_is_a_whole_segment_and_the_hash_the_last),
           UNIT(json_is_put_in_as_it_came), UNIT(what_is_no_json_is_text),
           UNIT(what_is_no_text_is_base64), UNIT(event_key_and_headers_have_members_of_their_own))
