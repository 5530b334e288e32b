/* SPDX-License-Identifier: Apache-2.0 */
/* A place is 0, or the name of the key that has it, with IS_UNDER_WAY or without. */
#include "protocols/sinks/kafka_gate.h"

#include <stdint.h>
#include <stdlib.h>

#include "broker/support/hash.h"
#include "broker/support/invariant.h"

#define IS_UNDER_WAY 1u

struct kafka_gate {
    struct hash_key topics; /* drawn at random, so that nobody chooses keys of one place */
    struct hash_key keys;
    size_t under_way_count;
    uint64_t places[KAFKA_GATE_KEYS];
};

enum error_code kafka_gate_create(struct kafka_gate **ret_gate) {
    struct kafka_gate *gate = calloc(1, sizeof(*gate));
    if (gate == NULL) {
        return ERR_MEMORY;
    }
    hash_key_draw(&gate->topics);
    hash_key_draw(&gate->keys);
    *ret_gate = gate;
    return OK;
}

void kafka_gate_destroy(struct kafka_gate *gate) {
    free(gate);
}

uint64_t kafka_gate_name(const struct kafka_gate *gate, struct span topic, struct span key) {
    uint64_t hash = hash_bytes(&gate->topics, topic) ^ hash_bytes(&gate->keys, key);
    return hash & ~(uint64_t)IS_UNDER_WAY;
}

static size_t index_of(uint64_t name) {
    return (name >> 1) % KAFKA_GATE_KEYS;
}

bool kafka_gate_is_open(const struct kafka_gate *gate, uint64_t name) {
    return (gate->places[index_of(name)] & IS_UNDER_WAY) == 0;
}

void kafka_gate_note_sent(struct kafka_gate *gate, uint64_t name) {
    uint64_t *place = &gate->places[index_of(name)];
    INVARIANT((*place & IS_UNDER_WAY) == 0);
    if (*place != name) {
        *place = name | IS_UNDER_WAY;
        gate->under_way_count++;
    }
}

void kafka_gate_note_taken(struct kafka_gate *gate, uint64_t name) {
    uint64_t *place = &gate->places[index_of(name)];
    if (*place == (name | IS_UNDER_WAY)) {
        *place = name;
        gate->under_way_count--;
    }
}

bool kafka_gate_is_waiting(const struct kafka_gate *gate) {
    return gate->under_way_count > 0;
}
