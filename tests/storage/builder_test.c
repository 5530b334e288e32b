/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/builder.h"

#include "tests/unit.h"

static void put(struct builder *builder, uint64_t offset) {
    struct message *message = message_create(&(struct message_fields){.kind = MESSAGE_DATA});
    message->place.offset = offset;
    EXPECT_EQ(builder_put(builder, message, 10, NULL), OK);
}

TEST(a_page_ends_before_a_hole_but_passes_over_those_at_its_front) {
    struct storage_page page;
    struct builder builder;
    const struct storage_query query = {.limit = 3, .bytes_max = 25};
    builder_init(&builder, &query, &page);
    EXPECT_TRUE(builder_pass(&builder));
    put(&builder, 2);
    EXPECT_FALSE(builder_pass(&builder));
    EXPECT_TRUE(builder.is_full);
    storage_page_finish(&page);
    builder_init(&builder, &query, &page);
    put(&builder, 1);
    EXPECT_TRUE(builder_has_room(&builder, 15));
    put(&builder, 2);
    EXPECT_FALSE(builder_has_room(&builder, 10));
    storage_page_finish(&page);
}

TEST(what_is_left_out_on_the_way_back_is_counted_on_the_way_forth) {
    struct storage_page page;
    struct builder builder;
    const struct storage_query query = {.limit = 10, .bytes_max = 1000, .is_conflated = true};
    builder_init(&builder, &query, &page);
    EXPECT_TRUE(builder_skip(&builder)); /* behind 9 */
    put(&builder, 9);
    EXPECT_TRUE(builder_skip(&builder)); /* between 6 and 9 */
    EXPECT_TRUE(builder_skip(&builder));
    put(&builder, 6);
    put(&builder, 5);
    EXPECT_TRUE(builder_skip(&builder)); /* before 5 */
    builder_reverse(&builder);
    builder_finish(&builder);
    const uint64_t offsets[] = {5, 6, 9};
    const uint32_t skipped[] = {1, 0, 2};
    for (size_t i = 0; i < 3; i++) {
        EXPECT_EQ(page.messages[i]->place.offset, offsets[i]);
        EXPECT_EQ(page.skipped[i], skipped[i]);
    }
    EXPECT_EQ(page.skipped_behind, 1);
    storage_page_finish(&page);
}

UNIT_TESTS(UNIT(a_page_ends_before_a_hole_but_passes_over_those_at_its_front),
           UNIT(what_is_left_out_on_the_way_back_is_counted_on_the_way_forth))
