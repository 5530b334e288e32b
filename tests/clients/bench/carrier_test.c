/* SPDX-License-Identifier: Apache-2.0 */
/* That a unit over a border is the same as one inside is shown by events_test.c, nats_test.c,
 * history_test.c and webhook_test.c; here are the bounds. */
#include "clients/bench/carrier.h"

#include <stdlib.h>

#include "tests/unit.h"

#define PIECE_BYTES (1u << 20)

/* Wants a line; an endless one never ends. */
static enum protocol_told take_line(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                    struct bytes *output, struct protocol_unit *ret_unit) {
    const uint8_t *end = memchr(bytes, '\n', length);
    (void)link;
    (void)output;
    ret_unit->length = end == NULL ? 0 : (size_t)(end - bytes) + 1;
    ret_unit->payload = bytes;
    ret_unit->payload_length = ret_unit->length;
    return end == NULL ? PROTOCOL_MORE : PROTOCOL_MESSAGE;
}

/* Gives chunks of PIECE_BYTES until something is told; returns how many there were. */
static size_t gather(struct protocol_link *link, const uint8_t *bytes, enum protocol_told *ret_told,
                     struct protocol_unit *ret_unit) {
    struct bytes output = {0};
    size_t pieces = 0;
    *ret_told = PROTOCOL_NOTHING;
    while (*ret_told == PROTOCOL_NOTHING && pieces < 100) {
        link->left = PIECE_BYTES;
        for (size_t at = 0; *ret_told == PROTOCOL_NOTHING && at < PIECE_BYTES;) {
            *ret_told =
                carrier_take(link, bytes + at, PIECE_BYTES - at, &output, ret_unit, take_line);
            at += ret_unit->length;
        }
        pieces++;
    }
    return pieces;
}

TEST(a_unit_of_many_chunks_has_a_bound) {
    struct protocol_link link = {0};
    struct protocol_unit unit;
    enum protocol_told told;
    uint8_t *bytes = malloc(PIECE_BYTES);
    memset(bytes, 'x', PIECE_BYTES);
    EXPECT_EQ(gather(&link, bytes, &told, &unit), PROTOCOL_UNIT_BYTES_MAX / PIECE_BYTES + 1);
    EXPECT_EQ(told, PROTOCOL_REFUSED);
    EXPECT_STRING(unit.why, "a message is longer than the load takes");
    protocol_reset(&link);
    free(bytes);
}

TEST(a_unit_of_one_endless_body_has_a_bound) {
    struct protocol_link link = {.left = UINT64_MAX};
    struct protocol_unit unit;
    struct bytes output = {0};
    uint8_t *bytes = malloc(PROTOCOL_UNIT_BYTES_MAX + 1);
    memset(bytes, 'x', PROTOCOL_UNIT_BYTES_MAX + 1);
    EXPECT_EQ(carrier_take(&link, bytes, PROTOCOL_UNIT_BYTES_MAX, &output, &unit, take_line),
              PROTOCOL_MORE);
    EXPECT_EQ(carrier_take(&link, bytes, PROTOCOL_UNIT_BYTES_MAX + 1, &output, &unit, take_line),
              PROTOCOL_REFUSED);
    protocol_reset(&link);
    free(bytes);
}

TEST(what_was_held_is_told_once_and_forgotten) {
    struct protocol_link link = {.left = 3};
    struct protocol_unit unit;
    struct bytes output = {0};
    EXPECT_EQ(carrier_take(&link, (const uint8_t *)"abc", 3, &output, &unit, take_line),
              PROTOCOL_NOTHING);
    EXPECT_EQ(unit.length, 3);
    link.left = 5;
    EXPECT_EQ(carrier_take(&link, (const uint8_t *)"d\ne\nf", 5, &output, &unit, take_line),
              PROTOCOL_MESSAGE);
    EXPECT_EQ(unit.length, 2);
    EXPECT_EQ(unit.payload_length, 5);
    assert_memory_equal(unit.payload, "abcd\n", 5);
    EXPECT_EQ(link.left, 3);
    EXPECT_EQ(carrier_take(&link, (const uint8_t *)"e\nf", 3, &output, &unit, take_line),
              PROTOCOL_MESSAGE);
    EXPECT_EQ(unit.payload_length, 2);
    EXPECT_EQ(link.held.length, 0);
    protocol_reset(&link);
}

UNIT_TESTS(UNIT(a_unit_of_many_chunks_has_a_bound), UNIT(a_unit_of_one_endless_body_has_a_bound),
           UNIT(what_was_held_is_told_once_and_forgotten))
