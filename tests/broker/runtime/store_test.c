/* SPDX-License-Identifier: Apache-2.0 */
/* The thread is real; where it would sleep a script says what happens, so each course is one. */
#include "broker/runtime/store.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/log.h"
#include "broker/runtime/tenants.h"
#include "storage/storage.h"
#include "tests/unit.h"

/* What the thread does, in words; the test looks at it when the thread has ended. */
static struct {
    struct metrics *metrics;
    struct store *store;
    struct letter letter; /* the log's: there is something to fold */
    const char *script;   /* for each sleep: '-' nothing comes, 'm' a message does, at once */
    sem_t script_over;
    uint64_t now_ms;
    enum error_code folding[8]; /* how the folds go; OK behind them */
    size_t fold_count;
    size_t retains_left; /* so many steps of retention leave something */
    bool is_retain_failing;
    bool is_due;
    size_t deleted_after; /* so many folds there is something deleted; 0: never */
    bool has_failed;
    bool has_swept; /* the next step of retention lets go of something */
    char course[1024];
} world;

static void note(const char *word) {
    size_t length = strlen(world.course);
    if (world.has_failed && strcmp(word, "fold") != 0 && strcmp(word, "look") != 0) {
        _exit(EXIT_SUCCESS); /* which is no end for a storage that has failed */
    }
    snprintf(world.course + length, sizeof(world.course) - length, "%s%s", length > 0 ? " " : "",
             word);
}

/* --- in front of broker/support, storage and the rest of broker/runtime ----------------------- */

void __real_mailbox_wait(struct mailbox *mailbox, int timeout_ms);
void __wrap_mailbox_wait(struct mailbox *mailbox, int timeout_ms);
uint64_t __wrap_clock_monotonic_ms(void);

void __wrap_mailbox_wait(struct mailbox *mailbox, int timeout_ms) {
    char what = *world.script;
    if (what == '\0') {
        note("end:");
        sem_post(&world.script_over);
        __real_mailbox_wait(mailbox, -1);
        return;
    }
    world.script++;
    note(timeout_ms == 0 ? "look" : what == 'm' ? "woken" : "slept");
    if (what == 'm') {
        mailbox_put_answer(mailbox, &world.letter);
    } else {
        world.now_ms += (uint64_t)timeout_ms;
    }
}

uint64_t __wrap_clock_monotonic_ms(void) {
    return world.now_ms;
}

enum error_code storage_fold(struct storage *storage, struct error *why) {
    (void)storage;
    enum error_code code = world.fold_count < 8 ? world.folding[world.fold_count] : OK;
    world.fold_count++;
    note("fold");
    return code == OK ? OK : error_set(why, code, "the disk");
}

bool storage_has_failed(const struct storage *storage) {
    (void)storage;
    return world.has_failed;
}

void storage_get_folded(const struct storage *storage, struct storage_folded *ret_folded) {
    (void)storage;
    *ret_folded = (struct storage_folded){.messages = 2, .bytes = 100};
}

bool storage_is_fold_due(const struct storage *storage) {
    (void)storage;
    return world.is_due;
}

bool storage_holds_deleted(const struct storage *storage) {
    (void)storage;
    return world.deleted_after > 0 && world.fold_count == world.deleted_after;
}

enum error_code storage_retain(struct storage *storage, bool *ret_more, struct error *why) {
    (void)storage;
    note("retain");
    *ret_more = world.retains_left > 0;
    world.retains_left -= world.retains_left > 0;
    return world.is_retain_failing ? error_set(why, ERR_IO, "the disk") : OK;
}

void storage_each_swept(struct storage *storage, storage_on_swept *on_swept, void *context) {
    (void)storage;
    if (world.has_swept) {
        struct storage_swept swept = {.name = SPAN("a"), .bytes = 7};
        on_swept(context, &swept);
        swept = (struct storage_swept){
            .name = SPAN("b"), .is_forgotten = true, .channel_id = 3, .offset_last = 9};
        on_swept(context, &swept);
        world.has_swept = false;
    }
}

void tenants_on_lost(struct tenants *tenants, struct span channel, uint64_t bytes) {
    EXPECT_TRUE((void *)tenants == (void *)&world);
    EXPECT_SPAN(channel, "a");
    EXPECT_EQ(bytes, 7);
    note("lost");
}

void log_on_forgotten(struct log *log, struct span name, uint64_t channel_id,
                      uint64_t offset_last) {
    EXPECT_TRUE((void *)log == (void *)&world);
    EXPECT_SPAN(name, "b");
    EXPECT_EQ(channel_id, 3);
    EXPECT_EQ(offset_last, 9);
    note("forgotten");
}

void log_on_folded(struct log *log) {
    (void)log;
    note("folded");
}

void log_on_fold_failed(struct log *log, enum error_code code) {
    (void)log;
    note(code == ERR_STORAGE_FULL ? "full" : "failed");
}

void log_expect_fold(struct log *log, bool is_expected) {
    (void)log;
    note(is_expected ? "(" : ")");
}

/* --- what a test does ------------------------------------------------------------------------- */

static void on_letter(struct letter *letter, void *consumer) {
    (void)letter;
    (void)consumer;
}

static int begin(void **state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    world.letter.on_delivered = on_letter;
    EXPECT_EQ(sem_init(&world.script_over, 0, 0), 0);
    EXPECT_EQ(metrics_create(1, &world.metrics), OK);
    EXPECT_EQ(store_create((struct storage *)(void *)&world,
                           metrics_shard(world.metrics, METRICS_STORE), &world.store),
              OK);
    return 0;
}

static int end(void **state) {
    (void)state;
    store_destroy(world.store);
    sem_destroy(&world.script_over);
    metrics_destroy(world.metrics);
    return 0;
}

/* From the start to the end of the thread. */
static void run(const char *script) {
    world.script = script;
    EXPECT_EQ(
        store_start(world.store, (struct log *)(void *)&world, (struct tenants *)(void *)&world),
        OK);
    while (sem_wait(&world.script_over) != 0) {
        /* a signal */
    }
    store_destroy(world.store);
    world.store = NULL;
}

#define START "look fold folded retain "  /* what recovery left */
#define END "end: ( ) fold folded retain" /* what came meanwhile */

/* --- claims ----------------------------------------------------------------------------------- */

TEST(what_recovery_left_is_folded_at_once_and_what_came_last_before_the_end) {
    run("-");
    EXPECT_STRING(world.course, START END);
    EXPECT_EQ(metrics_sum(world.metrics, METRIC_FOLD_FAILURES, 0), 0);
}

TEST(a_first_message_waits_for_company_and_all_of_it_is_one_fold) {
    run("-mmm-");
    EXPECT_STRING(world.course, START "woken ( woken woken slept ) fold folded retain " END);
    EXPECT_EQ(world.now_ms, FOLD_INTERVAL_MS);
}

TEST(a_full_open_batch_does_not_wait) {
    world.is_due = true;
    run("-m");
    EXPECT_STRING(world.course, START "woken ( ) fold folded retain " END);
}

TEST(the_end_does_not_wait_for_company_and_folds_what_there_is) {
    run("-m");
    EXPECT_STRING(world.course, START "woken ( end: ) fold folded retain");
}

TEST(a_fold_that_failed_is_tried_again_after_a_while_whatever_comes) {
    world.folding[0] = ERR_STORAGE_FULL;
    world.folding[1] = ERR_IO;
    world.is_due = true;
    run("-mm--m--");
    EXPECT_STRING(world.course, "look fold full ( woken woken slept ) retain "
                                "look fold failed ( woken slept ) retain "
                                "look fold folded retain " END);
    EXPECT_EQ(metrics_sum(world.metrics, METRIC_FOLD_FAILURES, 0), 2);
}

TEST(a_silent_broker_lets_go_of_what_grows_old_and_folds_nothing) {
    run("---");
    EXPECT_STRING(world.course, START "slept retain slept retain " END);
}

TEST(deleted_bytes_leave_the_journal_though_nothing_comes) {
    world.deleted_after = 1;
    run("---");
    EXPECT_STRING(world.course, START "slept fold folded retain slept retain " END);
}

TEST(retention_that_left_something_goes_on_at_once_with_looks_in_between) {
    world.retains_left = 5;
    run("----");
    EXPECT_STRING(world.course, "look fold folded retain retain look retain retain "
                                "look retain retain slept retain " END);
}

TEST(retention_goes_on_while_a_fold_waits_for_company) {
    world.retains_left = 3;
    run("-m---");
    EXPECT_STRING(world.course, "look fold folded retain retain "
                                "look ( look retain look retain slept ) fold folded retain " END);
}

TEST(retention_that_fails_is_not_tried_again_without_a_pause) {
    world.retains_left = 100;
    world.is_retain_failing = true;
    run("--");
    EXPECT_STRING(world.course, START "slept retain " END);
    EXPECT_EQ(metrics_sum(world.metrics, METRIC_RETENTION_FAILURES, 0), 3);
}

TEST(what_retention_let_go_of_is_told_to_tenants_and_the_log) {
    world.has_swept = true;
    run("-");
    EXPECT_STRING(world.course, START "lost forgotten " END);
}

TEST(a_storage_that_cannot_go_on_ends_the_process_and_tells_nobody_that_it_folded) {
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        world.has_failed = true;
        run("-");
        _exit(0);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), EXIT_DISK_FAILED);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(CLAIM(what_recovery_left_is_folded_at_once_and_what_came_last_before_the_end),
           CLAIM(a_first_message_waits_for_company_and_all_of_it_is_one_fold),
           CLAIM(a_full_open_batch_does_not_wait),
           CLAIM(the_end_does_not_wait_for_company_and_folds_what_there_is),
           CLAIM(a_fold_that_failed_is_tried_again_after_a_while_whatever_comes),
           CLAIM(a_silent_broker_lets_go_of_what_grows_old_and_folds_nothing),
           CLAIM(deleted_bytes_leave_the_journal_though_nothing_comes),
           CLAIM(retention_that_left_something_goes_on_at_once_with_looks_in_between),
           CLAIM(retention_goes_on_while_a_fold_waits_for_company),
           CLAIM(retention_that_fails_is_not_tried_again_without_a_pause),
           CLAIM(what_retention_let_go_of_is_told_to_tenants_and_the_log),
           CLAIM(a_storage_that_cannot_go_on_ends_the_process_and_tells_nobody_that_it_folded))
