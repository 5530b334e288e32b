/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/backlog.h"

#include <stdio.h>

#include "tests/protocols/sinks/backlog_model.h"
#include "tests/unit.h"

#define MODEL_RUNS 300
#define MODEL_BYTES 2000
#define NOW_MS UINT64_C(100000)
#define MINUTE UINT64_C(60000)
#define TAKEN_MAX 200
#define BYTES_MAX 1000

static struct backlog *backlog;
static struct backlog_item *taken[TAKEN_MAX]; /* and not settled */
static size_t taken_count;
static uint64_t due_ms;
static bool is_again;

static struct backlog_options options = {.mode = SINK_MODE_ORDERED,
                                         .order = SINK_ORDER_CHANNEL,
                                         .messages_max = 1000,
                                         .bytes_max = 1048576};

static void open_as(enum sink_mode mode, enum sink_order order, bool is_pipelined) {
    options.mode = mode;
    options.order = order;
    options.is_pipelined = is_pipelined;
    EXPECT_EQ(backlog_create(&options, &backlog), OK);
}

static struct message *make(uint64_t position, const char *channel, const char *key) {
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .channel = span_of_string(channel),
                                    .key = span_of_string(key),
                                    .payload = SPAN("0123456789")};
    struct place place = {.log_id = 1, .position = position, .channel_id = 1, .offset = 1};
    struct message *message = message_create(&fields);
    message_order(message, &place, NOW_MS);
    return message;
}

static void put_known(uint64_t position, const char *channel, const struct ledger_failure *failure,
                      const struct ledger_batch *batch) {
    struct message *message = make(position, channel, "");
    EXPECT_EQ(backlog_put(backlog, message, failure, batch), OK);
    message_unref(message);
}

static void put(uint64_t position, const char *channel) {
    put_known(position, channel, NULL, NULL);
}

static void put_key(uint64_t position, const char *channel, const char *key) {
    struct message *message = make(position, channel, key);
    EXPECT_EQ(backlog_put(backlog, message, NULL, NULL), OK);
    message_unref(message);
}

static void pass(uint64_t position) {
    struct place place = {.log_id = 1, .position = position};
    backlog_pass(backlog, &place);
}

/* Positions of what is taken, as "1 2 3"; "-" is nothing. */
static const char *take_at(uint64_t now_ms, size_t messages_max, uint64_t age_ms) {
    static char text[200];
    size_t length = 0;
    struct backlog_item *items[LEDGER_BATCH_MESSAGES_MAX];
    size_t count =
        backlog_take(backlog, now_ms, messages_max, BYTES_MAX, age_ms, items, &is_again, &due_ms);
    for (size_t i = 0; i < count; i++) {
        taken[taken_count++] = items[i];
        length +=
            (size_t)snprintf(text + length, sizeof(text) - length, "%s%llu", i == 0 ? "" : " ",
                             (unsigned long long)items[i]->message->place.position);
    }
    return count == 0 ? "-" : text;
}

static const char *take(size_t messages_max) {
    return take_at(NOW_MS, messages_max, 0);
}

static struct backlog_item *find_taken(uint64_t position) {
    for (size_t i = 0; i < taken_count; i++) {
        struct backlog_item *item = taken[i];
        if (item->message->place.position == position) {
            taken[i] = taken[--taken_count];
            return item;
        }
    }
    fail_msg("%llu is not under way", (unsigned long long)position);
    return NULL;
}

/* Gives what stands before it. */
static uint64_t settle(uint64_t position) {
    uint64_t previous;
    backlog_settle(backlog, find_taken(position), &previous);
    return previous;
}

static void put_back(uint64_t position, uint32_t attempts, uint64_t until_ms) {
    backlog_put_back(backlog, find_taken(position), attempts, until_ms);
}

static int end(void **state) {
    (void)state;
    while (taken_count > 0) {
        settle(taken[0]->message->place.position);
    }
    backlog_destroy(backlog);
    return 0;
}

/* 0: it has not moved. */
static uint64_t moved_to(void) {
    struct place floor;
    return backlog_advance(backlog, &floor) ? floor.position : 0;
}

/* --- order ------------------------------------------------------------------------------------ */

TEST(a_lane_waits_for_the_one_that_is_under_way) {
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    put(1, "a");
    put(2, "a");
    put(3, "b");
    EXPECT_STRING(take(1), "1");
    EXPECT_STRING(take(1), "3");
    EXPECT_STRING(take(1), "-");
    EXPECT_EQ(due_ms, UINT64_MAX);
    settle(1);
    EXPECT_STRING(take(1), "2");
}

TEST(keys_of_a_channel_do_not_wait_for_each_other) {
    open_as(SINK_MODE_ORDERED, SINK_ORDER_KEY, false);
    put_key(1, "a", "x");
    put_key(2, "a", "x");
    put_key(3, "a", "y");
    put_key(4, "b", "x");
    put_key(5, "a", "");
    EXPECT_STRING(take(1), "1");
    EXPECT_STRING(take(1), "3");
    EXPECT_STRING(take(1), "4");
    EXPECT_STRING(take(1), "5");
    EXPECT_STRING(take(1), "-");
}

TEST(all_is_one_lane) {
    open_as(SINK_MODE_ORDERED, SINK_ORDER_ALL, false);
    put(1, "a");
    put(2, "b");
    EXPECT_STRING(take(1), "1");
    EXPECT_STRING(take(1), "-");
}

TEST(in_parallel_nothing_waits_for_anything) {
    open_as(SINK_MODE_PARALLEL, SINK_ORDER_ALL, false);
    put(1, "a");
    put(2, "a");
    EXPECT_STRING(take(1), "1");
    put_back(1, 1, NOW_MS + MINUTE);
    EXPECT_STRING(take(1), "2");
    EXPECT_STRING(take(1), "-");
    EXPECT_EQ(due_ms, NOW_MS + MINUTE);
    EXPECT_STRING(take_at(NOW_MS + MINUTE, 1, 0), "1");
}

TEST(a_pipeline_is_filled_in_the_order_of_the_log) {
    open_as(SINK_MODE_ORDERED, SINK_ORDER_ALL, true);
    put(1, "a");
    put(2, "a");
    EXPECT_STRING(take(1), "1");
    EXPECT_STRING(take(1), "2");
    put(3, "a");
    put_back(2, 0, 0);
    put_back(1, 0, 0);
    EXPECT_STRING(take(1), "1");
    EXPECT_STRING(take(1), "2");
    EXPECT_STRING(take(1), "3");
}

TEST(one_that_waits_for_its_time_holds_back_its_lane) {
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    put(1, "a");
    put(2, "a");
    put(3, "b");
    EXPECT_STRING(take(1), "1");
    put_back(1, 1, NOW_MS + 50);
    EXPECT_STRING(take(2), "3");
    EXPECT_STRING(take(2), "-");
    EXPECT_EQ(due_ms, NOW_MS + 50);
    EXPECT_STRING(take_at(NOW_MS + 50, 2, 0), "1 2");
}

TEST(what_failed_before_a_restart_still_waits_for_its_time) {
    const struct ledger_failure failure = {1, 3, NOW_MS + 50};
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    put_known(1, "a", &failure, NULL);
    EXPECT_STRING(take(1), "-");
    EXPECT_STRING(take_at(NOW_MS + 50, 1, 0), "1");
    EXPECT_EQ(taken[0]->attempts, 3);
}

/* --- together --------------------------------------------------------------------------------- */

TEST(a_shipment_takes_one_part_of_each_lane_in_the_order_of_the_log) {
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    put(1, "a");
    put(2, "b");
    put(3, "a");
    put(4, "a");
    EXPECT_STRING(take(3), "1 2 3");
    EXPECT_STRING(take(3), "-"); /* 4 follows 3 */
    settle(1);
    settle(2);
    EXPECT_STRING(take(3), "-");
    settle(3);
    EXPECT_STRING(take(3), "4");
}

TEST(a_shipment_is_not_larger_than_it_may_be_but_for_one_message) {
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    struct backlog_item *items[10];
    put(1, "a");
    put(2, "a");
    put(3, "a");
    EXPECT_EQ(backlog_take(backlog, NOW_MS, 10, 25, 0, items, &is_again, &due_ms), 2);
    taken[taken_count++] = items[0];
    taken[taken_count++] = items[1];
    settle(1);
    settle(2);
    EXPECT_EQ(backlog_take(backlog, NOW_MS, 10, 5, 0, items, &is_again, &due_ms), 1);
    taken[taken_count++] = items[0];
}

TEST(what_left_together_leaves_together_again) {
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    put(1, "a");
    put(2, "b");
    EXPECT_STRING(take(5), "1 2");
    EXPECT_FALSE(is_again);
    put(3, "a");
    put(4, "c");
    put_back(1, 1, NOW_MS + 50);
    put_back(2, 1, NOW_MS + 50);
    EXPECT_STRING(take(5), "4");
    EXPECT_STRING(take_at(NOW_MS + 50, 5, 0), "1 2");
    EXPECT_TRUE(is_again);
    settle(1);
    settle(2);
    EXPECT_STRING(take(5), "3");
}

TEST(what_left_alone_where_more_could_leaves_alone_again) {
    uint64_t position = 3;
    const struct ledger_batch batch = {1, &position};
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    put(1, "a");
    EXPECT_STRING(take(5), "1");
    put(2, "b");
    put_back(1, 1, 0);
    EXPECT_STRING(take(5), "1");
    EXPECT_TRUE(is_again);
    put_known(3, "c", NULL, &batch);
    put(4, "d");
    EXPECT_STRING(take(5), "2");
    EXPECT_STRING(take(5), "3");
    EXPECT_TRUE(is_again);
}

TEST(more_than_may_leave_together_now_part) {
    uint64_t positions[] = {1, 2};
    const struct ledger_batch batch = {2, positions};
    open_as(SINK_MODE_PARALLEL, SINK_ORDER_CHANNEL, false);
    put_known(1, "a", NULL, &batch);
    put_known(2, "a", NULL, &batch);
    EXPECT_STRING(take(1), "1");
    EXPECT_FALSE(is_again);
    EXPECT_STRING(take(1), "2");
}

TEST(what_is_unbound_leaves_with_any) {
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    put(1, "a");
    put(2, "a");
    EXPECT_STRING(take(5), "1 2");
    backlog_unbind(backlog, taken[0]);
    put_back(1, 1, 0);
    put_back(2, 1, 0);
    EXPECT_STRING(take(1), "1");
    EXPECT_FALSE(is_again);
}

TEST(batches_of_one_leave_one_behind_the_other) {
    uint64_t one[] = {1}, two[] = {2};
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    put_known(1, "a", NULL, &(struct ledger_batch){1, one});
    put_known(2, "a", NULL, &(struct ledger_batch){1, two});
    EXPECT_STRING(take(5), "1");
    EXPECT_STRING(take(5), "-");
    settle(1);
    EXPECT_TRUE(*take(5) == '2' && is_again);
}

TEST(those_that_are_left_of_a_batch_part) {
    open_as(SINK_MODE_PARALLEL, SINK_ORDER_CHANNEL, false);
    put(1, "a");
    put(2, "a");
    put(3, "a");
    EXPECT_STRING(take(3), "1 2 3");
    settle(2); /* a dead letter, say */
    put_back(1, 1, 0);
    put_back(3, 1, 0);
    EXPECT_STRING(take(1), "1");
    EXPECT_FALSE(is_again);
}

TEST(a_batch_of_the_ledger_is_sent_again_as_it_was) {
    uint64_t positions[] = {1, 3};
    const struct ledger_batch batch = {2, positions};
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    put_known(1, "a", NULL, &batch);
    put(2, "b");
    EXPECT_STRING(take(5), "2"); /* 3 is not there yet */
    put_known(3, "c", NULL, &batch);
    put(4, "d");
    EXPECT_STRING(take(5), "1 3");
    EXPECT_TRUE(is_again);
}

TEST(a_batch_of_which_the_log_has_lost_something_parts) {
    uint64_t positions[] = {1, 3};
    const struct ledger_batch batch = {2, positions};
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    put_known(1, "a", NULL, &batch);
    EXPECT_STRING(take(5), "-");
    pass(3);
    EXPECT_STRING(take(5), "1");
    EXPECT_FALSE(is_again);
}

TEST(a_batch_that_a_new_order_forbids_parts) {
    uint64_t positions[] = {1, 3};
    const struct ledger_batch batch = {2, positions};
    open_as(SINK_MODE_ORDERED, SINK_ORDER_ALL, false);
    put_known(1, "a", NULL, &batch);
    put(2, "b");
    put_known(3, "c", NULL, &batch);
    EXPECT_STRING(take(5), "1 2 3");
    EXPECT_FALSE(is_again);
}

/* --- waiting for more ------------------------------------------------------------------------- */

TEST(a_shipment_waits_for_more_until_it_is_full_or_old) {
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    put(1, "a");
    EXPECT_STRING(take_at(NOW_MS + 1, 3, 100), "-");
    EXPECT_EQ(due_ms, NOW_MS + 100);
    put(2, "b");
    EXPECT_STRING(take_at(NOW_MS + 99, 3, 100), "-");
    EXPECT_STRING(take_at(NOW_MS + 100, 3, 100), "1 2");
    put(3, "c");
    put(4, "c");
    put(5, "c");
    EXPECT_STRING(take_at(NOW_MS + 1, 3, 100), "3 4 5");
}

TEST(what_was_published_long_ago_waits_for_nothing) {
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    put(1, "a");
    EXPECT_STRING(take_at(NOW_MS + MINUTE, 3, 100), "1");
}

TEST(a_clock_that_goes_back_holds_nothing_for_longer_than_once_more) {
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    put(1, "a");
    EXPECT_STRING(take_at(NOW_MS - MINUTE, 3, 100), "-");
    EXPECT_EQ(due_ms, NOW_MS - MINUTE + 100);
    EXPECT_STRING(take_at(due_ms, 3, 100), "1");
}

/* --- what is done ----------------------------------------------------------------------------- */

TEST(the_floor_passes_what_is_done_without_a_hole) {
    open_as(SINK_MODE_PARALLEL, SINK_ORDER_CHANNEL, false);
    pass(5);
    EXPECT_EQ(moved_to(), 5);
    put(6, "a");
    put(8, "a");
    put(9, "a");
    pass(12);
    EXPECT_STRING(take(1), "6");
    EXPECT_STRING(take(1), "8");
    EXPECT_STRING(take(1), "9");
    EXPECT_EQ(settle(8), 6);
    EXPECT_EQ(moved_to(), 0);
    EXPECT_EQ(settle(6), 0);
    EXPECT_EQ(moved_to(), 8);
    EXPECT_EQ(settle(9), 8);
    EXPECT_EQ(moved_to(), 12);
    EXPECT_EQ(moved_to(), 0);
    EXPECT_EQ(backlog_count(backlog), 0);
}

TEST(what_the_ledger_knows_to_be_done_is_passed) {
    const struct place place = {.log_id = 1, .position = 2};
    open_as(SINK_MODE_PARALLEL, SINK_ORDER_CHANNEL, false);
    put(1, "a");
    backlog_put_done(backlog, &place);
    put(3, "a");
    EXPECT_STRING(take(1), "1");
    EXPECT_STRING(take(1), "3");
    EXPECT_EQ(settle(3), 2);
    EXPECT_EQ(settle(1), 0);
    EXPECT_EQ(moved_to(), 3);
}

TEST(what_is_done_takes_no_room) {
    options.messages_max = 2;
    open_as(SINK_MODE_PARALLEL, SINK_ORDER_CHANNEL, false);
    put(1, "a");
    EXPECT_STRING(take(1), "1");
    for (uint64_t position = 2; position < 100; position++) {
        EXPECT_TRUE(backlog_has_room(backlog));
        put(position, "a");
        EXPECT_FALSE(backlog_has_room(backlog));
        take(1);
        settle(position);
    }
    EXPECT_EQ(backlog_count(backlog), 1);
    options.messages_max = 1000;
}

/* --- room ------------------------------------------------------------------------------------- */

TEST(one_larger_message_passes_alone) {
    options.bytes_max = 1;
    open_as(SINK_MODE_PARALLEL, SINK_ORDER_CHANNEL, false);
    EXPECT_TRUE(backlog_has_room(backlog));
    put(1, "a");
    EXPECT_FALSE(backlog_has_room(backlog));
    EXPECT_STRING(take(1), "1");
    settle(1);
    EXPECT_TRUE(backlog_has_room(backlog));
    options.bytes_max = 1048576;
}

TEST(after_a_clear_there_is_nothing_in_memory) {
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    size_t empty = backlog_memory_bytes(backlog);
    char channel[20];
    for (uint64_t position = 1; position <= 500; position++) {
        snprintf(channel, sizeof(channel), "c%llu", (unsigned long long)position % 50);
        put(position, channel);
    }
    EXPECT_TRUE(backlog_memory_bytes(backlog) > 500 * 100);
    EXPECT_NOT_NULL(backlog_first(backlog));
    backlog_clear(backlog);
    EXPECT_EQ(backlog_memory_bytes(backlog), empty);
    EXPECT_TRUE(empty < 600);
    EXPECT_NULL(backlog_first(backlog));
    EXPECT_EQ(backlog_take(backlog, NOW_MS, 1, 1, 0, taken, &is_again, &due_ms), 0);
}

TEST(what_is_under_way_at_a_clear_settles_before_anything_is_read_again) {
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    put(1, "a");
    put(2, "b");
    put(3, "c");
    EXPECT_STRING(take(2), "1 2");
    backlog_clear(backlog);
    EXPECT_EQ(backlog_count(backlog), 2);
    EXPECT_FALSE(backlog_has_room(backlog));
    EXPECT_EQ(settle(1), 0);
    EXPECT_FALSE(backlog_has_room(backlog));
    put_back(2, 1, NOW_MS + 50);
    EXPECT_TRUE(backlog_has_room(backlog));
    EXPECT_EQ(moved_to(), 0);
    put(2, "b");
    put(3, "c");
    EXPECT_STRING(take(2), "2 3");
}

/* --- a lane that waits for hours -------------------------------------------------------------- */

/* The others go on however much comes behind what waits, and the floor stays. */
TEST(a_lane_that_waits_for_long_does_not_stop_the_others) {
    options.messages_max = 100;
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    put(1, "poisoned");
    EXPECT_STRING(take(1), "1");
    put_back(1, 1, NOW_MS + 60 * MINUTE);
    for (uint64_t position = 2; position < 3000; position += 2) {
        EXPECT_TRUE(backlog_has_room(backlog));
        put(position, "poisoned");
        put(position + 1, "well");
        take(1);
        EXPECT_EQ(settle(position + 1), position);
    }
    EXPECT_EQ(moved_to(), 0);
    EXPECT_FALSE(backlog_wants_again(backlog));
    options.messages_max = 1000;
}

TEST(what_was_let_go_of_is_read_again_when_its_turn_comes) {
    options.messages_max = 100;
    open_as(SINK_MODE_ORDERED, SINK_ORDER_CHANNEL, false);
    put(1, "a");
    EXPECT_STRING(take(1), "1");
    put_back(1, 1, NOW_MS + 60 * MINUTE);
    for (uint64_t position = 2; position <= 200; position++) {
        put(position, "a");
    }
    uint64_t done = 0;
    while (!backlog_wants_again(backlog)) {
        EXPECT_FALSE(strcmp(take_at(NOW_MS + 60 * MINUTE, 1, 0), "-") == 0);
        done++;
        settle(done);
    }
    EXPECT_TRUE(done > 1 && done < 20);
    EXPECT_EQ(moved_to(), done);
    EXPECT_FALSE(backlog_has_room(backlog));
    backlog_clear(backlog);
    EXPECT_TRUE(backlog_has_room(backlog));
    EXPECT_FALSE(backlog_wants_again(backlog));
    put(done + 1, "a");
    options.messages_max = 1000;
}

TEST(one_lane_that_is_all_there_is_reads_no_further) {
    options.messages_max = 100;
    open_as(SINK_MODE_ORDERED, SINK_ORDER_ALL, false);
    put(1, "a");
    EXPECT_STRING(take(1), "1");
    put_back(1, 1, NOW_MS + 60 * MINUTE);
    uint64_t position = 2;
    for (; backlog_has_room(backlog); position++) {
        put(position, "a");
    }
    EXPECT_TRUE(position <= 102);
    options.messages_max = 1000;
}

/* --- whatever happens ------------------------------------------------------------------------- */

static int end_nothing(void **state) {
    (void)state;
    return 0;
}

TEST(all_is_sent_in_order_and_the_floor_passes_nothing) {
    uint8_t bytes[MODEL_BYTES];
    uint64_t state = 1;
    for (size_t run = 0; run < MODEL_RUNS; run++) {
        for (size_t i = 0; i < sizeof(bytes); i++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            bytes[i] = (uint8_t)(state >> 56);
        }
        backlog_model_run(bytes, run % 2 == 0 ? sizeof(bytes) : sizeof(bytes) / 8);
    }
}

#define CASE(name) cmocka_unit_test_teardown(name, end)

UNIT_TESTS(CASE(a_lane_waits_for_the_one_that_is_under_way),
           CASE(keys_of_a_channel_do_not_wait_for_each_other), CASE(all_is_one_lane),
           CASE(in_parallel_nothing_waits_for_anything),
           CASE(a_pipeline_is_filled_in_the_order_of_the_log),
           CASE(one_that_waits_for_its_time_holds_back_its_lane),
           CASE(what_failed_before_a_restart_still_waits_for_its_time),
           CASE(a_shipment_takes_one_part_of_each_lane_in_the_order_of_the_log),
           CASE(a_shipment_is_not_larger_than_it_may_be_but_for_one_message),
           CASE(what_left_together_leaves_together_again),
           CASE(what_left_alone_where_more_could_leaves_alone_again),
           CASE(more_than_may_leave_together_now_part), CASE(what_is_unbound_leaves_with_any),
           CASE(batches_of_one_leave_one_behind_the_other),
           CASE(those_that_are_left_of_a_batch_part),
           CASE(a_batch_of_the_ledger_is_sent_again_as_it_was),
           CASE(a_batch_of_which_the_log_has_lost_something_parts),
           CASE(a_batch_that_a_new_order_forbids_parts),
           CASE(a_shipment_waits_for_more_until_it_is_full_or_old),
           CASE(what_was_published_long_ago_waits_for_nothing),
           CASE(a_clock_that_goes_back_holds_nothing_for_longer_than_once_more),
           CASE(the_floor_passes_what_is_done_without_a_hole),
           CASE(what_the_ledger_knows_to_be_done_is_passed), CASE(what_is_done_takes_no_room),
           CASE(one_larger_message_passes_alone), CASE(after_a_clear_there_is_nothing_in_memory),
           CASE(what_is_under_way_at_a_clear_settles_before_anything_is_read_again),
           CASE(a_lane_that_waits_for_long_does_not_stop_the_others),
           CASE(what_was_let_go_of_is_read_again_when_its_turn_comes),
           CASE(one_lane_that_is_all_there_is_reads_no_further),
           cmocka_unit_test_teardown(all_is_sent_in_order_and_the_floor_passes_nothing,
                                     end_nothing))
