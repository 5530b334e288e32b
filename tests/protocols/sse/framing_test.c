/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sse/framing.h"

#include "tests/unit.h"

static struct buffer buffer;

static enum error_code put(const struct framing *framing, enum payload_kind kind) {
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .payload_kind = kind,
                                    .channel = SPAN("a"),
                                    .event = SPAN("goal"),
                                    .payload = SPAN("1")};
    struct message *message = message_create(&fields);
    struct place place = {
        .log_id = 1, .generation = 1, .position = 1, .channel_id = 1, .offset = 1};
    message_order(message, &place, 1700000000000);
    buffer_init(&buffer, 4096);
    enum error_code code = framing->put_message(&buffer, message, &(struct frame_options){0});
    message_unref(message);
    return code;
}

static bool holds(const char *text) {
    return memmem(buffer.bytes, buffer.length, text, strlen(text)) != NULL;
}

TEST(a_frame_is_one_whole_event) {
    EXPECT_EQ(put(&sse_framing, PAYLOAD_JSON), OK);
    EXPECT_TRUE(holds("id: t1"));
    EXPECT_TRUE(holds("\"data\":1"));
    EXPECT_FALSE(holds("event:"));
    EXPECT_TRUE(buffer.length > 2 && memcmp(buffer.bytes + buffer.length - 2, "\n\n", 2) == 0);
    buffer_finish(&buffer);
}

TEST(a_bare_frame_carries_the_event_and_no_binary) {
    EXPECT_EQ(put(&sse_framing_bare, PAYLOAD_JSON), OK);
    EXPECT_TRUE(holds("event: goal\n"));
    EXPECT_TRUE(holds("data: 1\n\n"));
    buffer_finish(&buffer);
    EXPECT_EQ(put(&sse_framing_bare, PAYLOAD_BINARY), ERR_NOT_ACCEPTABLE);
    EXPECT_EQ(buffer.length, 0);
    buffer_finish(&buffer);
}

TEST(a_gap_is_an_event_with_the_offsets) {
    struct storage_gap gap = {.selector = SPAN("a"),
                              .gap = {GAP_EXPIRED, 4, 15},
                              .first = 16,
                              .last = 20,
                              .resumed = {.log_id = 1, .position = 15}};
    buffer_init(&buffer, 4096);
    EXPECT_EQ(sse_framing.put_gap(&buffer, &gap, &(struct frame_options){0}), OK);
    EXPECT_TRUE(holds("event: gap\n"));
    EXPECT_TRUE(holds("\"from\":4,\"to\":15"));
    buffer_finish(&buffer);
}

UNIT_TESTS(UNIT(a_frame_is_one_whole_event), UNIT(a_bare_frame_carries_the_event_and_no_binary),
           UNIT(a_gap_is_an_event_with_the_offsets))
