/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/kafka_berth.h"

#include <stdlib.h>

#include "broker/support/invariant.h"
#include "protocols/sinks/loop.h"

struct kafka_berths {
    struct loop *loop;
    size_t user_count;
    size_t held_count;
    struct list waiting;
    bool is_handing; /* on the way down the list: who fails at once does not walk it itself */
};

enum error_code kafka_berths_open(struct loop *loop, struct kafka_berths **ret_berths) {
    void **slot = loop_shared(loop, LOOP_SHARED_KAFKA);
    if (*slot == NULL) {
        struct kafka_berths *berths = calloc(1, sizeof(*berths));
        if (berths == NULL) {
            return ERR_MEMORY;
        }
        berths->loop = loop;
        list_init(&berths->waiting);
        *slot = berths;
    }
    *ret_berths = *slot;
    (*ret_berths)->user_count++;
    return OK;
}

void kafka_berths_close(struct kafka_berths *berths) {
    if (berths == NULL || --berths->user_count > 0) {
        return;
    }
    INVARIANT(berths->held_count == 0);
    INVARIANT(list_is_empty(&berths->waiting));
    *loop_shared(berths->loop, LOOP_SHARED_KAFKA) = NULL;
    free(berths);
}

void kafka_berth_init(struct kafka_berth *berth, void (*on_held)(struct kafka_berth *berth)) {
    *berth = (struct kafka_berth){.on_held = on_held};
    list_init(&berth->in_berths);
}

static void hold(struct kafka_berths *berths, struct kafka_berth *berth) {
    berth->is_held = true;
    berths->held_count++;
    berth->on_held(berth);
}

void kafka_berth_ask(struct kafka_berths *berths, struct kafka_berth *berth) {
    INVARIANT(!berth->is_held);
    INVARIANT(list_is_empty(&berth->in_berths));
    if (berths->held_count < KAFKA_BERTHS_MAX) {
        hold(berths, berth);
    } else {
        list_put_tail(&berths->waiting, &berth->in_berths);
    }
}

void kafka_berth_leave(struct kafka_berths *berths, struct kafka_berth *berth) {
    list_remove(&berth->in_berths);
    if (!berth->is_held) {
        return;
    }
    berth->is_held = false;
    berths->held_count--;
    if (berths->is_handing) {
        return;
    }
    berths->is_handing = true;
    while (berths->held_count < KAFKA_BERTHS_MAX && !list_is_empty(&berths->waiting)) {
        struct list *next = list_take_head(&berths->waiting);
        hold(berths, CONTAINER_OF(next, struct kafka_berth, in_berths));
    }
    berths->is_handing = false;
}
