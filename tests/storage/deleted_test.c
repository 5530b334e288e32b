/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/deleted.h"

#include "tests/storage/store_fixture.h"

static void expect_range(struct store_fixture *fixture, MDB_txn *txn, uint64_t offset,
                         uint64_t from, uint64_t to) {
    uint64_t found_from = 0;
    uint64_t found_to = 0;
    enum error_code result =
        deleted_find(&fixture->store, txn, 7, offset, &found_from, &found_to, NULL);
    EXPECT_EQ(result, from == 0 ? ERR_NOT_FOUND : OK);
    EXPECT_EQ(found_from, from);
    EXPECT_EQ(found_to, to);
}

static void put(struct store_fixture *fixture, MDB_txn *txn, uint64_t channel_id, uint64_t from,
                uint64_t to) {
    struct deleted_row row = {from, to, from + to};
    EXPECT_EQ(deleted_put(&fixture->store, txn, channel_id, &row, NULL), OK);
}

TEST(ranges_that_touch_become_one) {
    struct store_fixture fixture;
    store_fixture_init(&fixture);
    MDB_txn *txn = NULL;
    EXPECT_EQ(store_begin(&fixture.store, &txn, NULL), OK);
    put(&fixture, txn, 6, 1, 100);
    put(&fixture, txn, 8, 1, 100);
    expect_range(&fixture, txn, 50, 0, 0);
    put(&fixture, txn, 7, 10, 19);
    put(&fixture, txn, 7, 30, 39);
    expect_range(&fixture, txn, 9, 0, 0);
    expect_range(&fixture, txn, 10, 10, 19);
    expect_range(&fixture, txn, 19, 10, 19);
    expect_range(&fixture, txn, 20, 0, 0);
    expect_range(&fixture, txn, 40, 0, 0);
    put(&fixture, txn, 7, 20, 29);
    expect_range(&fixture, txn, 25, 10, 39);
    put(&fixture, txn, 7, 5, 12);
    expect_range(&fixture, txn, 39, 5, 39);
    put(&fixture, txn, 7, 1, 99);
    expect_range(&fixture, txn, 1, 1, 99);
    put(&fixture, txn, 7, 50, 60);
    expect_range(&fixture, txn, 99, 1, 99);
    struct deleted_row row;
    EXPECT_EQ(deleted_find_next(&fixture.store, txn, 7, 100, &row, NULL), ERR_NOT_FOUND);
    EXPECT_EQ(deleted_find_next(&fixture.store, txn, 8, 0, &row, NULL), OK);
    EXPECT_EQ(row.to, 100);
    EXPECT_EQ(row.position, 101);
    mdb_txn_abort(txn);
    store_fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(ranges_that_touch_become_one))
