/* SPDX-License-Identifier: Apache-2.0 */
/* Walks split by their budget, and what cannot be walked. */
#include "storage/walk.h"

#include "storage/parts.h"
#include "tests/storage/fixture.h"

static const struct many_limits WALKS = {UINT64_MAX, 0, 0, 100, 1 << 20};

static struct storage_page read_rare(struct fixture *fixture, uint64_t position) {
    struct storage_parts parts = storage_borrow_parts(fixture->storage);
    const struct storage_selector selectors[] = {{SPAN("rare/*"), true}};
    const struct storage_query query = {.selectors = selectors,
                                        .selector_count = 1,
                                        .start = STORAGE_AFTER_PLACE,
                                        .place.position = position,
                                        .limit = 10,
                                        .bytes_max = 65536};
    struct moment moment;
    struct storage_page page;
    EXPECT_EQ(moment_init(&moment, parts.store, parts.batch, NULL), OK);
    EXPECT_EQ(many_read(&moment, parts.options, &WALKS, &query, &page, NULL), OK);
    moment_finish(&moment);
    return page;
}

TEST(a_quiet_pattern_moves_on_by_pages_without_messages) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.options.segment_messages = 64;
    fixture_open(&fixture);
    fixture_publish_many(&fixture, "busy", 250);
    fixture_fold(&fixture);
    fixture_publish_many(&fixture, "busy", 100);
    fixture_publish_many(&fixture, "rare/1", 1);
    uint64_t position = 0;
    for (uint64_t i = 1; i <= 3; i++) {
        struct storage_page page = read_rare(&fixture, position);
        EXPECT_EQ(page.count, 0);
        EXPECT_EQ(page.end.position, i * 100);
        EXPECT_FALSE(page.at_head);
        position = page.end.position;
        storage_page_finish(&page);
    }
    struct storage_page page = read_rare(&fixture, position);
    EXPECT_EQ(page.count, 1);
    EXPECT_EQ(page.end.position, 351);
    EXPECT_EQ(page.end.offset, 1);
    EXPECT_TRUE(page.at_head);
    storage_page_finish(&page);
    fixture_finish(&fixture);
}

TEST(what_outlived_its_segment_is_found_without_a_walk) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.options.segment_messages = 64;
    fixture.retention.messages_max = 10;
    fixture_open(&fixture);
    fixture_publish_many(&fixture, "rare/1", 1);
    for (int i = 0; i < 8; i++) {
        fixture_publish_many(&fixture, "busy", 100);
        fixture_fold(&fixture);
        fixture_retain(&fixture);
    }
    struct storage_parts parts = storage_borrow_parts(fixture.storage);
    struct moment moment;
    EXPECT_EQ(moment_init(&moment, parts.store, parts.batch, NULL), OK);
    EXPECT_TRUE(moment.meta.walk_floor > 1);
    EXPECT_EQ(moment.meta.cold_messages, 1);
    moment_finish(&moment);
    struct storage_page page = read_rare(&fixture, 0);
    EXPECT_EQ(page.count, 1);
    EXPECT_EQ(page.messages[0]->place.position, 1);
    EXPECT_EQ(page.gap_count, 0);
    EXPECT_TRUE(page.at_head);
    storage_page_finish(&page);
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(a_quiet_pattern_moves_on_by_pages_without_messages),
           UNIT(what_outlived_its_segment_is_found_without_a_walk))
