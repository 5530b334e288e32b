/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/tail.h"

#include <stdlib.h>

#include "broker/limits.h"
#include "broker/support/invariant.h"

#define CAPACITY_FIRST 4

void tails_init(struct tails *tails) {
    tails->bytes = 0;
    list_init(&tails->filled);
}

void tail_init(struct tail *tail, uint64_t floor_position, struct tails *tails) {
    *tail = (struct tail){
        .sequence_first = 1, .sequence_next = 1, .floor_position = floor_position, .tails = tails};
    list_init(&tail->in_filled);
}

void tail_finish(struct tail *tail) {
    tail_cut(tail, tail->floor_position);
}

static struct tail_entry *slot_of(const struct tail *tail, uint64_t sequence) {
    return &tail->entries[sequence & (tail->capacity - 1)];
}

static void drop_first(struct tail *tail) {
    struct message *message = slot_of(tail, tail->sequence_first)->message;
    size_t bytes = message_size(message);
    INVARIANT(tail->bytes >= bytes);
    tail->floor_position = message->place.position;
    tail->mortal_count -= message->expiry_ms != 0;
    tail->bytes -= bytes;
    tail->tails->bytes -= bytes;
    tail->sequence_first++;
    message_unref(message);
}

/* Twice the room; each entry moves to where its sequence says. */
static bool grow(struct tail *tail) {
    struct tail larger = *tail;
    larger.capacity = tail->capacity == 0 ? CAPACITY_FIRST : tail->capacity * 2;
    larger.entries = malloc(larger.capacity * sizeof(*larger.entries));
    if (larger.entries == NULL) {
        return false;
    }
    for (uint64_t sequence = tail->sequence_first; sequence < tail->sequence_next; sequence++) {
        *slot_of(&larger, sequence) = *slot_of(tail, sequence);
    }
    free(tail->entries);
    *tail = larger;
    return true;
}

/* What was held back would be lost to one large message, if the history is short. */
static bool has_room(const struct tail *tail, size_t bytes) {
    if (slot_of(tail, tail->sequence_first)->bytes_before >= tail->bytes_seen) {
        return tail->bytes <= TAIL_BYTES_MAX + FLUSH_HELD_BYTES_MAX;
    }
    return tail->bytes + bytes <= TAIL_BYTES_MAX;
}

/* Keeps the bounds with `bytes` more: this feed's oldest go first, then the tail filled longest. */
static void make_room(struct tail *tail, size_t bytes) {
    while (tail->sequence_first < tail->sequence_next && !has_room(tail, bytes)) {
        drop_first(tail);
    }
    while (tail->tails->bytes + bytes > TAILS_BYTES_MAX && !list_is_empty(&tail->tails->filled)) {
        struct tail *victim = CONTAINER_OF(tail->tails->filled.next, struct tail, in_filled);
        tail_drop_before(victim, victim->sequence_next);
    }
}

void tail_put(struct tail *tail, struct message *message) {
    INVARIANT(message->place.position > tail->floor_position);
    size_t bytes = message_size(message);
    make_room(tail, bytes);
    bool is_full = tail->sequence_next - tail->sequence_first == tail->capacity;
    if (is_full && !grow(tail)) {
        tail_cut(tail, message->place.position);
        tail->sequence_first = ++tail->sequence_next; /* the message took its number, and is gone */
        return;
    }
    if (tail->sequence_first == tail->sequence_next) {
        list_remove(&tail->in_filled);
        list_put_tail(&tail->tails->filled, &tail->in_filled);
    }
    *slot_of(tail, tail->sequence_next++) =
        (struct tail_entry){.message = message_ref(message), .bytes_before = tail->bytes_put};
    tail->mortal_count += message->expiry_ms != 0;
    tail->bytes_put += bytes;
    tail->bytes += bytes;
    tail->tails->bytes += bytes;
}

void tail_note_seen(struct tail *tail) {
    tail->bytes_seen = tail->bytes_put;
}

void tail_drop_before(struct tail *tail, uint64_t sequence) {
    INVARIANT(sequence <= tail->sequence_next);
    while (tail->sequence_first < sequence) {
        drop_first(tail);
    }
    if (tail->sequence_first == tail->sequence_next) {
        free(tail->entries); /* a quiet feed costs no ring */
        tail->entries = NULL;
        tail->capacity = 0;
        list_remove(&tail->in_filled);
    }
}

void tail_cut(struct tail *tail, uint64_t floor_position) {
    INVARIANT(floor_position >= tail->floor_position);
    tail_drop_before(tail, tail->sequence_next);
    tail->floor_position = floor_position;
    INVARIANT(tail->bytes == 0);
}

struct message *tail_borrow(const struct tail *tail, uint64_t sequence) {
    INVARIANT(sequence >= tail->sequence_first);
    INVARIANT(sequence < tail->sequence_next);
    return slot_of(tail, sequence)->message;
}

uint64_t tail_bytes_from(const struct tail *tail, uint64_t sequence) {
    if (sequence >= tail->sequence_next) {
        return 0;
    }
    return sequence <= tail->sequence_first
               ? tail->bytes
               : tail->bytes_put - slot_of(tail, sequence)->bytes_before;
}

uint64_t tail_count_alive(const struct tail *tail, uint64_t sequence, uint64_t count_max,
                          uint64_t time_ms) {
    uint64_t count = tail->sequence_next - sequence;
    count = count < count_max ? count : count_max;
    if (tail->mortal_count == 0) {
        return count;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t expiry_ms = tail_borrow(tail, sequence + i)->expiry_ms;
        if (expiry_ms != 0 && expiry_ms <= time_ms) {
            return i;
        }
    }
    return count;
}

uint64_t tail_find_after(const struct tail *tail, uint64_t position) {
    INVARIANT(position >= tail->floor_position);
    uint64_t low = tail->sequence_first;
    uint64_t high = tail->sequence_next;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (slot_of(tail, middle)->message->place.position > position) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}
