/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/lane.h"

#include <stddef.h>

static void on_delivered(struct letter *letter, void *consumer) {
    struct lane *lane = CONTAINER_OF(letter, struct lane, letter);
    struct parcel *newest = atomic_exchange(&lane->newest, NULL);
    struct parcel *oldest = NULL;
    (void)consumer;
    while (newest != NULL) { /* they were put on top of each other */
        struct parcel *below = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = below;
    }
    while (oldest != NULL) {
        struct parcel *next = oldest->next;
        lane->on_parcel(lane, oldest);
        oldest = next;
    }
}

void lane_init(struct lane *lane, struct mailbox *mailbox,
               void (*on_parcel)(struct lane *lane, struct parcel *parcel)) {
    atomic_init(&lane->newest, NULL);
    lane->mailbox = mailbox;
    lane->on_parcel = on_parcel;
    lane->letter = (struct letter){.on_delivered = on_delivered};
}

void lane_put(struct lane *lane, struct parcel *parcel) {
    struct parcel *newest = atomic_load(&lane->newest);
    do {
        parcel->next = newest;
    } while (!atomic_compare_exchange_weak(&lane->newest, &newest, parcel));
    if (newest == NULL) {
        mailbox_put_answer(lane->mailbox, &lane->letter);
    }
}
