/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/erase.h"

#include <stdio.h>

#include "storage/chunks.h"
#include "storage/index.h"
#include "storage/keys.h"
#include "tests/storage/store_fixture.h"

#define COUNT 20000

static struct message *make_keyed(struct store_fixture *fixture, uint64_t offset) {
    char key[16];
    snprintf(key, sizeof(key), "k%llu", (unsigned long long)offset % 10);
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .channel = SPAN("c1"),
                                    .key = span_of_string(key),
                                    .payload = SPAN("secret")};
    struct message *message = message_create(&fields);
    struct place place = {77, 1, ++fixture->position, 1, offset};
    message_order(message, &place, 1000);
    return message;
}

static void put_work(struct store_fixture *fixture, uint64_t from, uint64_t to) {
    MDB_txn *txn = store_fixture_begin(fixture);
    EXPECT_EQ(erase_put(&fixture->store, txn, 1, from, to, NULL), OK);
    EXPECT_EQ(store_commit(txn, NULL), OK);
}

static size_t erase_all(struct store_fixture *fixture) {
    bool is_more = true;
    size_t steps = 0;
    for (; is_more; steps++) {
        EXPECT_EQ(erase_step(&fixture->store, &fixture->segments, &is_more, NULL), OK);
        EXPECT_TRUE(steps < 100);
    }
    return steps;
}

/* Whether only a stub is left of an offset. */
static bool is_erased(struct store_fixture *fixture, uint64_t offset) {
    struct chunks_reader reader;
    struct run run;
    struct run_entry entry;
    struct record record;
    MDB_txn *txn = store_fixture_begin(fixture);
    EXPECT_EQ(index_get_entry(&fixture->store, txn, 1, offset, &run, &entry, NULL), OK);
    chunks_reader_init(&reader, &fixture->store, txn);
    EXPECT_EQ(chunks_read(&reader, run.slot, 1, &entry, &record, NULL), OK);
    EXPECT_EQ(record.place.offset, offset);
    bool is = record.fields.kind == MESSAGE_DELETE;
    EXPECT_EQ(record.fields.payload.length, is ? 0 : 6);
    chunks_reader_finish(&reader);
    mdb_txn_abort(txn);
    return is;
}

TEST(erasing_is_done_step_by_step_and_leaves_stubs) {
    struct store_fixture fixture;
    static struct message *messages[COUNT];
    uint64_t offset = 0;
    store_fixture_init(&fixture);
    for (uint64_t i = 0; i < COUNT; i++) {
        messages[i] = make_keyed(&fixture, i + 1);
    }
    store_fixture_apply(&fixture, messages, COUNT);
    put_work(&fixture, 101, 15000);
    put_work(&fixture, 200, 300);
    put_work(&fixture, 19999, COUNT + 50);
    EXPECT_TRUE(erase_all(&fixture) > 3);
    EXPECT_FALSE(is_erased(&fixture, 100));
    EXPECT_TRUE(is_erased(&fixture, 101));
    EXPECT_TRUE(is_erased(&fixture, 15000));
    EXPECT_FALSE(is_erased(&fixture, 15001));
    EXPECT_FALSE(is_erased(&fixture, 19998));
    EXPECT_TRUE(is_erased(&fixture, 20000));
    MDB_txn *txn = store_fixture_begin(&fixture);
    EXPECT_EQ(keys_find(&fixture.store, txn, 1, SPAN("k8"), &offset, NULL), OK);
    EXPECT_EQ(offset, 19998);
    EXPECT_EQ(keys_find(&fixture.store, txn, 1, SPAN("k9"), &offset, NULL), ERR_NOT_FOUND);
    mdb_txn_abort(txn);
    EXPECT_EQ(erase_all(&fixture), 1);
    store_fixture_finish(&fixture);
}

/* A step ends in the middle of a delete, just where a longer one begins. */
TEST(what_a_step_leaves_does_not_shorten_another_delete) {
    struct store_fixture fixture;
    static struct message *messages[COUNT];
    const uint64_t left = 101 + ERASE_CHUNKS_MAX / 2; /* a record counts twice: itself, its chunk */
    store_fixture_init(&fixture);
    for (uint64_t i = 0; i < COUNT; i++) {
        messages[i] = make_keyed(&fixture, i + 1);
    }
    store_fixture_apply(&fixture, messages, COUNT);
    put_work(&fixture, 101, left + 100);
    put_work(&fixture, left, COUNT);
    erase_all(&fixture);
    EXPECT_TRUE(is_erased(&fixture, left + 100));
    EXPECT_TRUE(is_erased(&fixture, left + 101));
    EXPECT_TRUE(is_erased(&fixture, COUNT));
    store_fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(erasing_is_done_step_by_step_and_leaves_stubs),
           UNIT(what_a_step_leaves_does_not_shorten_another_delete))
