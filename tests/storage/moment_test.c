/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/moment.h"

#include "storage/parts.h"
#include "storage/view.h"
#include "tests/storage/fixture.h"

TEST(views_of_one_moment_see_nothing_that_came_after_it) {
    struct fixture fixture;
    struct moment moment;
    struct view view;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_publish_many(&fixture, "a", 3);
    fixture_fold(&fixture);
    fixture_publish_many(&fixture, "a", 2);
    struct storage_parts parts = storage_borrow_parts(fixture.storage);
    EXPECT_EQ(moment_init(&moment, parts.store, parts.batch, NULL), OK);
    fixture_publish_many(&fixture, "a", 4);
    fixture_publish_many(&fixture, "b", 1);
    fixture_fold(&fixture);
    fixture_publish_many(&fixture, "a", 1);
    EXPECT_EQ(view_init_at(&view, &moment, SPAN("a"), 1, NULL), OK);
    EXPECT_EQ(view.offset_last, 5);
    EXPECT_EQ(view.batch_first, 4);
    EXPECT_EQ(view.bytes_total, 15);
    EXPECT_EQ(view.position_head, 5);
    EXPECT_EQ(view_init_at(&view, &moment, SPAN("b"), 0, NULL), OK);
    EXPECT_EQ(view.channel_id, 0);
    moment_finish(&moment);
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(views_of_one_moment_see_nothing_that_came_after_it))
