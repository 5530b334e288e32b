/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/list.h"
#include "tests/unit.h"

TEST(what_is_put_at_the_tail_is_taken_at_the_head_in_order) {
    struct list list, nodes[3];
    list_init(&list);
    EXPECT_NULL(list_take_head(&list));
    for (size_t i = 0; i < 3; i++) {
        list_put_tail(&list, &nodes[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        EXPECT_TRUE(list_take_head(&list) == &nodes[i]);
        EXPECT_TRUE(list_is_empty(&nodes[i]));
    }
    EXPECT_TRUE(list_is_empty(&list));
}

TEST(removing_twice_is_harmless) {
    struct list list, node, other;
    list_init(&list);
    list_put_head(&list, &other);
    list_put_head(&list, &node);
    list_remove(&node);
    list_remove(&node);
    EXPECT_TRUE(list_take_head(&list) == &other);
}

TEST(a_walk_may_remove_the_node_it_stands_on) {
    struct list list, nodes[4];
    list_init(&list);
    for (size_t i = 0; i < 4; i++) {
        list_put_tail(&list, &nodes[i]);
    }
    size_t count = 0;
    LIST_EACH(&list, node) {
        EXPECT_TRUE(node == &nodes[count]);
        list_remove(node);
        count++;
    }
    EXPECT_EQ(count, 4);
    EXPECT_TRUE(list_is_empty(&list));
}

TEST(one_list_moves_behind_another_in_order) {
    struct list one, other, nodes[4];
    list_init(&one);
    list_init(&other);
    list_put_all(&one, &other);
    EXPECT_TRUE(list_is_empty(&one));
    for (size_t i = 0; i < 4; i++) {
        list_put_tail(i < 2 ? &one : &other, &nodes[i]);
    }
    list_put_all(&one, &other);
    list_put_all(&one, &other);
    EXPECT_TRUE(list_is_empty(&other));
    for (size_t i = 0; i < 4; i++) {
        EXPECT_TRUE(list_take_head(&one) == &nodes[i]);
    }
    EXPECT_TRUE(list_is_empty(&one));
}

UNIT_TESTS(UNIT(what_is_put_at_the_tail_is_taken_at_the_head_in_order),
           UNIT(removing_twice_is_harmless), UNIT(a_walk_may_remove_the_node_it_stands_on),
           UNIT(one_list_moves_behind_another_in_order))
