/* SPDX-License-Identifier: Apache-2.0 */
/* backlog_bond.h — messages that leave together or not at all, because they did before.
 *
 * Place:   of backlog.c.
 * Thread:  pure.
 * Bounds:  its messages are the backlog's; it goes with the last of them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/list.h"
#include "protocols/sinks/backlog.h"

struct backlog_bond {
    struct list items;   /* in order of position */
    struct list in_open; /* of those that are not all here yet */
    size_t count;
    size_t count_whole; /* of one that is open */
    size_t under_way;
    uint64_t first, last; /* of one that was open: positions */
    bool is_open;
    bool is_broken; /* some are done and others not: when all are back they part */
};

/* The one among `open` that stands for the batch, made if it is not there. NULL: no memory. */
struct backlog_bond *backlog_bond_open(struct list *open, const struct ledger_batch *batch);

void backlog_bond_join(struct backlog_bond *bond, struct backlog_item *item);

/* The last one takes the bond with it. Harmless for an item that has none. */
void backlog_bond_leave(struct backlog_item *item);

/* A bond of one that has none, to be joined by others. False: no memory. */
bool backlog_bond_begin(struct backlog_item *item);
