/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/chunks.h"

#include "storage/index.h"
#include "tests/storage/store_fixture.h"

static const size_t SIZES[] = {0, 1, 1900, 1932, 1933, 1934, 1935, 1936, 3930, 3936, 4000, 100000};

#define COUNT (sizeof(SIZES) / sizeof(SIZES[0]))

static void fill(struct store_fixture *fixture) {
    struct message *messages[COUNT];
    store_fixture_init(fixture);
    for (size_t i = 0; i < COUNT; i++) {
        messages[i] = store_fixture_make(fixture, 1, i + 1, SIZES[i]);
    }
    store_fixture_apply(fixture, messages, COUNT);
}

static void expect_record(struct chunks_reader *reader, MDB_txn *txn, uint16_t slot, size_t i) {
    struct run_entry entry;
    struct record record;
    EXPECT_EQ(index_get_entry(reader->store, txn, 1, i + 1, NULL, &entry, NULL), OK);
    EXPECT_EQ(chunks_read(reader, slot, 1, &entry, &record, NULL), OK);
    EXPECT_EQ(record.fields.payload.length, SIZES[i]);
    EXPECT_EQ(record.place.offset, i + 1);
}

TEST(records_of_every_size_are_read_in_any_order) {
    struct store_fixture fixture;
    struct chunks_reader reader;
    MDB_stat stat;
    fill(&fixture);
    MDB_txn *txn = store_fixture_begin(&fixture);
    chunks_reader_init(&reader, &fixture.store, txn);
    for (size_t i = 0; i < COUNT; i++) {
        expect_record(&reader, txn, 1, i);
    }
    for (size_t i = COUNT; i > 0; i--) {
        expect_record(&reader, txn, 1, i - 1);
    }
    chunks_reader_finish(&reader);
    EXPECT_EQ(mdb_stat(txn, atomic_load(&fixture.store.slots[1]), &stat), 0);
    EXPECT_EQ(stat.ms_overflow_pages, 0); /* or mdb_drop() would walk every leaf */
    mdb_txn_abort(txn);
    store_fixture_finish(&fixture);
}

TEST(records_that_moved_to_the_cold_table_are_the_same_and_can_be_deleted) {
    struct store_fixture fixture;
    struct chunks_reader reader;
    struct run_entry entry;
    MDB_stat stat;
    fill(&fixture);
    MDB_txn *txn = store_fixture_begin(&fixture);
    for (size_t i = 0; i < COUNT; i++) {
        EXPECT_EQ(index_get_entry(&fixture.store, txn, 1, i + 1, NULL, &entry, NULL), OK);
        EXPECT_EQ(chunks_copy_to_cold(&fixture.store, txn, 1, 1, &entry, NULL), OK);
    }
    EXPECT_EQ(chunks_delete_cold(&fixture.store, txn, 1, 1, 3, NULL), OK);
    EXPECT_EQ(chunks_delete_cold(&fixture.store, txn, 2, 1, 99, NULL), OK);
    chunks_reader_init(&reader, &fixture.store, txn);
    for (size_t i = 3; i < COUNT; i++) {
        expect_record(&reader, txn, SLOT_COLD, i);
    }
    chunks_reader_finish(&reader);
    EXPECT_EQ(chunks_delete_cold(&fixture.store, txn, 1, 4, COUNT, NULL), OK);
    EXPECT_EQ(mdb_stat(txn, fixture.store.cold, &stat), 0);
    EXPECT_EQ(stat.ms_entries, 0);
    mdb_txn_abort(txn);
    store_fixture_finish(&fixture);
}

TEST(a_record_that_is_not_there_is_damage) {
    struct store_fixture fixture;
    struct chunks_reader reader;
    struct record record;
    struct run_entry entry = {.offset = 1, .position = 999};
    fill(&fixture);
    MDB_txn *txn = store_fixture_begin(&fixture);
    chunks_reader_init(&reader, &fixture.store, txn);
    EXPECT_EQ(chunks_read(&reader, 1, 1, &entry, &record, NULL), ERR_CORRUPT);
    EXPECT_EQ(chunks_read(&reader, 900, 1, &entry, &record, NULL), ERR_CORRUPT);
    EXPECT_EQ(chunks_read(&reader, 60000, 1, &entry, &record, NULL), ERR_CORRUPT);
    chunks_reader_finish(&reader);
    mdb_txn_abort(txn);
    store_fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(records_of_every_size_are_read_in_any_order),
           UNIT(records_that_moved_to_the_cold_table_are_the_same_and_can_be_deleted),
           UNIT(a_record_that_is_not_there_is_damage))
