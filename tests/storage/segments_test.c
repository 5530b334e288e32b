/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/segments.h"

#include "tests/storage/store_fixture.h"

TEST(segments_are_loaded_as_they_were_saved) {
    struct store_fixture fixture;
    static struct segments segments;
    struct message *messages[2500];
    store_fixture_init(&fixture);
    for (size_t i = 0; i < 2500; i++) {
        messages[i] = store_fixture_make(&fixture, 1, i + 1, 1);
    }
    store_fixture_apply(&fixture, messages, 2500);
    MDB_txn *txn = store_fixture_begin(&fixture);
    EXPECT_EQ(segments_load(&segments, &fixture.store, txn, NULL), OK);
    mdb_txn_abort(txn);
    EXPECT_EQ(segments.open, 3);
    for (unsigned slot = 1; slot <= 3; slot++) {
        EXPECT_EQ(segments.rows[slot].number, slot);
        EXPECT_EQ(segments.rows[slot].state, slot == 3 ? SEGMENT_OPEN : SEGMENT_CLOSED);
        EXPECT_EQ(segments.rows[slot].messages, slot == 3 ? 500 : 1000);
        EXPECT_EQ(segments.rows[slot].live, segments.rows[slot].messages);
        EXPECT_EQ(segments.rows[slot].position_first, (slot - 1) * 1000 + 1);
    }
    EXPECT_EQ(segments.rows[4].state, SEGMENT_FREE);
    store_fixture_finish(&fixture);
}

TEST(slots_wanted_cover_the_worst_batch_and_end_at_the_limit) {
    static struct segments segments;
    struct segment_limits limits = {100, 1000};
    EXPECT_EQ(segments_wanted(&segments, &limits, 0, 0), 2);
    EXPECT_EQ(segments_wanted(&segments, &limits, 1000, 0), 12);
    EXPECT_EQ(segments_wanted(&segments, &limits, 1000, 5000), 17);
    segments.rows[7].state = SEGMENT_CLOSED;
    EXPECT_EQ(segments_wanted(&segments, &limits, 0, 0), 3);
    EXPECT_EQ(segments_wanted(&segments, &limits, 10000000, 0), STORE_SLOTS_MAX);
}

UNIT_TESTS(UNIT(segments_are_loaded_as_they_were_saved),
           UNIT(slots_wanted_cover_the_worst_batch_and_end_at_the_limit))
