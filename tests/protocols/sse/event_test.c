/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sse/event.h"

#include "tests/unit.h"

static const struct place PLACE = {
    .log_id = 0x1122334455667788, .generation = 1, .position = 1000, .channel_id = 3, .offset = 42};
#define ID "t1v-eId2ZVRDMiEQED6Acq"

static struct message *make(enum payload_kind kind, const char *event, const char *payload) {
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .channel = SPAN("a"),
                                    .payload_kind = kind,
                                    .event = span_of_string(event),
                                    .payload = span_of_string(payload)};
    struct message *message = message_create(&fields);
    message_order(message, &PLACE, 1769846709123);
    return message;
}

static void expect_bare(enum payload_kind kind, const char *event, const char *payload,
                        const char *expected) {
    struct buffer buffer;
    buffer_init(&buffer, 2000);
    struct message *message = make(kind, event, payload);
    EXPECT_EQ(event_put_bare(&buffer, message), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), expected);
    message_unref(message);
    buffer_finish(&buffer);
}

TEST(an_envelope_is_one_event_without_a_name) {
    struct buffer buffer;
    buffer_init(&buffer, 2000);
    struct message *message = make(PAYLOAD_JSON, "goal", "{\"a\":\r\n1}");
    EXPECT_EQ(event_put_message(&buffer, message, 0), OK);
    EXPECT_SPAN(buffer_borrow(&buffer),
                "id: " ID "\ndata: {\"channel\":\"a\",\"offset\":42,\"id\":\"" ID
                "\",\"time\":\"2026-01-31T08:05:09.123Z\",\"data\":{\"a\":\ndata: 1},"
                "\"event\":\"goal\"}\n\n");
    message_unref(message);
    buffer_finish(&buffer);
}

TEST(a_bare_payload_has_the_messages_name) {
    expect_bare(PAYLOAD_JSON, "goal", "{}", "id: " ID "\nevent: goal\ndata: {}\n\n");
    expect_bare(PAYLOAD_TEXT, NULL, " x", "id: " ID "\ndata:  x\n\n");
    expect_bare(PAYLOAD_TEXT, NULL, "", "id: " ID "\ndata: \n\n");
}

TEST(every_kind_of_line_end_begins_a_line_of_data) {
    expect_bare(PAYLOAD_TEXT, NULL, "a\nb\rc\r\nd\n\re\n",
                "id: " ID "\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \ndata: e\ndata: \n\n");
    expect_bare(PAYLOAD_TEXT, NULL, "\n\n\n\n",
                "id: " ID "\ndata: \ndata: \ndata: \ndata: \ndata: \n\n");
    expect_bare(PAYLOAD_TEXT, NULL, "\r", "id: " ID "\ndata: \ndata: \n\n");
}

TEST(a_name_cannot_smuggle_lines) {
    expect_bare(PAYLOAD_TEXT, "x\ndata: evil", "a", "id: " ID "\ndata: a\n\n");
}

TEST(a_publisher_cannot_send_the_brokers_own_events) {
    expect_bare(PAYLOAD_JSON, "close", "{}", "id: " ID "\ndata: {}\n\n");
    expect_bare(PAYLOAD_JSON, "gap", "{}", "id: " ID "\ndata: {}\n\n");
    expect_bare(PAYLOAD_JSON, "closed", "{}", "id: " ID "\nevent: closed\ndata: {}\n\n");
}

TEST(binary_is_not_acceptable_bare) {
    struct buffer buffer;
    buffer_init(&buffer, 2000);
    struct message *message = make(PAYLOAD_BINARY, NULL, "a");
    EXPECT_EQ(event_put_bare(&buffer, message), ERR_NOT_ACCEPTABLE);
    EXPECT_EQ(buffer.length, 0);
    message_unref(message);
    buffer_finish(&buffer);
}

TEST(the_brokers_own_events_have_names) {
    struct buffer buffer;
    buffer_init(&buffer, 2000);
    struct storage_gap gap = {.selector = SPAN("a"), .gap = {GAP_EXPIRED, 1, 2}, .resumed = PLACE};
    EXPECT_EQ(event_put_comment(&buffer), OK);
    EXPECT_EQ(event_put_progress(&buffer, &PLACE), OK);
    EXPECT_EQ(event_put_gap(&buffer, &gap), OK);
    EXPECT_EQ(event_put_close(&buffer, "draining", true), OK);
    EXPECT_SPAN(buffer_borrow(&buffer),
                ":\n\nid: " ID "\n\nevent: gap\nid: " ID
                "\ndata: {\"channel\":\"a\",\"from\":1,\"to\":2,\"reason\":\"expired\",\"id\":\"" ID
                "\",\"first\":null,\"last\":null}\n\nevent: close\n"
                "data: {\"code\":\"draining\",\"reconnect\":true}\n\n");
    buffer_finish(&buffer);
}

TEST(an_event_that_does_not_fit_leaves_nothing) {
    struct message *message = make(PAYLOAD_TEXT, "goal", "a\nb\nc");
    for (size_t ceiling = 1; ceiling < 70; ceiling++) {
        struct buffer buffer;
        buffer_init(&buffer, ceiling);
        enum error_code code = event_put_bare(&buffer, message);
        EXPECT_EQ(buffer.length == 0, code != OK);
        buffer_finish(&buffer);
    }
    message_unref(message);
}

UNIT_TESTS(UNIT(an_envelope_is_one_event_without_a_name),
           UNIT(a_bare_payload_has_the_messages_name),
           UNIT(every_kind_of_line_end_begins_a_line_of_data), UNIT(a_name_cannot_smuggle_lines),
           UNIT(a_publisher_cannot_send_the_brokers_own_events),
           UNIT(binary_is_not_acceptable_bare), UNIT(the_brokers_own_events_have_names),
           UNIT(an_event_that_does_not_fit_leaves_nothing))
