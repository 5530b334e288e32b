/* SPDX-License-Identifier: Apache-2.0 */
/* trie.h — a set of patterns that is asked which of them stand for a name.
 *
 * Place:   the feeds of a worker ask it for each message. The rules are pattern.h's.
 * Thread:  its worker's.
 * Bounds:  a node for each different beginning of a pattern, about 120 bytes and its segment; as
 *          deep as PATTERN_SEGMENTS_MAX. A name visits a node at most once, and only nodes that
 *          agree with its beginning. WEAKNESS: patterns that differ only in `*` or a literal at
 *          each segment all agree with it: 4,096 of them were measured at 0.5 ms a message that
 *          matches none; cure: a cap of patterns a connection.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/map.h"
#include "broker/support/span.h"

struct trie_node;

/* Embedded in what a pattern stands for; both members belong to the trie. */
struct trie_leaf {
    struct trie_node *node;
    bool is_rest; /* the pattern ends in `**`, below its node */
};

/* Embedded by value; all members belong to the trie. */
struct trie {
    struct map edges; /* (node, segment) -> node */
    struct trie_node *root;
    size_t leaf_count;
};

/* ERR_MEMORY. */
MUST_USE enum error_code trie_init(struct trie *trie);

/* All leaves have been removed. Harmless after a trie_init() that failed. */
void trie_finish(struct trie *trie);

/* Adds a checked pattern that is not in the trie. ERR_MEMORY leaves it as it was. */
MUST_USE enum error_code trie_put(struct trie *trie, struct span pattern, struct trie_leaf *leaf);

/* Takes out a leaf that is in the trie. */
void trie_remove(struct trie *trie, struct trie_leaf *leaf);

/* Calls on_match for each pattern that stands for the checked name, in no order. The callback
 * changes nothing of the trie. */
void trie_match(const struct trie *trie, struct span name,
                void (*on_match)(void *context, struct trie_leaf *leaf), void *context);
