/* SPDX-License-Identifier: Apache-2.0 */
/* The log thread, the sync thread and a real data directory, with publishers on threads of their
 * own. */
#include "broker/runtime/log.h"

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/runtime/store.h"
#include "storage/storage.h"
#include "tests/unit.h"

#define PUBLISHERS 8
#define PUBLISHES_EACH 200
#define CHANNELS 3

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void on_retention(void *context, struct span channel, struct retention *ret_retention) {
    (void)context;
    (void)channel;
    *ret_retention =
        (struct retention){RETENTION_UNLIMITED, RETENTION_UNLIMITED, RETENTION_UNLIMITED};
}

/* A log on a directory of its own, and one listener that keeps every commit. */
struct world {
    char directory[64];
    struct storage *storage;
    struct metrics *metrics;
    struct store *store;
    struct log *log;
    struct log_listener listener;
    struct log_listener *listeners[1];
    struct mailbox mailbox; /* the listener's; nothing is ever put there */
    uint64_t position;
    uint64_t offsets[CHANNELS + 1]; /* the last that the listener saw */
    bool is_ordered;
};

/* On the log thread: positions go on without a hole, offsets of each channel too. */
static void on_commit(struct log_listener *listener, struct commit *commit) {
    struct world *world = CONTAINER_OF(listener, struct world, listener);
    world->is_ordered &= commit->position_first == world->position + 1;
    world->position = commit->position_last;
    for (size_t i = 0; i < commit->count; i++) {
        const struct message *message = commit->messages[i];
        if (message->fields.kind == MESSAGE_DATA) {
            size_t channel = (size_t)(message->fields.channel.bytes[0] - 'a');
            world->is_ordered &= message->place.offset == world->offsets[channel] + 1;
            world->offsets[channel] = message->place.offset;
        }
    }
    atomic_fetch_sub(&listener->bytes_waiting, commit->bytes);
    commit_unref(commit);
}

static void open_world(struct world *world) {
    struct error why = {0};
    struct storage_options options = {.directory = world->directory,
                                      .bytes_max = 1ull << 30,
                                      .journal_file_bytes = JOURNAL_FILE_BYTES,
                                      .open_batch_bytes_max = OPEN_BATCH_BYTES_MAX,
                                      .fold_bytes = FOLD_BYTES,
                                      .segment_messages = SEGMENT_MESSAGES,
                                      .segment_bytes = SEGMENT_BYTES,
                                      .on_retention = on_retention};
    EXPECT_EQ(storage_open(&options, &world->storage, &why), OK);
    EXPECT_EQ(store_create(world->storage, &world->store), OK);
    EXPECT_EQ(mailbox_init(&world->mailbox, 16), OK);
    EXPECT_EQ(metrics_create(1, &world->metrics), OK);
    world->listener.mailbox = &world->mailbox;
    world->listener.on_commit = on_commit;
    world->listeners[0] = &world->listener;
    struct log_options log_options = {.storage = world->storage,
                                      .listeners = world->listeners,
                                      .listener_count = 1,
                                      .store_mailbox = store_mailbox(world->store),
                                      .metrics = metrics_shard(world->metrics, METRICS_LOG)};
    EXPECT_EQ(log_create(&log_options, &world->log, &why), OK);
    world->position = log_position_readable(world->log);
    world->is_ordered = true;
    EXPECT_EQ(log_start(world->log, &why), OK);
    EXPECT_EQ(store_start(world->store, world->log), OK);
}

static void close_world(struct world *world) {
    log_stop(world->log);
    store_destroy(world->store);
    log_destroy(world->log);
    storage_close(world->storage);
    metrics_destroy(world->metrics);
    mailbox_finish(&world->mailbox);
}

static void make_world(struct world *world) {
    *world = (struct world){0};
    snprintf(world->directory, sizeof(world->directory), "/tmp/tidings-log-test-XXXXXX");
    EXPECT_NOT_NULL(mkdtemp(world->directory));
    open_world(world);
}

static void remove_world(struct world *world) {
    close_world(world);
    EXPECT_EQ(nftw(world->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* --- a publisher ---------------------------------------------------------------------------- */

struct publisher {
    pthread_t thread;
    struct log *log;
    struct mailbox mailbox;
    uint32_t flags;
    bool is_answered;
    enum error_code result;
    uint64_t offset_last[CHANNELS];
    bool is_growing; /* each answer's offset is above the one before it in that channel */
};

static void on_answered(struct publish *publish) {
    struct publisher *publisher = publish->context;
    publisher->is_answered = true;
    publisher->result = publish->result;
}

/* Publishes one message and waits for its answer. */
static void publish_one(struct publisher *publisher, char channel) {
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .flags = publisher->flags,
                                    .channel = span_of(&channel, 1),
                                    .payload = SPAN("{\"n\":1}")};
    struct message *message = message_create(&fields);
    struct publish publish = {.reply_to = &publisher->mailbox,
                              .on_answered = on_answered,
                              .context = publisher,
                              .messages = &message,
                              .count = 1};
    publisher->is_answered = false;
    publisher->result = log_submit(publisher->log, &publish);
    while (publisher->result == OK && !publisher->is_answered) {
        mailbox_wait(&publisher->mailbox, -1);
        mailbox_deliver_all(&publisher->mailbox, publisher);
    }
    if (publisher->result == OK) {
        uint64_t *last = &publisher->offset_last[channel - 'a'];
        publisher->is_growing &= message->place.offset > *last;
        *last = message->place.offset;
    }
    message_unref(message);
}

static void *publisher_thread(void *argument) {
    struct publisher *publisher = argument;
    for (int i = 0; i < PUBLISHES_EACH; i++) {
        publish_one(publisher, (char)('a' + i % CHANNELS));
    }
    return NULL;
}

static void run_publishers(struct world *world, uint32_t odd_flags) {
    struct publisher publishers[PUBLISHERS] = {0};
    for (int i = 0; i < PUBLISHERS; i++) {
        publishers[i].log = world->log;
        publishers[i].is_growing = true;
        publishers[i].flags = i % 2 == 1 ? odd_flags : 0;
        EXPECT_EQ(mailbox_init(&publishers[i].mailbox, 16), OK);
        EXPECT_EQ(pthread_create(&publishers[i].thread, NULL, publisher_thread, &publishers[i]), 0);
    }
    for (int i = 0; i < PUBLISHERS; i++) {
        pthread_join(publishers[i].thread, NULL);
        EXPECT_TRUE(publishers[i].is_growing);
        EXPECT_EQ(publishers[i].result, OK);
        mailbox_finish(&publishers[i].mailbox);
    }
}

static uint64_t count_stored(struct world *world, const char *channel) {
    struct storage_query query = {.channel = span_of_string(channel),
                                  .start = STORAGE_EARLIEST,
                                  .limit = 1000,
                                  .bytes_max = 1 << 20};
    struct storage_page page;
    EXPECT_EQ(storage_read(world->storage, &query, &page, NULL), OK);
    uint64_t count = page.count;
    EXPECT_EQ(page.last, count);
    storage_page_finish(&page);
    return count;
}

static void expect_all(struct world *world) {
    uint64_t sum = 0;
    const char *channels[CHANNELS] = {"a", "b", "c"};
    for (int i = 0; i < CHANNELS; i++) {
        sum += count_stored(world, channels[i]);
    }
    EXPECT_EQ(sum, PUBLISHERS * PUBLISHES_EACH);
}

/* --- claims --------------------------------------------------------------------------------- */

TEST(offsets_are_dense_with_eight_publishers_and_what_is_answered_can_be_read) {
    struct world world;
    make_world(&world);
    run_publishers(&world, 0);
    expect_all(&world);
    log_stop(world.log);
    EXPECT_TRUE(world.is_ordered);
    remove_world(&world);
}

TEST(publishers_that_ask_for_fsync_and_those_that_do_not_keep_one_order) {
    struct world world;
    make_world(&world);
    run_publishers(&world, MESSAGE_FSYNC);
    expect_all(&world);
    struct log_figures figures;
    log_get_figures(world.log, &figures);
    EXPECT_TRUE(figures.syncs > 0);
    EXPECT_TRUE(figures.syncs < PUBLISHERS / 2 * PUBLISHES_EACH); /* one sync serves several */
    log_stop(world.log);
    EXPECT_TRUE(world.is_ordered);
    remove_world(&world);
}

TEST(a_log_that_is_opened_again_goes_on_where_it_ended) {
    struct world world;
    make_world(&world);
    run_publishers(&world, 0);
    uint64_t position = log_position_readable(world.log);
    uint64_t offset_a = world.offsets[0];
    close_world(&world);
    open_world(&world);
    EXPECT_EQ(log_position_readable(world.log), position);
    struct publisher publisher = {.log = world.log, .is_growing = true};
    EXPECT_EQ(mailbox_init(&publisher.mailbox, 16), OK);
    publish_one(&publisher, 'a');
    EXPECT_EQ(publisher.offset_last[0], offset_a + 1);
    mailbox_finish(&publisher.mailbox);
    remove_world(&world);
}

TEST(a_stopped_log_refuses) {
    struct world world;
    make_world(&world);
    log_stop(world.log);
    struct publisher publisher = {.log = world.log};
    EXPECT_EQ(mailbox_init(&publisher.mailbox, 16), OK);
    publish_one(&publisher, 'a');
    EXPECT_EQ(publisher.result, ERR_DRAINING);
    mailbox_finish(&publisher.mailbox);
    remove_world(&world);
}

UNIT_TESTS(UNIT(offsets_are_dense_with_eight_publishers_and_what_is_answered_can_be_read),
           UNIT(publishers_that_ask_for_fsync_and_those_that_do_not_keep_one_order),
           UNIT(a_log_that_is_opened_again_goes_on_where_it_ended), UNIT(a_stopped_log_refuses))
