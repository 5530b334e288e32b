/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/backlog_bond.h"

#include "tests/unit.h"

TEST(a_bond_goes_with_the_last_of_its_items) {
    struct backlog_item first = {.is_under_way = true}, second = {.is_under_way = true};
    EXPECT_TRUE(backlog_bond_begin(&first));
    backlog_bond_join(first.bond, &second);
    EXPECT_TRUE(first.bond == second.bond);
    EXPECT_EQ(first.bond->count, 2);
    EXPECT_EQ(first.bond->under_way, 2);
    backlog_bond_leave(&first);
    EXPECT_NULL(first.bond);
    EXPECT_EQ(second.bond->under_way, 1);
    backlog_bond_leave(&second);
    EXPECT_NULL(second.bond);
    backlog_bond_leave(&second); /* harmless */
}

TEST(a_batch_of_the_ledger_has_one_bond) {
    uint64_t one[] = {5, 9}, two[] = {6, 7};
    const struct ledger_batch batches[] = {{2, one}, {2, two}};
    struct backlog_item items[2] = {0};
    struct list open;
    list_init(&open);
    struct backlog_bond *bond = backlog_bond_open(&open, &batches[0]);
    backlog_bond_join(bond, &items[0]);
    EXPECT_TRUE(backlog_bond_open(&open, &batches[0]) == bond);
    struct backlog_bond *other = backlog_bond_open(&open, &batches[1]);
    EXPECT_TRUE(other != bond);
    backlog_bond_join(other, &items[1]);
    EXPECT_EQ(bond->first, 5);
    EXPECT_EQ(bond->last, 9);
    EXPECT_EQ(bond->count_whole, 2);
    backlog_bond_leave(&items[0]);
    backlog_bond_leave(&items[1]);
    EXPECT_TRUE(list_is_empty(&open));
}

UNIT_TESTS(UNIT(a_bond_goes_with_the_last_of_its_items), UNIT(a_batch_of_the_ledger_has_one_bond))
