/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/joined.h"

#include <stdlib.h>

#include "tests/protocols/fakes.h"
#include "tests/unit.h"

static struct storage_query of_a(void) {
    return (struct storage_query){
        .channel = SPAN("a"), .start = STORAGE_EARLIEST, .limit = 10, .bytes_max = 4096};
}

static struct storage_page page_of(uint64_t offset, bool at_head) {
    struct message_fields fields = {
        .kind = MESSAGE_DATA, .channel = SPAN("a"), .payload = SPAN("1")};
    struct storage_page page = {
        .messages = malloc(sizeof(struct message *)), .count = 1, .at_head = at_head};
    struct place place = {
        .log_id = 1, .generation = 1, .position = offset, .channel_id = 1, .offset = offset};
    page.messages[0] = message_create(&fields);
    message_order(page.messages[0], &place, 1700000000000);
    page.bytes = message_size(page.messages[0]);
    page.start = page.end = place;
    return page;
}

/* The log: offset 1, a hole at 2, offset 3. */
static void find_a_hole(void) {
    fakes.page = page_of(1, false);
    fakes.page_behind = page_of(3, true);
    fakes.page_behind.has_gap = true;
    fakes.page_behind.gap = (struct gap){GAP_DELETED, 2, 2};
    fakes.page_behind.first = 1;
    fakes.page_behind.last = 3;
}

TEST(a_page_goes_on_behind_a_hole_and_tells_it) {
    struct storage_query query = of_a();
    struct storage_page page;
    struct error why = {0};
    find_a_hole();
    EXPECT_EQ(joined_read(NULL, &query, &page, &why), OK);
    EXPECT_EQ(page.count, 2);
    EXPECT_EQ(page.messages[1]->place.offset, 3);
    EXPECT_EQ(page.end.offset, 3);
    EXPECT_TRUE(page.at_head && !page.has_gap);
    EXPECT_EQ(page.gap_count, 1);
    EXPECT_SPAN(page.gaps[0].selector, "a");
    EXPECT_EQ(page.gaps[0].gap.from, 2);
    EXPECT_EQ(page.gaps[0].last, 3);
    storage_page_finish(&page);
}

TEST(a_gap_at_the_front_stays_the_first_one) {
    struct storage_query query = of_a();
    struct storage_page page;
    struct error why = {0};
    find_a_hole();
    fakes.page.has_gap = true;
    fakes.page.gap = (struct gap){GAP_EXPIRED, 1, 1};
    EXPECT_EQ(joined_read(NULL, &query, &page, &why), OK);
    EXPECT_EQ(page.gap_count, 2);
    EXPECT_EQ(page.gaps[0].gap.reason, GAP_EXPIRED);
    EXPECT_EQ(page.gaps[1].gap.reason, GAP_DELETED);
    storage_page_finish(&page);
}

TEST(a_page_that_ended_for_another_reason_is_left_as_it_is) {
    struct storage_query query = of_a();
    struct storage_page page;
    struct error why = {0};
    fakes.page = page_of(1, false);
    fakes.page_behind = page_of(2, true);
    EXPECT_EQ(joined_read(NULL, &query, &page, &why), OK);
    EXPECT_EQ(page.count, 1);
    EXPECT_TRUE(!page.at_head);
    storage_page_finish(&page);
}

TEST(what_has_no_room_behind_a_hole_is_on_the_next_page) {
    struct storage_query query = of_a();
    struct storage_page page;
    struct error why = {0};
    find_a_hole();
    query.bytes_max = (uint32_t)fakes.page.bytes + 1;
    EXPECT_EQ(joined_read(NULL, &query, &page, &why), OK);
    EXPECT_EQ(page.count, 1);
    EXPECT_EQ(page.gap_count, 0);
    EXPECT_EQ(page.end.offset, 1);
    storage_page_finish(&page);
}

TEST(a_full_page_and_the_newest_are_read_once) {
    struct storage_query query = of_a();
    struct storage_page page;
    struct error why = {0};
    query.limit = 1;
    for (int i = 0; i < 2; i++) {
        find_a_hole();
        EXPECT_EQ(joined_read(NULL, &query, &page, &why), OK);
        EXPECT_EQ(page.count, 1);
        storage_page_finish(&page);
        storage_page_finish(&fakes.page);
        query.limit = 10;
        query.start = STORAGE_NEWEST;
    }
}

#define JOINED(name) cmocka_unit_test_setup_teardown(name, fakes_begin, fakes_end)

UNIT_TESTS(JOINED(a_page_goes_on_behind_a_hole_and_tells_it),
           JOINED(a_gap_at_the_front_stays_the_first_one),
           JOINED(a_page_that_ended_for_another_reason_is_left_as_it_is),
           JOINED(what_has_no_room_behind_a_hole_is_on_the_next_page),
           JOINED(a_full_page_and_the_newest_are_read_once))
