/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of the newest, and pages cut by bytes: what many_test's model does not say by name. */
#include "storage/merge.h"

#include "tests/storage/fixture.h"

static struct storage_page read_page(struct fixture *fixture, struct storage_query query) {
    const struct storage_selector selectors[] = {{SPAN("**"), true}};
    query.selectors = selectors;
    query.selector_count = 1;
    return fixture_read(fixture, &query);
}

TEST(n_before_the_end_begins_there_and_ends_with_the_limit) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (int i = 0; i < 10; i++) {
        fixture_publish_many(&fixture, i % 2 == 0 ? "a" : "b", 2);
    }
    struct storage_query query = {
        .start = STORAGE_NEWEST, .newest = 7, .limit = 3, .bytes_max = 65536};
    struct storage_page page = read_page(&fixture, query);
    EXPECT_EQ(page.count, 3);
    EXPECT_EQ(page.messages[0]->place.position, 14);
    EXPECT_EQ(page.start.position, 13);
    EXPECT_EQ(page.end.position, 16);
    EXPECT_FALSE(page.at_head);
    storage_page_finish(&page);
    query.newest = 0;
    query.bytes_max = 8; /* each is three bytes */
    page = read_page(&fixture, query);
    EXPECT_EQ(page.count, 2);
    EXPECT_EQ(page.messages[1]->place.position, 20);
    EXPECT_TRUE(page.at_head);
    storage_page_finish(&page);
    fixture_finish(&fixture);
}

TEST(a_page_cut_by_bytes_goes_on_where_it_ended) {
    struct fixture fixture;
    uint8_t payload[1000] = {0};
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (int i = 0; i < 12; i++) {
        fixture_publish_bytes(&fixture, i % 3 == 0 ? "a" : "b", span_of(payload, 1000));
    }
    struct storage_query query = {.start = STORAGE_EARLIEST, .limit = 100, .bytes_max = 5000};
    uint64_t next = 1;
    for (int i = 0; i < 3; i++) {
        struct storage_page page = read_page(&fixture, query);
        EXPECT_EQ(page.count, i < 2 ? 5 : 2);
        for (size_t j = 0; j < page.count; j++, next++) {
            EXPECT_EQ(page.messages[j]->place.position, next);
        }
        EXPECT_EQ(page.at_head, i == 2);
        query.start = STORAGE_AFTER_PLACE;
        query.place = page.end;
        storage_page_finish(&page);
    }
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(n_before_the_end_begins_there_and_ends_with_the_limit),
           UNIT(a_page_cut_by_bytes_goes_on_where_it_ended))
