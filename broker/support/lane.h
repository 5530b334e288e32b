/* SPDX-License-Identifier: Apache-2.0 */
/* lane.h — many small things from one thread to another with one letter: a mailbox in a mailbox.
 *
 * Place:   between two objects of different threads that talk often (broker/runtime/sharing.c).
 * Thread:  put: one, or several; on_parcel: the thread of the mailbox.
 * Bounds:  the parcels are their makers'; one letter of the mailbox, however many there are.
 *
 * Parcels are intrusive. The letter is put with the first of them, and its delivery takes all that
 * came until then, oldest first: a busy lane costs one exchange a parcel and no letter.
 */
#pragma once

#include <stdatomic.h>

#include "broker/support/mailbox.h"

struct parcel {
    struct parcel *next;
};

struct lane {
    _Atomic(struct parcel *) newest;
    struct mailbox *mailbox;
    /* Takes the parcel, which may be put again or freed. It may free the lane with the last parcel
     * that is ever put. */
    void (*on_parcel)(struct lane *lane, struct parcel *parcel);
    struct letter letter;
};

void lane_init(struct lane *lane, struct mailbox *mailbox,
               void (*on_parcel)(struct lane *lane, struct parcel *parcel));

/* The letter takes the room of an answer: whoever makes lanes bounds their number. */
void lane_put(struct lane *lane, struct parcel *parcel);
