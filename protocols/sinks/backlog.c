/* SPDX-License-Identifier: Apache-2.0 */
/* Items hang in up to three lists: all in order of position, those of a lane, those that are bound;
 * and what may begin a shipment in a heap of backlog_ready.h.
 *
 * What is done leaves no item behind, only a word to the one before it: up to where all behind it
 * is done. So settling costs the same wherever it happens.
 *
 * A lane that waits for its time, perhaps for hours, must not fill the window. When half of that is
 * taken, the first messages of such a lane stay, the last of them is marked as **cut**, and what
 * stands behind it in the lane is let go of. The floor cannot pass the cut, which is not done, so
 * nothing is lost; when its turn comes all is cleared and read again from the floor, where the
 * ledger knows what is done. The obvious alternative, a place in the log for each lane, reads the
 * log once for each. */
#include "protocols/sinks/backlog.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/limits.h"
#include "broker/support/invariant.h"
#include "protocols/sinks/backlog_bond.h"
#include "protocols/sinks/backlog_private.h"

#define CROWDED_PART 2
#define STUCK_MS 2000 /* what comes back sooner is worth waiting for */
#define STUCK_PART 64 /* of the window: what stays of a lane … */
#define STUCK_MIN 2   /* … and if that is not enough: what waits, and the mark behind it */
#define OVERDRAFT 2   /* times the window, until what is bound is all here */

static uint64_t position_of(const struct backlog_item *item) {
    return item->message->place.position;
}

static size_t payload_bytes(const struct backlog_item *item) {
    return item->message->fields.payload.length;
}

static_assert(BACKLOG_LANES_WAITING_MAX * STUCK_MIN <= SINK_WINDOW_MAX - SINK_WINDOW_MAX / 8,
              "the window of a sink that could send more is read into while so many wait");

/* --- what may begin --------------------------------------------------------------------------- */

static void schedule_bond(struct backlog *backlog, struct backlog_bond *bond) {
    uint64_t due_ms = 0;
    struct backlog_item *first = ITEM_OF(bond->items.next, in_bond);
    if (bond->under_way > 0 || bond->is_open || first->in_heap.place != 0) {
        return;
    }
    LIST_EACH(&bond->items, node) {
        uint64_t item_due_ms = ITEM_OF(node, in_bond)->due_ms;
        due_ms = item_due_ms > due_ms ? item_due_ms : due_ms;
    }
    backlog_ready_put(&backlog->ready, first, due_ms);
}

/* An item that nothing is before. */
static void schedule(struct backlog *backlog, struct backlog_item *item) {
    INVARIANT(!item->is_under_way);
    if (item->is_cut) {
        backlog->wants_again = true;
    } else if (item->bond != NULL) {
        schedule_bond(backlog, item->bond);
    } else if (item->in_heap.place == 0) {
        backlog_ready_put(&backlog->ready, item, item->due_ms);
    }
}

static bool is_first(const struct backlog_item *item) {
    const struct backlog_lane *lane = item->lane;
    return lane == NULL || (lane->under_way == 0 && lane->items.next == &item->in_lane);
}

static void schedule_lane(struct backlog *backlog, struct backlog_lane *lane) {
    if (lane->under_way == 0 && !list_is_empty(&lane->items)) {
        schedule(backlog, ITEM_OF(lane->items.next, in_lane));
    }
}

/* --- bonds ------------------------------------------------------------------------------------ */

static void part(struct backlog *backlog, struct backlog_bond *bond) {
    struct backlog_item *first = ITEM_OF(bond->items.next, in_bond);
    if (first->in_heap.place != 0) {
        backlog_ready_remove(&backlog->ready, first);
    }
    for (size_t count = bond->count; count > 0; count--) {
        struct backlog_item *item = ITEM_OF(bond->items.next, in_bond);
        backlog_bond_leave(item);
        if (!item->is_under_way && is_first(item)) {
            schedule(backlog, item);
        }
    }
}

/* Bonds of which something is gone from the log. */
static void part_before(struct backlog *backlog, uint64_t position) {
    LIST_EACH(&backlog->open_bonds, node) {
        struct backlog_bond *bond = CONTAINER_OF(node, struct backlog_bond, in_open);
        if (bond->last < position) {
            part(backlog, bond);
        }
    }
}

/* One alone waits until it is the first of its lane; several would part: see take_bond(). */
static void close_bond(struct backlog *backlog, struct backlog_bond *bond) {
    if (bond->is_open && bond->count == bond->count_whole) {
        list_remove(&bond->in_open);
        bond->is_open = false;
        if (bond->count > 1 || is_first(ITEM_OF(bond->items.next, in_bond))) {
            schedule_bond(backlog, bond);
        }
    }
}

/* --- lanes that wait for long ----------------------------------------------------------------- */

/* Takes it out of the order: the one before it, or the beginning, is told what it knew. Returns the
 * position of the message that the sink gets before it; 0: not known. */
static uint64_t leave_order(struct backlog *backlog, struct backlog_item *item, bool is_done) {
    struct list *node = item->in_order.previous;
    struct backlog_item *before = node == &backlog->items ? NULL : ITEM_OF(node, in_order);
    struct place *passed = before == NULL ? &backlog->passed : &before->passed;
    uint64_t *last = before == NULL ? &backlog->last : &before->last;
    uint64_t previous = *last != 0 || before == NULL ? *last : position_of(before);
    if (is_done) {
        *passed = item->passed.position != 0 ? item->passed : item->message->place;
        backlog->has_advanced |= before == NULL;
    }
    *last = item->last != 0 ? item->last : position_of(item);
    list_remove(&item->in_order);
    return previous;
}

/* Out of its lane and bond, and free. Its lane may have a new first. */
static void drop(struct backlog *backlog, struct backlog_item *item) {
    struct backlog_lane *lane = item->lane;
    backlog->count--;
    backlog->detached -= item->is_detached;
    backlog->bytes -= message_size(item->message);
    backlog_bond_leave(item);
    if (lane != NULL) {
        backlog_ready_drop_rest(&backlog->ready, item);
        list_remove(&item->in_lane);
        backlog_lanes_close(&backlog->lanes, lane);
    }
    message_unref(item->message);
    free(item);
}

static bool is_full(const struct backlog *backlog) {
    return backlog->count >= backlog->options.messages_max ||
           backlog->bytes >= backlog->options.bytes_max;
}

static struct backlog_item *last_of(const struct backlog_lane *lane) {
    return ITEM_OF(lane->items.previous, in_lane);
}

/* The first stays, which is what waits, and one behind it, to be marked. So does what is bound: it
 * has to leave as a whole. */
static void cut(struct backlog *backlog, struct backlog_lane *lane, size_t count_max) {
    while (lane->rest_count > count_max) {
        struct backlog_item *item = last_of(lane);
        struct backlog_item *before = ITEM_OF(item->in_lane.previous, in_lane);
        if (item->bond != NULL || before->bond != NULL) {
            return;
        }
        before->is_cut = true;
        leave_order(backlog, item, false);
        drop(backlog, item);
    }
}

/* Long before it is full, as its reader may wait until a page is worth it. */
static bool is_crowded(const struct backlog *backlog) {
    return backlog->count >= backlog->options.messages_max / CROWDED_PART ||
           backlog->bytes >= backlog->options.bytes_max / CROWDED_PART;
}

static void cut_waiting(struct backlog *backlog, size_t count_max) {
    const struct heap *waiting = &backlog->ready.waiting;
    for (size_t i = 0; i < waiting->count && backlog->has_lanes && is_crowded(backlog); i++) {
        struct backlog_item *item = ITEM_OF(waiting->nodes[i], in_heap);
        if (waiting->nodes[i]->due < backlog->now_ms + STUCK_MS) {
            continue;
        }
        if (item->bond == NULL) {
            cut(backlog, item->lane, count_max);
            continue;
        }
        LIST_EACH(&item->bond->items, node) {
            cut(backlog, ITEM_OF(node, in_bond)->lane, count_max);
        }
    }
}

static void make_room(struct backlog *backlog) {
    cut_waiting(backlog, backlog->options.messages_max / STUCK_PART + STUCK_MIN);
    cut_waiting(backlog, STUCK_MIN);
}

/* --- in and out ------------------------------------------------------------------------------- */

enum error_code backlog_create(const struct backlog_options *options,
                               struct backlog **ret_backlog) {
    struct backlog *backlog = calloc(1, sizeof(*backlog));
    if (backlog == NULL) {
        return ERR_MEMORY;
    }
    backlog->options = *options;
    backlog->has_lanes = options->mode == SINK_MODE_ORDERED && !options->is_pipelined;
    list_init(&backlog->items);
    list_init(&backlog->open_bonds);
    *ret_backlog = backlog;
    return OK;
}

void backlog_destroy(struct backlog *backlog) {
    if (backlog != NULL) {
        INVARIANT(backlog->under_way == 0);
        backlog_clear(backlog);
        free(backlog);
    }
}

void backlog_set_messages_max(struct backlog *backlog, size_t messages_max) {
    backlog->options.messages_max = messages_max;
}

bool backlog_has_room(const struct backlog *backlog) {
    bool is_all_cut = backlog->has_lanes && backlog->options.order == SINK_ORDER_ALL &&
                      !list_is_empty(&backlog->items) &&
                      ITEM_OF(backlog->items.previous, in_order)->is_cut;
    bool may_overdraw = !list_is_empty(&backlog->open_bonds);
    return backlog->detached == 0 && !backlog->wants_again && !is_all_cut &&
           (may_overdraw || !is_full(backlog));
}

bool backlog_wants_again(const struct backlog *backlog) {
    return backlog->wants_again;
}

size_t backlog_count(const struct backlog *backlog) {
    return backlog->count;
}

size_t backlog_under_way(const struct backlog *backlog) {
    return backlog->under_way;
}

size_t backlog_memory_bytes(const struct backlog *backlog) {
    return sizeof(*backlog) + backlog->bytes + backlog->count * sizeof(struct backlog_item) +
           (backlog->ready.free.capacity + backlog->ready.waiting.capacity) * sizeof(void *) +
           backlog_lanes_bytes(&backlog->lanes);
}

const struct message *backlog_first(const struct backlog *backlog) {
    return list_is_empty(&backlog->items) ? NULL : ITEM_OF(backlog->items.next, in_order)->message;
}

/* What can fail, before anything is changed. */
static enum error_code open_item(struct backlog *backlog, struct backlog_lane *lane,
                                 const struct ledger_batch *batch, struct backlog_item **ret_item) {
    enum error_code code = backlog_ready_reserve(&backlog->ready, backlog->count + 1);
    struct backlog_item *item = code == OK ? calloc(1, sizeof(*item)) : NULL;
    if (item == NULL) {
        return ERR_MEMORY;
    }
    item->lane = lane;
    if (batch != NULL && !backlog->options.is_pipelined &&
        (item->bond = backlog_bond_open(&backlog->open_bonds, batch)) == NULL) {
        free(item);
        return ERR_MEMORY;
    }
    *ret_item = item;
    return OK;
}

static void put_item(struct backlog *backlog, struct backlog_item *item) {
    struct backlog_bond *bond = item->bond;
    list_put_tail(&backlog->items, &item->in_order);
    backlog->count++;
    backlog->bytes += message_size(item->message);
    if (item->lane != NULL) {
        list_put_tail(&item->lane->items, &item->in_lane);
        backlog_ready_add_rest(&backlog->ready, item);
    }
    if (bond != NULL) {
        backlog_bond_join(bond, item);
        close_bond(backlog, bond);
    } else if (is_first(item)) {
        schedule(backlog, item);
    }
}

enum error_code backlog_put(struct backlog *backlog, struct message *message,
                            const struct ledger_failure *failure,
                            const struct ledger_batch *batch) {
    struct backlog_item *item;
    struct backlog_lane *lane = NULL;
    uint64_t position = message->place.position;
    INVARIANT(backlog->detached == 0);
    INVARIANT(position > backlog->newest);
    bool is_overdrawn = backlog->count >= backlog->options.messages_max * OVERDRAFT;
    part_before(backlog, is_overdrawn ? UINT64_MAX : position);
    if (backlog->has_lanes) {
        lane = backlog_lanes_open(&backlog->lanes, backlog->options.order, message);
        if (lane == NULL) {
            return ERR_MEMORY;
        }
        if (!list_is_empty(&lane->items) && last_of(lane)->is_cut) {
            ITEM_OF(backlog->items.previous, in_order)->last = position;
            backlog->newest = position;
            return OK;
        }
    }
    enum error_code code = open_item(backlog, lane, batch, &item);
    if (code != OK) {
        backlog_lanes_close(&backlog->lanes, lane);
        return code;
    }
    item->message = message_ref(message);
    item->attempts = failure == NULL ? 0 : failure->attempts;
    item->due_ms = failure == NULL ? 0 : failure->due_ms;
    backlog->newest = position;
    put_item(backlog, item);
    make_room(backlog);
    return OK;
}

static void pass(struct backlog *backlog, const struct place *place, bool is_message) {
    bool is_empty = list_is_empty(&backlog->items);
    struct backlog_item *last = is_empty ? NULL : ITEM_OF(backlog->items.previous, in_order);
    if (place->position <= backlog->newest) {
        return;
    }
    backlog->newest = place->position;
    *(is_empty ? &backlog->passed : &last->passed) = *place;
    backlog->has_advanced |= is_empty;
    if (is_message) {
        *(is_empty ? &backlog->last : &last->last) = place->position;
    }
    part_before(backlog, place->position + 1);
}

void backlog_put_done(struct backlog *backlog, const struct place *place) {
    pass(backlog, place, true);
}

void backlog_pass(struct backlog *backlog, const struct place *place) {
    pass(backlog, place, false);
}

/* --- taking ----------------------------------------------------------------------------------- */

static void begin(struct backlog *backlog, struct backlog_item *item) {
    INVARIANT(!item->is_under_way);
    item->is_under_way = true;
    backlog->under_way++;
    if (item->lane != NULL) {
        backlog_ready_drop_rest(&backlog->ready, item);
        item->lane->under_way++;
    }
}

/* The one behind it in its lane may leave with it. */
static void free_next(struct backlog *backlog, struct backlog_item *item, uint64_t now_ms) {
    struct list *next = item->in_lane.next;
    if (item->lane == NULL || next == &item->lane->items) {
        return;
    }
    struct backlog_item *behind = ITEM_OF(next, in_lane);
    if (behind->bond == NULL && !behind->is_cut && behind->due_ms <= now_ms) {
        backlog_ready_put(&backlog->ready, behind, 0);
    }
}

/* What is left of the lanes of which something was taken waits for that. */
static void block_lanes(struct backlog *backlog, struct backlog_item *const *items, size_t count) {
    for (size_t i = 0; i < count && backlog->has_lanes; i++) {
        struct backlog_lane *lane = items[i]->lane;
        struct list *next = items[i]->in_lane.next;
        if (next != &lane->items && ITEM_OF(next, in_lane)->in_heap.place != 0) {
            backlog_ready_remove(&backlog->ready, ITEM_OF(next, in_lane));
        }
        backlog_ready_forget_lane(&backlog->ready, lane);
    }
}

static size_t take_free(struct backlog *backlog, uint64_t now_ms, size_t messages_max,
                        size_t bytes_max, struct backlog_item **items) {
    size_t count = 0, bytes = 0;
    bool is_bound = messages_max > 1 && !backlog->options.is_pipelined;
    struct backlog_item *item;
    while (count < messages_max && (item = backlog_ready_first(&backlog->ready)) != NULL) {
        bool is_too_much = count > 0 && bytes + payload_bytes(item) > bytes_max;
        if (item->bond != NULL || is_too_much) {
            break;
        }
        if (count == 1 && is_bound && items[0]->bond == NULL) {
            break; /* there was no memory for a bond: one goes without */
        }
        backlog_ready_take(&backlog->ready, item);
        begin(backlog, item);
        if (count == 0 && is_bound) {
            IGNORE_RESULT(!backlog_bond_begin(item)); /* see above */
        } else if (is_bound) {
            backlog_bond_join(items[0]->bond, item);
        }
        free_next(backlog, item, now_ms);
        bytes += payload_bytes(item);
        items[count++] = item;
    }
    block_lanes(backlog, items, count);
    return count;
}

/* False: something of another bond, or of none, stands before one of them in its lane. Those before
 * a batch were done when it left, so `mode` or `order` was changed since then. */
static bool is_bond_first(const struct backlog_bond *bond) {
    LIST_EACH(&bond->items, node) {
        const struct backlog_item *item = ITEM_OF(node, in_bond);
        struct list *before = item->in_lane.previous;
        if (item->lane != NULL &&
            (item->lane->under_way > 0 ||
             (before != &item->lane->items && ITEM_OF(before, in_lane)->bond != bond))) {
            return false;
        }
    }
    return true;
}

/* 0: its messages had to part. */
static size_t take_bond(struct backlog *backlog, struct backlog_bond *bond, size_t messages_max,
                        struct backlog_item **items) {
    size_t count = 0;
    if (bond->count > messages_max || !is_bond_first(bond)) {
        part(backlog, bond);
        return 0;
    }
    backlog_ready_remove(&backlog->ready, ITEM_OF(bond->items.next, in_bond));
    LIST_EACH(&bond->items, node) {
        struct backlog_item *item = ITEM_OF(node, in_bond);
        begin(backlog, item);
        items[count++] = item;
    }
    bond->under_way = count;
    return count;
}

size_t backlog_take(struct backlog *backlog, uint64_t now_ms, size_t messages_max, size_t bytes_max,
                    uint64_t age_ms_max, struct backlog_item **items, bool *ret_is_again,
                    uint64_t *ret_due_ms) {
    struct backlog_ready *ready = &backlog->ready;
    struct backlog_item *item;
    size_t count = 0;
    INVARIANT(messages_max > 0);
    backlog->now_ms = now_ms;
    backlog_ready_promote(ready, now_ms);
    *ret_is_again = false;
    *ret_due_ms = UINT64_MAX;
    while (count == 0 && (item = backlog_ready_first(ready)) != NULL) {
        if (item->bond != NULL) {
            count = take_bond(backlog, item->bond, messages_max, items);
            *ret_is_again = count > 0;
            backlog_ready_promote(ready, now_ms); /* those that parted may go at once */
        } else if (backlog_ready_is_held(ready, now_ms, messages_max, bytes_max, age_ms_max,
                                         ret_due_ms)) {
            break;
        } else {
            count = take_free(backlog, now_ms, messages_max, bytes_max, items);
            ready->held_since_ms = 0;
        }
    }
    uint64_t due_ms = backlog_ready_due_ms(ready);
    *ret_due_ms = due_ms < *ret_due_ms ? due_ms : *ret_due_ms;
    return count;
}

/* --- settling --------------------------------------------------------------------------------- */

/* It is under way no more. */
static void end(struct backlog *backlog, struct backlog_item *item) {
    INVARIANT(item->is_under_way);
    item->is_under_way = false;
    backlog->under_way--;
    if (item->bond != NULL) {
        item->bond->under_way--;
    }
    if (item->lane != NULL) {
        item->lane->under_way--;
        backlog_ready_add_rest(&backlog->ready, item);
    }
}

void backlog_settle(struct backlog *backlog, struct backlog_item *item, uint64_t *ret_previous) {
    end(backlog, item);
    if (item->is_detached) {
        *ret_previous = 0;
        drop(backlog, item);
        return;
    }
    struct backlog_lane *lane = item->lane;
    struct backlog_bond *bond = item->bond;
    bool is_last_of_lane = lane == NULL || (lane->items.next == lane->items.previous);
    bool is_last_of_bond = bond == NULL || bond->count == 1;
    *ret_previous = leave_order(backlog, item, true);
    drop(backlog, item);
    if (!is_last_of_bond) {
        bond->is_broken = true;
        if (bond->under_way == 0) {
            part(backlog, bond);
        }
    }
    if (!is_last_of_lane) {
        schedule_lane(backlog, lane);
    }
}

void backlog_put_back(struct backlog *backlog, struct backlog_item *item, uint32_t attempts,
                      uint64_t due_ms) {
    end(backlog, item);
    if (item->is_detached) {
        drop(backlog, item);
        return;
    }
    item->attempts = attempts;
    item->due_ms = due_ms;
    if (item->bond != NULL && item->bond->under_way == 0 && item->bond->is_broken) {
        part(backlog, item->bond);
    } else if (item->lane != NULL) {
        schedule_lane(backlog, item->lane);
    } else {
        schedule(backlog, item);
    }
    make_room(backlog);
}

void backlog_unbind(struct backlog *backlog, struct backlog_item *item) {
    if (item->bond != NULL) {
        part(backlog, item->bond);
    }
}

void backlog_set_apart(struct backlog *backlog, struct backlog_item *const *items, size_t count) {
    INVARIANT(!backlog->options.is_pipelined);
    for (size_t i = 0; i < count; i++) {
        INVARIANT(items[i]->is_under_way);
        backlog_bond_leave(items[i]);
        IGNORE_RESULT(items[i]->is_detached || !backlog_bond_begin(items[i])); /* as take_free() */
    }
}

bool backlog_advance(struct backlog *backlog, struct place *ret_floor) {
    bool has_advanced = backlog->has_advanced;
    if (has_advanced) {
        *ret_floor = backlog->passed;
        backlog->has_advanced = false;
    }
    return has_advanced;
}

void backlog_clear(struct backlog *backlog) {
    while (!list_is_empty(&backlog->items)) {
        struct backlog_item *item = ITEM_OF(backlog->items.next, in_order);
        list_remove(&item->in_order);
        backlog_bond_leave(item);
        if (!item->is_under_way) {
            drop(backlog, item);
            continue;
        }
        struct backlog_lane *lane = item->lane;
        item->is_detached = true;
        item->lane = NULL;
        backlog->detached++;
        if (lane != NULL) {
            list_remove(&item->in_lane);
            backlog_lanes_close(&backlog->lanes, lane);
        }
    }
    INVARIANT(backlog->detached == backlog->under_way);
    INVARIANT(list_is_empty(&backlog->open_bonds));
    backlog_ready_finish(&backlog->ready);
    backlog_lanes_finish(&backlog->lanes);
    backlog->passed = (struct place){0};
    backlog->last = backlog->newest = 0;
    backlog->has_advanced = backlog->wants_again = false;
}
