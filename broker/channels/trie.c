/* SPDX-License-Identifier: Apache-2.0 */
/* A node stands for the first segments of some patterns. Its literal children are found in one hash
 * table for the whole trie, by (node, segment): a node with one child and one with ten thousand
 * cost the same. Children below `*` and patterns that end in `**` are pointers, because each node
 * has one of them at most. */
#include "broker/channels/trie.h"

#include <stdlib.h>
#include <string.h>

#include "broker/channels/name.h"
#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/support/invariant.h"

struct trie_node {
    struct map_node in_edges; /* of a literal segment */
    struct trie_node *parent; /* NULL: the root */
    struct trie_node *one;    /* below `*` */
    struct trie_leaf *leaf;   /* the pattern that ends here */
    struct trie_leaf *rest;   /* the one that ends in `**` here */
    size_t literal_count;     /* children in the table */
    bool is_one;
    uint8_t key[]; /* parent, segment; empty for others */
};

struct edge_key {
    uint8_t bytes[sizeof(struct trie_node *) + CHANNEL_NAME_BYTES_MAX];
};

static struct span make_key(struct edge_key *key, const struct trie_node *node,
                            struct span segment) {
    INVARIANT(segment.length <= CHANNEL_NAME_BYTES_MAX);
    memcpy(key->bytes, &node, sizeof(node));
    if (segment.length > 0) {
        memcpy(key->bytes + sizeof(node), segment.bytes, segment.length);
    }
    return span_of(key->bytes, sizeof(node) + segment.length);
}

static struct trie_node *find_literal(const struct trie *trie, const struct trie_node *node,
                                      struct span segment) {
    struct edge_key key;
    struct map_node *found = map_find(&trie->edges, make_key(&key, node, segment));
    return found == NULL ? NULL : CONTAINER_OF(found, struct trie_node, in_edges);
}

enum error_code trie_init(struct trie *trie) {
    *trie = (struct trie){.root = calloc(1, sizeof(*trie->root))};
    if (trie->root == NULL) {
        return ERR_MEMORY;
    }
    enum error_code code = map_init(&trie->edges);
    if (code != OK) {
        free(trie->root);
        trie->root = NULL;
    }
    return code;
}

void trie_finish(struct trie *trie) {
    INVARIANT(trie->leaf_count == 0);
    if (trie->root != NULL) {
        map_finish(&trie->edges);
    }
    free(trie->root);
    trie->root = NULL;
}

/* --- changes -------------------------------------------------------------------------------- */

static struct trie_node *add_literal(struct trie *trie, struct trie_node *node,
                                     struct span segment) {
    struct edge_key key;
    struct span bytes = make_key(&key, node, segment);
    struct trie_node *child = calloc(1, sizeof(*child) + bytes.length);
    if (child == NULL) {
        return NULL;
    }
    memcpy(child->key, bytes.bytes, bytes.length);
    child->parent = node;
    map_put(&trie->edges, &child->in_edges, span_of(child->key, bytes.length));
    node->literal_count++;
    return child;
}

static struct trie_node *add_one(struct trie_node *node) {
    struct trie_node *child = calloc(1, sizeof(*child));
    if (child != NULL) {
        child->parent = node;
        child->is_one = true;
        node->one = child;
    }
    return child;
}

static bool is_needed(const struct trie_node *node) {
    return node->parent == NULL || node->leaf != NULL || node->rest != NULL || node->one != NULL ||
           node->literal_count > 0;
}

/* Takes away a node without use, and then those that led to it alone. */
static void prune(struct trie *trie, struct trie_node *node) {
    while (!is_needed(node)) {
        struct trie_node *parent = node->parent;
        if (node->is_one) {
            parent->one = NULL;
        } else {
            INVARIANT(parent->literal_count > 0);
            parent->literal_count--;
            map_remove(&trie->edges, &node->in_edges);
        }
        free(node);
        node = parent;
    }
}

static struct trie_node *find_or_add(struct trie *trie, struct trie_node *node,
                                     struct span segment) {
    struct trie_node *child;
    if (span_is_equal(segment, SPAN("*"))) {
        return node->one != NULL ? node->one : add_one(node);
    }
    child = find_literal(trie, node, segment);
    return child != NULL ? child : add_literal(trie, node, segment);
}

enum error_code trie_put(struct trie *trie, struct span pattern, struct trie_leaf *leaf) {
    struct trie_node *node = trie->root;
    struct span rest = pattern;
    bool is_rest = false;
    for (bool is_last = false; !is_last;) {
        size_t length = rest.length;
        struct span segment = span_split(&rest, '/');
        is_last = segment.length == length;
        is_rest = span_is_equal(segment, SPAN("**"));
        if (is_rest) {
            INVARIANT(is_last);
            break;
        }
        struct trie_node *child = find_or_add(trie, node, segment);
        if (child == NULL) {
            prune(trie, node);
            return ERR_MEMORY;
        }
        node = child;
    }
    INVARIANT((is_rest ? node->rest : node->leaf) == NULL);
    *(is_rest ? &node->rest : &node->leaf) = leaf;
    *leaf = (struct trie_leaf){.node = node, .is_rest = is_rest};
    trie->leaf_count++;
    return OK;
}

void trie_remove(struct trie *trie, struct trie_leaf *leaf) {
    struct trie_node *node = leaf->node;
    INVARIANT(trie->leaf_count > 0);
    INVARIANT((leaf->is_rest ? node->rest : node->leaf) == leaf);
    *(leaf->is_rest ? &node->rest : &node->leaf) = NULL;
    leaf->node = NULL;
    trie->leaf_count--;
    prune(trie, node);
}

/* --- the question --------------------------------------------------------------------------- */

struct matching {
    const struct trie *trie;
    void (*on_match)(void *context, struct trie_leaf *leaf);
    void *context;
    bool is_reserved; /* the name begins with `$`: no pattern that begins with a wildcard has it */
    bool is_scoped;   /* its first segment is a tenant's scope, which no wildcard is */
};

/* Whether a wildcard may stand for what comes behind `node`. */
static bool may_be_wild(const struct matching *matching, const struct trie_node *node) {
    if (node->parent == NULL) {
        return !matching->is_scoped && !matching->is_reserved;
    }
    bool is_first = matching->is_scoped && node->parent->parent == NULL;
    return !is_first || !matching->is_reserved;
}

/* `rest` is what is left of the name behind `node`; is_at_end: nothing is, not even an empty
 * segment. As deep as the name has segments. */
static void match(const struct matching *matching, const struct trie_node *node, struct span rest,
                  bool is_at_end) {
    if (node->rest != NULL && may_be_wild(matching, node)) {
        matching->on_match(matching->context, node->rest);
    }
    if (is_at_end) {
        if (node->leaf != NULL) {
            matching->on_match(matching->context, node->leaf);
        }
        return;
    }
    size_t length = rest.length;
    struct span segment = span_split(&rest, '/');
    bool is_last = segment.length == length;
    if (node->one != NULL && may_be_wild(matching, node)) {
        match(matching, node->one, rest, is_last);
    }
    const struct trie_node *child =
        node->literal_count == 0 ? NULL : find_literal(matching->trie, node, segment);
    if (child != NULL) {
        match(matching, child, rest, is_last);
    }
}

void trie_match(const struct trie *trie, struct span name,
                void (*on_match)(void *context, struct trie_leaf *leaf), void *context) {
    if (trie->leaf_count == 0) {
        return;
    }
    struct matching matching = {.trie = trie,
                                .on_match = on_match,
                                .context = context,
                                .is_reserved = channel_name_is_reserved(scope_visible(name)),
                                .is_scoped = scope_length(name) > 0};
    match(&matching, trie->root, name, false);
}
