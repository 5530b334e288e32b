/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/erasure.h"

#include "storage/erase.h"
#include "tests/storage/store_fixture.h"

static struct message *make_delete(struct store_fixture *fixture, uint64_t from, uint64_t to,
                                   uint64_t last) {
    uint8_t range[MESSAGE_DELETE_BYTES];
    message_put_deleted(from, to, range);
    struct message_fields fields = {
        .kind = MESSAGE_DELETE, .channel = SPAN("c1"), .payload = span_of(range, sizeof(range))};
    struct message *message = message_create(&fields);
    struct place place = {77, 1, ++fixture->position, 1, last};
    message_order(message, &place, 1000 + 10 * fixture->position);
    return message;
}

static bool is_scrub_due(struct store_fixture *fixture) {
    struct meta_row meta;
    MDB_txn *txn = store_fixture_begin(fixture);
    EXPECT_EQ(store_get_meta(&fixture->store, txn, &meta, NULL), OK);
    mdb_txn_abort(txn);
    return meta.is_scrub_due;
}

static void step(struct store_fixture *fixture, struct erasure *erasure, bool expected_more) {
    bool is_more = true;
    EXPECT_EQ(erasure_step(erasure, &fixture->store, &fixture->segments, &is_more, NULL), OK);
    EXPECT_EQ(is_more, expected_more);
}

TEST(a_delete_is_finished_by_the_next_process_if_need_be) {
    struct store_fixture fixture;
    struct erasure erasure;
    bool is_more = true;
    store_fixture_init(&fixture);
    struct message *messages[] = {
        store_fixture_make(&fixture, 1, 1, 100),
        store_fixture_make(&fixture, 1, 2, 100),
    };
    store_fixture_apply(&fixture, messages, 2);
    erasure_init(&erasure);
    step(&fixture, &erasure, false);
    EXPECT_FALSE(erasure_has_work(&erasure));
    EXPECT_FALSE(erasure.may_scrub);
    messages[0] = make_delete(&fixture, 1, 1, 2);
    store_fixture_apply(&fixture, messages, 1);
    /* As if the process ended between the two. */
    EXPECT_EQ(erase_step(&fixture.store, &fixture.segments, &is_more, NULL), OK);
    EXPECT_FALSE(is_more);
    EXPECT_TRUE(is_scrub_due(&fixture));
    erasure_init(&erasure);
    step(&fixture, &erasure, false);
    EXPECT_FALSE(is_scrub_due(&fixture));
    store_fixture_finish(&fixture);
}

TEST(a_scrub_waits_for_snapshots_that_are_older_than_the_erasing) {
    struct store_fixture fixture;
    struct erasure erasure;
    MDB_txn *snapshot = NULL;
    store_fixture_init(&fixture);
    struct message *message = store_fixture_make(&fixture, 1, 1, 100);
    store_fixture_apply(&fixture, &message, 1);
    erasure_init(&erasure);
    EXPECT_EQ(store_take_snapshot(&fixture.store, &snapshot, NULL), OK);
    message = make_delete(&fixture, 1, 1, 1);
    store_fixture_apply(&fixture, &message, 1);
    step(&fixture, &erasure, false);
    EXPECT_TRUE(is_scrub_due(&fixture));
    EXPECT_TRUE(erasure.may_scrub);
    step(&fixture, &erasure, false);
    EXPECT_TRUE(is_scrub_due(&fixture));
    store_release(&fixture.store, snapshot);
    step(&fixture, &erasure, false);
    EXPECT_FALSE(is_scrub_due(&fixture));
    EXPECT_FALSE(erasure.may_scrub);
    store_fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(a_delete_is_finished_by_the_next_process_if_need_be),
           UNIT(a_scrub_waits_for_snapshots_that_are_older_than_the_erasing))
