/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/heap.h"

#include <stdlib.h>

#include "broker/support/invariant.h"

#define CAPACITY_MIN 64

static void put_at(struct heap *heap, struct heap_node *node, size_t index) {
    heap->nodes[index] = node;
    node->place = index + 1;
}

/* Moves the hole at `index` up to where the node belongs, and puts it there. */
static void rise(struct heap *heap, struct heap_node *node, size_t index) {
    while (index > 0 && heap->nodes[(index - 1) / 2]->due > node->due) {
        put_at(heap, heap->nodes[(index - 1) / 2], index);
        index = (index - 1) / 2;
    }
    put_at(heap, node, index);
}

/* The same downwards. */
static void sink(struct heap *heap, struct heap_node *node, size_t index) {
    for (size_t child; (child = 2 * index + 1) < heap->count; index = child) {
        bool is_right_first =
            child + 1 < heap->count && heap->nodes[child + 1]->due < heap->nodes[child]->due;
        child += is_right_first;
        if (heap->nodes[child]->due >= node->due) {
            break;
        }
        put_at(heap, heap->nodes[child], index);
    }
    put_at(heap, node, index);
}

static void settle(struct heap *heap, struct heap_node *node, size_t index) {
    if (index > 0 && heap->nodes[(index - 1) / 2]->due > node->due) {
        rise(heap, node, index);
    } else {
        sink(heap, node, index);
    }
}

void heap_finish(struct heap *heap) {
    free(heap->nodes);
    *heap = (struct heap){0};
}

enum error_code heap_reserve(struct heap *heap, size_t count) {
    if (count <= heap->capacity) {
        return OK;
    }
    size_t capacity = heap->capacity == 0 ? CAPACITY_MIN : heap->capacity;
    while (capacity < count) {
        capacity *= 2;
    }
    struct heap_node **nodes = realloc(heap->nodes, capacity * sizeof(struct heap_node *));
    if (nodes == NULL) {
        return ERR_MEMORY;
    }
    heap->nodes = nodes;
    heap->capacity = capacity;
    return OK;
}

void heap_put(struct heap *heap, struct heap_node *node, uint64_t due) {
    node->due = due;
    if (node->place == 0) {
        INVARIANT(heap->count < heap->capacity);
        node->place = ++heap->count;
    }
    settle(heap, node, node->place - 1);
}

void heap_remove(struct heap *heap, struct heap_node *node) {
    if (node->place == 0) {
        return;
    }
    size_t index = node->place - 1;
    INVARIANT(heap->nodes[index] == node);
    struct heap_node *last = heap->nodes[--heap->count];
    node->place = 0;
    if (last != node) {
        settle(heap, last, index);
    }
}

struct heap_node *heap_first(const struct heap *heap) {
    return heap->count == 0 ? NULL : heap->nodes[0];
}
