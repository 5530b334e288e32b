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

UNIT_TESTS(UNIT(the_gaps_of_a_page_are_walked_whatever_its_query_was))
