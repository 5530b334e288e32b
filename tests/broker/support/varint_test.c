/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/varint.h"

#include "tests/unit.h"

TEST(what_was_put_is_taken_in_order) {
    const uint64_t numbers[] = {0, 1, 127, 128, 300, 16383, 16384, UINT32_MAX, UINT64_MAX};
    struct buffer buffer;
    buffer_init(&buffer, 1024);
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        EXPECT_EQ(varint_put(&buffer, numbers[i]), OK);
    }
    struct span rest = buffer_borrow(&buffer);
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        uint64_t number = 42;
        EXPECT_TRUE(varint_take(&rest, &number));
        EXPECT_TRUE(number == numbers[i]);
    }
    EXPECT_EQ(rest.length, 0);
    buffer_finish(&buffer);
}

TEST(small_numbers_take_one_byte) {
    struct buffer buffer;
    buffer_init(&buffer, 1024);
    EXPECT_EQ(varint_put(&buffer, 127), OK);
    EXPECT_EQ(buffer.length, 1);
    EXPECT_EQ(varint_put(&buffer, 128), OK);
    EXPECT_EQ(buffer.length, 3);
    buffer_finish(&buffer);
}

TEST(what_is_cut_off_or_too_large_is_refused_and_nothing_is_taken) {
    const struct span refused[] = {SPAN(""), SPAN("\x80"),
                                   SPAN("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
                                   SPAN("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")};
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        struct span rest = refused[i];
        uint64_t number = 42;
        EXPECT_FALSE(varint_take(&rest, &number));
        EXPECT_EQ(number, 42);
        EXPECT_EQ(rest.length, refused[i].length);
    }
}

UNIT_TESTS(UNIT(what_was_put_is_taken_in_order), UNIT(small_numbers_take_one_byte),
           UNIT(what_is_cut_off_or_too_large_is_refused_and_nothing_is_taken))
