/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/ledger.h"

#include "tests/unit.h"

static struct ledger ledger;

static int begin(void **state) {
    (void)state;
    ledger_init(&ledger);
    return 0;
}

static int end(void **state) {
    (void)state;
    ledger_finish(&ledger);
    return 0;
}

static struct place at(uint64_t position) {
    return (struct place){.log_id = 7, .position = position};
}

static void move_floor(uint64_t position) {
    struct place floor = at(position);
    ledger_move_floor(&ledger, &floor);
}

static enum ledger_mark find_in(const char *channel, uint64_t position,
                                struct ledger_failure *ret_failure) {
    const struct message message = {.place = at(position),
                                    .fields = {.channel = span_of_string(channel)}};
    return ledger_find(&ledger, &message, ret_failure);
}

static enum ledger_mark find_of(const char *channel, uint64_t position) {
    struct ledger_failure failure;
    return find_in(channel, position, &failure);
}

static enum ledger_mark find(uint64_t position) {
    return find_of("a", position);
}

static void put_done(uint64_t position, uint64_t previous) {
    EXPECT_EQ(ledger_put_done(&ledger, position, previous), OK);
}

static void put_failure(uint64_t position, uint32_t attempts, uint64_t due_ms) {
    struct ledger_failure failure = {position, attempts, due_ms};
    EXPECT_EQ(ledger_put_failure(&ledger, &failure), OK);
}

/* --- what is done ----------------------------------------------------------------------------- */

TEST(a_new_sink_knows_nothing) {
    EXPECT_FALSE(ledger.has_floor);
    EXPECT_EQ(find(1), LEDGER_UNKNOWN);
    EXPECT_NULL(ledger_find_batch(&ledger, 1));
}

TEST(up_to_the_floor_all_is_done) {
    move_floor(10);
    EXPECT_EQ(find(10), LEDGER_DONE);
    EXPECT_EQ(find(11), LEDGER_UNKNOWN);
}

TEST(what_follows_each_other_is_one_range) {
    move_floor(10);
    put_done(12, 10);
    put_done(15, 12);
    put_done(19, 15);
    EXPECT_EQ(ledger.now.range_count, 1);
    EXPECT_EQ(ledger.now.ranges[0].first, 12);
    EXPECT_EQ(ledger.now.ranges[0].last, 19);
}

TEST(a_message_joins_the_ranges_on_both_sides) {
    move_floor(10);
    put_done(12, 10);
    put_done(19, 15);
    EXPECT_EQ(ledger.now.range_count, 2);
    put_done(15, 12);
    EXPECT_EQ(ledger.now.range_count, 1);
    EXPECT_EQ(ledger.now.ranges[0].first, 12);
    EXPECT_EQ(ledger.now.ranges[0].last, 19);
}

TEST(a_message_joins_the_range_behind_it) {
    put_done(15, 12);
    put_done(12, 9);
    EXPECT_EQ(ledger.now.range_count, 1);
    EXPECT_EQ(ledger.now.ranges[0].before, 9);
}

TEST(what_is_not_known_to_follow_stays_apart) {
    put_done(12, 0);
    put_done(15, 0);
    put_done(14, 13);
    EXPECT_EQ(ledger.now.range_count, 3);
    EXPECT_EQ(find(13), LEDGER_UNKNOWN);
}

TEST(what_is_done_twice_is_done_once) {
    put_done(12, 9);
    put_done(12, 0);
    EXPECT_EQ(ledger.now.range_count, 1);
    EXPECT_EQ(ledger.now.ranges[0].before, 9);
}

TEST(below_the_floor_nothing_is_put) {
    move_floor(10);
    put_done(9, 0);
    put_failure(10, 1, 1);
    EXPECT_EQ(ledger.now.range_count, 0);
    EXPECT_EQ(ledger.failure_count, 0);
}

TEST(ranges_that_are_full_say_so_and_still_grow_where_they_are) {
    for (uint64_t i = 0; i < STRATUM_RANGES_MAX; i++) {
        put_done(10 * i + 5, 10 * i + 4);
    }
    EXPECT_EQ(ledger_put_done(&ledger, 10 * STRATUM_RANGES_MAX + 5, 0), ERR_FULL);
    put_done(6, 5);
    EXPECT_EQ(find(6), LEDGER_DONE);
    EXPECT_EQ(ledger.now.range_count, STRATUM_RANGES_MAX);
}

TEST(a_window_finds_room_or_is_not_begun) {
    uint64_t position = 5;
    for (; ledger_has_room(&ledger, position); position += 10) {
        put_done(position, position - 1);
    }
    EXPECT_TRUE(ledger_has_room(&ledger, 7)); /* it lies between two ranges */
    EXPECT_TRUE(ledger.now.range_count + SINK_WINDOW_MAX / 2 <= STRATUM_RANGES_MAX);
    move_floor(20000);
    EXPECT_TRUE(ledger_has_room(&ledger, position));
}

TEST(a_floor_that_moves_takes_away_what_lies_below) {
    put_done(5, 0);
    put_done(9, 8);
    put_done(12, 11);
    put_done(13, 12);
    put_done(14, 13);
    put_failure(7, 1, 100);
    put_failure(20, 1, 100);
    move_floor(12);
    EXPECT_EQ(ledger.now.range_count, 1);
    EXPECT_EQ(ledger.now.ranges[0].first, 13);
    EXPECT_EQ(ledger.now.ranges[0].last, 14);
    EXPECT_EQ(ledger.failure_count, 1);
    EXPECT_EQ(find(14), LEDGER_DONE);
}

TEST(a_rewind_forgets_what_was_done_and_what_failed) {
    uint64_t positions[] = {30, 31};
    struct place floor = at(4);
    move_floor(10);
    put_done(20, 0);
    put_failure(21, 2, 50);
    EXPECT_EQ(ledger_put_batch(&ledger, positions, 2), OK);
    ledger_rewind(&ledger, &floor);
    EXPECT_EQ(ledger.floor.position, 4);
    EXPECT_EQ(find(10), LEDGER_UNKNOWN);
    EXPECT_EQ(find(20), LEDGER_UNKNOWN);
    EXPECT_EQ(find(21), LEDGER_UNKNOWN);
    EXPECT_NULL(ledger_find_batch(&ledger, 30));
}

/* --- what failed ------------------------------------------------------------------------------ */

TEST(a_failure_is_found_until_the_message_is_done) {
    struct ledger_failure failure;
    put_failure(20, 3, 12345);
    put_failure(15, 1, 99);
    EXPECT_EQ(find_in("a", 20, &failure), LEDGER_FAILED);
    EXPECT_EQ(failure.attempts, 3);
    EXPECT_EQ(failure.due_ms, 12345);
    put_done(20, 15);
    EXPECT_EQ(find(20), LEDGER_DONE);
    EXPECT_EQ(ledger.failure_count, 1);
    EXPECT_EQ(find(15), LEDGER_FAILED);
}

TEST(a_second_failure_stands_for_the_first) {
    struct ledger_failure failure;
    put_failure(20, 1, 100);
    put_failure(20, 2, 200);
    EXPECT_EQ(ledger.failure_count, 1);
    EXPECT_EQ(find_in("a", 20, &failure), LEDGER_FAILED);
    EXPECT_EQ(failure.attempts, 2);
}

TEST(failures_that_are_full_say_so) {
    struct ledger_failure failure = {LEDGER_FAILURES_MAX + 1, 1, 1};
    for (uint64_t i = 1; i <= LEDGER_FAILURES_MAX; i++) {
        put_failure(i, 1, 1);
    }
    EXPECT_EQ(ledger_put_failure(&ledger, &failure), ERR_FULL);
    failure.position = 5;
    EXPECT_EQ(ledger_put_failure(&ledger, &failure), OK);
}

TEST(forgiving_counts_attempts_anew_and_keeps_what_is_done) {
    put_failure(20, 9, 1);
    put_done(30, 0);
    ledger.breaker = LEDGER_OPEN;
    ledger.breaker_trips = 4;
    ledger.failing_since_ms = 77;
    ledger_forgive(&ledger);
    EXPECT_EQ(find(20), LEDGER_UNKNOWN);
    EXPECT_EQ(find(30), LEDGER_DONE);
    EXPECT_EQ(ledger.breaker, LEDGER_CLOSED);
    EXPECT_EQ(ledger.breaker_trips, 0);
    EXPECT_EQ(ledger.failing_since_ms, 0);
}

/* --- batches ---------------------------------------------------------------------------------- */

TEST(a_batch_is_found_by_each_of_its_messages_alone) {
    const uint64_t first[] = {20, 22, 29}, second[] = {21, 24};
    EXPECT_EQ(ledger_put_batch(&ledger, second, 2), OK);
    EXPECT_EQ(ledger_put_batch(&ledger, first, 3), OK);
    const struct ledger_batch *batch = ledger_find_batch(&ledger, 29);
    EXPECT_NOT_NULL(batch);
    EXPECT_EQ(batch->count, 3);
    EXPECT_EQ(batch->positions[1], 22);
    EXPECT_EQ(ledger_find_batch(&ledger, 24)->count, 2);
    EXPECT_NULL(ledger_find_batch(&ledger, 23));
    ledger_remove_batch(&ledger, 20);
    EXPECT_NULL(ledger_find_batch(&ledger, 22));
    EXPECT_EQ(ledger_find_batch(&ledger, 21)->count, 2);
}

TEST(a_message_is_of_its_newest_batch) {
    const uint64_t old[] = {20, 22}, other[] = {40, 41}, new[] = {22, 23};
    EXPECT_EQ(ledger_put_batch(&ledger, old, 2), OK);
    EXPECT_EQ(ledger_put_batch(&ledger, other, 2), OK);
    EXPECT_EQ(ledger_put_batch(&ledger, new, 2), OK);
    EXPECT_NULL(ledger_find_batch(&ledger, 20));
    EXPECT_EQ(ledger_find_batch(&ledger, 22)->positions[0], 22);
    EXPECT_EQ(ledger.batch_count, 2);
}

TEST(a_batch_goes_when_the_floor_has_passed_all_of_it) {
    const uint64_t positions[] = {20, 22, 29};
    EXPECT_EQ(ledger_put_batch(&ledger, positions, 3), OK);
    move_floor(28);
    EXPECT_NOT_NULL(ledger_find_batch(&ledger, 29));
    move_floor(29);
    EXPECT_EQ(ledger.batch_count, 0);
    EXPECT_EQ(ledger.batched_count, 0);
}

TEST(batches_that_are_full_say_so) {
    uint64_t positions[LEDGER_BATCH_MESSAGES_MAX];
    size_t count = 0;
    enum error_code code = OK;
    for (uint64_t i = 0; code == OK; i++) {
        for (size_t j = 0; j < LEDGER_BATCH_MESSAGES_MAX; j++) {
            positions[j] = i * LEDGER_BATCH_MESSAGES_MAX + j + 1;
        }
        code = ledger_put_batch(&ledger, positions, LEDGER_BATCH_MESSAGES_MAX);
        count += code == OK;
    }
    EXPECT_EQ(code, ERR_FULL);
    EXPECT_EQ(count, LEDGER_BATCHED_MAX / LEDGER_BATCH_MESSAGES_MAX);
}

/* --- another view ----------------------------------------------------------------------------- */

static const struct stratum_view first_view = {.texts = {(const uint8_t *)"a", 2}};
static const struct stratum_view second_view = {.texts = {(const uint8_t *)"a\0b", 4}};

static bool take_view(const struct stratum_view *view) {
    bool is_changed;
    EXPECT_EQ(ledger_take_view(&ledger, view, &is_changed), OK);
    return is_changed;
}

TEST(a_channel_that_is_newly_named_lacks_all_behind_the_floor) {
    move_floor(10);
    EXPECT_FALSE(take_view(&first_view));
    put_done(12, 0);
    put_done(20, 12);
    EXPECT_FALSE(take_view(&first_view));
    EXPECT_TRUE(take_view(&second_view));
    EXPECT_EQ(find_of("a", 15), LEDGER_DONE);
    EXPECT_EQ(find_of("b", 15), LEDGER_UNKNOWN);
    EXPECT_EQ(find_of("b", 10), LEDGER_DONE);
    put_done(15, 12);
    EXPECT_EQ(find_of("b", 15), LEDGER_DONE);
    EXPECT_EQ(find_of("b", 16), LEDGER_UNKNOWN);
    EXPECT_EQ(ledger.past_count, 1);
    move_floor(20);
    EXPECT_EQ(ledger.past_count, 0);
}

TEST(what_failed_still_has_its_attempts_when_other_channels_come) {
    move_floor(10);
    EXPECT_FALSE(take_view(&first_view));
    put_done(12, 0);
    put_failure(11, 3, 500);
    EXPECT_TRUE(take_view(&second_view));
    EXPECT_EQ(find(11), LEDGER_FAILED);
}

TEST(a_ledger_that_does_not_say_is_of_the_first_view_that_it_is_asked_for) {
    move_floor(10);
    put_done(12, 0);
    EXPECT_FALSE(take_view(&first_view));
    EXPECT_EQ(find_of("a", 12), LEDGER_DONE);
    EXPECT_TRUE(take_view(&second_view));
    EXPECT_EQ(find_of("b", 12), LEDGER_UNKNOWN);
}

TEST(of_many_changes_the_oldest_is_forgotten) {
    move_floor(10);
    EXPECT_FALSE(take_view(&first_view));
    for (uint64_t i = 0; i <= LEDGER_PAST_MAX; i++) {
        put_done(100 + 2 * i, 0);
        EXPECT_TRUE(take_view(i % 2 == 0 ? &second_view : &first_view));
    }
    EXPECT_EQ(ledger.past_count, LEDGER_PAST_MAX);
    EXPECT_EQ(find(100), LEDGER_UNKNOWN);
    EXPECT_EQ(find(102), LEDGER_DONE);
}

TEST(its_memory_is_counted_with_what_other_views_say) {
    move_floor(10);
    EXPECT_FALSE(take_view(&first_view));
    size_t before = ledger_memory_bytes(&ledger);
    put_done(12, 0);
    EXPECT_TRUE(take_view(&second_view));
    EXPECT_TRUE(ledger_memory_bytes(&ledger) >=
                before + sizeof(struct stratum) + sizeof(struct stratum_range));
    move_floor(12);
    EXPECT_EQ(ledger_memory_bytes(&ledger), second_view.texts.length);
}

TEST(a_rewind_forgets_what_other_views_say) {
    const struct place floor = at(5);
    move_floor(10);
    EXPECT_FALSE(take_view(&first_view));
    put_done(12, 0);
    EXPECT_TRUE(take_view(&second_view));
    ledger_rewind(&ledger, &floor);
    EXPECT_EQ(find(12), LEDGER_UNKNOWN);
    EXPECT_FALSE(take_view(&second_view));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(
    CASE(a_new_sink_knows_nothing), CASE(up_to_the_floor_all_is_done),
    CASE(what_follows_each_other_is_one_range), CASE(a_message_joins_the_ranges_on_both_sides),
    CASE(a_message_joins_the_range_behind_it), CASE(what_is_not_known_to_follow_stays_apart),
    CASE(what_is_done_twice_is_done_once), CASE(below_the_floor_nothing_is_put),
    CASE(ranges_that_are_full_say_so_and_still_grow_where_they_are),
    CASE(a_window_finds_room_or_is_not_begun), CASE(a_floor_that_moves_takes_away_what_lies_below),
    CASE(a_rewind_forgets_what_was_done_and_what_failed),
    CASE(a_failure_is_found_until_the_message_is_done), CASE(a_second_failure_stands_for_the_first),
    CASE(failures_that_are_full_say_so),
    CASE(forgiving_counts_attempts_anew_and_keeps_what_is_done),
    CASE(a_batch_is_found_by_each_of_its_messages_alone), CASE(a_message_is_of_its_newest_batch),
    CASE(a_batch_goes_when_the_floor_has_passed_all_of_it), CASE(batches_that_are_full_say_so),
    CASE(a_channel_that_is_newly_named_lacks_all_behind_the_floor),
    CASE(what_failed_still_has_its_attempts_when_other_channels_come),
    CASE(a_ledger_that_does_not_say_is_of_the_first_view_that_it_is_asked_for),
    CASE(of_many_changes_the_oldest_is_forgotten),
    CASE(its_memory_is_counted_with_what_other_views_say),
    CASE(a_rewind_forgets_what_other_views_say))
