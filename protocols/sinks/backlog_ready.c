/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/backlog_ready.h"

#define ITEM_OF(node) CONTAINER_OF(node, struct backlog_item, in_heap)

static size_t payload_bytes(const struct backlog_item *item) {
    return item->message->fields.payload.length;
}

enum error_code backlog_ready_reserve(struct backlog_ready *ready, size_t items) {
    enum error_code code = heap_reserve(&ready->free, items);
    return code == OK ? heap_reserve(&ready->waiting, items) : code;
}

void backlog_ready_finish(struct backlog_ready *ready) {
    heap_finish(&ready->free);
    heap_finish(&ready->waiting);
    *ready = (struct backlog_ready){0};
}

static void put_free(struct backlog_ready *ready, struct backlog_item *item) {
    struct backlog_lane *lane = item->lane;
    heap_put(&ready->free, &item->in_heap, item->message->place.position);
    item->is_free = true;
    if (item->bond == NULL && lane != NULL && !lane->is_free) {
        lane->is_free = true;
        ready->count += lane->rest_count;
        ready->bytes += lane->rest_bytes;
    } else if (item->bond == NULL && lane == NULL) {
        ready->count++;
        ready->bytes += payload_bytes(item);
    }
}

void backlog_ready_put(struct backlog_ready *ready, struct backlog_item *item, uint64_t due_ms) {
    if (due_ms == 0) {
        put_free(ready, item);
    } else {
        heap_put(&ready->waiting, &item->in_heap, due_ms);
    }
}

void backlog_ready_forget_lane(struct backlog_ready *ready, struct backlog_lane *lane) {
    if (lane->is_free) {
        lane->is_free = false;
        ready->count -= lane->rest_count;
        ready->bytes -= lane->rest_bytes;
    }
}

void backlog_ready_remove(struct backlog_ready *ready, struct backlog_item *item) {
    bool was_counted = item->is_free && item->bond == NULL;
    heap_remove(item->is_free ? &ready->free : &ready->waiting, &item->in_heap);
    item->is_free = false;
    if (was_counted && item->lane == NULL) {
        ready->count--;
        ready->bytes -= payload_bytes(item);
    } else if (was_counted) {
        backlog_ready_forget_lane(ready, item->lane);
    }
}

void backlog_ready_take(struct backlog_ready *ready, struct backlog_item *item) {
    if (item->lane == NULL) {
        backlog_ready_remove(ready, item);
    } else {
        heap_remove(&ready->free, &item->in_heap);
        item->is_free = false;
    }
}

void backlog_ready_add_rest(struct backlog_ready *ready, const struct backlog_item *item) {
    struct backlog_lane *lane = item->lane;
    lane->rest_count++;
    lane->rest_bytes += payload_bytes(item);
    if (lane->is_free) {
        ready->count++;
        ready->bytes += payload_bytes(item);
    }
}

void backlog_ready_drop_rest(struct backlog_ready *ready, const struct backlog_item *item) {
    struct backlog_lane *lane = item->lane;
    lane->rest_count--;
    lane->rest_bytes -= payload_bytes(item);
    if (lane->is_free) {
        ready->count--;
        ready->bytes -= payload_bytes(item);
    }
}

void backlog_ready_promote(struct backlog_ready *ready, uint64_t now_ms) {
    struct heap_node *node;
    while ((node = heap_first(&ready->waiting)) != NULL && node->due <= now_ms) {
        heap_remove(&ready->waiting, node);
        put_free(ready, ITEM_OF(node));
    }
}

struct backlog_item *backlog_ready_first(const struct backlog_ready *ready) {
    struct heap_node *node = heap_first(&ready->free);
    return node == NULL ? NULL : ITEM_OF(node);
}

uint64_t backlog_ready_due_ms(const struct backlog_ready *ready) {
    const struct heap_node *node = heap_first(&ready->waiting);
    return node == NULL ? UINT64_MAX : node->due;
}

bool backlog_ready_is_held(struct backlog_ready *ready, uint64_t now_ms, size_t messages_max,
                           size_t bytes_max, uint64_t age_ms_max, uint64_t *ret_due_ms) {
    const struct backlog_item *item = backlog_ready_first(ready);
    if (age_ms_max == 0 || item->attempts > 0 || ready->count >= messages_max ||
        ready->bytes >= bytes_max) {
        return false;
    }
    if (ready->held_since_ms == 0 || ready->held_since_ms > now_ms) {
        ready->held_since_ms = now_ms;
    }
    uint64_t time_ms = item->message->time_ms;
    uint64_t since_ms = time_ms < ready->held_since_ms ? time_ms : ready->held_since_ms;
    if (now_ms - since_ms >= age_ms_max) {
        return false;
    }
    *ret_due_ms = since_ms + age_ms_max;
    return true;
}
