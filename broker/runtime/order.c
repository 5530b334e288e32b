/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/order.h"

#include <stdlib.h>

#include "broker/admission/accounts.h"
#include "broker/channels/name.h"
#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/support/invariant.h"

static_assert(SCOPED_BYTES_MAX <= STORAGE_CHANNEL_BYTES_MAX, "each name can be stored");

/* Its next offset is offset_last + 1. It is there for the messages that it has or that are prepared
 * for it: when none is left it goes. */
struct channel {
    struct map_node in_map;
    uint64_t id;
    uint64_t offset_last;
    uint64_t prepared_count; /* messages that are prepared and not put */
    struct account *tenant;  /* NULL: of no tenant */
    uint8_t name[];
};

static struct channel *find(const struct order *order, struct span name) {
    struct map_node *node = map_find(&order->channels, name);
    return node == NULL ? NULL : CONTAINER_OF(node, struct channel, in_map);
}

/* The account of whose channel it is; NULL: nobody counts. A tenant above TENANTS_MAX is nobody. */
static struct account *find_tenant(const struct order *order, struct span name) {
    struct span tenant = scope_tenant(name);
    struct account *account = NULL;
    if (tenant.length == 0 || order->accounts == NULL ||
        accounts_find_tenant(order->accounts, tenant, &account) != OK) {
        return NULL;
    }
    return account;
}

static struct channel *add(struct order *order, struct span name, struct account *tenant,
                           uint64_t id, uint64_t offset_last) {
    struct channel *channel = malloc(sizeof(*channel) + name.length);
    if (channel == NULL) {
        return NULL;
    }
    channel->tenant = tenant;
    if (tenant != NULL) {
        atomic_fetch_add(&tenant->channels, 1);
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
    if (channel->tenant != NULL) {
        atomic_fetch_sub(&channel->tenant->channels, 1);
    }
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
                             uint64_t offset_last, uint64_t bytes) {
    struct learning *learning = context;
    INVARIANT(channel_id < learning->order->state.channel_id_next);
    struct account *tenant = find_tenant(learning->order, name);
    if (tenant != NULL) {
        atomic_fetch_add(&tenant->stored_bytes, bytes);
    }
    if (add(learning->order, name, tenant, channel_id, offset_last) == NULL) {
        learning->code = ERR_MEMORY;
    }
}

enum error_code order_init(struct order *order, struct storage *storage, size_t channels_max,
                           struct accounts *accounts, struct error *why) {
    struct learning learning = {.order = order};
    *order = (struct order){.channels_max = channels_max, .accounts = accounts};
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

static enum error_code make_channel(struct order *order, const struct message *message,
                                    struct channel **ret_channel, struct error *why) {
    struct span name = message->fields.channel;
    if (message->fields.kind == MESSAGE_DELETE) {
        return error_set(why, ERR_NOT_FOUND, "the channel has no message");
    }
    /* Nobody publishes to `$…` but the broker, two channels a sink: one whose first dead letter has
     * no room stands still. What a tenant calls `$…` has its scope in front. */
    if (map_count(&order->channels) >= order->channels_max && !channel_name_is_reserved(name)) {
        return error_set(why, ERR_FULL, "limits.channels: there are %zu channels already",
                         order->channels_max);
    }
    struct account *tenant = find_tenant(order, name);
    if (tenant != NULL && tenant->channels >= tenant->quota.channels) {
        atomic_fetch_add(&tenant->usage.refused, 1);
        return error_set_field(why, ERR_QUOTA, metrics_limit_path(METRICS_LIMIT_TENANT_CHANNELS),
                               "the tenant has %llu channels, and may have no more",
                               (unsigned long long)tenant->channels);
    }
    *ret_channel = add(order, name, tenant, order->state.channel_id_next, 0);
    if (*ret_channel == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for a new channel");
    }
    order->state.channel_id_next++;
    return OK;
}

/* Counts what the tenant of a channel stores with the message. */
static enum error_code take_bytes(const struct channel *channel, const struct message *message,
                                  struct error *why) {
    struct account *tenant = channel->tenant;
    if (tenant == NULL || message->fields.kind != MESSAGE_DATA) {
        return OK;
    }
    uint64_t bytes = storage_counted_bytes(&message->fields);
    uint64_t stored = atomic_load(&tenant->stored_bytes);
    uint64_t bytes_max = atomic_load(&tenant->quota.stored_bytes);
    if (bytes > bytes_max || stored > bytes_max - bytes) {
        atomic_fetch_add(&tenant->usage.refused, 1);
        return error_set_field(why, ERR_QUOTA, metrics_limit_path(METRICS_LIMIT_TENANT_STORED),
                               "the tenant stores %llu bytes, and may store %llu: older messages "
                               "have to go first",
                               (unsigned long long)stored, (unsigned long long)bytes_max);
    }
    atomic_fetch_add(&tenant->stored_bytes, bytes);
    return OK;
}

static void give_bytes(const struct channel *channel, const struct message *message) {
    if (channel->tenant != NULL && message->fields.kind == MESSAGE_DATA) {
        account_lose_bytes(channel->tenant, storage_counted_bytes(&message->fields));
    }
}

static enum error_code prepare_one(struct order *order, const struct message *message,
                                   struct error *why) {
    if (!has_channel(message)) {
        return OK;
    }
    struct channel *channel = find(order, message->fields.channel);
    enum error_code code = channel == NULL ? make_channel(order, message, &channel, why) : OK;
    if (code != OK) {
        return code;
    }
    code = take_bytes(channel, message, why);
    if (code == OK) {
        channel->prepared_count++;
    } else {
        drop_if_empty(order, channel);
    }
    return code;
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
            give_bytes(channel, messages[i]);
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
        give_bytes(channel, commit->messages[i]);
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
