/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/loop.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "broker/metrics/metrics.h"
#include "broker/support/clock.h"
#include "tests/unit.h"

#define TEST_NAMES_MAX 64

/* A loop, what happened on it as a text of one letter each, and the test's own descriptors. */
struct scene {
    struct metrics *metrics;
    struct loop *loop;
    char happened[TEST_NAMES_MAX];
    int pipes[2][2];
};

static struct scene scene;

static int begin(void **state) {
    (void)state;
    scene = (struct scene){0};
    return metrics_create(1, &scene.metrics) != OK ||
           loop_create(metrics_shard(scene.metrics, METRICS_MAIN), &scene.loop, NULL) != OK ||
           pipe(scene.pipes[0]) != 0 || pipe(scene.pipes[1]) != 0;
}

static int end(void **state) {
    (void)state;
    loop_destroy(scene.loop);
    metrics_destroy(scene.metrics);
    for (int i = 0; i < 4; i++) {
        close(scene.pipes[i / 2][i % 2]);
    }
    return 0;
}

static void note(char name) {
    size_t length = strlen(scene.happened);
    assert_true(length + 1 < TEST_NAMES_MAX);
    scene.happened[length] = name;
}

static void write_byte(int number) {
    assert_int_equal(write(scene.pipes[number][1], "x", 1), 1);
}

static enum error_code watch_pipe(struct loop_watch *watch, int number) {
    return loop_watch(scene.loop, watch, scene.pipes[number][0], EPOLLIN);
}

/* --- what happens ---------------------------------------------------------------------------- */

static void on_letter(struct letter *letter, void *consumer) {
    (void)letter;
    assert_ptr_equal(consumer, scene.loop);
    note('l');
}

static void on_last_letter(struct letter *letter, void *consumer) {
    (void)letter;
    note('L');
    loop_end(consumer);
}

static void on_end(struct loop_timer *timer) {
    (void)timer;
    loop_end(scene.loop);
}

static void on_timer(struct loop_timer *timer) {
    assert_true(loop_now_ms(scene.loop) >= timer->in_loop.due);
    assert_false(loop_is_armed(timer));
    note('t');
}

static void on_timer_again(struct loop_timer *timer) {
    note('a');
    loop_arm(scene.loop, timer, 0);
}

static void on_chore(struct loop_chore *chore) {
    (void)chore;
    note('c');
}

static void on_chore_end(struct loop_chore *chore) {
    (void)chore;
    note('C');
    loop_end(scene.loop);
}

static void on_chore_again(struct loop_chore *chore) {
    note('g');
    loop_put_chore(scene.loop, chore);
}

static void on_readable(struct loop_watch *watch, uint32_t events) {
    char byte;
    assert_true((events & EPOLLIN) != 0);
    assert_int_equal(read(watch->fd, &byte, 1), 1);
    note('r');
}

static struct loop_watch twins[2];

/* Both are ready in the same turn; the first that is told ends the other. */
static void on_twin(struct loop_watch *watch, uint32_t events) {
    (void)events;
    note('w');
    loop_unwatch(scene.loop, &twins[0]);
    loop_unwatch(scene.loop, &twins[1]);
    twins[watch == &twins[0]].on_ready = NULL; /* as if it were freed */
}

static void put_end(struct loop_chore *chore) {
    loop_chore_init(chore, on_chore_end);
    loop_put_chore(scene.loop, chore);
}

/* --- claims ---------------------------------------------------------------------------------- */

TEST(a_turn_has_letters_then_descriptors_then_timers_then_chores) {
    struct letter letter = {.on_delivered = on_letter};
    struct loop_watch watch = {.on_ready = on_readable};
    struct loop_timer timer = {.on_due = on_timer};
    struct loop_chore chore;
    struct loop_chore last;
    loop_chore_init(&chore, on_chore);
    loop_put_chore(scene.loop, &chore);
    loop_put_chore(scene.loop, &chore); /* harmless twice */
    put_end(&last);
    loop_arm(scene.loop, &timer, 0);
    EXPECT_EQ(watch_pipe(&watch, 0), OK);
    write_byte(0);
    mailbox_put_answer(loop_mailbox(scene.loop), &letter);
    loop_run(scene.loop);
    EXPECT_STRING(scene.happened, "lrtcC");
    loop_unwatch(scene.loop, &watch);
}

TEST(timers_come_in_order_of_their_moment_and_never_early) {
    struct loop_timer timers[3] = {
        {.on_due = on_timer}, {.on_due = on_timer}, {.on_due = on_timer}};
    struct loop_timer last = {.on_due = on_end};
    uint64_t now_ms = clock_monotonic_ms();
    loop_arm(scene.loop, &last, now_ms + 7);
    loop_arm(scene.loop, &timers[0], now_ms + 5);
    loop_arm(scene.loop, &timers[1], now_ms + 3600000);
    loop_arm(scene.loop, &timers[2], now_ms + 1);
    loop_arm(scene.loop, &timers[1], now_ms + 3); /* anew */
    loop_run(scene.loop);
    EXPECT_STRING(scene.happened, "ttt");
    EXPECT_TRUE(clock_monotonic_ms() >= now_ms + 7);
}

TEST(a_timer_that_was_disarmed_does_not_come) {
    struct loop_timer timer = {.on_due = on_timer};
    struct loop_timer last = {.on_due = on_end};
    loop_arm(scene.loop, &timer, 0);
    EXPECT_TRUE(loop_is_armed(&timer));
    loop_disarm(scene.loop, &timer);
    loop_disarm(scene.loop, &timer);
    EXPECT_FALSE(loop_is_armed(&timer));
    loop_arm(scene.loop, &last, clock_monotonic_ms() + 2);
    loop_run(scene.loop);
    EXPECT_STRING(scene.happened, "");
}

TEST(a_timer_that_arms_itself_for_now_does_not_keep_the_turn) {
    struct loop_timer timer = {.on_due = on_timer_again};
    struct loop_chore last;
    put_end(&last);
    loop_arm(scene.loop, &timer, 0);
    loop_run(scene.loop);
    EXPECT_STRING(scene.happened, "aC");
    loop_disarm(scene.loop, &timer);
}

TEST(a_chore_that_is_put_by_a_chore_waits_for_the_next_turn) {
    struct loop_chore again;
    struct loop_chore last;
    loop_chore_init(&again, on_chore_again);
    loop_put_chore(scene.loop, &again);
    put_end(&last);
    loop_run(scene.loop);
    EXPECT_STRING(scene.happened, "gC");
    loop_take_chore_back(&again);
}

TEST(a_chore_that_was_taken_back_is_not_done) {
    struct loop_chore chore;
    struct loop_chore last;
    loop_chore_init(&chore, on_chore);
    loop_put_chore(scene.loop, &chore);
    put_end(&last);
    loop_take_chore_back(&chore);
    loop_take_chore_back(&chore);
    loop_run(scene.loop);
    EXPECT_STRING(scene.happened, "C");
}

TEST(what_was_unwatched_in_a_turn_is_not_told_any_more) {
    struct loop_chore last;
    put_end(&last);
    for (int i = 0; i < 2; i++) {
        twins[i] = (struct loop_watch){.on_ready = on_twin};
        EXPECT_EQ(watch_pipe(&twins[i], i), OK);
        write_byte(i);
    }
    loop_run(scene.loop);
    EXPECT_STRING(scene.happened, "wC");
}

TEST(a_watch_moves_to_another_descriptor) {
    struct loop_watch watch = {.on_ready = on_readable};
    struct loop_chore last;
    put_end(&last);
    EXPECT_EQ(watch_pipe(&watch, 0), OK);
    EXPECT_EQ(watch_pipe(&watch, 1), OK);
    write_byte(0); /* nobody reads it */
    write_byte(1);
    loop_run(scene.loop);
    EXPECT_STRING(scene.happened, "rC");
    EXPECT_EQ(loop_watch(scene.loop, &watch, -1, 0), OK);
    EXPECT_EQ(watch.events, 0);
}

TEST(a_descriptor_that_cannot_be_watched_is_refused) {
    struct loop_watch watch = {.on_ready = on_readable};
    EXPECT_EQ(loop_watch(scene.loop, &watch, -1, EPOLLIN), ERR_IO);
    EXPECT_EQ(watch.events, 0);
}

static void *put_letters(void *context) {
    struct letter *letters = context;
    for (int i = 0; i < 3; i++) {
        mailbox_put_answer(loop_mailbox(scene.loop), &letters[i]);
    }
    return NULL;
}

TEST(letters_of_another_thread_wake_it) {
    struct letter letters[3] = {
        {.on_delivered = on_letter}, {.on_delivered = on_letter}, {.on_delivered = on_last_letter}};
    pthread_t other;
    EXPECT_EQ(pthread_create(&other, NULL, put_letters, letters), 0);
    loop_run(scene.loop);
    pthread_join(other, NULL);
    EXPECT_STRING(scene.happened, "llL");
    EXPECT_EQ(metrics_sum(scene.metrics, METRIC_LETTERS, 0), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, begin, end)
        CLAIM(a_turn_has_letters_then_descriptors_then_timers_then_chores),
        CLAIM(timers_come_in_order_of_their_moment_and_never_early),
        CLAIM(a_timer_that_was_disarmed_does_not_come),
        CLAIM(a_timer_that_arms_itself_for_now_does_not_keep_the_turn),
        CLAIM(a_chore_that_is_put_by_a_chore_waits_for_the_next_turn),
        CLAIM(a_chore_that_was_taken_back_is_not_done),
        CLAIM(what_was_unwatched_in_a_turn_is_not_told_any_more),
        CLAIM(a_watch_moves_to_another_descriptor),
        CLAIM(a_descriptor_that_cannot_be_watched_is_refused),
        CLAIM(letters_of_another_thread_wake_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
