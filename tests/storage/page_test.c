/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/storage.h"

#include <stdlib.h>

#include "tests/unit.h"

TEST(the_gaps_of_a_page_are_walked_whatever_its_query_was) {
    struct storage_gap gap;
    size_t index = 0;
    const struct storage_selector selectors[] = {{SPAN("a"), false}};
    struct storage_query query = {.channel = SPAN("c")};
    struct storage_page page = {
        .has_gap = true, .gap = {GAP_EXPIRED, 2, 3}, .first = 4, .last = 9, .start.offset = 3};
    EXPECT_TRUE(storage_page_next_gap(&page, &query, &index, &gap));
    EXPECT_SPAN(gap.selector, "c");
    EXPECT_EQ(gap.gap.to, 3);
    EXPECT_EQ(gap.first, 4);
    EXPECT_FALSE(storage_page_next_gap(&page, &query, &index, &gap));
    query.selectors = selectors;
    query.selector_count = 1;
    index = 0;
    EXPECT_FALSE(storage_page_next_gap(&page, &query, &index, &gap));
    page.gaps = calloc(2, sizeof(*page.gaps));
    page.gap_count = 2;
    page.gaps[1].gap.from = 7;
    index = 0;
    EXPECT_TRUE(storage_page_next_gap(&page, &query, &index, &gap));
    EXPECT_TRUE(storage_page_next_gap(&page, &query, &index, &gap));
    EXPECT_EQ(gap.gap.from, 7);
    EXPECT_FALSE(storage_page_next_gap(&page, &query, &index, &gap));
    storage_page_finish(&page);
    EXPECT_NULL(page.gaps);
}

TEST(selectors_are_copied_with_their_texts) {
    char name[] = "a/b";
    const struct storage_selector selectors[] = {{span_of_string(name), false},
                                                 {SPAN("c/*"), true}};
    struct storage_selector *copy = malloc(storage_selectors_size(selectors, 2));
    storage_selectors_copy(copy, selectors, 2);
    name[0] = 'x';
    EXPECT_SPAN(copy[0].text, "a/b");
    EXPECT_FALSE(copy[0].is_pattern);
    EXPECT_SPAN(copy[1].text, "c/*");
    EXPECT_TRUE(copy[1].is_pattern);
    free(copy);
}

TEST(the_first_message_behind_a_position_is_found) {
    struct message messages[3] = {
        {.place.position = 4}, {.place.position = 7}, {.place.position = 9}};
    struct message *list[] = {&messages[0], &messages[1], &messages[2]};
    struct storage_page page = {.messages = list, .count = 3};
    EXPECT_EQ(storage_page_find_after(&page, 0), 0);
    EXPECT_EQ(storage_page_find_after(&page, 4), 1);
    EXPECT_EQ(storage_page_find_after(&page, 8), 2);
    EXPECT_EQ(storage_page_find_after(&page, 9), 3);
    EXPECT_EQ(storage_page_find_after(&(struct storage_page){0}, 9), 0);
}

UNIT_TESTS(UNIT(the_gaps_of_a_page_are_walked_whatever_its_query_was),
           UNIT(selectors_are_copied_with_their_texts),
           UNIT(the_first_message_behind_a_position_is_found))
