/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/piece.h"

#include <stdio.h>

#include "tests/unit.h"

TEST(keys_are_found_by_channel_as_far_as_they_are_indexed) {
    struct piece *piece = piece_create(7);
    for (uint64_t i = 0; i < 300; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%llu", (unsigned long long)(i % 100 / 2));
        struct message_fields fields = {.kind = MESSAGE_DATA,
                                        .channel = i % 2 == 0 ? SPAN("a") : SPAN("b"),
                                        .key = span_of_string(key)};
        struct message *message = message_create(&fields);
        struct place place = {1, 1, i + 1, 1 + i % 2, 1 + i / 2};
        message_order(message, &place, 100);
        piece_put(piece, message);
        message_unref(message);
    }
    uint64_t offset = 0;
    EXPECT_FALSE(piece_find_key(piece, 1, SPAN("k3"), &offset));
    EXPECT_TRUE(piece_index_keys(piece, 100));
    EXPECT_TRUE(piece_find_key(piece, 1, SPAN("k3"), &offset));
    EXPECT_EQ(offset, 4);
    EXPECT_FALSE(piece_index_keys(piece, 1000));
    EXPECT_TRUE(piece_find_key(piece, 2, SPAN("k3"), &offset));
    EXPECT_EQ(offset, 104);
    EXPECT_FALSE(piece_find_key(piece, 3, SPAN("k3"), &offset));
    EXPECT_FALSE(piece_find_key(piece, 1, SPAN(""), &offset));
    EXPECT_EQ(piece_position_first(piece), 1);
    EXPECT_EQ(piece_find_channel(piece, SPAN("b"))->count, 150);
    EXPECT_NULL(piece_find_channel(piece, SPAN("c")));
    piece_unref(piece);
}

UNIT_TESTS(UNIT(keys_are_found_by_channel_as_far_as_they_are_indexed))
