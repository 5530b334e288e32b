/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of a publish stand at positions without a hole, and those of one channel at offsets
 * without a hole too. So a key keeps its first position and runs of offsets: one run for a batch of
 * any size to one channel. */
#include "broker/runtime/repeats.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "broker/admission/idempotency.h"
#include "broker/limits.h"
#include "broker/support/invariant.h"
#include "broker/support/list.h"
#include "broker/support/map.h"

/* A million keys of one second do not go in one turn: that is a stop of 100 ms. */
#define FORGOTTEN_PER_TURN 1024

/* Messages of one channel, one after the other. */
struct run {
    uint64_t channel_id;
    uint64_t offset_first;
    uint64_t count;
};

struct repeat {
    struct map_node in_map; /* under the first half of its hash */
    struct list in_order;
    uint8_t hash[IDEMPOTENCY_HASH_BYTES];
    uint64_t time_ms;
    uint64_t position_first; /* 0: not placed yet */
    uint32_t generation;
    uint32_t message_count;
    uint32_t run_count;
    uint32_t run_capacity;
    struct run runs[];
};

struct repeats {
    struct map keys;
    struct list order; /* oldest first */
    uint64_t log_id;
    uint64_t time_ms; /* of the round that is made */
    size_t bytes;
    atomic_size_t count;
};

static_assert(PUBLISH_MESSAGES_MAX <= UINT32_MAX, "counted in 32 bits");

static struct span key_of(struct span hash) {
    INVARIANT(hash.length == IDEMPOTENCY_HASH_BYTES);
    return span_of(hash.bytes, IDEMPOTENCY_KEY_HASH_BYTES);
}

static size_t size_of(const struct repeat *repeat) {
    return sizeof(*repeat) + repeat->run_capacity * sizeof(struct run);
}

/* --- keys ----------------------------------------------------------------------------------- */

/* At the end of the order, without runs. */
static struct repeat *add(struct repeats *repeats, struct span hash, size_t message_count,
                          size_t run_capacity) {
    struct repeat *repeat = malloc(sizeof(*repeat) + run_capacity * sizeof(struct run));
    if (repeat == NULL) {
        return NULL;
    }
    *repeat = (struct repeat){.message_count = (uint32_t)message_count,
                              .run_capacity = (uint32_t)run_capacity};
    memcpy(repeat->hash, hash.bytes, hash.length);
    map_put(&repeats->keys, &repeat->in_map, key_of(span_of(repeat->hash, sizeof(repeat->hash))));
    list_put_tail(&repeats->order, &repeat->in_order);
    repeats->bytes += size_of(repeat);
    atomic_fetch_add_explicit(&repeats->count, 1, memory_order_relaxed);
    return repeat;
}

static void forget(struct repeats *repeats, struct repeat *repeat) {
    INVARIANT(repeats->bytes >= size_of(repeat));
    repeats->bytes -= size_of(repeat);
    atomic_fetch_sub_explicit(&repeats->count, 1, memory_order_relaxed);
    map_remove(&repeats->keys, &repeat->in_map);
    list_remove(&repeat->in_order);
    free(repeat);
}

static bool is_old(const struct repeats *repeats, const struct repeat *repeat) {
    return repeats->time_ms > repeat->time_ms &&
           repeats->time_ms - repeat->time_ms > IDEMPOTENCY_AGE_MS;
}

static bool is_too_much(const struct repeats *repeats) {
    return map_count(&repeats->keys) > IDEMPOTENCY_KEYS_MAX ||
           repeats->bytes > IDEMPOTENCY_BYTES_MAX;
}

/* --- runs ----------------------------------------------------------------------------------- */

static void put_place(struct repeat *repeat, uint64_t channel_id, uint64_t offset) {
    struct run *last = repeat->run_count == 0 ? NULL : &repeat->runs[repeat->run_count - 1];
    if (last != NULL && last->channel_id == channel_id &&
        last->offset_first + last->count == offset) {
        last->count++;
        return;
    }
    INVARIANT(repeat->run_count < repeat->run_capacity);
    repeat->runs[repeat->run_count++] = (struct run){channel_id, offset, 1};
}

/* At most so many runs do the messages need: only data moves the offset on. */
static size_t count_runs(struct message *const *messages, size_t count) {
    size_t runs = 1;
    for (size_t i = 1; i < count; i++) {
        const struct message_fields *fields = &messages[i]->fields;
        runs += fields->kind != MESSAGE_DATA ||
                !span_is_equal(fields->channel, messages[i - 1]->fields.channel);
    }
    return runs;
}

static size_t count_stored_runs(const struct storage_repeat *stored) {
    size_t runs = 1;
    for (size_t i = 1; i < stored->count; i++) {
        runs += stored->places[i].channel_id != stored->places[i - 1].channel_id ||
                stored->places[i].offset != stored->places[i - 1].offset + 1;
    }
    return runs;
}

/* --- public --------------------------------------------------------------------------------- */

enum error_code repeats_create(uint64_t log_id, struct repeats **ret_repeats) {
    struct repeats *repeats = calloc(1, sizeof(*repeats));
    if (repeats == NULL || map_init(&repeats->keys) != OK) {
        free(repeats);
        return ERR_MEMORY;
    }
    list_init(&repeats->order);
    repeats->log_id = log_id;
    *ret_repeats = repeats;
    return OK;
}

void repeats_destroy(struct repeats *repeats) {
    if (repeats == NULL) {
        return;
    }
    LIST_EACH(&repeats->order, node) {
        free(CONTAINER_OF(node, struct repeat, in_order));
    }
    map_finish(&repeats->keys);
    free(repeats);
}

enum error_code repeats_put_stored(struct repeats *repeats, const struct storage_repeat *stored) {
    INVARIANT(stored->count > 0);
    INVARIANT(stored->position_first > 0);
    repeats_turn_clock(repeats, stored->time_ms);
    struct repeat *earlier = repeats_find(repeats, stored->hash);
    if (earlier != NULL) {
        forget(repeats, earlier); /* it had made room before its key came again */
    }
    struct repeat *repeat = add(repeats, stored->hash, stored->count, count_stored_runs(stored));
    if (repeat == NULL) {
        return ERR_MEMORY;
    }
    repeat->time_ms = stored->time_ms;
    repeat->position_first = stored->position_first;
    repeat->generation = stored->generation;
    for (size_t i = 0; i < stored->count; i++) {
        put_place(repeat, stored->places[i].channel_id, stored->places[i].offset);
    }
    return OK;
}

/* What storage_each_repeat() tells. */
struct learning {
    struct repeats *repeats;
    enum error_code code;
};

static void on_stored(void *context, const struct storage_repeat *stored) {
    struct learning *learning = context;
    if (learning->code == OK) {
        learning->code = repeats_put_stored(learning->repeats, stored);
    }
}

enum error_code repeats_learn(struct repeats *repeats, struct storage *storage, struct error *why) {
    struct learning learning = {.repeats = repeats};
    enum error_code code = storage_each_repeat(storage, on_stored, &learning, why);
    if (code == OK && learning.code != OK) {
        code = error_set(why, learning.code, "no memory for the idempotency keys");
    }
    return code;
}

void repeats_turn_clock(struct repeats *repeats, uint64_t time_ms) {
    size_t forgotten = 0;
    repeats->time_ms = time_ms;
    while (!list_is_empty(&repeats->order)) {
        struct repeat *oldest = CONTAINER_OF(repeats->order.next, struct repeat, in_order);
        INVARIANT(oldest->position_first > 0);
        bool is_due = is_old(repeats, oldest) && forgotten < FORGOTTEN_PER_TURN;
        if (!is_due && !is_too_much(repeats)) {
            return;
        }
        forget(repeats, oldest);
        forgotten++;
    }
}

struct repeat *repeats_find(struct repeats *repeats, struct span hash) {
    struct map_node *node = map_find(&repeats->keys, key_of(hash));
    if (node == NULL) {
        return NULL;
    }
    struct repeat *repeat = CONTAINER_OF(node, struct repeat, in_map);
    if (repeat->position_first > 0 && is_old(repeats, repeat)) {
        forget(repeats, repeat);
        return NULL;
    }
    return repeat;
}

struct repeat *repeats_put(struct repeats *repeats, struct message *const *messages, size_t count) {
    count -= repeats_count_commands(messages, count);
    INVARIANT(count > 0);
    return add(repeats, messages[0]->fields.idempotency_hash, count, count_runs(messages, count));
}

void repeats_place(struct repeat *repeat, struct message *const *messages, size_t count) {
    count -= repeats_count_commands(messages, count);
    INVARIANT(repeat->position_first == 0);
    INVARIANT(repeat->message_count == count);
    repeat->time_ms = messages[0]->time_ms;
    repeat->position_first = messages[0]->place.position;
    repeat->generation = messages[0]->place.generation;
    for (size_t i = 0; i < count; i++) {
        INVARIANT(messages[i]->fields.kind != MESSAGE_COMMAND);
        INVARIANT(messages[i]->place.position == repeat->position_first + i);
        put_place(repeat, messages[i]->place.channel_id, messages[i]->place.offset);
    }
}

void repeats_take_back(struct repeats *repeats, struct repeat *repeat) {
    if (repeat != NULL) {
        forget(repeats, repeat);
    }
}

bool repeats_is_same(const struct repeat *repeat, struct message *const *messages, size_t count) {
    struct span hash = messages[0]->fields.idempotency_hash;
    return repeat->message_count == count - repeats_count_commands(messages, count) &&
           span_is_equal(hash, span_of(repeat->hash, sizeof(repeat->hash)));
}

size_t repeats_count_commands(struct message *const *messages, size_t count) {
    size_t commands = 0;
    while (commands < count && messages[count - 1 - commands]->fields.kind == MESSAGE_COMMAND) {
        commands++;
    }
    return commands;
}

enum error_code repeats_answer(const struct repeats *repeats, const struct repeat *repeat,
                               struct message *const *messages, size_t count, struct error *why) {
    INVARIANT(repeat->position_first > 0);
    if (!repeats_is_same(repeat, messages, count)) {
        return error_set_field(why, ERR_UNPROCESSABLE, "Idempotency-Key",
                               "this key came with another content in the last %d minutes",
                               IDEMPOTENCY_AGE_MS / 60000);
    }
    struct place place = {.log_id = repeats->log_id,
                          .generation = repeat->generation,
                          .position = repeat->position_first};
    size_t i = 0;
    for (uint32_t run = 0; run < repeat->run_count; run++) {
        place.channel_id = repeat->runs[run].channel_id;
        for (uint64_t step = 0; step < repeat->runs[run].count; step++) {
            place.offset = repeat->runs[run].offset_first + step;
            message_order(messages[i++], &place, repeat->time_ms);
            place.position++;
        }
    }
    INVARIANT(i == count - repeats_count_commands(messages, count));
    return OK;
}

size_t repeats_count(const struct repeats *repeats) {
    return atomic_load_explicit(&repeats->count, memory_order_relaxed);
}
