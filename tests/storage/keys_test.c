/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/keys.h"

#include "tests/storage/store_fixture.h"

TEST(a_key_leads_to_its_newest_offset_in_its_own_channel) {
    struct store_fixture fixture;
    struct store *store = &fixture.store;
    uint64_t offset = 0;
    char longest[KEY_CONFLATED_BYTES_MAX];
    memset(longest, 'k', sizeof(longest));
    store_fixture_init(&fixture);
    MDB_txn *txn = NULL;
    EXPECT_EQ(store_begin(store, &txn, NULL), OK);
    EXPECT_EQ(keys_put(store, txn, 1, SPAN("a"), 5, NULL), OK);
    EXPECT_EQ(keys_put(store, txn, 2, SPAN("a"), 6, NULL), OK);
    EXPECT_EQ(keys_put(store, txn, 1, SPAN("a"), 7, NULL), OK);
    EXPECT_EQ(keys_find(store, txn, 1, SPAN("a"), &offset, NULL), OK);
    EXPECT_EQ(offset, 7);
    EXPECT_EQ(keys_find(store, txn, 1, SPAN("b"), &offset, NULL), ERR_NOT_FOUND);
    EXPECT_EQ(keys_find(store, txn, 3, SPAN("a"), &offset, NULL), ERR_NOT_FOUND);
    EXPECT_EQ(keys_remove(store, txn, 1, SPAN("a"), 5, NULL), OK);
    EXPECT_EQ(keys_find(store, txn, 1, SPAN("a"), &offset, NULL), OK);
    EXPECT_EQ(keys_remove(store, txn, 1, SPAN("a"), 7, NULL), OK);
    EXPECT_EQ(keys_find(store, txn, 1, SPAN("a"), &offset, NULL), ERR_NOT_FOUND);
    EXPECT_EQ(keys_find(store, txn, 2, SPAN("a"), &offset, NULL), OK);
    struct span long_key = span_of((const uint8_t *)longest, sizeof(longest));
    EXPECT_EQ(keys_put(store, txn, 1, long_key, 1, NULL), OK);
    EXPECT_EQ(keys_find(store, txn, 1, long_key, &offset, NULL), ERR_NOT_FOUND);
    mdb_txn_abort(txn);
    store_fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(a_key_leads_to_its_newest_offset_in_its_own_channel))
