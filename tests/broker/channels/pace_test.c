/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/pace.h"

#include "tests/unit.h"

/* Turns to `now_ms` and says how many came. */
static size_t turn(struct pace *pace, uint64_t now_ms, struct list *ret_due) {
    size_t count = 0;
    list_init(ret_due);
    pace_turn(pace, now_ms, ret_due);
    LIST_EACH(ret_due, node) {
        count++;
    }
    return count;
}

TEST(what_is_held_comes_at_its_moment_and_not_before) {
    struct pace pace;
    struct list node;
    struct list due;
    pace_init(&pace);
    EXPECT_EQ(turn(&pace, 123456, &due), 0);
    pace_hold(&pace, &node, 123476);
    EXPECT_EQ(pace_wait_ms(&pace), 20);
    EXPECT_EQ(turn(&pace, 123475, &due), 0);
    EXPECT_EQ(pace_wait_ms(&pace), 1);
    EXPECT_EQ(turn(&pace, 123476, &due), 1);
    EXPECT_EQ(pace_wait_ms(&pace), 0);
}

TEST(moments_come_in_their_order_however_late_the_turn_is) {
    struct pace pace;
    struct list nodes[3];
    struct list due;
    pace_init(&pace);
    turn(&pace, 5000, &due);
    pace_hold(&pace, &nodes[0], 5900);
    pace_hold(&pace, &nodes[1], 5001);
    pace_hold(&pace, &nodes[2], 5000 + FLUSH_INTERVAL_MS_MAX);
    EXPECT_EQ(turn(&pace, 1000000, &due), 3);
    EXPECT_TRUE(list_take_head(&due) == &nodes[1]);
    EXPECT_TRUE(list_take_head(&due) == &nodes[0]);
    EXPECT_TRUE(list_take_head(&due) == &nodes[2]);
}

TEST(what_leaves_early_is_waited_for_no_more) {
    struct pace pace;
    struct list first;
    struct list second;
    pace_init(&pace);
    pace_hold(&pace, &first, 7);
    pace_hold(&pace, &second, 900);
    list_remove(&first);
    EXPECT_EQ(pace_wait_ms(&pace), 900);
    list_remove(&second);
    EXPECT_EQ(pace_wait_ms(&pace), 0);
}

TEST(all_is_let_go_at_once) {
    struct pace pace;
    struct list nodes[2];
    struct list due;
    pace_init(&pace);
    turn(&pace, 1023, &due);
    pace_hold(&pace, &nodes[0], 1024);
    pace_hold(&pace, &nodes[1], 2022);
    list_init(&due);
    pace_release(&pace, 1023, &due);
    EXPECT_TRUE(list_take_head(&due) == &nodes[0]);
    EXPECT_TRUE(list_take_head(&due) == &nodes[1]);
    EXPECT_TRUE(list_is_empty(&due));
    EXPECT_EQ(pace_wait_ms(&pace), 0);
}

UNIT_TESTS(UNIT(what_is_held_comes_at_its_moment_and_not_before),
           UNIT(moments_come_in_their_order_however_late_the_turn_is),
           UNIT(what_leaves_early_is_waited_for_no_more), UNIT(all_is_let_go_at_once))
