/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/backlog_ready.h"

#include "tests/unit.h"

#define ITEMS 3

static struct backlog_ready ready;
static struct backlog_item items[ITEMS];

static int begin(void **state) {
    (void)state;
    EXPECT_EQ(backlog_ready_reserve(&ready, ITEMS), OK);
    for (size_t i = 0; i < ITEMS; i++) {
        struct message_fields fields = {
            .kind = MESSAGE_DATA, .channel = SPAN("a"), .payload = SPAN("0123456789")};
        const struct place place = {.log_id = 1, .position = 10 - i};
        items[i] = (struct backlog_item){.message = message_create(&fields)};
        message_order(items[i].message, &place, 1000);
    }
    return 0;
}

static int end(void **state) {
    (void)state;
    backlog_ready_finish(&ready);
    for (size_t i = 0; i < ITEMS; i++) {
        message_unref(items[i].message);
    }
    return 0;
}

TEST(what_is_free_comes_by_position) {
    backlog_ready_put(&ready, &items[0], 0);
    backlog_ready_put(&ready, &items[2], 0);
    backlog_ready_put(&ready, &items[1], 0);
    for (size_t i = ITEMS; i > 0; i--) {
        EXPECT_TRUE(backlog_ready_first(&ready) == &items[i - 1]);
        EXPECT_EQ(ready.count, i);
        backlog_ready_take(&ready, &items[i - 1]);
    }
    EXPECT_NULL(backlog_ready_first(&ready));
    EXPECT_EQ(ready.bytes, 0);
}

TEST(what_waits_is_free_when_it_is_due) {
    backlog_ready_put(&ready, &items[0], 500);
    backlog_ready_put(&ready, &items[1], 400);
    EXPECT_EQ(backlog_ready_due_ms(&ready), 400);
    backlog_ready_promote(&ready, 399);
    EXPECT_NULL(backlog_ready_first(&ready));
    backlog_ready_promote(&ready, 400);
    EXPECT_TRUE(backlog_ready_first(&ready) == &items[1]);
    EXPECT_EQ(backlog_ready_due_ms(&ready), 500);
    backlog_ready_remove(&ready, &items[0]);
    EXPECT_EQ(backlog_ready_due_ms(&ready), UINT64_MAX);
}

TEST(a_lane_counts_with_all_that_stands_in_it) {
    struct backlog_lane lane = {0};
    for (size_t i = 0; i < ITEMS; i++) {
        items[i].lane = &lane;
        backlog_ready_add_rest(&ready, &items[i]);
    }
    EXPECT_EQ(ready.count, 0);
    backlog_ready_put(&ready, &items[0], 0);
    EXPECT_EQ(ready.count, ITEMS);
    EXPECT_EQ(ready.bytes, ITEMS * 10);
    backlog_ready_take(&ready, &items[0]);
    backlog_ready_drop_rest(&ready, &items[0]);
    EXPECT_EQ(ready.count, ITEMS - 1);
    backlog_ready_forget_lane(&ready, &lane);
    EXPECT_EQ(ready.count, 0);
    EXPECT_EQ(ready.bytes, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(CASE(what_is_free_comes_by_position), CASE(what_waits_is_free_when_it_is_due),
           CASE(a_lane_counts_with_all_that_stands_in_it))
