/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/bytes.h"

#include "tests/unit.h"

static const uint64_t numbers[] = {0,
                                   1,
                                   127,
                                   128,
                                   255,
                                   256,
                                   16383,
                                   16384,
                                   65535,
                                   UINT32_MAX,
                                   1u << 31,
                                   UINT64_C(1) << 32,
                                   1 << 28,
                                   UINT64_C(1) << 63,
                                   UINT64_MAX - 1,
                                   UINT64_MAX};

#define COUNT (sizeof(numbers) / sizeof(numbers[0]))
#define ROOM 16 /* more than any width */

/* What a number keeps of so many bytes. */
static uint64_t cut(uint64_t number, size_t width) {
    return width == 8 ? number : number & ((UINT64_C(1) << 8 * width) - 1);
}

TEST(numbers_come_back_from_any_width) {
    uint8_t bytes[ROOM];
    for (size_t width = 1; width <= 8; width++) {
        for (size_t i = 0; i < COUNT; i++) {
            EXPECT_TRUE(bytes_put_little(bytes, numbers[i], width) == bytes + width);
            EXPECT_TRUE(bytes_get_little(bytes, width) == cut(numbers[i], width));
            EXPECT_TRUE(bytes_put_big(bytes, numbers[i], width) == bytes + width);
            EXPECT_TRUE(bytes_get_big(bytes, width) == cut(numbers[i], width));
        }
    }
}

TEST(values_are_little_endian_and_keys_are_big_endian) {
    uint8_t bytes[ROOM];
    bytes_put_little(bytes, 0x01020304, 4);
    assert_memory_equal(bytes, "\4\3\2\1", 4);
    bytes_put_big(bytes, 0x01020304, 4);
    assert_memory_equal(bytes, "\1\2\3\4", 4);
}

TEST(keys_stand_in_the_order_of_their_numbers) {
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < COUNT; j++) {
            uint8_t left[8];
            uint8_t right[8];
            bytes_put_big(left, numbers[i], 8);
            bytes_put_big(right, numbers[j], 8);
            int order = memcmp(left, right, 8);
            EXPECT_EQ(order < 0, numbers[i] < numbers[j]);
            EXPECT_EQ(order > 0, numbers[i] > numbers[j]);
        }
    }
}

TEST(a_varint_takes_as_many_bytes_as_was_said_and_comes_back) {
    for (size_t i = 0; i < COUNT; i++) {
        uint8_t bytes[VARINT_BYTES_MAX];
        const uint8_t *at = bytes;
        uint64_t number = 0;
        const uint8_t *end = bytes_put_varint(bytes, numbers[i]);
        EXPECT_EQ(end - bytes, bytes_varint_size(numbers[i]));
        EXPECT_TRUE(bytes_get_varint(&at, end, &number));
        EXPECT_TRUE(number == numbers[i]);
        EXPECT_TRUE(at == end);
    }
}

TEST(a_varint_that_is_cut_off_or_too_long_is_none) {
    static const uint8_t too_long[] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1};
    uint8_t bytes[VARINT_BYTES_MAX];
    uint64_t number = 0;
    const uint8_t *end = bytes_put_varint(bytes, UINT64_MAX);
    for (const uint8_t *cut_at = bytes; cut_at < end; cut_at++) {
        const uint8_t *at = bytes;
        EXPECT_FALSE(bytes_get_varint(&at, cut_at, &number));
        EXPECT_TRUE(at <= cut_at);
    }
    const uint8_t *at = too_long;
    EXPECT_FALSE(bytes_get_varint(&at, too_long + sizeof(too_long), &number));
}

UNIT_TESTS(UNIT(numbers_come_back_from_any_width),
           UNIT(values_are_little_endian_and_keys_are_big_endian),
           UNIT(keys_stand_in_the_order_of_their_numbers),
           UNIT(a_varint_takes_as_many_bytes_as_was_said_and_comes_back),
           UNIT(a_varint_that_is_cut_off_or_too_long_is_none))
