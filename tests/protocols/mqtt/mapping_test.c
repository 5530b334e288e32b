/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/mapping.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/limits.h"
#include "broker/support/string_map.h"
#include "tests/protocols/mqtt/packets.h"

static struct buffer headers;
static struct message_fields fields;
static struct span idempotency_key;
static struct error why;

/* A PUBLISH of 5.0 from behind its first byte, as a message. */
static enum error_code take(uint8_t first, const char *body) {
    static struct mqtt_packet packet;
    struct mqtt_refusal refusal;
    buffer_finish(&headers);
    buffer_init(&headers, MESSAGE_HEADERS_BYTES_MAX);
    EXPECT_EQ(read_packet(packet_of(first, body), &from_client_5, &packet, &refusal, &why), OK);
    return mapping_take(&packet.publish, packet.publish.topic, &headers, &fields, &idempotency_key,
                        &why);
}

static int finish(void **state) {
    (void)state;
    buffer_finish(&headers);
    return 0;
}

TEST(a_payload_is_looked_at_where_no_type_is_given) {
    EXPECT_EQ(take(0x30, "0001 'a' 00 '{}'"), OK);
    EXPECT_EQ(fields.payload_kind, PAYLOAD_JSON);
    EXPECT_EQ(fields.type.length, 0);
    EXPECT_EQ(take(0x30, "0001 'a' 00 '{'"), OK);
    EXPECT_EQ(fields.payload_kind, PAYLOAD_TEXT);
    EXPECT_EQ(take(0x30, "0001 'a' 00 ff"), OK);
    EXPECT_EQ(fields.payload_kind, PAYLOAD_BINARY);
    EXPECT_EQ(take(0x30, "0001 'a' 00"), OK);
    EXPECT_EQ(fields.payload_kind, PAYLOAD_TEXT);
    EXPECT_SPAN(fields.channel, "a");
}

TEST(a_content_type_is_kept_as_it_is) { /* [MQTT-3.3.2-20] */
    EXPECT_EQ(take(0x30, "0001 'a' 13 03 0010 'application/json' '{}'"), OK);
    EXPECT_EQ(fields.payload_kind, PAYLOAD_JSON);
    EXPECT_SPAN(fields.type, "application/json");
    EXPECT_EQ(take(0x30, "0001 'a' 0c 03 0009 'image/png' 'x'"), OK);
    EXPECT_EQ(fields.payload_kind, PAYLOAD_BINARY);
    EXPECT_EQ(take(0x30, "0001 'a' 08 03 0005 'my/ty' 'x'"), OK);
    EXPECT_SPAN(fields.type, "my/ty");
}

#define EIGHT "[[[[[[[["
#define DEEP EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT "["

TEST(what_is_said_to_be_json_has_to_be) {
    EXPECT_EQ(take(0x30, "0001 'a' 13 03 0010 'application/json' '{'"), ERR_BAD_JSON);
    EXPECT_NOT_NULL(strstr(why.detail, "at byte 1"));
    EXPECT_EQ(take(0x30, "0001 'a' 13 03 0010 'application/json'"), OK);
    EXPECT_EQ(take(0x30, "0001 'a' 0d 03 000a 'text/plain' ff"), OK);
    EXPECT_EQ(fields.payload_kind, PAYLOAD_BINARY);
    EXPECT_EQ(take(0x30, "0001 'a' 00 '" DEEP "'"), OK); /* nobody said that it is JSON */
    EXPECT_EQ(fields.payload_kind, PAYLOAD_TEXT);
}

TEST(what_is_said_to_be_utf8_has_to_be) {
    EXPECT_EQ(take(0x30, "0001 'a' 02 01 01 'x'"), OK);
    EXPECT_TRUE((fields.flags & MESSAGE_UTF8) != 0);
    EXPECT_EQ(take(0x30, "0001 'a' 02 01 00 ff"), OK);
    EXPECT_TRUE((fields.flags & MESSAGE_UTF8) == 0);
    EXPECT_EQ(take(0x30, "0001 'a' 02 01 01 ff"), ERR_BAD_UTF8);
}

TEST(flags_and_lifetime_are_kept) {
    EXPECT_EQ(take(0x35, "0001 'a' 0001 05 02 0000000a 'x'"), OK);
    EXPECT_EQ(fields.qos, 2);
    EXPECT_EQ(fields.flags, MESSAGE_MQTT | MESSAGE_RETAIN);
    EXPECT_EQ(fields.ttl_ms, 10000);
    EXPECT_EQ(take(0x30, "0001 'a' 05 02 00000000 'x'"), OK);
    EXPECT_EQ(fields.ttl_ms, 1); /* over at once, where 0 would be never */
}

TEST(user_properties_keep_their_order_and_repeats) { /* [MQTT-3.3.2-18] */
    struct span name, value;
    EXPECT_EQ(take(0x30, "0001 'a' 15 26 0001 'x' 0001 '1' 26 0001 'b' 0001 '2'"
                         "26 0001 'x' 0001 '3' 'p'"),
              OK);
    struct span rest = fields.headers;
    static const char *const values[] = {"1", "2", "3"};
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        EXPECT_TRUE(string_map_next(&rest, &name, &value));
        EXPECT_SPAN(value, values[i]);
    }
    EXPECT_FALSE(string_map_next(&rest, &name, &value));
}

TEST(some_user_properties_mean_something) {
    EXPECT_EQ(take(0x30, "0001 'a' 44 26 000d 'tidings-event' 0004 'goal'"
                         "26 000b 'tidings-key' 0001 'k' 26 000f 'idempotency-key' 0002 'ik'"
                         "26 0001 'x' 0001 'y' 'p'"),
              OK);
    EXPECT_SPAN(fields.event, "goal");
    EXPECT_SPAN(fields.key, "k");
    EXPECT_SPAN(idempotency_key, "ik");
    EXPECT_EQ(fields.headers.length, 6);
    EXPECT_EQ(take(0x30, "0001 'a' 22 26 000b 'tidings-key' 0001 'k'"
                         "26 000b 'tidings-key' 0001 'l' 'p'"),
              ERR_BAD_REQUEST);
    EXPECT_STRING(why.field, "tidings-key");
}

/* What an ordered message is as a PUBLISH. */
static void give(bool has_place, uint64_t now_ms, struct buffer *properties,
                 struct message **ret_message, struct mqtt_publish *ret_publish) {
    struct place place = {
        .log_id = 1, .generation = 1, .position = 9, .channel_id = 1, .offset = 120};
    *ret_message = message_create(&fields);
    EXPECT_NOT_NULL(*ret_message);
    message_order(*ret_message, &place, 1000000);
    const struct mapping_extras extras = {.has_place = has_place};
    EXPECT_EQ(mapping_give(*ret_message, now_ms, &extras, properties, ret_publish), OK);
}

TEST(what_came_in_goes_out_as_it_was) {
    struct buffer properties;
    struct message *message;
    struct mqtt_publish publish;
    struct span name, value;
    buffer_init(&properties, 1000);
    EXPECT_EQ(take(0x30, "0001 'a' 33 01 01 02 0000000a 03 0003 'c/t' 08 0001 'r' 09 0002 ff00"
                         "26 000d 'tidings-event' 0004 'goal' 26 0001 'x' 0001 'y' 'p'"),
              OK);
    give(true, 1003000, &properties, &message, &publish);
    EXPECT_SPAN(publish.topic, "a");
    EXPECT_SPAN(publish.payload, "p");
    EXPECT_EQ(publish.properties.payload_format_indicator, 1);
    EXPECT_EQ(publish.properties.message_expiry_interval, 7); /* [MQTT-3.3.2-6] */
    EXPECT_SPAN(publish.properties.content_type, "c/t");
    EXPECT_SPAN(publish.properties.response_topic, "r");
    EXPECT_EQ(publish.properties.correlation_data.length, 2);
    struct span rest = publish.properties.user_properties;
    static const char *const names[] = {"tidings-event", "x", "offset", "id"};
    static const char *const values[] = {"goal", "y", "120"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        EXPECT_TRUE(mqtt_user_property_next(&rest, &name, &value));
        EXPECT_SPAN(name, names[i]);
        if (i < ARRAY_COUNT(values)) {
            EXPECT_SPAN(value, values[i]);
        }
    }
    message_unref(message);
    buffer_finish(&properties);
}

static void expect_values(const struct mapping_extras *extras, const char *name,
                          const char *expected) {
    struct place place = {.log_id = 1, .generation = 1, .position = 9, .offset = 120};
    struct mqtt_publish publish;
    struct buffer properties;
    struct span found_name, value;
    char found[64] = "";
    struct message *message = message_create(&fields);
    EXPECT_NOT_NULL(message);
    message_order(message, &place, 1000000);
    buffer_init(&properties, 1000);
    EXPECT_EQ(mapping_give(message, 1000000, extras, &properties, &publish), OK);
    struct span rest = publish.properties.user_properties;
    while (mqtt_user_property_next(&rest, &found_name, &value)) {
        if (span_is_equal(found_name, span_of_string(name))) {
            size_t length = strlen(found);
            snprintf(found + length, sizeof(found) - length, "%.*s;", (int)value.length,
                     (const char *)value.bytes);
        }
    }
    EXPECT_STRING(found, expected);
    buffer_finish(&properties);
    message_unref(message);
}

TEST(a_publisher_does_not_speak_for_the_broker) {
    const struct mapping_extras none = {0}, place = {.has_place = true}, skipped = {.skipped = 7};
    EXPECT_EQ(take(0x30, "0001 'a' 2b 26 0006 'offset' 0001 '1' 26 0002 'id' 0004 'evil'"
                         "26 0007 'skipped' 0001 '2' 26 0002 'id' 0000 'p'"),
              OK);
    expect_values(&none, "id", "evil;;");
    expect_values(&none, "skipped", "2;");
    expect_values(&place, "offset", "120;");
    expect_values(&place, "skipped", "");
    expect_values(&skipped, "offset", "1;");
    expect_values(&skipped, "skipped", "7;");
}

TEST(an_event_and_a_key_are_said_once) {
    const struct mapping_extras none = {0};
    EXPECT_EQ(take(0x30, "0001 'a' 00 'p'"), OK);
    EXPECT_EQ(string_map_put(&headers, SPAN(MAPPING_EVENT), SPAN("evil")), OK);
    EXPECT_EQ(string_map_put(&headers, SPAN(MAPPING_KEY), SPAN("k")), OK);
    fields.headers = buffer_borrow(&headers);
    fields.event = SPAN("goal");
    expect_values(&none, MAPPING_EVENT, "goal;");
    expect_values(&none, MAPPING_KEY, "k;");
}

TEST(what_is_not_said_is_not_sent) {
    struct buffer properties;
    struct message *message;
    struct mqtt_publish publish;
    buffer_init(&properties, 1000);
    EXPECT_EQ(take(0x30, "0001 'a' 00 'text'"), OK);
    give(false, 1000000, &properties, &message, &publish);
    EXPECT_EQ(publish.properties.present, 0);
    message_unref(message);
    buffer_finish(&properties);
}

TEST(a_lifetime_never_grows) {
    struct buffer properties;
    struct message *message;
    struct mqtt_publish publish;
    buffer_init(&properties, 1000);
    EXPECT_EQ(take(0x30, "0001 'a' 05 02 0000000a 'x'"), OK);
    give(false, 900000, &properties, &message, &publish); /* the clock went back */
    EXPECT_EQ(publish.properties.message_expiry_interval, 10);
    message_unref(message);
    buffer_finish(&properties);
}

#define MAPPING(name) cmocka_unit_test_teardown(name, finish)
UNIT_TESTS(MAPPING(a_payload_is_looked_at_where_no_type_is_given),
           MAPPING(a_content_type_is_kept_as_it_is), MAPPING(what_is_said_to_be_json_has_to_be),
           MAPPING(what_is_said_to_be_utf8_has_to_be), MAPPING(flags_and_lifetime_are_kept),
           MAPPING(user_properties_keep_their_order_and_repeats),
           MAPPING(some_user_properties_mean_something), MAPPING(what_came_in_goes_out_as_it_was),
           MAPPING(a_publisher_does_not_speak_for_the_broker),
           MAPPING(an_event_and_a_key_are_said_once), MAPPING(what_is_not_said_is_not_sent),
           MAPPING(a_lifetime_never_grows))
