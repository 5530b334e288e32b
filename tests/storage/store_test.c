/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/store.h"

#include <errno.h>

#include "broker/support/macros.h"
#include "storage/keys.h"
#include "tests/storage/store_fixture.h"

TEST(a_new_store_is_the_first_generation_of_its_log) {
    struct store_fixture fixture;
    struct meta_row meta;
    uint64_t position = 0;
    store_fixture_init(&fixture);
    MDB_txn *txn = store_fixture_begin(&fixture);
    EXPECT_EQ(store_get_meta(&fixture.store, txn, &meta, NULL), OK);
    EXPECT_EQ(meta.log_id, 77);
    EXPECT_EQ(meta.generation, 1);
    EXPECT_TRUE(meta.is_clean);
    EXPECT_EQ(store_get_generation(&fixture.store, txn, 1, &position, NULL), OK);
    EXPECT_EQ(position, 1);
    EXPECT_EQ(store_get_generation(&fixture.store, txn, 2, &position, NULL), ERR_NOT_FOUND);
    mdb_txn_abort(txn);
    store_fixture_finish(&fixture);
}

TEST(a_snapshot_does_not_see_what_is_committed_after_it) {
    struct store_fixture fixture;
    struct channel_row row = {.offset_last = 5, .birth_offset = 1, .name = SPAN("a")};
    MDB_txn *before = NULL;
    MDB_txn *after = NULL;
    store_fixture_init(&fixture);
    EXPECT_EQ(store_take_snapshot(&fixture.store, &before, NULL), OK);
    MDB_txn *txn = store_fixture_begin(&fixture);
    EXPECT_EQ(store_put_channel(&fixture.store, txn, 3, &row, NULL), OK);
    EXPECT_EQ(store_commit(txn, NULL), OK);
    EXPECT_EQ(store_take_snapshot(&fixture.store, &after, NULL), OK);
    EXPECT_EQ(store_get_channel(&fixture.store, before, 3, &row, NULL), ERR_NOT_FOUND);
    EXPECT_EQ(store_get_channel(&fixture.store, after, 3, &row, NULL), OK);
    EXPECT_SPAN(row.name, "a");
    store_release(&fixture.store, before);
    store_release(&fixture.store, after);
    /* Out of the pool, and as new. */
    EXPECT_EQ(store_take_snapshot(&fixture.store, &before, NULL), OK);
    EXPECT_EQ(store_get_channel(&fixture.store, before, 3, &row, NULL), OK);
    store_release(&fixture.store, before);
    store_fixture_finish(&fixture);
}

TEST(what_failed_in_a_transaction_leaves_nothing_of_it) {
    static const enum error_code results[] = {ERR_MEMORY, OK};
    struct store_fixture fixture;
    struct channel_row row = {.offset_last = 5, .birth_offset = 1, .name = SPAN("a")};
    store_fixture_init(&fixture);
    for (size_t i = 0; i < ARRAY_COUNT(results); i++) {
        MDB_txn *txn = store_fixture_begin(&fixture);
        EXPECT_EQ(store_put_channel(&fixture.store, txn, 3, &row, NULL), OK);
        EXPECT_EQ(store_end(txn, results[i], NULL), results[i]);
        EXPECT_EQ(store_take_snapshot(&fixture.store, &txn, NULL), OK);
        EXPECT_EQ(store_get_channel(&fixture.store, txn, 3, &row, NULL),
                  results[i] == OK ? OK : ERR_NOT_FOUND);
        store_release(&fixture.store, txn);
    }
    store_fixture_finish(&fixture);
}

TEST(full_disks_are_told_from_broken_ones) {
    struct error why;
    EXPECT_EQ(store_error(&why, MDB_MAP_FULL, "x"), ERR_STORAGE_FULL);
    EXPECT_EQ(store_error(&why, ENOSPC, "x"), ERR_STORAGE_FULL);
    EXPECT_EQ(store_error(&why, MDB_CORRUPTED, "x"), ERR_CORRUPT);
    EXPECT_EQ(store_error(&why, ENOMEM, "x"), ERR_MEMORY);
    EXPECT_EQ(store_error(&why, EIO, "x"), ERR_IO);
}

TEST(names_that_cannot_be_keys_are_not_found) {
    struct store_fixture fixture;
    static uint8_t name[600];
    uint64_t id = 0;
    store_fixture_init(&fixture);
    MDB_txn *txn = store_fixture_begin(&fixture);
    for (size_t length = 0; length < sizeof(name); length += 50) {
        EXPECT_EQ(store_get_channel_id(&fixture.store, txn, span_of(name, length), &id, NULL),
                  ERR_NOT_FOUND);
    }
    mdb_txn_abort(txn);
    store_fixture_finish(&fixture);
}

/* Takes away what an older broker did not have: tables, and the end of the row of `meta`. */
static void make_old(struct store_fixture *fixture) {
    struct store *store = &fixture->store;
    const MDB_dbi tables[] = {store->deleted, store->erasing, store->keys, store->repeats,
                              store->retained};
    struct meta_row meta;
    uint8_t bytes[ROW_BYTES_MAX];
    MDB_txn *txn = store_fixture_begin(fixture);
    for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
        EXPECT_EQ(mdb_drop(txn, tables[i], 1), 0);
    }
    EXPECT_EQ(store_get_meta(store, txn, &meta, NULL), OK);
    meta_row_write(&meta, bytes);
    char name[] = "state";
    MDB_val key = {.mv_size = 5, .mv_data = name};
    MDB_val value = {.mv_size = 61, .mv_data = bytes};
    EXPECT_EQ(mdb_put(txn, store->meta, &key, &value, 0), 0);
    EXPECT_EQ(store_commit(txn, NULL), OK);
}

TEST(a_directory_without_the_newer_tables_is_opened) {
    struct store_fixture fixture;
    struct meta_row meta;
    uint64_t offset = 0;
    store_fixture_init(&fixture);
    struct message *message = store_fixture_make(&fixture, 1, 1, 10);
    store_fixture_apply(&fixture, &message, 1);
    make_old(&fixture);
    store_close(&fixture.store);
    EXPECT_EQ(store_open(&fixture.store, fixture.directory, 1 << 30, 0, NULL), OK);
    MDB_txn *txn = store_fixture_begin(&fixture);
    EXPECT_EQ(store_get_meta(&fixture.store, txn, &meta, NULL), OK);
    EXPECT_EQ(meta.position_folded, 1);
    EXPECT_EQ(meta.walk_floor, 1);
    EXPECT_EQ(keys_put(&fixture.store, txn, 1, SPAN("k"), 1, NULL), OK);
    EXPECT_EQ(keys_find(&fixture.store, txn, 1, SPAN("k"), &offset, NULL), OK);
    EXPECT_EQ(store_commit(txn, NULL), OK);
    message = store_fixture_make(&fixture, 1, 2, 10);
    txn = store_fixture_begin(&fixture);
    EXPECT_EQ(segments_load(&fixture.segments, &fixture.store, txn, NULL), OK);
    mdb_txn_abort(txn);
    store_fixture_apply(&fixture, &message, 1);
    store_fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(a_new_store_is_the_first_generation_of_its_log),
           UNIT(a_snapshot_does_not_see_what_is_committed_after_it),
           UNIT(what_failed_in_a_transaction_leaves_nothing_of_it),
           UNIT(full_disks_are_told_from_broken_ones),
           UNIT(names_that_cannot_be_keys_are_not_found),
           UNIT(a_directory_without_the_newer_tables_is_opened))
