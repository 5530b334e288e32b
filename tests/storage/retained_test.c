/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/retained.h"

#include <stdlib.h>

#include "tests/storage/store_fixture.h"

static void put(struct store_fixture *fixture, MDB_txn *txn, const struct message *message) {
    size_t size = record_body_size(message, false);
    uint8_t *body = malloc(size);
    record_write_body(message, false, body);
    EXPECT_EQ(
        retained_put(&fixture->store, txn, message->place.channel_id, span_of(body, size), NULL),
        OK);
    free(body);
}

static void expect(struct store_fixture *fixture, MDB_txn *txn, uint64_t channel_id, size_t bytes) {
    struct buffer buffer;
    struct record record;
    buffer_init(&buffer, RECORD_BODY_BYTES_MAX);
    EXPECT_EQ(retained_get(&fixture->store, txn, channel_id, &buffer, &record, NULL), OK);
    EXPECT_EQ(record.fields.payload.length, bytes);
    EXPECT_EQ(record.place.channel_id, channel_id);
    buffer_finish(&buffer);
}

TEST(a_channel_has_one_retained_message_of_any_size) {
    static const size_t sizes[] = {10, 2000, 50000, 1930, 1, 9000};
    struct store_fixture fixture;
    struct buffer buffer;
    struct record record;
    uint64_t next = 0;
    store_fixture_init(&fixture);
    buffer_init(&buffer, RECORD_BODY_BYTES_MAX);
    MDB_txn *txn = store_fixture_begin(&fixture);
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        for (uint64_t channel_id = 3; channel_id <= 5; channel_id++) {
            struct message *message =
                store_fixture_make(&fixture, channel_id, i + 1, sizes[i] + channel_id);
            put(&fixture, txn, message);
            message_unref(message);
        }
        for (uint64_t channel_id = 3; channel_id <= 5; channel_id++) {
            expect(&fixture, txn, channel_id, sizes[i] + channel_id);
        }
    }
    EXPECT_EQ(retained_remove(&fixture.store, txn, 4, NULL), OK);
    EXPECT_EQ(retained_remove(&fixture.store, txn, 4, NULL), ERR_NOT_FOUND);
    EXPECT_EQ(retained_get(&fixture.store, txn, 4, &buffer, &record, NULL), ERR_NOT_FOUND);
    EXPECT_EQ(retained_next(&fixture.store, txn, 0, &next, NULL), OK);
    EXPECT_EQ(next, 3);
    EXPECT_EQ(retained_next(&fixture.store, txn, 4, &next, NULL), OK);
    EXPECT_EQ(next, 5);
    EXPECT_EQ(retained_next(&fixture.store, txn, 6, &next, NULL), ERR_NOT_FOUND);
    MDB_stat stat;
    EXPECT_EQ(mdb_stat(txn, fixture.store.retained, &stat), 0);
    EXPECT_EQ(stat.ms_entries, 2 * 5);
    mdb_txn_abort(txn);
    buffer_finish(&buffer);
    store_fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(a_channel_has_one_retained_message_of_any_size))
