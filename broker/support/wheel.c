/* SPDX-License-Identifier: Apache-2.0 */
/* Level L holds what is due in less than 64^(L+1) ticks, in slot (due tick / 64^L) mod 64. When the
 * lower levels have gone round once, one slot of the next level is dealt out to them (Varghese and
 * Lauck, 1987, scheme 6). A timer moves at most four times in its life, most never. */
#include "broker/support/wheel.h"

#include "broker/support/invariant.h"
#include "broker/support/macros.h"

#define SLOT_BITS 6

_Static_assert(WHEEL_SLOTS == 1 << SLOT_BITS, "slots are counted by bits");

static void put_in_slot(struct wheel *wheel, struct wheel_timer *timer) {
    uint64_t ahead = timer->due_tick - wheel->tick;
    uint64_t slot_tick = timer->due_tick;
    size_t level = 0;
    while (level < WHEEL_LEVELS && ahead >> (SLOT_BITS * (level + 1)) != 0) {
        level++;
    }
    if (level == WHEEL_LEVELS) {
        /* Beyond the horizon: as far as the wheel reaches, and dealt out again from there. */
        level = WHEEL_LEVELS - 1;
        slot_tick = wheel->tick + (((uint64_t)1 << SLOT_BITS * WHEEL_LEVELS) - 1);
    }
    size_t slot = (slot_tick >> (SLOT_BITS * level)) & (WHEEL_SLOTS - 1);
    list_put_tail(&wheel->slots[level][slot], &timer->node);
}

void wheel_init(struct wheel *wheel, uint64_t now_ms) {
    *wheel = (struct wheel){.tick = now_ms / WHEEL_TICK_MS};
    for (size_t level = 0; level < WHEEL_LEVELS; level++) {
        for (size_t slot = 0; slot < WHEEL_SLOTS; slot++) {
            list_init(&wheel->slots[level][slot]);
        }
    }
}

void wheel_finish(struct wheel *wheel) {
    for (size_t level = 0; level < WHEEL_LEVELS; level++) {
        for (size_t slot = 0; slot < WHEEL_SLOTS; slot++) {
            while (list_take_head(&wheel->slots[level][slot]) != NULL) {
                wheel->timer_count--;
            }
        }
    }
    INVARIANT(wheel->timer_count == 0);
}

bool wheel_is_armed(const struct wheel_timer *timer) {
    return timer->node.next != NULL && !list_is_empty(&timer->node);
}

void wheel_disarm(struct wheel *wheel, struct wheel_timer *timer) {
    if (wheel_is_armed(timer)) {
        list_remove(&timer->node);
        wheel->timer_count--;
    }
}

void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint64_t due_ms) {
    INVARIANT(timer->on_due != NULL);
    wheel_disarm(wheel, timer);
    uint64_t due_tick = due_ms / WHEEL_TICK_MS + (due_ms % WHEEL_TICK_MS != 0);
    timer->due_tick = due_tick > wheel->tick ? due_tick : wheel->tick + 1;
    put_in_slot(wheel, timer);
    wheel->timer_count++;
}

/* Deals out the slots of the higher levels that this tick has reached. */
static void deal_out(struct wheel *wheel) {
    for (size_t level = 1; level < WHEEL_LEVELS; level++) {
        uint64_t lower = wheel->tick & (((uint64_t)1 << SLOT_BITS * level) - 1);
        if (lower != 0) {
            return;
        }
        struct list dealt;
        list_init(&dealt);
        size_t slot = (wheel->tick >> (SLOT_BITS * level)) & (WHEEL_SLOTS - 1);
        list_put_all(&dealt, &wheel->slots[level][slot]);
        struct list *node;
        while ((node = list_take_head(&dealt)) != NULL) {
            put_in_slot(wheel, CONTAINER_OF(node, struct wheel_timer, node));
        }
    }
}

static void fire(struct wheel *wheel) {
    struct list *slot = &wheel->slots[0][wheel->tick & (WHEEL_SLOTS - 1)];
    struct list *node;
    /* The slot itself is the list of what is left: nothing that a callback arms can land in it,
     * because the same slot again is 64 ticks away, which is level 1. */
    while ((node = list_take_head(slot)) != NULL) {
        struct wheel_timer *timer = CONTAINER_OF(node, struct wheel_timer, node);
        INVARIANT(timer->due_tick == wheel->tick);
        wheel->timer_count--;
        timer->on_due(timer);
    }
}

void wheel_turn(struct wheel *wheel, uint64_t now_ms) {
    INVARIANT(!wheel->is_turning);
    wheel->is_turning = true;
    uint64_t now_tick = now_ms / WHEEL_TICK_MS;
    while (wheel->tick < now_tick) {
        if (wheel->timer_count == 0) {
            wheel->tick = now_tick; /* nothing waits: a long sleep costs nothing */
            break;
        }
        wheel->tick++;
        deal_out(wheel);
        fire(wheel);
    }
    wheel->is_turning = false;
}
