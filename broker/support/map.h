/* SPDX-License-Identifier: Apache-2.0 */
/* map.h — an intrusive hash map whose keys are bytes, and which never stops to rehash.
 *
 * Place:   channels, feeds, tables of names: whoever finds things by bytes that strangers choose.
 * Thread:  its owner's; no locks.
 * Bounds:  the nodes are the caller's. The buckets double with the count and are kept until the end
 *          (8 to 16 bytes a node at the highest count). Without memory for more, chains grow.
 *
 * While it grows there are two tables: each put moves a few buckets from the old to the new one, so
 * that a million names cost no single call more than a few microseconds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/hash.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

/* Embedded in what is kept; all members belong to the map. */
struct map_node {
    struct map_node *next;
    struct span key;
    uint64_t hash;
};

/* Embedded by value; all members belong to the map. */
struct map {
    struct map_node **buckets;     /* bucket_count of them, a power of two */
    struct map_node **old_buckets; /* while it grows: those from old_moved on are still in use */
    size_t bucket_count;
    size_t old_bucket_count;
    size_t old_moved;
    size_t node_count;
    struct hash_key key;
};

/* ERR_MEMORY. */
MUST_USE enum error_code map_init(struct map *map);

/* Frees the buckets; the nodes stay the caller's. */
void map_finish(struct map *map);

/* The node of that key, or NULL. */
struct map_node *map_find(const struct map *map, struct span key);

/* Adds a node under a key that is not in the map yet. The key's bytes outlive the node's stay. */
void map_put(struct map *map, struct map_node *node, struct span key);

/* Takes out a node that is in the map. */
void map_remove(struct map *map, struct map_node *node);

size_t map_count(const struct map *map);

/* Walks all nodes in no order; NULL at the end. The caller may remove a node once it holds the one
 * after it; a put in between may repeat or leave out nodes. */
struct map_node *map_first(const struct map *map);
struct map_node *map_next(const struct map *map, const struct map_node *node);
