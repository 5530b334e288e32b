/* SPDX-License-Identifier: Apache-2.0 */
/* storage_read() is the test's own, so that a disk takes as long as it is told to. */
#include "broker/runtime/reads.h"

#include <pthread.h>
#include <stdlib.h>

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "tests/unit.h"

#define PATIENCE_MS 60000

static struct mailbox mailbox;
static struct metrics *metrics;
static struct reads *reads;
static enum error_code storage_result;
static size_t page_bytes;
static unsigned read_count;
static pthread_t read_thread;

enum error_code storage_read(struct storage *storage, const struct storage_query *query,
                             struct storage_page *ret_page, struct error *why) {
    (void)storage;
    (void)query;
    if (storage_result != OK) {
        return error_set(why, storage_result, "the disk is gone");
    }
    *ret_page = (struct storage_page){.bytes = page_bytes, .at_head = true};
    return OK;
}

static int begin(void **state) {
    (void)state;
    struct error why = {0};
    storage_result = OK;
    page_bytes = 1;
    read_count = 0;
    EXPECT_EQ(mailbox_init(&mailbox, 16), OK);
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    EXPECT_EQ(reads_create(NULL, metrics, &reads, &why), OK);
    return 0;
}

static int end(void **state) {
    (void)state;
    reads_destroy(reads);
    metrics_destroy(metrics);
    mailbox_finish(&mailbox);
    return 0;
}

static void on_read(struct read *read) {
    (void)read;
    read_count++;
}

static enum error_code on_work(struct read *read, struct storage *storage) {
    (void)storage;
    read_thread = pthread_self();
    read->made_bytes = PAGES_BYTES_MAX;
    return read->context == NULL ? OK : ERR_CORRUPT;
}

static void submit(struct read *read) {
    read->reply_to = &mailbox;
    read->on_read = on_read;
    reads_submit(reads, read);
}

/* True: so many answers came in time. */
static bool has_answers(unsigned count, int timeout_ms) {
    for (int waited_ms = 0; read_count < count && waited_ms < timeout_ms; waited_ms += 10) {
        mailbox_wait(&mailbox, 10);
        mailbox_deliver_all(&mailbox, NULL);
    }
    return read_count >= count;
}

TEST(a_page_comes_back_to_the_mailbox) {
    struct read read = {0};
    submit(&read);
    EXPECT_TRUE(has_answers(1, PATIENCE_MS));
    EXPECT_EQ(read.result, OK);
    EXPECT_TRUE(read.page.at_head);
    reads_release(reads, &read);
    EXPECT_EQ(metrics_count_observed(metrics, METRIC_READ, 0), 1);
    EXPECT_EQ(metrics_count_observed(metrics, METRIC_READ_WAIT, 0), 1);
}

TEST(a_disk_that_fails_is_told_with_its_reason) {
    struct read read = {0};
    storage_result = ERR_IO;
    submit(&read);
    EXPECT_TRUE(has_answers(1, PATIENCE_MS));
    EXPECT_EQ(read.result, ERR_IO);
    EXPECT_STRING(read.why.detail, "the disk is gone");
    reads_release(reads, &read);
}

TEST(other_work_is_done_on_a_read_thread_and_gives_the_result) {
    struct read read = {.on_work = on_work, .context = &read};
    submit(&read);
    EXPECT_TRUE(has_answers(1, PATIENCE_MS));
    EXPECT_EQ(read.result, ERR_CORRUPT);
    EXPECT_FALSE(pthread_equal(read_thread, pthread_self()));
    reads_release(reads, &read);
}

TEST(what_was_made_of_a_page_counts_until_it_is_let_go) {
    struct read large = {.on_work = on_work}, small = {0};
    submit(&large);
    EXPECT_TRUE(has_answers(1, PATIENCE_MS));
    submit(&small);
    EXPECT_FALSE(has_answers(2, 200));
    reads_release(reads, &large);
    EXPECT_TRUE(has_answers(2, PATIENCE_MS));
    reads_release(reads, &small);
}

TEST(at_the_end_what_waits_is_told_to_go) {
    struct read large = {.on_work = on_work}, small = {0};
    submit(&large);
    EXPECT_TRUE(has_answers(1, PATIENCE_MS));
    submit(&small);
    reads_stop(reads);
    EXPECT_TRUE(has_answers(2, PATIENCE_MS));
    EXPECT_EQ(small.result, ERR_DRAINING);
    reads_release(reads, &large); /* as a worker does that goes after the threads */
    reads_destroy(reads);
    reads = NULL;
}

#define READS(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(READS(a_page_comes_back_to_the_mailbox),
           READS(a_disk_that_fails_is_told_with_its_reason),
           READS(other_work_is_done_on_a_read_thread_and_gives_the_result),
           READS(what_was_made_of_a_page_counts_until_it_is_let_go),
           READS(at_the_end_what_waits_is_told_to_go))
