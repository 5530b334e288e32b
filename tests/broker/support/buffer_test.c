/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/buffer.h"

#include "tests/unit.h"

TEST(bytes_are_kept_in_order_while_it_grows) {
    struct buffer buffer;
    buffer_init(&buffer, 100000);
    for (size_t i = 0; i < 50000; i++) {
        EXPECT_EQ(buffer_put_byte(&buffer, (uint8_t)(i * 7)), OK);
    }
    for (size_t i = 0; i < 50000; i++) {
        EXPECT_EQ(buffer.bytes[i], (uint8_t)(i * 7));
    }
    buffer_finish(&buffer);
    EXPECT_EQ(buffer.length, 0);
}

TEST(what_does_not_fit_is_refused_whole) {
    struct buffer buffer;
    buffer_init(&buffer, 5);
    EXPECT_EQ(buffer_put(&buffer, SPAN("abc")), OK);
    EXPECT_EQ(buffer_put(&buffer, SPAN("def")), ERR_TOO_LARGE);
    EXPECT_EQ(buffer_reserve(&buffer, SIZE_MAX), ERR_TOO_LARGE);
    EXPECT_EQ(buffer_put(&buffer, SPAN("de")), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), "abcde");
    EXPECT_EQ(buffer_put_byte(&buffer, 'f'), ERR_TOO_LARGE);
    buffer_finish(&buffer);
}

TEST(an_empty_put_gives_bytes_that_are_there) {
    struct buffer buffer;
    buffer_init(&buffer, 16);
    EXPECT_EQ(buffer_put(&buffer, (struct span){0}), OK);
    EXPECT_NOT_NULL(buffer.bytes);
    buffer_finish(&buffer);
}

TEST(the_front_can_be_dropped) {
    struct buffer buffer;
    buffer_init(&buffer, 100);
    EXPECT_EQ(buffer_printf(&buffer, "%s-%d", "abc", 42), OK);
    buffer_drop_front(&buffer, 4);
    EXPECT_SPAN(buffer_borrow(&buffer), "42");
    buffer_drop_front(&buffer, 2);
    EXPECT_EQ(buffer.length, 0);
    buffer_finish(&buffer);
}

TEST(a_short_buffer_takes_little_and_a_long_one_a_power_of_two) {
    struct buffer buffer;
    static const uint8_t bytes[1000000];
    buffer_init(&buffer, 4 * sizeof(bytes));
    EXPECT_EQ(buffer_put(&buffer, span_of(bytes, 100)), OK);
    EXPECT_EQ(buffer.capacity, 112);
    EXPECT_EQ(buffer_put(&buffer, span_of(bytes, 100)), OK);
    EXPECT_EQ(buffer.capacity, 256);
    EXPECT_EQ(buffer_put(&buffer, span_of(bytes, sizeof(bytes))), OK);
    EXPECT_EQ(buffer.capacity, 1048576);
    buffer_finish(&buffer);
}

UNIT_TESTS(UNIT(a_short_buffer_takes_little_and_a_long_one_a_power_of_two),
           UNIT(bytes_are_kept_in_order_while_it_grows), UNIT(what_does_not_fit_is_refused_whole),
           UNIT(an_empty_put_gives_bytes_that_are_there), UNIT(the_front_can_be_dropped))
