/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/index.h"

#include "tests/storage/store_fixture.h"

#define COUNT 1000

/* Two channels by turns; c1 has messages of 0 to 9 bytes. */
static void fill(struct store_fixture *fixture) {
    struct message *messages[COUNT * 2];
    store_fixture_init(fixture);
    for (uint64_t i = 0; i < COUNT; i++) {
        messages[2 * i] = store_fixture_make(fixture, 1, i + 1, i % 10);
        messages[2 * i + 1] = store_fixture_make(fixture, 2, i + 1, 1);
    }
    store_fixture_apply(fixture, messages, COUNT * 2);
}

static uint64_t metric_of(const struct run_entry *entry, enum index_metric metric) {
    return metric == INDEX_POSITION ? entry->position
           : metric == INDEX_TIME   ? entry->time_ms
                                    : entry->bytes_before;
}

TEST(each_offset_is_found_with_its_figures) {
    struct store_fixture fixture;
    struct run_entry entry;
    uint64_t bytes = 0;
    fill(&fixture);
    MDB_txn *txn = store_fixture_begin(&fixture);
    for (uint64_t offset = 1; offset <= COUNT; offset++) {
        EXPECT_EQ(index_get_entry(&fixture.store, txn, 1, offset, NULL, &entry, NULL), OK);
        EXPECT_EQ(entry.position, 2 * offset - 1);
        EXPECT_EQ(entry.time_ms, 1000 + 10 * entry.position);
        EXPECT_EQ(entry.bytes_before, bytes);
        bytes += entry.bytes;
    }
    EXPECT_EQ(index_get_entry(&fixture.store, txn, 1, COUNT + 1, NULL, &entry, NULL), ERR_CORRUPT);
    EXPECT_EQ(index_get_entry(&fixture.store, txn, 3, 1, NULL, &entry, NULL), ERR_CORRUPT);
    EXPECT_EQ(index_get_entry(&fixture.store, txn, 0, 1, NULL, &entry, NULL), ERR_CORRUPT);
    mdb_txn_abort(txn);
    store_fixture_finish(&fixture);
}

TEST(a_search_finds_the_first_that_reaches_whatever_its_bounds) {
    struct store_fixture fixture;
    struct run_entry entries[COUNT + 1];
    fill(&fixture);
    MDB_txn *txn = store_fixture_begin(&fixture);
    for (uint64_t offset = 1; offset <= COUNT; offset++) {
        EXPECT_EQ(index_get_entry(&fixture.store, txn, 1, offset, NULL, &entries[offset], NULL),
                  OK);
    }
    for (enum index_metric metric = INDEX_POSITION; metric <= INDEX_BYTES_BEFORE; metric++) {
        for (uint64_t value = 0; value < 22000; value += 37) {
            uint64_t low = 1 + value % 13 * 60;
            uint64_t high = COUNT - value % 5 * 40;
            uint64_t found = 0;
            uint64_t expected = low;
            while (expected <= high && metric_of(&entries[expected], metric) < value) {
                expected++;
            }
            EXPECT_EQ(index_search(&fixture.store, txn, 1, metric, value, low, high, &found, NULL),
                      OK);
            EXPECT_EQ(found, expected);
        }
    }
    mdb_txn_abort(txn);
    store_fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(each_offset_is_found_with_its_figures),
           UNIT(a_search_finds_the_first_that_reaches_whatever_its_bounds))
