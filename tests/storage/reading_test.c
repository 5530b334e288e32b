/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that read: one channel and many say the same. */
#include <stdio.h>

#include "storage/parts.h"
#include "tests/storage/fixture.h"

TEST(a_channel_reads_the_same_by_name_by_selector_and_by_pattern) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture.retention.messages_max = 30;
    for (int i = 0; i < 4; i++) {
        fixture_publish_many(&fixture, "a/1", 10);
        fixture_publish_many(&fixture, "b", 3);
        if (i == 2) {
            fixture_fold(&fixture);
        }
    }
    const struct storage_selector selectors[] = {{SPAN("a/1"), false}, {SPAN("a/*"), true}};
    struct storage_query query = {.channel = SPAN("a/1"),
                                  .start = STORAGE_AFTER_PLACE,
                                  .place.position = 7,
                                  .limit = 20,
                                  .bytes_max = 65536};
    struct storage_page one = fixture_read(&fixture, &query);
    for (size_t i = 0; i < 2; i++) {
        query.selectors = &selectors[i];
        query.selector_count = 1;
        struct storage_page many = fixture_read(&fixture, &query);
        EXPECT_EQ(many.count, one.count);
        for (size_t j = 0; j < one.count; j++) {
            EXPECT_EQ(many.messages[j]->place.position, one.messages[j]->place.position);
        }
        EXPECT_EQ(many.end.position, one.end.position);
        EXPECT_EQ(many.end.offset, one.end.offset);
        EXPECT_EQ(many.end.channel_id, one.end.channel_id);
        EXPECT_EQ(many.gap_count, 1);
        EXPECT_EQ(many.gaps[0].gap.from, i == 0 ? one.gap.from : 0);
        EXPECT_EQ(many.gaps[0].gap.to, i == 0 ? one.gap.to : 0);
        storage_page_finish(&many);
    }
    storage_page_finish(&one);
    query.start = STORAGE_AFTER_OFFSET;
    struct storage_page page;
    EXPECT_EQ(storage_read(fixture.storage, &query, &page, NULL), ERR_BAD_SINCE);
    EXPECT_EQ(page.count, 0);
    fixture_finish(&fixture);
}

/* The one message at a position, by whatever names its channel. */
static void expect_one(struct fixture *fixture, const struct place *place, const char *payload) {
    const struct storage_selector selectors[] = {
        {SPAN("keep/slow"), false}, {SPAN("keep/*"), true}, {SPAN("**"), true}, {SPAN("x"), false}};
    static const size_t parts[][2] = {{0, 1}, {1, 1}, {2, 1}, {1, 3}, {0, 4}};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        struct storage_query query = {.selectors = selectors + parts[i][0],
                                      .selector_count = parts[i][1],
                                      .start = STORAGE_AFTER_PLACE,
                                      .place = {.log_id = place->log_id,
                                                .generation = place->generation,
                                                .position = place->position - 1},
                                      .limit = 1,
                                      .bytes_max = 1};
        struct storage_page page = fixture_read(fixture, &query);
        EXPECT_EQ(page.count, 1);
        EXPECT_EQ(page.messages[0]->place.position, place->position);
        EXPECT_EQ(page.messages[0]->place.offset, place->offset);
        EXPECT_SPAN(page.messages[0]->fields.payload, payload);
        storage_page_finish(&page);
    }
}

TEST(one_message_is_read_by_its_position_wherever_it_lies) {
    struct fixture fixture;
    struct place places[41];
    char payload[41][16];
    fixture_init(&fixture);
    fixture.options.segment_messages = 100;
    fixture.retention.messages_max = 50;
    fixture_open(&fixture);
    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        snprintf(payload[i], sizeof(payload[i]), "slow:%zu", i);
        fixture_publish_many(&fixture, i % 3 == 0 ? "x" : "fast", 25);
        places[i] = fixture_publish(&fixture, "keep/slow", payload[i]);
        fixture_publish_many(&fixture, "fast", 25);
        if (i % 2 == 1) {
            fixture_fold(&fixture);
            fixture_retain(&fixture);
        }
    }
    struct meta_row meta;
    struct storage_parts parts = storage_borrow_parts(fixture.storage);
    MDB_txn *txn = NULL;
    EXPECT_EQ(store_take_snapshot(parts.store, &txn, NULL), OK);
    EXPECT_EQ(store_get_meta(parts.store, txn, &meta, NULL), OK);
    store_release(parts.store, txn);
    EXPECT_TRUE(meta.cold_messages > 10);
    EXPECT_TRUE(places[20].position <= meta.walk_floor);     /* in the cold table … */
    EXPECT_TRUE(places[39].position > meta.walk_floor);      /* … in a segment … */
    EXPECT_TRUE(places[40].position > meta.position_folded); /* … in the open batch */
    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        expect_one(&fixture, &places[i], payload[i]);
    }
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(one_message_is_read_by_its_position_wherever_it_lies),
           UNIT(a_channel_reads_the_same_by_name_by_selector_and_by_pattern))
