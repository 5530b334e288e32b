/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that read: one channel and many say the same. */
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

UNIT_TESTS(UNIT(a_channel_reads_the_same_by_name_by_selector_and_by_pattern))
