/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/tail.h"

#include <stdlib.h>

#include "broker/limits.h"
#include "tests/unit.h"

static struct message *message_at(uint64_t position, size_t payload_bytes) {
    uint8_t *payload = calloc(1, payload_bytes + 1);
    struct message_fields fields = {
        .kind = MESSAGE_DATA, .channel = SPAN("a"), .payload = span_of(payload, payload_bytes)};
    struct message *message = message_create(&fields);
    struct place place = {
        .log_id = 1, .generation = 1, .position = position, .channel_id = 1, .offset = position};
    message_order(message, &place, 1000 + position);
    free(payload);
    return message;
}

static void put(struct tail *tail, uint64_t position, size_t payload_bytes) {
    struct message *message = message_at(position, payload_bytes);
    tail_put(tail, message);
    message_unref(message);
}

TEST(entries_are_found_by_sequence_and_by_position) {
    struct tails tails;
    struct tail tail;
    tails_init(&tails);
    tail_init(&tail, 10, &tails);
    for (uint64_t position = 12; position <= 40; position += 2) {
        put(&tail, position, 8);
    }
    EXPECT_EQ(tail.sequence_next - tail.sequence_first, 15);
    EXPECT_EQ(tail_borrow(&tail, tail_find_after(&tail, 10))->place.position, 12);
    EXPECT_EQ(tail_borrow(&tail, tail_find_after(&tail, 12))->place.position, 14);
    EXPECT_EQ(tail_borrow(&tail, tail_find_after(&tail, 33))->place.position, 34);
    EXPECT_EQ(tail_find_after(&tail, 40), tail.sequence_next);
    tail_finish(&tail);
    EXPECT_EQ(tails.bytes, 0);
}

TEST(dropping_moves_the_floor_to_the_last_entry_that_went) {
    struct tails tails;
    struct tail tail;
    tails_init(&tails);
    tail_init(&tail, 0, &tails);
    put(&tail, 5, 8);
    put(&tail, 7, 8);
    put(&tail, 9, 8);
    tail_drop_before(&tail, tail.sequence_first + 2);
    EXPECT_EQ(tail.floor_position, 7);
    EXPECT_EQ(tail_borrow(&tail, tail.sequence_first)->place.position, 9);
    tail_finish(&tail);
}

TEST(a_full_tail_lets_go_of_its_oldest_and_keeps_the_newest) {
    struct tails tails;
    struct tail tail;
    tails_init(&tails);
    tail_init(&tail, 0, &tails);
    for (uint64_t position = 1; position <= 40; position++) {
        put(&tail, position, TAIL_BYTES_MAX / 16);
        tail_note_seen(&tail);
        EXPECT_TRUE(tail.bytes <= TAIL_BYTES_MAX);
    }
    EXPECT_EQ(tail_borrow(&tail, tail.sequence_next - 1)->place.position, 40);
    EXPECT_EQ(tail_borrow(&tail, tail.sequence_first)->place.position, tail.floor_position + 1);
    tail_finish(&tail);
}

TEST(what_its_readers_were_not_offered_stays_beside_one_large_message) {
    struct tails tails;
    struct tail tail;
    tails_init(&tails);
    tail_init(&tail, 0, &tails);
    put(&tail, 1, 8);
    tail_note_seen(&tail);
    put(&tail, 2, 8);
    put(&tail, 3, TAIL_BYTES_MAX);
    put(&tail, 4, 8);
    EXPECT_EQ(tail.floor_position, 1);
    for (uint64_t position = 5; position <= 60; position++) { /* but not beside any number */
        put(&tail, position, TAIL_BYTES_MAX / 4);
        EXPECT_TRUE(tail.bytes <= 2 * TAIL_BYTES_MAX);
    }
    tail_finish(&tail);
}

TEST(above_the_bound_of_all_tails_the_one_filled_longest_is_cut) {
    enum { COUNT = TAILS_BYTES_MAX / TAIL_BYTES_MAX + 8 };
    struct tails tails;
    static struct tail each[COUNT];
    tails_init(&tails);
    for (size_t i = 0; i < COUNT; i++) {
        tail_init(&each[i], 0, &tails);
        put(&each[i], i + 1, TAIL_BYTES_MAX - 4096);
        EXPECT_TRUE(tails.bytes <= TAILS_BYTES_MAX);
    }
    EXPECT_EQ(each[0].bytes, 0);
    EXPECT_EQ(each[0].floor_position, 1);
    EXPECT_TRUE(each[COUNT - 1].bytes > 0);
    for (size_t i = 0; i < COUNT; i++) {
        tail_finish(&each[i]);
    }
    EXPECT_EQ(tails.bytes, 0);
}

TEST(an_empty_tail_keeps_no_memory) {
    struct tails tails;
    struct tail tail;
    tails_init(&tails);
    tail_init(&tail, 0, &tails);
    put(&tail, 1, 8);
    tail_drop_before(&tail, tail.sequence_next);
    EXPECT_NULL(tail.entries);
    EXPECT_TRUE(list_is_empty(&tails.filled));
    tail_cut(&tail, 99);
    EXPECT_EQ(tail.floor_position, 99);
    tail_finish(&tail);
}

UNIT_TESTS(UNIT(entries_are_found_by_sequence_and_by_position),
           UNIT(dropping_moves_the_floor_to_the_last_entry_that_went),
           UNIT(a_full_tail_lets_go_of_its_oldest_and_keeps_the_newest),
           UNIT(what_its_readers_were_not_offered_stays_beside_one_large_message),
           UNIT(above_the_bound_of_all_tails_the_one_filled_longest_is_cut),
           UNIT(an_empty_tail_keeps_no_memory))
