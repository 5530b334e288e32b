/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/prune.h"

#include <stdio.h>

#include "storage/deleted.h"
#include "storage/keys.h"
#include "tests/storage/store_fixture.h"

#define KEYS 30000

static size_t count_rows(MDB_txn *txn, MDB_dbi dbi) {
    MDB_stat stat;
    EXPECT_EQ(mdb_stat(txn, dbi, &stat), 0);
    return stat.ms_entries;
}

TEST(rows_of_offsets_that_retention_passed_go_and_the_others_stay) {
    struct store_fixture fixture;
    struct store *store = &fixture.store;
    struct prune prune;
    bool has_changed = false;
    size_t steps = 0;
    uint64_t from = 0;
    uint64_t to = 0;
    store_fixture_init(&fixture);
    MDB_txn *txn = store_fixture_begin(&fixture);
    struct channel_row row = {
        .offset_last = KEYS, .trimmed_offset = 20000, .birth_offset = 1, .name = SPAN("c2")};
    EXPECT_EQ(store_put_channel(store, txn, 2, &row, NULL), OK);
    for (uint64_t i = 1; i <= KEYS; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%llu", (unsigned long long)i * 7919 % KEYS);
        EXPECT_EQ(keys_put(store, txn, 2, span_of_string(key), i, NULL), OK);
    }
    EXPECT_EQ(keys_put(store, txn, 1, SPAN("of a forgotten channel"), 1, NULL), OK);
    EXPECT_EQ(deleted_put(store, txn, 1, &(struct deleted_row){5, 9, 1}, NULL), OK);
    EXPECT_EQ(deleted_put(store, txn, 2, &(struct deleted_row){5, 9, 1}, NULL), OK);
    EXPECT_EQ(deleted_put(store, txn, 2, &(struct deleted_row){11, 20000, 1}, NULL), OK);
    EXPECT_EQ(deleted_put(store, txn, 2, &(struct deleted_row){20005, 20006, 1}, NULL), OK);
    for (prune_begin(&prune); prune.is_running; steps++) {
        EXPECT_EQ(prune_step(&prune, store, txn, &has_changed, NULL), OK);
        EXPECT_TRUE(has_changed);
    }
    EXPECT_EQ(steps, 2);
    EXPECT_EQ(count_rows(txn, store->keys), KEYS - 20000);
    EXPECT_EQ(count_rows(txn, store->deleted), 2);
    EXPECT_EQ(deleted_find(store, txn, 2, 15000, &from, &to, NULL), OK);
    EXPECT_EQ(deleted_find(store, txn, 2, 20005, &from, &to, NULL), OK);
    prune_begin(&prune);
    EXPECT_EQ(prune_step(&prune, store, txn, &has_changed, NULL), OK);
    EXPECT_FALSE(has_changed);
    mdb_txn_abort(txn);
    store_fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(rows_of_offsets_that_retention_passed_go_and_the_others_stay))
