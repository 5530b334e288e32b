/* SPDX-License-Identifier: Apache-2.0 */
/* What conflation leaves out: never the newest of a key, never the order. */
#include "storage/strand.h"

#include <stdio.h>

#include "tests/storage/fixture.h"

static void publish(struct fixture *fixture, const char *key, unsigned number) {
    char text[16];
    int length = snprintf(text, sizeof(text), "%u", number);
    struct message_fields fields = {.key = span_of_string(key),
                                    .payload = span_of(text, (size_t)length)};
    fixture_publish_fields(fixture, "scores", fields);
}

static struct storage_page read_from(struct fixture *fixture, uint64_t offset, uint32_t limit) {
    struct storage_query query = {.channel = SPAN("scores"),
                                  .start = STORAGE_AFTER_OFFSET,
                                  .place.offset = offset,
                                  .is_conflated = true,
                                  .limit = limit,
                                  .bytes_max = 65536};
    return fixture_read(fixture, &query);
}

TEST(the_newest_of_each_key_comes_in_order_and_what_is_left_out_is_counted) {
    for (int where = 0; where < 3; where++) {
        struct fixture fixture;
        fixture_init(&fixture);
        fixture_open(&fixture);
        const char *const keys[] = {"a", "b", "a", "", "c", "", "b", "a"};
        for (unsigned i = 0; i < 8; i++) {
            publish(&fixture, keys[i], i + 1);
            if (where == 1 || (where == 2 && i == 4)) {
                fixture_fold(&fixture);
            }
        }
        struct storage_page page = read_from(&fixture, 0, 10);
        EXPECT_EQ(page.count, 4); /* c 5, keyless 6, b 7, a 8 */
        for (size_t i = 0; i < page.count; i++) {
            EXPECT_EQ(page.messages[i]->place.offset, 5 + i);
            EXPECT_EQ(page.skipped[i], i == 0 ? 4 : 0);
        }
        EXPECT_EQ(page.skipped_behind, 0);
        EXPECT_TRUE(page.at_head);
        storage_page_finish(&page);
        fixture_delete(&fixture, "scores", 8, 8); /* then an older one is the newest */
        if (where > 0) {
            fixture_fold(&fixture);
        }
        page = read_from(&fixture, 4, 10);
        EXPECT_EQ(page.count, 3);
        EXPECT_EQ(page.messages[2]->place.offset, 7);
        storage_page_finish(&page);
        fixture_finish(&fixture);
    }
}

TEST(a_page_that_leaves_all_out_is_bounded_and_moves_on) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (unsigned i = 0; i < 5000; i++) {
        publish(&fixture, "same", i);
    }
    fixture_fold(&fixture);
    struct storage_page page = read_from(&fixture, 0, 10);
    EXPECT_EQ(page.count, 0);
    EXPECT_FALSE(page.at_head);
    EXPECT_EQ(page.skipped_behind, 4096);
    EXPECT_EQ(page.end.offset, 4096);
    storage_page_finish(&page);
    page = read_from(&fixture, 4096, 10);
    EXPECT_EQ(page.count, 1);
    EXPECT_EQ(page.messages[0]->place.offset, 5000);
    EXPECT_EQ(page.skipped[0], 903);
    storage_page_finish(&page);
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(the_newest_of_each_key_comes_in_order_and_what_is_left_out_is_counted),
           UNIT(a_page_that_leaves_all_out_is_bounded_and_moves_on))
