/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/sink.h"

#include <sched.h>

#include "broker/runtime/log.h"
#include "protocols/sinks/sink_private.h"
#include "protocols/sinks/sinks.h"
#include "tests/protocols/sinks/sink_scene.h"
#include "tests/unit.h"

static char row_moment[] = "1300ms"; /* with its jitter more than SINK_AGAIN_MS */
static char row_hour[] = "1h";
static char row_while[] = "20ms";
static char *short_waits[] = {row_while, row_hour};
static char *long_waits[] = {row_moment, row_hour};

TEST(messages_go_in_order_once_each) {
    publish_some(50);
    await_shipped(50);
    for (size_t i = 0; i < 50; i++) {
        EXPECT_EQ(carrier.rows[i].offset, i + 1);
        EXPECT_EQ(carrier.rows[i].attempt, 1);
    }
}

TEST(a_restart_goes_on_behind_what_was_delivered) {
    publish_some(10);
    await_shipped(10);
    stop_world();
    start_world();
    publish_some(1);
    await_shipped(11);
    EXPECT_EQ(carrier.count, 11);
    EXPECT_EQ(carrier.rows[10].offset, 11);
}

TEST(what_is_not_for_the_endpoint_is_done_without_asking_it) {
    carrier.passed_over = 3;
    publish_some(3);
    await_shipped(2);
    await_counted(&carrier.passed_count, 1);
    stop_world();
    carrier.passed_over = 0;
    start_world(); /* the place is behind it, though nothing was shipped since */
    publish_some(1);
    await_shipped(3);
    EXPECT_EQ(carrier.rows[1].offset, 2);
    EXPECT_EQ(carrier.rows[2].offset, 4);
}

TEST(what_is_not_taken_goes_again_under_the_same_id) {
    set_outcome(OUTCOME_FAILED);
    publish_some(1);
    await_shipped(2);
    set_outcome(OUTCOME_DELIVERED);
    EXPECT_STRING(carrier.rows[0].id, carrier.rows[1].id);
    EXPECT_EQ(carrier.rows[1].attempt, 2);
}

TEST(after_the_last_attempt_there_is_one_dead_letter) {
    set_outcome(OUTCOME_FAILED);
    publish_some(1);
    await_shipped(3);
    set_outcome(OUTCOME_DELIVERED);
    publish_some(1); /* goes when the first is out of its way */
    await_shipped(4);
    EXPECT_EQ(carrier.rows[3].offset, 2);
    EXPECT_EQ(carrier.rows[3].attempt, 1);
    EXPECT_EQ(count_kept("$dlq/s"), 1);
    stop_world();
    start_world();
    EXPECT_EQ(count_kept("$dlq/s"), 1);
}

TEST(what_is_refused_is_a_dead_letter_at_once) {
    set_outcome(OUTCOME_REFUSED);
    publish_some(1);
    await_shipped(1);
    set_outcome(OUTCOME_DELIVERED);
    publish_some(1);
    await_shipped(2);
    EXPECT_EQ(carrier.rows[1].offset, 2);
    EXPECT_EQ(count_kept("$dlq/s"), 1);
}

static void on_answered(struct sinks_question *question) {
    *(bool *)question->context = true;
}

/* What the sink says, and how it is then. */
static enum error_code ask(enum sinks_question_kind kind, struct sink_figures *ret_figures) {
    bool is_answered = false;
    struct sinks_question question = {.kind = kind,
                                      .name = "s",
                                      .is_dead_letters = true,
                                      .reply_to = &world.mailbox,
                                      .on_answered = on_answered,
                                      .context = &is_answered};
    EXPECT_EQ(sinks_ask(world.broker.sinks, &question), OK);
    while (!is_answered) {
        mailbox_wait(&world.mailbox, -1);
        mailbox_deliver_all(&world.mailbox, NULL);
    }
    if (question.figure_count > 0) {
        *ret_figures = question.figures[0];
    }
    sinks_question_finish(&question);
    return question.result;
}

/* One dead letter is sent again, by so many replays one after the other, and never taken. */
static struct sink_figures replay(enum outcome outcome, size_t count) {
    struct sink_figures figures = {0};
    set_outcome_until(OUTCOME_REFUSED, 1);
    publish_some(2); /* the second goes when the letter of the first is stored */
    await_shipped(2);
    set_outcome(outcome);
    for (size_t i = 0; i < count; i++) {
        while (ask(SINKS_REPLAY, &figures) == ERR_CONFLICT) { /* the last one is not over */
        }
        await_shipped(3 + i);
    }
    EXPECT_EQ(ask(SINKS_SHOW, &figures), OK);
    return figures;
}

TEST(a_replay_that_is_abandoned_is_no_failure_of_the_endpoint) {
    struct sink_figures figures = replay(OUTCOME_ABANDONED, BREAKER_FAILURES);
    EXPECT_EQ(figures.breaker, LEDGER_CLOSED);
    EXPECT_EQ(count_kept("$dlq/s"), 1);
}

TEST(an_endpoint_that_is_gone_says_so_in_a_replay_too) {
    struct sink_figures figures = replay(OUTCOME_GONE, 1);
    EXPECT_EQ(figures.state, SINK_DISABLED);
    EXPECT_EQ(count_kept("$dlq/s"), 1);
}

/* Nor does it leave anything behind in memory. */
TEST(a_replay_whose_letters_the_log_refuses_does_not_outlive_the_process) {
    struct sink_figures figures = {0};
    set_outcome_until(OUTCOME_REFUSED, 1);
    publish_some(2);
    await_shipped(2);
    set_outcome(OUTCOME_REFUSED);
    refuse_letters(SHIPPED_MAX);
    EXPECT_EQ(ask(SINKS_REPLAY, &figures), OK);
    await_counted(&refused_count, 1);
    stop_world();
    start_world();
    EXPECT_EQ(count_kept("$dlq/s"), 1);
}

/* A reload: the sink is to be another, and goes on from what the present one knows. */
static void change_row(void) {
    world.changed_row = world.row;
    world.changed_row.concurrency++;
    world.changed = world.config;
    world.changed.sinks = &world.changed_row;
    atomic_store(&world.broker.configured, &world.changed);
    sinks_reload(world.broker.sinks);
}

TEST(a_dead_letter_that_the_log_refused_is_not_lost_when_its_sink_changes) {
    refuse_letters(2);
    set_outcome_until(OUTCOME_REFUSED, 1);
    publish_some(1);
    await_counted(&refused_count, 1);
    change_row();
    publish_some(1);
    await_shipped(2);
    EXPECT_EQ(carrier.rows[1].offset, 2);
    EXPECT_EQ(count_kept("$dlq/s"), 1);
}

/* By the schedule its third attempt is an hour away. */
static void expect_back_soon(enum outcome outcome) {
    stop_world();
    world.row.retries = (struct config_list){long_waits, 2, true};
    start_world();
    set_outcome_until(outcome, 2);
    publish_some(1);
    await_shipped(3);
    EXPECT_EQ(carrier.rows[2].offset, 1);
    EXPECT_EQ(count_kept("$dlq/s"), 0);
}

TEST(one_channel_is_enough_to_find_an_endpoint_that_is_back) {
    expect_back_soon(OUTCOME_UNREACHED);
}

TEST(one_channel_is_enough_to_find_an_endpoint_that_takes_again) {
    expect_back_soon(OUTCOME_THROTTLED);
}

/* Back for one message, and gone again for the next: whose attempts are not burnt by that. */
TEST(an_endpoint_that_comes_and_goes_burns_no_attempts) {
    expect_back_soon(OUTCOME_UNREACHED);
    set_outcome_until(OUTCOME_UNREACHED, 4);
    publish_some(1);
    await_shipped(5);
    EXPECT_EQ(carrier.rows[4].offset, 2);
    EXPECT_EQ(carrier.rows[4].attempt, 1);
}

/* It says when it takes the next: the breaker would keep it waiting for longer, and again as soon
 * as it says so again. */
TEST(an_endpoint_that_is_back_and_asks_for_patience_is_not_given_up) {
    expect_back_soon(OUTCOME_UNREACHED);
    pthread_mutex_lock(&carrier.lock);
    carrier.outcome = OUTCOME_THROTTLED;
    carrier.outcome_until = SIZE_MAX;
    carrier.retry_after_ms = 1;
    pthread_mutex_unlock(&carrier.lock);
    publish_some(1);
    await_shipped(5);
    set_outcome(OUTCOME_DELIVERED);
    EXPECT_EQ(carrier.rows[4].offset, 2);
    EXPECT_EQ(carrier.rows[4].attempt, 1);
    EXPECT_FALSE(carrier.rows[4].state == SINK_BROKEN);
}

/* --- given up -------------------------------------------------------------------------------- */

static void await_kept(const char *channel, uint64_t count) {
    while (count_kept(channel) < count) {
        sched_yield();
    }
}

/* Each attempt comes when that time is over. */
static void be_impatient(size_t retry_count) {
    stop_world();
    world.row.retries = (struct config_list){short_waits, retry_count, true};
    world.row.disable_after_ms = 1;
    start_world();
    set_outcome(OUTCOME_FAILED);
}

TEST(a_sink_is_given_up_when_an_attempt_has_failed_after_that_time) {
    be_impatient(2);
    publish_some(1);
    await_kept("$events/sinks/s", 1);
    EXPECT_EQ(carrier.count, 2);
    EXPECT_EQ(count_kept("$dlq/s"), 0);
}

TEST(an_endpoint_that_is_mended_in_time_is_tried_before_it_is_given_up) {
    be_impatient(2);
    set_outcome_until(OUTCOME_FAILED, 1);
    publish_some(1);
    await_shipped(2);
    publish_some(1);
    await_shipped(3);
    EXPECT_EQ(carrier.rows[2].offset, 2);
}

TEST(time_in_which_nothing_waits_is_no_failure) {
    be_impatient(0);
    for (size_t i = 1; i <= 3; i++) {
        publish_some(1);
        await_kept("$dlq/s", i);
    }
    EXPECT_EQ(carrier.count, 3);
}

TEST(with_nothing_to_ask_with_a_breaker_is_not_left_open) {
    stop_world();
    world.row.retries.count = 0;
    start_world();
    set_outcome(OUTCOME_THROTTLED);
    for (size_t i = 1; i <= BREAKER_FAILURES; i++) {
        publish_some(1);
        await_kept("$dlq/s", i);
    }
    set_outcome(OUTCOME_DELIVERED);
    publish_some(1);
    await_shipped(BREAKER_FAILURES + 1);
    EXPECT_FALSE(carrier.rows[BREAKER_FAILURES].state == SINK_BROKEN);
}

TEST(several_messages_go_together_and_stay_together) {
    stop_world();
    carrier.messages_max = 10;
    start_world();
    set_outcome(OUTCOME_FAILED);
    publish_some(3);
    await_shipped(2);
    set_outcome(OUTCOME_DELIVERED);
    EXPECT_STRING(carrier.rows[0].id, carrier.rows[1].id);
    EXPECT_EQ(carrier.rows[0].count, carrier.rows[1].count);
}

TEST(one_that_is_not_taken_is_the_only_dead_letter_of_its_batch) {
    stop_world();
    carrier.messages_max = 3;
    carrier.age_ms_max = 60000; /* until there are three */
    carrier.poison = 2;
    start_world();
    publish_some(3);
    await_shipped(5); /* twice together, and the last time each alone */
    for (size_t i = 0; i < 5; i++) {
        EXPECT_EQ(carrier.rows[i].count, i < 2 ? 3 : 1);
        EXPECT_EQ(carrier.rows[i].offset, i < 2 ? 1 : i - 1);
        EXPECT_EQ(carrier.rows[i].attempt, i < 2 ? i + 1 : 3);
    }
    publish_some(3);
    await_shipped(6);
    stop_world();
    start_world();
    EXPECT_EQ(carrier.count, 6);
    EXPECT_EQ(count_kept("$dlq/s"), 1);
}

TEST(a_name_says_each_state) {
    EXPECT_STRING(sink_state_name(SINK_LIVE), "live");
    EXPECT_STRING(sink_state_name(SINK_CATCHING_UP), "catching_up");
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_WORLD(messages_go_in_order_once_each),
        IN_WORLD(a_restart_goes_on_behind_what_was_delivered),
        IN_WORLD(what_is_not_for_the_endpoint_is_done_without_asking_it),
        IN_WORLD(what_is_not_taken_goes_again_under_the_same_id),
        IN_WORLD(after_the_last_attempt_there_is_one_dead_letter),
        IN_WORLD(what_is_refused_is_a_dead_letter_at_once),
        IN_WORLD(a_replay_that_is_abandoned_is_no_failure_of_the_endpoint),
        IN_WORLD(an_endpoint_that_is_gone_says_so_in_a_replay_too),
        IN_WORLD(a_replay_whose_letters_the_log_refuses_does_not_outlive_the_process),
        IN_WORLD(a_dead_letter_that_the_log_refused_is_not_lost_when_its_sink_changes),
        IN_WORLD(one_channel_is_enough_to_find_an_endpoint_that_is_back),
        IN_WORLD(one_channel_is_enough_to_find_an_endpoint_that_takes_again),
        IN_WORLD(an_endpoint_that_comes_and_goes_burns_no_attempts),
        IN_WORLD(an_endpoint_that_is_back_and_asks_for_patience_is_not_given_up),
        IN_WORLD(a_sink_is_given_up_when_an_attempt_has_failed_after_that_time),
        IN_WORLD(an_endpoint_that_is_mended_in_time_is_tried_before_it_is_given_up),
        IN_WORLD(time_in_which_nothing_waits_is_no_failure),
        IN_WORLD(with_nothing_to_ask_with_a_breaker_is_not_left_open),
        IN_WORLD(several_messages_go_together_and_stay_together),
        IN_WORLD(one_that_is_not_taken_is_the_only_dead_letter_of_its_batch),
        UNIT(a_name_says_each_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
