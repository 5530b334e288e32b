/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/backlog_bond.h"

#include <stdlib.h>

#include "broker/support/invariant.h"

static struct backlog_bond *create_bond(size_t count_whole) {
    struct backlog_bond *bond = calloc(1, sizeof(*bond));
    if (bond != NULL) {
        list_init(&bond->items);
        list_init(&bond->in_open);
        bond->count_whole = count_whole;
    }
    return bond;
}

struct backlog_bond *backlog_bond_open(struct list *open, const struct ledger_batch *batch) {
    LIST_EACH(open, node) {
        struct backlog_bond *bond = CONTAINER_OF(node, struct backlog_bond, in_open);
        if (bond->first == batch->positions[0]) {
            return bond;
        }
    }
    struct backlog_bond *bond = create_bond(batch->count);
    if (bond != NULL) {
        bond->first = batch->positions[0];
        bond->last = batch->positions[batch->count - 1];
        bond->is_open = true;
        list_put_tail(open, &bond->in_open);
    }
    return bond;
}

void backlog_bond_join(struct backlog_bond *bond, struct backlog_item *item) {
    list_put_tail(&bond->items, &item->in_bond);
    item->bond = bond;
    bond->count++;
    bond->under_way += item->is_under_way;
}

void backlog_bond_leave(struct backlog_item *item) {
    struct backlog_bond *bond = item->bond;
    if (bond == NULL) {
        return;
    }
    list_remove(&item->in_bond);
    item->bond = NULL;
    bond->count--;
    bond->under_way -= item->is_under_way;
    if (bond->count == 0) {
        list_remove(&bond->in_open);
        free(bond);
    }
}

bool backlog_bond_begin(struct backlog_item *item) {
    struct backlog_bond *bond = create_bond(0);
    INVARIANT(item->bond == NULL);
    if (bond != NULL) {
        backlog_bond_join(bond, item);
    }
    return bond != NULL;
}
