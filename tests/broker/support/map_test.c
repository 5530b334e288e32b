/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/map.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit.h"

struct entry {
    struct map_node node;
    char name[32];
    bool was_seen;
};

static struct entry *make_entries(size_t count) {
    struct entry *entries = calloc(count, sizeof(struct entry));
    for (size_t i = 0; i < count; i++) {
        snprintf(entries[i].name, sizeof(entries[i].name), "n%zu", i);
    }
    return entries;
}

static void put(struct map *map, struct entry *entry) {
    map_put(map, &entry->node, span_of_string(entry->name));
}

TEST(every_key_is_found_at_every_moment_of_growing) {
    enum { COUNT = 3000 };
    struct entry *entries = make_entries(COUNT);
    struct map map;
    EXPECT_EQ(map_init(&map), OK);
    for (size_t i = 0; i < COUNT; i++) {
        EXPECT_NULL(map_find(&map, span_of_string(entries[i].name)));
        put(&map, &entries[i]);
        for (size_t k = 0; k <= i; k += 1 + i / 50) {
            EXPECT_TRUE(map_find(&map, span_of_string(entries[k].name)) == &entries[k].node);
        }
    }
    EXPECT_EQ(map_count(&map), COUNT);
    map_finish(&map);
    free(entries);
}

TEST(a_walk_visits_each_node_once_while_two_tables_are_in_use) {
    enum { COUNT = 530 }; /* a little above a power of two: in the middle of a growth */
    struct entry *entries = make_entries(COUNT);
    struct map map;
    EXPECT_EQ(map_init(&map), OK);
    for (size_t i = 0; i < COUNT; i++) {
        put(&map, &entries[i]);
    }
    EXPECT_NOT_NULL(map.old_buckets);
    size_t count = 0;
    for (struct map_node *node = map_first(&map); node != NULL; node = map_next(&map, node)) {
        struct entry *entry = CONTAINER_OF(node, struct entry, node);
        EXPECT_FALSE(entry->was_seen);
        entry->was_seen = true;
        count++;
    }
    EXPECT_EQ(count, COUNT);
    map_finish(&map);
    free(entries);
}

TEST(nodes_can_be_removed_during_a_walk) {
    enum { COUNT = 530 };
    struct entry *entries = make_entries(COUNT);
    struct map map;
    EXPECT_EQ(map_init(&map), OK);
    for (size_t i = 0; i < COUNT; i++) {
        put(&map, &entries[i]);
    }
    struct map_node *next;
    for (struct map_node *node = map_first(&map); node != NULL; node = next) {
        next = map_next(&map, node);
        map_remove(&map, node);
    }
    EXPECT_EQ(map_count(&map), 0);
    EXPECT_NULL(map_first(&map));
    EXPECT_NULL(map_find(&map, SPAN("n7")));
    put(&map, &entries[7]);
    EXPECT_NOT_NULL(map_find(&map, SPAN("n7")));
    map_finish(&map);
    free(entries);
}

TEST(a_random_life_agrees_with_a_table_of_flags) {
    enum { COUNT = 512, STEPS = 20000 };
    struct entry *entries = make_entries(COUNT);
    static bool is_in[COUNT];
    struct map map;
    EXPECT_EQ(map_init(&map), OK);
    uint32_t random = 1;
    for (size_t step = 0; step < STEPS; step++) {
        random = random * 1664525u + 1013904223u;
        size_t i = random >> 8 & (COUNT - 1);
        if (is_in[i]) {
            map_remove(&map, &entries[i].node);
        } else {
            put(&map, &entries[i]);
        }
        is_in[i] = !is_in[i];
        size_t k = random >> 20 & (COUNT - 1);
        EXPECT_EQ(map_find(&map, span_of_string(entries[k].name)) != NULL, is_in[k]);
    }
    map_finish(&map);
    free(entries);
}

UNIT_TESTS(UNIT(every_key_is_found_at_every_moment_of_growing),
           UNIT(a_walk_visits_each_node_once_while_two_tables_are_in_use),
           UNIT(nodes_can_be_removed_during_a_walk),
           UNIT(a_random_life_agrees_with_a_table_of_flags))
