/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/pace.h"

#include "broker/support/invariant.h"

void pace_init(struct pace *pace) {
    *pace = (struct pace){0};
    for (size_t i = 0; i < PACE_SLOTS; i++) {
        list_init(&pace->slots[i]);
    }
}

static uint64_t *word_of(struct pace *pace, size_t slot) {
    return &pace->occupied[slot / 64];
}

static uint64_t bit_of(size_t slot) {
    return (uint64_t)1 << slot % 64;
}

void pace_hold(struct pace *pace, struct list *node, uint64_t due_ms) {
    INVARIANT(due_ms > pace->now_ms);
    INVARIANT(due_ms - pace->now_ms < PACE_SLOTS);
    size_t slot = due_ms % PACE_SLOTS;
    list_put_tail(&pace->slots[slot], node);
    *word_of(pace, slot) |= bit_of(slot);
}

/* Empties the slots of `count` moments from `first_ms` on. */
static void empty(struct pace *pace, uint64_t first_ms, uint64_t count, struct list *ret_due) {
    for (uint64_t i = 0; i < count; i++) {
        size_t slot = (first_ms + i) % PACE_SLOTS;
        if ((*word_of(pace, slot) & bit_of(slot)) != 0) {
            list_put_all(ret_due, &pace->slots[slot]);
            *word_of(pace, slot) &= ~bit_of(slot);
        }
    }
}

void pace_turn(struct pace *pace, uint64_t now_ms, struct list *ret_due) {
    INVARIANT(now_ms >= pace->now_ms);
    uint64_t count = now_ms - pace->now_ms;
    empty(pace, pace->now_ms + 1, count < PACE_SLOTS ? count : PACE_SLOTS, ret_due);
    pace->now_ms = now_ms;
}

void pace_release(struct pace *pace, uint64_t now_ms, struct list *ret_due) {
    uint64_t held = 0;
    for (size_t i = 0; i < PACE_WORDS; i++) {
        held |= pace->occupied[i];
    }
    if (held != 0) {
        empty(pace, pace->now_ms + 1, PACE_SLOTS, ret_due);
    }
    pace_turn(pace, now_ms, ret_due);
}

uint64_t pace_wait_ms(struct pace *pace) {
    for (uint64_t i = 1; i < PACE_SLOTS; i++) {
        size_t slot = (pace->now_ms + i) % PACE_SLOTS;
        if (*word_of(pace, slot) == 0 && slot % 64 == 0) {
            i += 63; /* a whole word of nothing */
        } else if ((*word_of(pace, slot) & bit_of(slot)) != 0) {
            if (!list_is_empty(&pace->slots[slot])) {
                return i;
            }
            *word_of(pace, slot) &= ~bit_of(slot); /* all have left */
        }
    }
    return 0;
}
