/* SPDX-License-Identifier: Apache-2.0 */
/* While the map grows a node stands in exactly one table, and its hash says which: in the old one
 * if its old bucket has not been moved yet. New nodes follow the same rule, so a search looks into
 * one bucket only. A growth is over after a quarter as many puts as there were buckets. */
#include "broker/support/map.h"

#include <stdlib.h>

#include "broker/support/invariant.h"

#define BUCKETS_FIRST 16
#define MOVED_PER_PUT 4

static bool is_growing(const struct map *map) {
    return map->old_buckets != NULL;
}

static struct map_node **bucket_of(const struct map *map, uint64_t hash) {
    if (is_growing(map)) {
        size_t old = hash & (map->old_bucket_count - 1);
        if (old >= map->old_moved) {
            return &map->old_buckets[old];
        }
    }
    return &map->buckets[hash & (map->bucket_count - 1)];
}

static struct map_node *find_hashed(const struct map *map, struct span key, uint64_t hash) {
    struct map_node *node = *bucket_of(map, hash);
    while (node != NULL && !(node->hash == hash && span_is_equal(node->key, key))) {
        node = node->next;
    }
    return node;
}

static void move_some(struct map *map) {
    for (size_t i = 0; i < MOVED_PER_PUT && map->old_moved < map->old_bucket_count; i++) {
        struct map_node *node = map->old_buckets[map->old_moved++];
        while (node != NULL) {
            struct map_node *next = node->next;
            struct map_node **bucket = &map->buckets[node->hash & (map->bucket_count - 1)];
            node->next = *bucket;
            *bucket = node;
            node = next;
        }
    }
    if (map->old_moved == map->old_bucket_count) {
        free(map->old_buckets);
        map->old_buckets = NULL;
        map->old_bucket_count = 0;
        map->old_moved = 0;
    }
}

static void start_growing(struct map *map) {
    size_t count = map->bucket_count * 2;
    struct map_node **buckets = calloc(count, sizeof(struct map_node *));
    if (buckets == NULL) {
        return; /* longer chains; the next put tries again */
    }
    map->old_buckets = map->buckets;
    map->old_bucket_count = map->bucket_count;
    map->old_moved = 0;
    map->buckets = buckets;
    map->bucket_count = count;
}

enum error_code map_init(struct map *map) {
    struct map_node **buckets = calloc(BUCKETS_FIRST, sizeof(struct map_node *));
    if (buckets == NULL) {
        return ERR_MEMORY;
    }
    *map = (struct map){.buckets = buckets, .bucket_count = BUCKETS_FIRST};
    hash_key_draw(&map->key);
    return OK;
}

void map_finish(struct map *map) {
    if (map != NULL) {
        free(map->buckets);
        free(map->old_buckets);
        *map = (struct map){0};
    }
}

struct map_node *map_find(const struct map *map, struct span key) {
    return find_hashed(map, key, hash_bytes(&map->key, key));
}

void map_put(struct map *map, struct map_node *node, struct span key) {
    uint64_t hash = hash_bytes(&map->key, key);
    INVARIANT(find_hashed(map, key, hash) == NULL);
    if (is_growing(map)) {
        move_some(map);
    } else if (map->node_count >= map->bucket_count) {
        start_growing(map);
    }
    struct map_node **bucket = bucket_of(map, hash);
    *node = (struct map_node){.next = *bucket, .key = key, .hash = hash};
    *bucket = node;
    map->node_count++;
}

void map_remove(struct map *map, struct map_node *node) {
    struct map_node **link = bucket_of(map, node->hash);
    while (*link != node) {
        INVARIANT(*link != NULL);
        link = &(*link)->next;
    }
    *link = node->next;
    node->next = NULL;
    map->node_count--;
}

size_t map_count(const struct map *map) {
    return map->node_count;
}

static struct map_node *first_from(struct map_node *const *buckets, size_t index, size_t count) {
    for (; index < count; index++) {
        if (buckets[index] != NULL) {
            return buckets[index];
        }
    }
    return NULL;
}

struct map_node *map_first(const struct map *map) {
    struct map_node *node = first_from(map->old_buckets, map->old_moved, map->old_bucket_count);
    return node != NULL ? node : first_from(map->buckets, 0, map->bucket_count);
}

struct map_node *map_next(const struct map *map, const struct map_node *node) {
    if (node->next != NULL) {
        return node->next;
    }
    size_t old = is_growing(map) ? node->hash & (map->old_bucket_count - 1) : 0;
    if (is_growing(map) && old >= map->old_moved) {
        struct map_node *next = first_from(map->old_buckets, old + 1, map->old_bucket_count);
        return next != NULL ? next : first_from(map->buckets, 0, map->bucket_count);
    }
    return first_from(map->buckets, (node->hash & (map->bucket_count - 1)) + 1, map->bucket_count);
}
