/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/command.h"

#include <stdlib.h>

#include "storage/record.h"
#include "tests/unit.h"

static struct message *with_payload(struct span name, struct span payload) {
    struct message_fields fields = {.kind = MESSAGE_COMMAND, .publisher = name, .payload = payload};
    struct message *message = message_create(&fields);
    assert_non_null(message);
    return message;
}

static bool reads(struct span name, struct span payload) {
    struct command command;
    struct message *message = with_payload(name, payload);
    bool is_read = command_read(message, &command);
    message_unref(message);
    return is_read;
}

TEST(a_step_is_what_it_was_behind_its_record) {
    static const enum storage_object_step steps[] = {STORAGE_OBJECT_PUT, STORAGE_OBJECT_APPEND,
                                                     STORAGE_OBJECT_DELETE};
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        struct command command;
        struct record record;
        uint8_t body[200];
        struct span bytes = i < 2 ? SPAN("state\0more") : (struct span){0};
        struct message *made =
            storage_object_message(STORAGE_OBJECT_GROUP, steps[i], SPAN("a b"), bytes);
        EXPECT_EQ(made->fields.kind, MESSAGE_COMMAND);
        EXPECT_EQ(made->fields.channel.length, 0);
        message_order(made, &(struct place){77, 1, 5, 0, 0}, 1000);
        size_t size = record_body_size(made, true);
        record_write_body(made, true, body);
        EXPECT_TRUE(record_read_body(span_of(body, size), &record));
        struct message *read = record_create_message(&record, 77, (struct span){0});
        EXPECT_TRUE(command_read(read, &command));
        EXPECT_EQ(command.kind, STORAGE_OBJECT_GROUP);
        EXPECT_EQ(command.step, steps[i]);
        EXPECT_TRUE(span_is_equal(command.name, SPAN("a b")));
        EXPECT_TRUE(span_is_equal(command.bytes, bytes));
        message_unref(made);
        message_unref(read);
    }
}

TEST(what_a_later_version_says_is_no_step) {
    EXPECT_TRUE(reads(SPAN("a"), SPAN("\1\1\1x")));
    EXPECT_TRUE(reads(SPAN("a"), SPAN("\1\2\3")));
    EXPECT_FALSE(reads(SPAN("a"), SPAN("\2\1\1x")));
    EXPECT_FALSE(reads(SPAN("a"), SPAN("\1\0\1x")));
    EXPECT_TRUE(reads(SPAN("a"), SPAN("\1\7\1x")));
    EXPECT_FALSE(reads(SPAN("a"), SPAN("\1\10\1x")));
    EXPECT_FALSE(reads(SPAN("a"), SPAN("\1\1\0x")));
    EXPECT_FALSE(reads(SPAN("a"), SPAN("\1\1\4x")));
    EXPECT_FALSE(reads(SPAN("a"), SPAN("\1\1")));
    EXPECT_FALSE(reads(SPAN("a"), SPAN("")));
    EXPECT_FALSE(reads(SPAN(""), SPAN("\1\1\1x")));
}

TEST(what_is_too_long_is_not_made) {
    static uint8_t bytes[STORAGE_OBJECT_BYTES_MAX + 1];
    static const size_t sizes[][2] = {{1, STORAGE_OBJECT_BYTES_MAX},
                                      {STORAGE_OBJECT_NAME_BYTES_MAX, 1},
                                      {1, STORAGE_OBJECT_BYTES_MAX + 1},
                                      {STORAGE_OBJECT_NAME_BYTES_MAX + 1, 1},
                                      {0, 1}};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct message *made =
            storage_object_message(STORAGE_OBJECT_SESSION, STORAGE_OBJECT_PUT,
                                   span_of(bytes, sizes[i][0]), span_of(bytes, sizes[i][1]));
        EXPECT_EQ(made != NULL, i < 2);
        message_unref(made);
    }
}

UNIT_TESTS(UNIT(a_step_is_what_it_was_behind_its_record),
           UNIT(what_a_later_version_says_is_no_step), UNIT(what_is_too_long_is_not_made))
