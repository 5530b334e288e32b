/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/doomed.h"

#include "tests/unit.h"

static struct message *make_delete(uint64_t channel_id, uint64_t from, uint64_t to, uint64_t last) {
    static uint64_t position = 0;
    uint8_t range[MESSAGE_DELETE_BYTES];
    message_put_deleted(from, to, range);
    struct message_fields fields = {.kind = MESSAGE_DELETE,
                                    .payload = span_of(range, sizeof(range))};
    struct message *message = message_create(&fields);
    struct place place = {1, 1, ++position, channel_id, last};
    message_order(message, &place, 1);
    return message;
}

TEST(a_fold_knows_each_offset_that_it_deletes) {
    struct message *messages[] = {
        make_delete(9, 1, 5, 100),   make_delete(7, 10, 20, 100), make_delete(7, 1, 30, 3),
        make_delete(7, 15, 40, 100), make_delete(7, 12, 13, 100), make_delete(8, 50, 60, 40),
    };
    struct doomed *doomed = NULL;
    EXPECT_EQ(doomed_create(messages, ARRAY_COUNT(messages), &doomed, NULL), OK);
    for (uint64_t offset = 0; offset < 120; offset++) {
        EXPECT_EQ(doomed_has(doomed, 7, offset),
                  (offset >= 1 && offset <= 3) || (offset >= 10 && offset <= 40));
        EXPECT_EQ(doomed_has(doomed, 9, offset), offset >= 1 && offset <= 5);
        EXPECT_FALSE(doomed_has(doomed, 8, offset));
        EXPECT_FALSE(doomed_has(doomed, 6, offset));
        EXPECT_FALSE(doomed_has(NULL, 7, offset));
    }
    doomed_destroy(doomed);
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        message_unref(messages[i]);
    }
    EXPECT_EQ(doomed_create(NULL, 0, &doomed, NULL), OK);
    EXPECT_TRUE(doomed == NULL);
}

UNIT_TESTS(UNIT(a_fold_knows_each_offset_that_it_deletes))
