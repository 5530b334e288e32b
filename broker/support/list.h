/* SPDX-License-Identifier: Apache-2.0 */
/* list.h — an intrusive, circular, doubly linked list: a head, and a node in each member.
 *
 * Place:   whoever keeps things in an order without owning them.
 * Thread:  its owner's; no locks.
 * Bounds:  none of its own.
 *
 * A node that is in no list links to itself, so list_remove() is harmless twice, and
 * list_is_empty(node) tells whether it is in one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *previous;
    struct list *next;
};

static inline void list_init(struct list *list) {
    list->previous = list;
    list->next = list;
}

static inline bool list_is_empty(const struct list *list) {
    return list->next == list;
}

static inline void list_put_between(struct list *previous, struct list *node, struct list *next) {
    node->previous = previous;
    node->next = next;
    previous->next = node;
    next->previous = node;
}

/* The node must be in no list. */
static inline void list_put_tail(struct list *list, struct list *node) {
    list_put_between(list->previous, node, list);
}

static inline void list_put_head(struct list *list, struct list *node) {
    list_put_between(list, node, list->next);
}

/* Leaves the node linked to itself. */
static inline void list_remove(struct list *node) {
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_init(node);
}

/* The first node, taken out; NULL when there is none. */
static inline struct list *list_take_head(struct list *list) {
    struct list *node = list->next;
    list_remove(node);
    return node == list ? NULL : node;
}

/* Moves all nodes of `from` behind those of `list`; `from` becomes empty. */
static inline void list_put_all(struct list *list, struct list *from) {
    from->next->previous = list->previous; /* right for an empty `from` too: it drops out below */
    list->previous->next = from->next;
    from->previous->next = list;
    list->previous = from->previous;
    list_init(from);
}

/* Walks the nodes; the body may remove `node` (and no other). */
#define LIST_EACH(head, node)                                                                      \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head);              \
         node = node##_next, node##_next = node->next)
