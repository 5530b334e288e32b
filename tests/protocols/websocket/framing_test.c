/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/framing.h"

#include "tests/unit.h"

static struct buffer buffer;

static bool holds(const char *text) {
    return memmem(buffer.bytes, buffer.length, text, strlen(text)) != NULL;
}

/* The payload length that the first frame's header tells, and how long that header is. */
static size_t frame_length(size_t *ret_header_length) {
    uint8_t small = buffer.bytes[1];
    if (small < 126) {
        *ret_header_length = 2;
        return small;
    }
    EXPECT_EQ(small, 126);
    *ret_header_length = 4;
    return (size_t)buffer.bytes[2] << 8 | buffer.bytes[3];
}

TEST(a_message_is_one_text_frame_whatever_its_length) {
    static const size_t lengths[] = {1, 100, 2000};
    char payload[2001];
    memset(payload, '7', sizeof(payload));
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        struct message_fields fields = {
            .kind = MESSAGE_DATA, .channel = SPAN("a"), .payload = span_of(payload, lengths[i])};
        struct message *message = message_create(&fields);
        struct place place = {.log_id = 1, .generation = 1, .position = 1, .offset = 1};
        size_t header_length = 0;
        message_order(message, &place, 1700000000000);
        buffer_init(&buffer, 65536);
        EXPECT_EQ(websocket_framing.put_message(&buffer, message, &(struct frame_options){0}), OK);
        EXPECT_EQ(buffer.bytes[0], 0x81);
        EXPECT_EQ(frame_length(&header_length) + header_length, buffer.length);
        EXPECT_EQ(buffer.bytes[header_length], '{');
        EXPECT_EQ(buffer.bytes[buffer.length - 1], '}');
        buffer_finish(&buffer);
        message_unref(message);
    }
}

TEST(a_message_that_does_not_fit_adds_nothing) {
    struct message_fields fields = {
        .kind = MESSAGE_DATA, .channel = SPAN("a"), .payload = SPAN("1")};
    struct message *message = message_create(&fields);
    buffer_init(&buffer, 40);
    EXPECT_EQ(buffer_put(&buffer, SPAN("before")), OK);
    EXPECT_EQ(websocket_framing.put_message(&buffer, message, &(struct frame_options){0}),
              ERR_TOO_LARGE);
    EXPECT_SPAN(buffer_borrow(&buffer), "before");
    buffer_finish(&buffer);
    message_unref(message);
}

TEST(a_gap_is_a_frame_of_its_own) {
    struct storage_gap gap = {.selector = SPAN("a"),
                              .gap = {GAP_AHEAD, 0, 0},
                              .first = 1,
                              .last = 2,
                              .resumed = {.log_id = 1, .position = 2}};
    buffer_init(&buffer, 4096);
    EXPECT_EQ(websocket_framing.put_gap(&buffer, &gap, &(struct frame_options){0}), OK);
    EXPECT_TRUE(holds("{\"gap\":{\"channel\":\"a\""));
    EXPECT_TRUE(holds("\"reason\":\"ahead\""));
    buffer_finish(&buffer);
}

/* The frame that was renumbered and the one that was encoded so are the same. */
static void expect_renumbered(size_t payload_length) {
    static const uint64_t numbers[] = {1, 9, 10, 1000, UINT64_MAX};
    char payload[2000];
    memset(payload, '7', sizeof(payload));
    struct message_fields fields = {
        .kind = MESSAGE_DATA, .channel = SPAN("a"), .payload = span_of(payload, payload_length)};
    struct message *message = message_create(&fields);
    struct place place = {.log_id = 1, .generation = 1, .position = 1, .offset = 1};
    const struct framing *framing = &websocket_framing_subscribed;
    struct buffer other;
    message_order(message, &place, 1700000000000);
    buffer_init(&buffer, 65536);
    buffer_init(&other, 65536);
    EXPECT_EQ(framing->put_message(&other, message, &(struct frame_options){.subscription = 42}),
              OK);
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        struct frame_options options = {.subscription = numbers[i]};
        EXPECT_EQ(framing->put_message(&buffer, message, &options), OK);
        size_t length = buffer.length;
        EXPECT_EQ(framing->put_renumbered(&buffer, buffer_borrow(&other), numbers[i]), OK);
        EXPECT_EQ(buffer.length, 2 * length);
        EXPECT_EQ(memcmp(buffer.bytes, buffer.bytes + length, length), 0);
        buffer_clear(&buffer);
    }
    buffer_finish(&buffer);
    buffer_finish(&other);
    message_unref(message);
}

TEST(a_frame_of_one_subscription_becomes_that_of_another) {
    for (size_t length = 1; length < 60; length++) {
        expect_renumbered(length); /* the header grows on the way */
    }
    expect_renumbered(2000);
}

UNIT_TESTS(UNIT(a_frame_of_one_subscription_becomes_that_of_another),
           UNIT(a_message_is_one_text_frame_whatever_its_length),
           UNIT(a_message_that_does_not_fit_adds_nothing), UNIT(a_gap_is_a_frame_of_its_own))
