/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/order.h"

#include <stdlib.h>

#include "broker/limits.h"
#include "broker/support/invariant.h"

/* Its next offset is offset_last + 1. It is there for the messages that it has or that are prepared
 * for it: when none is left it goes. */
struct channel {
    struct map_node in_map;
    uint64_t id;
    uint64_t offset_last;
    uint64_t prepared_count; /* messages that are prepared and not put */
    uint8_t name[];
};

static struct channel *find(const struct order *order, struct span name) {
    struct map_node *node = map_find(&order->channels, name);
    return node == NULL ? NULL : CONTAINER_OF(node, struct channel, in_map);
}

static struct channel *add(struct order *order, struct span name, uint64_t id,
                           uint64_t offset_last) {
    struct channel *channel = malloc(sizeof(*channel) + name.length);
    if (channel == NULL) {
        return NULL;
    }
    channel->id = id;
    channel->offset_last = offset_last;
    channel->prepared_count = 0;
    memcpy(channel->name, name.bytes, name.length);
    map_put(&order->channels, &channel->in_map, span_of(channel->name, name.length));
    atomic_fetch_add_explicit(&order->channel_count, 1, memory_order_relaxed);
    return channel;
}

static void drop(struct order *order, struct channel *channel) {
    map_remove(&order->channels, &channel->in_map);
    atomic_fetch_sub_explicit(&order->channel_count, 1, memory_order_relaxed);
    free(channel);
}

static void drop_if_empty(struct order *order, struct channel *channel) {
    if (channel->offset_last == 0 && channel->prepared_count == 0) {
        drop(order, channel);
    }
}

/* What storage_each_channel() tells. */
struct learning {
    struct order *order;
    enum error_code code;
};

static void on_known_channel(void *context, struct span name, uint64_t channel_id,
                             uint64_t offset_last) {
    struct learning *learning = context;
    INVARIANT(channel_id < learning->order->state.channel_id_next);
    if (add(learning->order, name, channel_id, offset_last) == NULL) {
        learning->code = ERR_MEMORY;
    }
}

enum error_code order_init(struct order *order, struct storage *storage, struct error *why) {
    struct learning learning = {.order = order};
    *order = (struct order){0};
    storage_get_state(storage, &order->state);
    enum error_code code = map_init(&order->channels);
    if (code == OK) {
        code = storage_each_channel(storage, on_known_channel, &learning, why);
    }
    if (code == OK && learning.code != OK) {
        code = error_set(why, ERR_MEMORY, "no memory for the names of all channels");
    }
    return code;
}

void order_finish(struct order *order) {
    struct map_node *node = map_first(&order->channels);
    while (node != NULL) {
        struct map_node *next = map_next(&order->channels, node);
        free(CONTAINER_OF(node, struct channel, in_map));
        node = next;
    }
    map_finish(&order->channels);
}

static bool has_channel(const struct message *message) {
    return message->fields.kind == MESSAGE_DATA || message->fields.kind == MESSAGE_DELETE;
}

static enum error_code prepare_one(struct order *order, const struct message *message,
                                   struct error *why) {
    struct span name = message->fields.channel;
    struct channel *channel = has_channel(message) ? find(order, name) : NULL;
    if (!has_channel(message)) {
        return OK;
    }
    if (channel == NULL && message->fields.kind == MESSAGE_DELETE) {
        return error_set(why, ERR_NOT_FOUND, "the channel has no message");
    }
    if (channel == NULL && map_count(&order->channels) >= CHANNELS_MAX) {
        return error_set(why, ERR_FULL, "there are %d channels already", CHANNELS_MAX);
    }
    if (channel == NULL) {
        channel = add(order, name, order->state.channel_id_next, 0);
        if (channel == NULL) {
            return error_set(why, ERR_MEMORY, "no memory for a new channel");
        }
        order->state.channel_id_next++;
    }
    channel->prepared_count++;
    return OK;
}

enum error_code order_prepare(struct order *order, struct message *const *messages, size_t count,
                              struct error *why) {
    for (size_t i = 0; i < count; i++) {
        enum error_code code = prepare_one(order, messages[i], why);
        if (code != OK) {
            order_unprepare(order, messages, i);
            return code;
        }
    }
    return OK;
}

void order_unprepare(struct order *order, struct message *const *messages, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (has_channel(messages[i])) {
            struct channel *channel = find(order, messages[i]->fields.channel);
            INVARIANT(channel != NULL);
            INVARIANT(channel->prepared_count > 0);
            channel->prepared_count--;
            drop_if_empty(order, channel);
        }
    }
}

uint64_t order_turn_clock(struct order *order, uint64_t wall_ms) {
    if (wall_ms > order->state.time_ms) {
        order->state.time_ms = wall_ms;
    }
    return order->state.time_ms;
}

void order_put(struct order *order, struct message *message) {
    struct place place = {.log_id = order->state.log_id,
                          .generation = order->state.generation,
                          .position = order->state.position_next++};
    if (has_channel(message)) {
        struct channel *channel = find(order, message->fields.channel);
        INVARIANT(channel != NULL);
        INVARIANT(channel->prepared_count > 0);
        channel->prepared_count--;
        channel->offset_last += message->fields.kind == MESSAGE_DATA;
        INVARIANT(channel->offset_last > 0);
        place.channel_id = channel->id;
        place.offset = channel->offset_last;
    }
    message_order(message, &place, order->state.time_ms);
}

void order_undo(struct order *order, const struct commit *commit) {
    for (size_t i = 0; i < commit->count; i++) {
        if (commit->messages[i]->fields.kind != MESSAGE_DATA) {
            continue; /* it moved no offset on */
        }
        struct channel *channel = find(order, commit->messages[i]->fields.channel);
        INVARIANT(channel != NULL);
        INVARIANT(channel->offset_last > 0);
        channel->offset_last--;
        drop_if_empty(order, channel); /* if it was made for this */
    }
    order->state.position_next = commit->position_first;
}

bool order_forget(struct order *order, struct span name, uint64_t channel_id,
                  uint64_t offset_last) {
    struct channel *channel = find(order, name);
    if (channel == NULL || channel->id != channel_id || channel->offset_last != offset_last ||
        channel->prepared_count > 0) {
        return false;
    }
    drop(order, channel);
    return true;
}

struct forgetting {
    struct letter letter;
    struct order *order;
    uint64_t channel_id;
    uint64_t offset_last;
    size_t name_length;
    uint8_t name[];
};

static void on_forgetting(struct letter *letter, void *consumer) {
    (void)consumer;
    struct forgetting *it = CONTAINER_OF(letter, struct forgetting, letter);
    order_forget(it->order, span_of(it->name, it->name_length), it->channel_id, it->offset_last);
    free(it);
}

void order_post_forgotten(struct order *order, struct mailbox *mailbox, struct span name,
                          uint64_t channel_id, uint64_t offset_last) {
    struct forgetting *forgetting = malloc(sizeof(*forgetting) + name.length);
    if (forgetting == NULL) {
        return;
    }
    *forgetting = (struct forgetting){.letter.on_delivered = on_forgetting,
                                      .order = order,
                                      .channel_id = channel_id,
                                      .offset_last = offset_last,
                                      .name_length = name.length};
    memcpy(forgetting->name, name.bytes, name.length);
    if (mailbox_put(mailbox, &forgetting->letter) != OK) {
        free(forgetting);
    }
}

size_t order_channel_count(const struct order *order) {
    return atomic_load_explicit(&order->channel_count, memory_order_relaxed);
}
