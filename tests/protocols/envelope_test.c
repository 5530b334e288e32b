/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/envelope.h"

#include <jansson.h>

#include "broker/support/string_map.h"
#include "tests/unit.h"

static const struct place PLACE = {
    .log_id = 0x1122334455667788, .generation = 1, .position = 1000, .channel_id = 3, .offset = 42};
#define ID "t1v-eId2ZVRDMiEQED6Acq"
#define HEAD                                                                                       \
    "{\"channel\":\"tennis/court-1\",\"offset\":42,\"id\":\"" ID                                   \
    "\",\"time\":\"2026-01-31T08:05:09.123Z\","

static struct message *make(struct message_fields fields) {
    fields.kind = MESSAGE_DATA;
    fields.channel = SPAN("tennis/court-1");
    struct message *message = message_create(&fields);
    message_order(message, &PLACE, 1769846709123);
    return message;
}

static void expect_envelope(struct message_fields fields, const struct envelope_options *options,
                            const char *expected) {
    struct buffer buffer;
    buffer_init(&buffer, 4000);
    struct message *message = make(fields);
    EXPECT_EQ(envelope_put(&buffer, message, options), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), expected);
    json_t *json = json_loadb((const char *)buffer.bytes, buffer.length, 0, NULL);
    EXPECT_NOT_NULL(json);
    json_decref(json);
    message_unref(message);
    buffer_finish(&buffer);
}

TEST(json_goes_out_byte_for_byte) {
    expect_envelope(
        (struct message_fields){.payload = SPAN("{ \"a\" : 1.50e0,\n\"b\":\"\\u00fc\"}")}, NULL,
        HEAD "\"data\":{ \"a\" : 1.50e0,\n\"b\":\"\\u00fc\"}}");
}

TEST(text_is_a_string_with_its_type) {
    expect_envelope((struct message_fields){.payload_kind = PAYLOAD_TEXT,
                                            .type = SPAN("text/plain"),
                                            .payload = SPAN("say \"hi\"\r\n")},
                    NULL, HEAD "\"data\":\"say \\\"hi\\\"\\r\\n\",\"type\":\"text/plain\"}");
}

TEST(what_came_by_mqtt_without_a_type_is_given_one) {
    expect_envelope((struct message_fields){.payload_kind = PAYLOAD_TEXT}, NULL,
                    HEAD "\"data\":\"\",\"type\":\"text/plain\"}");
    expect_envelope(
        (struct message_fields){.payload_kind = PAYLOAD_BINARY, .payload = SPAN("\xFF\xFE")}, NULL,
        HEAD "\"data_base64\":\"//4=\",\"type\":\"application/octet-stream\"}");
    expect_envelope((struct message_fields){.payload = SPAN("1")}, NULL, HEAD "\"data\":1}");
}

TEST(bytes_are_base64) {
    expect_envelope((struct message_fields){.payload_kind = PAYLOAD_BINARY,
                                            .type = SPAN("image/png"),
                                            .payload = SPAN("\xFF\xFE")},
                    NULL, HEAD "\"data_base64\":\"//4=\",\"type\":\"image/png\"}");
}

TEST(a_header_that_came_more_than_once_has_all_its_values) {
    static const char *const pairs[][2] = {{"k", "1"}, {"b", "\""}, {"k", "2"}, {"", ""},
                                           {"b", ""},  {"k", "1"},  {"c", "3"}};
    struct buffer headers;
    buffer_init(&headers, 100);
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        EXPECT_EQ(
            string_map_put(&headers, span_of_string(pairs[i][0]), span_of_string(pairs[i][1])), OK);
    }
    expect_envelope(
        (struct message_fields){.headers = buffer_borrow(&headers), .payload = SPAN("1")}, NULL,
        HEAD "\"data\":1,\"headers\":{\"k\":\"1, 2, 1\",\"b\":\"\\\", \","
             "\"\":\"\",\"c\":\"3\"}}");
    buffer_finish(&headers);
}

TEST(optional_fields_come_in_their_order) {
    struct buffer headers;
    buffer_init(&headers, 100);
    EXPECT_EQ(string_map_put(&headers, SPAN("lang"), SPAN("de")), OK);
    EXPECT_EQ(string_map_put(&headers, SPAN("a\"b"), SPAN("")), OK);
    struct envelope_options options = {.subscription = 7, .skipped = 3};
    expect_envelope((struct message_fields){.type = SPAN("application/json"),
                                            .event = SPAN("goal"),
                                            .key = SPAN("k"),
                                            .headers = buffer_borrow(&headers),
                                            .payload = SPAN("1")},
                    &options,
                    "{\"sub\":7,\"channel\":\"tennis/court-1\",\"offset\":42,\"id\":\"" ID
                    "\",\"time\":\"2026-01-31T08:05:09.123Z\",\"data\":1,\"event\":\"goal\","
                    "\"key\":\"k\",\"headers\":{\"lang\":\"de\",\"a\\\"b\":\"\"},\"skipped\":3}");
    buffer_finish(&headers);
}

TEST(an_envelope_that_does_not_fit_leaves_nothing) {
    struct message *message = make((struct message_fields){.payload = SPAN("1234567890")});
    for (size_t ceiling = 1; ceiling < 110; ceiling += 7) {
        struct buffer buffer;
        buffer_init(&buffer, ceiling);
        EXPECT_EQ(envelope_put(&buffer, message, NULL), ERR_TOO_LARGE);
        EXPECT_EQ(buffer.length, 0);
        buffer_finish(&buffer);
    }
    message_unref(message);
}

TEST(a_gap_says_what_is_known) {
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    struct storage_gap gap = {.selector = SPAN("a"),
                              .gap = {GAP_EXPIRED, 44, 90},
                              .resumed = PLACE,
                              .first = 91,
                              .last = 120};
    EXPECT_EQ(envelope_put_gap(&buffer, &gap), OK);
    EXPECT_SPAN(buffer_borrow(&buffer),
                "{\"channel\":\"a\",\"from\":44,\"to\":90,\"reason\":\"expired\",\"id\":\"" ID
                "\",\"first\":91,\"last\":120}");
    gap = (struct storage_gap){.selector = SPAN("a"), .gap = {GAP_EPOCH, 0, 0}, .resumed = PLACE};
    buffer_clear(&buffer);
    EXPECT_EQ(envelope_put_gap(&buffer, &gap), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), "{\"channel\":\"a\",\"reason\":\"epoch\",\"id\":\"" ID
                                        "\",\"first\":null,\"last\":null}");
    gap.gap = (struct gap){GAP_DELETED, 1, 2};
    buffer_clear(&buffer);
    EXPECT_EQ(envelope_put_gap(&buffer, &gap), OK);
    EXPECT_SPAN(buffer_borrow(&buffer),
                "{\"channel\":\"a\",\"from\":1,\"to\":2,\"reason\":\"deleted\",\"id\":\"" ID
                "\",\"first\":null,\"last\":null}");
    gap.first = 1; /* and no last: told by the delete itself */
    buffer_clear(&buffer);
    EXPECT_EQ(envelope_put_gap(&buffer, &gap), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), "{\"channel\":\"a\",\"from\":1,\"to\":2,"
                                        "\"reason\":\"deleted\",\"id\":\"" ID "\"}");
    buffer_finish(&buffer);
}

TEST(a_page_has_its_bounds_and_ids) {
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    struct envelope_page page = {.first = 1, .last = 9, .next = &PLACE, .at_head = true};
    EXPECT_EQ(envelope_put_page_head(&buffer), OK);
    EXPECT_EQ(envelope_put_page_tail(&buffer, &page), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), "{\"messages\":[],\"first\":1,\"last\":9,\"prev\":null,"
                                        "\"next\":\"" ID "\",\"at_head\":true}");
    struct storage_gap gap = {.selector = SPAN("a"), .gap = {GAP_AHEAD, 0, 0}, .resumed = PLACE};
    page = (struct envelope_page){.prev = &PLACE, .next = &PLACE, .gap = &gap};
    buffer_clear(&buffer);
    EXPECT_EQ(envelope_put_page_tail(&buffer, &page), OK);
    EXPECT_SPAN(buffer_borrow(&buffer),
                "],\"first\":null,\"last\":null,\"prev\":\"" ID "\",\"next\":\"" ID
                "\",\"at_head\":false,\"gap\":{\"channel\":\"a\",\"reason\":\"ahead\",\"id\":\"" ID
                "\",\"first\":null,\"last\":null}}");
    buffer_clear(&buffer);
    EXPECT_EQ(envelope_put_id(&buffer, "at", &PLACE), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), "\"at\":\"" ID "\"");
    buffer_finish(&buffer);
}

UNIT_TESTS(UNIT(json_goes_out_byte_for_byte), UNIT(text_is_a_string_with_its_type),
           UNIT(what_came_by_mqtt_without_a_type_is_given_one), UNIT(bytes_are_base64),
           UNIT(a_header_that_came_more_than_once_has_all_its_values),
           UNIT(optional_fields_come_in_their_order),
           UNIT(an_envelope_that_does_not_fit_leaves_nothing), UNIT(a_gap_says_what_is_known),
           UNIT(a_page_has_its_bounds_and_ids))
