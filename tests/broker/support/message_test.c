/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/message.h"

#include "tests/unit.h"

TEST(a_message_owns_copies_of_all_its_fields) {
    char channel[] = "tennis/court-1", payload[] = "{\"score\":\"40-15\"}";
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .channel = span_of_string(channel),
                                    .event = SPAN("point"),
                                    .payload = span_of_string(payload)};
    struct message *message = message_create(&fields);
    memset(channel, 'x', sizeof(channel));
    memset(payload, 'x', sizeof(payload));
    EXPECT_SPAN(message->fields.channel, "tennis/court-1");
    EXPECT_SPAN(message->fields.event, "point");
    EXPECT_EQ(message->fields.key.length, 0);
    EXPECT_SPAN(message->fields.payload, "{\"score\":\"40-15\"}");
    EXPECT_TRUE(message_size(message) >= sizeof(*message) + 14 + 5 + 17);
    message_unref(message);
}

TEST(ordering_gives_place_time_and_expiry) {
    struct message_fields fields = {.kind = MESSAGE_DATA, .channel = SPAN("a"), .ttl_ms = 500};
    struct message *message = message_create(&fields);
    struct place place = {.log_id = 9, .position = 3, .channel_id = 2, .offset = 1};
    message_order(message, &place, 1000);
    EXPECT_EQ(message->place.position, 3);
    EXPECT_EQ(message->time_ms, 1000);
    EXPECT_EQ(message->expiry_ms, 1500);
    message_unref(message);
}

TEST(the_last_reference_frees) {
    struct message_fields fields = {.kind = MESSAGE_DATA, .channel = SPAN("a")};
    struct message *message = message_create(&fields);
    EXPECT_TRUE(message_ref(message) == message);
    message_unref(message);
    EXPECT_SPAN(message->fields.channel, "a");
    message_unref(message);
    message_unref(NULL);
}

UNIT_TESTS(UNIT(a_message_owns_copies_of_all_its_fields),
           UNIT(ordering_gives_place_time_and_expiry), UNIT(the_last_reference_frees))
