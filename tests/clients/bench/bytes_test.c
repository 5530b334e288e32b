/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/bytes.h"

#include "tests/unit.h"

TEST(bytes_come_out_as_they_went_in_whatever_is_taken_between) {
    struct bytes bytes = {0};
    uint32_t put = 0;
    uint32_t taken = 0;
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t count = (seed >> 20) % 40;
        for (uint32_t i = 0; i < count; i++, put++) {
            bytes_put(&bytes, &put, sizeof(put));
        }
        count = (seed >> 10) % 42;
        for (uint32_t i = 0; i < count && bytes.length > 0; i++, taken++) {
            uint32_t front;
            memcpy(&front, bytes.data, sizeof(front));
            EXPECT_EQ(front, taken);
            bytes_drop(&bytes, sizeof(front));
        }
    }
    EXPECT_EQ(bytes.length, (size_t)(put - taken) * sizeof(put));
    bytes_finish(&bytes);
}

TEST(a_queue_that_is_always_emptied_does_not_grow) {
    struct bytes bytes = {0};
    for (int i = 0; i < 10000; i++) {
        bytes_put(&bytes, "0123456789", 10);
        bytes_drop(&bytes, 4);
        bytes_drop(&bytes, 6);
    }
    EXPECT_TRUE(bytes.capacity <= 256);
    bytes_finish(&bytes);
}

TEST(a_queue_that_never_runs_empty_does_not_grow_either) {
    struct bytes bytes = {0};
    bytes_put(&bytes, "0123456789", 10);
    for (int i = 0; i < 10000; i++) {
        bytes_put(&bytes, "0123456789", 10);
        bytes_drop(&bytes, 10);
    }
    EXPECT_TRUE(bytes.capacity + bytes.drained <= 256);
    bytes_finish(&bytes);
}

TEST(formats_of_any_length_fit) {
    struct bytes bytes = {0};
    bytes_put_format(&bytes, "%d,", 42);
    bytes_put_format(&bytes, "%3000d", 7);
    EXPECT_EQ(bytes.length, 3003);
    EXPECT_EQ(memcmp(bytes.data, "42, ", 4), 0);
    EXPECT_EQ(bytes.data[3002], '7');
    bytes_finish(&bytes);
    EXPECT_NULL(bytes.data);
}

UNIT_TESTS(UNIT(bytes_come_out_as_they_went_in_whatever_is_taken_between),
           UNIT(a_queue_that_is_always_emptied_does_not_grow),
           UNIT(a_queue_that_never_runs_empty_does_not_grow_either),
           UNIT(formats_of_any_length_fit))
