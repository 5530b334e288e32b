/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/sync.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/disk.h"
#include "storage/storage.h"
#include "tests/unit.h"

/* A disk that takes as long as the test says, by a clock that stands still meanwhile. */
static struct {
    struct metrics *metrics;
    struct metrics_shard *own;   /* the test's … */
    struct metrics_shard *other; /* … and the thread's */
    struct syncer *syncer;
    struct mailbox mailbox;
    struct letter done;
    size_t done_count;
    pthread_t test;
    atomic_uint_fast64_t now_us;
    atomic_uint_fast64_t takes_us;
    atomic_size_t sync_count;
    atomic_size_t here_count; /* of these, on the test's thread */
    atomic_bool is_failing;
} world;

enum error_code storage_sync(struct storage *storage, struct error *why) {
    EXPECT_TRUE((void *)storage == (void *)&world);
    if (atomic_load(&world.is_failing)) {
        return error_set(why, ERR_IO, "the disk");
    }
    atomic_fetch_add(&world.now_us, atomic_load(&world.takes_us));
    atomic_fetch_add(&world.here_count, pthread_equal(pthread_self(), world.test) != 0);
    atomic_fetch_add(&world.sync_count, 1);
    return OK;
}

uint64_t __wrap_clock_monotonic_us(void);

uint64_t __wrap_clock_monotonic_us(void) {
    return atomic_load(&world.now_us);
}

static void on_done(struct letter *letter, void *consumer) {
    (void)letter;
    (void)consumer;
    world.done_count++;
}

static void create(void) {
    EXPECT_EQ(syncer_create((struct storage *)(void *)&world, world.other, &world.mailbox,
                            &world.done, &world.syncer),
              OK);
}

static int begin_without_it(void **state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    world.test = pthread_self();
    world.done.on_delivered = on_done;
    EXPECT_EQ(metrics_create(1, &world.metrics), OK);
    world.own = metrics_shard(world.metrics, METRICS_LOG);
    world.other = metrics_shard(world.metrics, METRICS_SYNC);
    EXPECT_EQ(mailbox_init(&world.mailbox, 1), OK);
    return 0;
}

static int begin(void **state) {
    begin_without_it(state);
    create();
    return 0;
}

static int end(void **state) {
    (void)state;
    syncer_destroy(world.syncer);
    mailbox_finish(&world.mailbox);
    metrics_destroy(world.metrics);
    return 0;
}

/* Asks, and waits for the answer. */
static void sync_beside(uint64_t takes_us) {
    size_t before = world.done_count;
    atomic_store(&world.takes_us, takes_us);
    syncer_ask(world.syncer);
    while (world.done_count == before) {
        mailbox_wait(&world.mailbox, -1);
        mailbox_deliver_all(&world.mailbox, NULL);
    }
}

TEST(each_question_is_answered_once_when_the_disk_has_it) {
    for (size_t i = 1; i <= 3; i++) {
        sync_beside(10);
        EXPECT_EQ(world.done_count, i);
        EXPECT_EQ(world.sync_count, i);
    }
    EXPECT_EQ(world.here_count, 0);
}

TEST(the_first_sync_is_never_here_for_nobody_knows_the_disk) {
    EXPECT_FALSE(syncer_try_here(world.syncer, world.own));
    EXPECT_EQ(world.sync_count, 0);
}

TEST(a_sync_is_here_where_the_newest_was_short_wherever_that_ran) {
    sync_beside(SYNC_HERE_US_MAX);
    EXPECT_TRUE(syncer_try_here(world.syncer, world.own));
    EXPECT_EQ(world.here_count, 1);
    atomic_store(&world.takes_us, SYNC_HERE_US_MAX + 1);
    EXPECT_TRUE(syncer_try_here(world.syncer, world.own));
    EXPECT_FALSE(syncer_try_here(world.syncer, world.own)); /* that one was too long */
    EXPECT_EQ(world.sync_count, 3);
    sync_beside(SYNC_HERE_US_MAX + 1);
    EXPECT_FALSE(syncer_try_here(world.syncer, world.own));
    sync_beside(1);
    EXPECT_TRUE(syncer_try_here(world.syncer, world.own));
    EXPECT_EQ(world.done_count, 3); /* those here answer nobody */
}

TEST(the_end_waits_for_the_sync_that_was_asked_for) {
    atomic_store(&world.takes_us, 10);
    syncer_ask(world.syncer);
    syncer_destroy(world.syncer);
    world.syncer = NULL;
    EXPECT_EQ(world.sync_count, 1);
    EXPECT_EQ(mailbox_deliver_all(&world.mailbox, NULL), 1);
}

/* How a process ends whose disk fails, on the thread beside or here. */
static int end_of(bool is_here) {
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        create();
        sync_beside(1);
        atomic_store(&world.is_failing, true);
        if (is_here) {
            IGNORE_RESULT(syncer_try_here(world.syncer, world.own));
        } else {
            sync_beside(1);
        }
        _exit(0);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

TEST(a_sync_that_fails_ends_the_process_before_anybody_is_answered) {
    EXPECT_EQ(end_of(false), EXIT_DISK_FAILED);
    EXPECT_EQ(end_of(true), EXIT_DISK_FAILED);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(
    CLAIM(each_question_is_answered_once_when_the_disk_has_it),
    CLAIM(the_first_sync_is_never_here_for_nobody_knows_the_disk),
    CLAIM(a_sync_is_here_where_the_newest_was_short_wherever_that_ran),
    CLAIM(the_end_waits_for_the_sync_that_was_asked_for),
    cmocka_unit_test_setup_teardown(a_sync_that_fails_ends_the_process_before_anybody_is_answered,
                                    begin_without_it, end))
