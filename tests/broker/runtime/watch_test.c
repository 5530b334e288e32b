/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/watch.h"

#include "broker/limits.h"
#include "tests/broker/runtime/stage.h"
#include "tests/unit.h"

/* Who waits: its own thread's mailbox, and how often it was told. */
struct poller {
    struct mailbox mailbox;
    struct watch *watch;
    size_t done_count;
};

static void on_done(void *context) {
    struct poller *poller = context;
    poller->done_count++;
}

static void poller_init(struct poller *poller, struct stage *stage, uint64_t position) {
    struct storage_selector selector = {SPAN("a"), false};
    memset(poller, 0, sizeof(*poller));
    EXPECT_EQ(mailbox_init(&poller->mailbox, MAILBOX_NODES_MAX), OK);
    struct watch_options options = {.worker = &stage->worker,
                                    .reply_to = &poller->mailbox,
                                    .selectors = &selector,
                                    .selector_count = 1,
                                    .place = {.log_id = 1, .generation = 1, .position = position},
                                    .wait_ms = 1000,
                                    .on_done = on_done,
                                    .context = poller};
    EXPECT_EQ(watch_create(&options, &poller->watch), OK);
    stage_turn(stage);
}

static void expect_done(struct poller *poller, size_t count) {
    mailbox_deliver_all(&poller->mailbox, NULL);
    EXPECT_EQ(poller->done_count, count);
}

static void poller_finish(struct poller *poller) {
    while (mailbox_deliver_all(&poller->mailbox, NULL) > 0) {
        /* acknowledgements */
    }
    mailbox_finish(&poller->mailbox);
}

TEST(a_watch_ends_with_the_next_message) {
    struct stage stage;
    struct poller poller;
    stage_init(&stage, 10);
    poller_init(&poller, &stage, 10);
    expect_done(&poller, 0);
    stage_publish(&stage, "b");
    stage_turn(&stage);
    expect_done(&poller, 0);
    stage_publish(&stage, "a");
    stage_turn(&stage);
    expect_done(&poller, 1);
    EXPECT_EQ(stage_count_reads(&stage), 0);
    poller_finish(&poller);
    stage_finish(&stage);
}

TEST(a_watch_from_before_its_worker_began_to_listen_asks_the_log) {
    struct stage stage;
    struct poller poller;
    stage_init(&stage, 10);
    poller_init(&poller, &stage, 8);
    expect_done(&poller, 0);
    stage_answer(&stage, stage_find_read(&stage, 8), 9, 9, 9, false);
    expect_done(&poller, 1);
    poller_finish(&poller);
    stage_finish(&stage);
}

TEST(a_watch_whose_worker_misses_commits_while_it_reads_asks_again) {
    struct stage stage;
    struct poller poller;
    stage_init(&stage, 10);
    poller_init(&poller, &stage, 8);
    stage_miss(&stage, 20); /* a message for it among them; its page was read before */
    stage_turn(&stage);
    stage_answer(&stage, stage_find_read(&stage, 8), 0, 0, 10, true);
    expect_done(&poller, 0);
    EXPECT_EQ(stage_count_reads(&stage), 1);
    stage_answer(&stage, stage_find_read(&stage, 10), 15, 15, 15, false);
    expect_done(&poller, 1);
    poller_finish(&poller);
    stage_finish(&stage);
}

TEST(a_watch_that_is_cancelled_ends_once_whatever_it_waits_for) {
    struct stage stage;
    struct poller poller;
    stage_init(&stage, 10);
    poller_init(&poller, &stage, 8);
    watch_cancel(poller.watch);
    watch_cancel(poller.watch);
    stage_turn(&stage);
    expect_done(&poller, 0); /* its page is still on its way */
    stage_answer(&stage, stage_find_read(&stage, 8), 0, 0, 10, true);
    expect_done(&poller, 1);
    poller_finish(&poller);
    stage_finish(&stage);
}

TEST(a_watch_ends_when_its_time_is_over) {
    struct stage stage;
    struct poller poller;
    stage_init(&stage, 10);
    poller_init(&poller, &stage, 10);
    wheel_turn(&stage.worker.wheel, 2000);
    expect_done(&poller, 1);
    poller_finish(&poller);
    stage_finish(&stage);
}

UNIT_TESTS(UNIT(a_watch_ends_with_the_next_message),
           UNIT(a_watch_from_before_its_worker_began_to_listen_asks_the_log),
           UNIT(a_watch_whose_worker_misses_commits_while_it_reads_asks_again),
           UNIT(a_watch_that_is_cancelled_ends_once_whatever_it_waits_for),
           UNIT(a_watch_ends_when_its_time_is_over))
