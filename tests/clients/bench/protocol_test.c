/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/protocol.h"

#include "tests/unit.h"

TEST(each_row_is_found_by_its_name) {
    size_t count = 0;
    for (const struct protocol *row; (row = protocol_at(count)) != NULL; count++) {
        EXPECT_TRUE(protocol_find(row->name) == row);
    }
    EXPECT_TRUE(count >= 20);
    EXPECT_NULL(protocol_find("carrier-pigeon"));
}

TEST(each_row_can_do_what_it_says) {
    for (size_t i = 0; protocol_at(i) != NULL; i++) {
        const struct protocol *row = protocol_at(i);
        EXPECT_NOT_NULL(row->take);
        EXPECT_NOT_NULL(row->scheme);
        EXPECT_TRUE(row->port > 0);
        EXPECT_TRUE(strlen(row->summary) < 72);
        EXPECT_TRUE(row->can_read || row->put_publish != NULL);
        EXPECT_EQ(row->put_publish != NULL, row->batch_max > 0);
        EXPECT_TRUE(row->put_publish != NULL || !row->is_answered);
        bool is_silent = strcmp(row->name, "connection") == 0;
        EXPECT_TRUE(!row->can_read || row->is_listening || is_silent || row->put_hello != NULL);
        EXPECT_EQ(row->secure_scheme != NULL, row->secure_port > 0);
    }
}

TEST(a_link_that_is_reset_knows_only_what_it_was_given) {
    static const char *const selectors[] = {"a"};
    struct protocol_link link = {.host = "h",
                                 .path = "p",
                                 .token = "t",
                                 .since = "s",
                                 .selectors = selectors,
                                 .selector_count = 1,
                                 .is_publisher = true,
                                 .index = 2,
                                 .run = 3};
    struct protocol_link used = link;
    bytes_put(&used.held, "held", 4);
    used.left = 9;
    used.phase = 1;
    used.is_open = true;
    protocol_reset(&used);
    EXPECT_TRUE(used.host == link.host && used.path == link.path && used.token == link.token &&
                used.since == link.since && used.selectors == link.selectors);
    EXPECT_TRUE(used.selector_count == 1 && used.is_publisher && used.index == 2 && used.run == 3);
    EXPECT_EQ(used.held.length, 0);
    EXPECT_EQ(used.left, 0);
    EXPECT_EQ(used.phase, 0);
    EXPECT_TRUE(!used.is_open);
}

UNIT_TESTS(UNIT(each_row_is_found_by_its_name), UNIT(each_row_can_do_what_it_says),
           UNIT(a_link_that_is_reset_knows_only_what_it_was_given))
