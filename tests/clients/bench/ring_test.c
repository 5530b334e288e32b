/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/ring.h"

#include "tests/unit.h"

TEST(entries_leave_in_the_order_in_which_they_came) {
    struct ring ring = {0};
    uint32_t put = 0;
    uint32_t taken = 0;
    /* More come than go, so that it grows with its oldest anywhere in the ring. */
    for (unsigned round = 0; round < 300; round++) {
        for (unsigned index = 0; index < 5; index++) {
            ring_put(&ring, (struct ring_entry){.due_ns = put, .channel = put});
            put++;
        }
        EXPECT_EQ(ring_at(&ring, 0)->channel, taken);
        EXPECT_EQ(ring_at(&ring, ring.count - 1)->channel, put - 1);
        ring_drop(&ring, 3);
        taken += 3;
    }
    EXPECT_EQ(ring.count, put - taken);
    for (size_t index = 0; index < ring.count; index++) {
        EXPECT_EQ(ring_at(&ring, index)->channel, taken + index);
    }
    ring_finish(&ring);
}

TEST(more_than_there_is_can_be_dropped) {
    struct ring ring = {0};
    ring_drop(&ring, 3);
    ring_put(&ring, (struct ring_entry){.channel = 7});
    ring_drop(&ring, 3);
    EXPECT_EQ(ring.count, 0);
    ring_put(&ring, (struct ring_entry){.channel = 8});
    EXPECT_EQ(ring_at(&ring, 0)->channel, 8);
    ring_finish(&ring);
}

UNIT_TESTS(UNIT(entries_leave_in_the_order_in_which_they_came),
           UNIT(more_than_there_is_can_be_dropped))
