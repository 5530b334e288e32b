/* SPDX-License-Identifier: Apache-2.0 */
/* Packet ids are given one after the other, so the oldest entry has the id that is met first when
 * they come round: until then no id has to be looked for. Acknowledgements come in the order of the
 * entries, by the specification for QoS 1 and by use for QoS 2, so the search finds them at once.
 */
#include "protocols/mqtt/inflight.h"

#include <stdlib.h>
#include <string.h>

#include "broker/support/invariant.h"

#define CAPACITY_FIRST 8

void inflight_finish(struct inflight *inflight) {
    free(inflight->entries);
    *inflight = (struct inflight){0};
}

/* Moves what is in use to the front. */
static void compact(struct inflight *inflight) {
    uint32_t count = 0;
    for (uint32_t i = inflight->begin; i < inflight->end; i++) {
        if (inflight->entries[i].state != INFLIGHT_FREE) {
            inflight->entries[count++] = inflight->entries[i];
        }
    }
    INVARIANT(count == inflight->count);
    inflight->begin = 0;
    inflight->end = count;
}

enum error_code inflight_reserve(struct inflight *inflight, size_t more) {
    INVARIANT(more <= UINT16_MAX);
    if (inflight->capacity - inflight->end >= more) {
        return OK;
    }
    compact(inflight);
    /* Half of it stays free, so that the next compaction is as far away as this one was long. */
    size_t wanted = 2 * (inflight->count + more);
    if (inflight->capacity - inflight->end >= more && inflight->capacity >= wanted) {
        return OK;
    }
    size_t capacity = inflight->capacity == 0 ? CAPACITY_FIRST : inflight->capacity;
    while (capacity < wanted) {
        capacity *= 2;
    }
    struct inflight_entry *entries =
        realloc(inflight->entries, capacity * sizeof(*inflight->entries));
    if (entries == NULL) {
        return ERR_MEMORY;
    }
    inflight->entries = entries;
    inflight->capacity = (uint32_t)capacity;
    return OK;
}

static uint16_t id_after(uint16_t packet_id) {
    return packet_id == UINT16_MAX ? 1 : (uint16_t)(packet_id + 1);
}

uint16_t inflight_next_id(struct inflight *inflight) {
    INVARIANT(inflight->count < UINT16_MAX);
    uint16_t packet_id = id_after(inflight->packet_id_last);
    const struct inflight_entry *oldest = inflight_next(inflight, NULL);
    inflight->has_wrapped =
        oldest != NULL && (inflight->has_wrapped || oldest->packet_id == packet_id);
    while (inflight->has_wrapped && inflight_find(inflight, packet_id) != NULL) {
        packet_id = id_after(packet_id);
    }
    return packet_id;
}

struct inflight_entry *inflight_put(struct inflight *inflight, const struct inflight_entry *entry) {
    INVARIANT(inflight->end < inflight->capacity);
    INVARIANT(entry->packet_id != 0);
    INVARIANT(entry->state != INFLIGHT_FREE);
    struct inflight_entry *mine = &inflight->entries[inflight->end++];
    *mine = *entry;
    inflight->count++;
    inflight->packet_id_last = entry->packet_id;
    return mine;
}

struct inflight_entry *inflight_find(const struct inflight *inflight, uint16_t packet_id) {
    for (uint32_t i = inflight->begin; i < inflight->end; i++) {
        struct inflight_entry *entry = &inflight->entries[i];
        if (entry->packet_id == packet_id && entry->state != INFLIGHT_FREE) {
            return entry;
        }
    }
    return NULL;
}

struct inflight_entry *inflight_next(const struct inflight *inflight,
                                     const struct inflight_entry *entry) {
    uint32_t i = entry == NULL ? inflight->begin : (uint32_t)(entry - inflight->entries) + 1;
    while (i < inflight->end && inflight->entries[i].state == INFLIGHT_FREE) {
        i++;
    }
    return i < inflight->end ? &inflight->entries[i] : NULL;
}

void inflight_take(struct inflight *inflight, struct inflight_entry *entry) {
    INVARIANT(entry->state != INFLIGHT_FREE);
    INVARIANT(inflight->count > 0);
    entry->state = INFLIGHT_FREE;
    inflight->count--;
    while (inflight->begin < inflight->end &&
           inflight->entries[inflight->begin].state == INFLIGHT_FREE) {
        inflight->begin++;
    }
    if (inflight->begin == inflight->end) {
        inflight->begin = 0;
        inflight->end = 0;
    }
}
