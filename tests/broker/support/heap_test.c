/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/heap.h"

#include "tests/unit.h"

#define COUNT 1000

/* The same in each run, and in no order. */
static uint64_t scatter(size_t number) {
    return number * 2654435761u % 1000003;
}

static void fill(struct heap *heap, struct heap_node nodes[COUNT]) {
    EXPECT_EQ(heap_reserve(heap, COUNT), OK);
    for (size_t i = 0; i < COUNT; i++) {
        heap_put(heap, &nodes[i], scatter(i));
    }
}

/* Takes all out; returns how many, or 0 if one came before an earlier one. */
static size_t drain(struct heap *heap) {
    uint64_t last = 0;
    size_t count = 0;
    for (struct heap_node *node; (node = heap_first(heap)) != NULL; count++) {
        if (node->due < last) {
            return 0;
        }
        last = node->due;
        heap_remove(heap, node);
    }
    return count;
}

TEST(what_is_due_first_comes_first) {
    static struct heap_node nodes[COUNT];
    struct heap heap = {0};
    fill(&heap, nodes);
    EXPECT_EQ(drain(&heap), COUNT);
    EXPECT_NULL(heap_first(&heap));
    heap_finish(&heap);
}

TEST(a_node_can_be_moved_and_removed_from_anywhere) {
    static struct heap_node nodes[COUNT];
    struct heap heap = {0};
    fill(&heap, nodes);
    for (size_t i = 0; i < COUNT; i += 3) {
        heap_put(&heap, &nodes[i], scatter(i + COUNT)); /* up or down */
        heap_remove(&heap, &nodes[i + (i + 1 < COUNT)]);
    }
    EXPECT_EQ(drain(&heap), COUNT - COUNT / 3 - 1);
    heap_finish(&heap);
}

TEST(removing_twice_is_harmless) {
    struct heap heap = {0};
    struct heap_node node = {0};
    heap_remove(&heap, &node);
    EXPECT_EQ(heap_reserve(&heap, 1), OK);
    heap_put(&heap, &node, 7);
    heap_remove(&heap, &node);
    heap_remove(&heap, &node);
    EXPECT_NULL(heap_first(&heap));
    heap_finish(&heap);
}

UNIT_TESTS(UNIT(what_is_due_first_comes_first), UNIT(a_node_can_be_moved_and_removed_from_anywhere),
           UNIT(removing_twice_is_harmless))
