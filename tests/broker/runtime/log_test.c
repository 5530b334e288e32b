/* SPDX-License-Identifier: Apache-2.0 */
/* With publishers on threads of their own. */
#include "broker/runtime/log.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/limits.h"
#include "tests/broker/runtime/world.h"

#define PUBLISHERS 8
#define PUBLISHES_EACH 200
#define TRIES_MAX 10000 /* until a sync took no longer than SYNC_HERE_US_MAX */

/* --- a publisher ---------------------------------------------------------------------------- */

struct publisher {
    pthread_t thread;
    struct log *log;
    struct mailbox mailbox;
    uint32_t flags;
    uint64_t ttl_ms;
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
                                    .ttl_ms = publisher->ttl_ms,
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

static void expect_all(struct world *world) {
    uint64_t sum = 0;
    const char *channels[CHANNELS] = {"a", "b", "c"};
    for (int i = 0; i < CHANNELS; i++) {
        sum += world_count_stored(world, channels[i]);
    }
    EXPECT_EQ(sum, PUBLISHERS * PUBLISHES_EACH);
}

/* --- claims --------------------------------------------------------------------------------- */

TEST(offsets_are_dense_with_eight_publishers_and_what_is_answered_can_be_read) {
    struct world world;
    world_make(&world);
    run_publishers(&world, 0);
    expect_all(&world);
    log_stop(world.log);
    EXPECT_TRUE(world.is_ordered);
    world_remove(&world);
}

TEST(publishers_that_ask_for_fsync_and_those_that_do_not_keep_one_order) {
    struct world world;
    world_make(&world);
    run_publishers(&world, MESSAGE_FSYNC);
    expect_all(&world);
    uint64_t syncs = metrics_count_observed(world.metrics, METRIC_JOURNAL_SYNC, 0);
    EXPECT_TRUE(syncs > 0);
    EXPECT_TRUE(syncs < PUBLISHERS / 2 * PUBLISHES_EACH); /* one sync serves several */
    log_stop(world.log);
    EXPECT_TRUE(world.is_ordered);
    world_remove(&world);
}

/* Publishes by itself until the log thread has synced. */
static void sync_here(struct world *world) {
    atomic_store(&faults.is_sync_instant, true);
    atomic_store(&faults.syncs_by_log, 0);
    for (int i = 0; i < TRIES_MAX && atomic_load(&faults.syncs_by_log) == 0; i++) {
        struct asked asked;
        world_ask(world, &asked, "a", NULL, "body", MESSAGE_FSYNC);
        EXPECT_EQ(asked_await(&asked), OK);
        EXPECT_TRUE(i > 0 || atomic_load(&faults.syncs_by_log) == 0);
        asked_finish(&asked);
    }
    EXPECT_TRUE(atomic_load(&faults.syncs_by_log) > 0);
}

TEST(a_publish_by_itself_is_synced_where_it_was_written_once_the_disk_is_known) {
    struct world world;
    world_make(&world);
    sync_here(&world);
    uint64_t syncs = metrics_count_observed(world.metrics, METRIC_JOURNAL_SYNC, 0);
    EXPECT_EQ(syncs, world.offsets[0]);
    atomic_store(&faults.is_sync_instant, false);
    log_stop(world.log);
    EXPECT_TRUE(world.is_ordered);
    world_remove(&world);
}

/* The status of a process whose disk fails under one more publish; 0: that was answered. */
static int status_of_failure(bool is_disk_known) {
    struct world *world =
        mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT_TRUE(world != MAP_FAILED);
    pid_t child = fork();
    EXPECT_TRUE(child >= 0);
    if (child == 0) {
        struct asked asked;
        world_make(world);
        if (is_disk_known) {
            sync_here(world);
        }
        atomic_store(&faults.is_sync_failing, true);
        world_ask(world, &asked, "a", NULL, "body", MESSAGE_FSYNC);
        IGNORE_RESULT(asked_await(&asked)); /* whatever it says, it is an answer */
        _exit(0);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    world_wipe(world);
    munmap(world, sizeof(*world));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(a_sync_that_fails_ends_the_process_before_an_answer_on_whatever_thread_it_runs) {
    EXPECT_EQ(status_of_failure(false), EXIT_DISK_FAILED);
    EXPECT_EQ(status_of_failure(true), EXIT_DISK_FAILED);
}

TEST(a_log_that_is_opened_again_goes_on_where_it_ended) {
    struct world world;
    world_make(&world);
    run_publishers(&world, 0);
    uint64_t position = log_position_readable(world.log);
    uint64_t offset_a = world.offsets[0];
    world_close(&world);
    world_open(&world);
    EXPECT_EQ(log_position_readable(world.log), position);
    struct publisher publisher = {.log = world.log, .is_growing = true};
    EXPECT_EQ(mailbox_init(&publisher.mailbox, 16), OK);
    publish_one(&publisher, 'a');
    EXPECT_EQ(publisher.offset_last[0], offset_a + 1);
    mailbox_finish(&publisher.mailbox);
    world_remove(&world);
}

TEST(what_expired_while_no_log_ran_is_given_to_nobody_from_the_start_on) {
    struct world world;
    struct storage_page page;
    struct storage_query query = {.channel = SPAN("a"), .limit = 10, .bytes_max = 1000};
    world_make(&world);
    struct publisher publisher = {.log = world.log, .ttl_ms = 500};
    EXPECT_EQ(mailbox_init(&publisher.mailbox, 16), OK);
    publish_one(&publisher, 'a');
    EXPECT_EQ(publisher.result, OK);
    world_close(&world);
    atomic_fetch_add(&faults.ahead_ms, 500);
    world_open(&world); /* the clocks stand still: no tick comes */
    query.start = STORAGE_AFTER_OFFSET;
    EXPECT_EQ(storage_read(world.storage, &query, &page, NULL), OK);
    EXPECT_EQ(page.count, 0);
    EXPECT_TRUE(page.has_gap);
    EXPECT_EQ(page.gap.reason, GAP_EXPIRED);
    storage_page_finish(&page);
    publisher.log = world.log;
    publish_one(&publisher, 'a');
    EXPECT_EQ(publisher.result, OK);
    EXPECT_EQ(world.offsets[0], 2);
    EXPECT_EQ(log_position_readable(world.log), 2);
    mailbox_finish(&publisher.mailbox);
    world_remove(&world);
}

TEST(a_stopped_log_refuses) {
    struct world world;
    world_make(&world);
    log_stop(world.log);
    struct publisher publisher = {.log = world.log};
    EXPECT_EQ(mailbox_init(&publisher.mailbox, 16), OK);
    publish_one(&publisher, 'a');
    EXPECT_EQ(publisher.result, ERR_DRAINING);
    mailbox_finish(&publisher.mailbox);
    world_remove(&world);
}

TEST(a_log_that_ends_before_it_is_told_keeps_no_letter_of_a_caller_that_is_gone) {
    struct world world;
    world_make(&world);
    faults.put_delay_ms = TICK_INTERVAL_MS + 200; /* it wakes up by itself, and sees the flag */
    log_stop(world.log);
    faults.put_delay_ms = 0;
    world_remove(&world);
}

TEST(a_listener_that_is_away_is_told_nothing_and_goes_on_where_the_log_is) {
    struct world world;
    struct asked missed;
    struct asked told;
    world_make(&world);
    atomic_store(&world.listener.is_away, true);
    world_ask(&world, &missed, "aa", NULL, "body", 0);
    EXPECT_EQ(asked_await(&missed), OK);
    EXPECT_EQ(world.position, 0);
    atomic_store(&world.listener.is_away, false);
    world.position = log_position_readable(world.log);
    EXPECT_EQ(world.position, 2);
    world_ask(&world, &told, "b", NULL, "body", MESSAGE_FSYNC);
    EXPECT_EQ(asked_await(&told), OK);
    EXPECT_EQ(world.offsets[1], 1);
    log_stop(world.log);
    EXPECT_TRUE(world.is_ordered);
    EXPECT_EQ(atomic_load(&world.listener.bytes_waiting), 0);
    asked_finish(&missed);
    asked_finish(&told);
    world_remove(&world);
}

TEST(a_delete_is_a_record_with_the_last_offset_of_its_channel) {
    struct world world;
    struct asked data;
    struct asked delete;
    struct asked later;
    world_make(&world);
    world_ask(&world, &data, "aa", NULL, "body", 0);
    EXPECT_EQ(asked_await(&data), OK);
    world_ask(&world, &delete, "D", NULL, "", 0);
    EXPECT_EQ(asked_await(&delete), OK);
    EXPECT_EQ(delete.messages[0]->place.position, 3);
    EXPECT_EQ(delete.messages[0]->place.offset, 2);
    world_ask(&world, &later, "a", NULL, "body", 0);
    EXPECT_EQ(asked_await(&later), OK);
    EXPECT_EQ(later.messages[0]->place.offset, 3);
    log_stop(world.log);
    EXPECT_TRUE(world.is_ordered);
    asked_finish(&data);
    asked_finish(&delete);
    asked_finish(&later);
    world_remove(&world);
}

static void on_object(void *context, struct span name, struct span state) {
    char *text = context;
    EXPECT_SPAN(name, "me");
    memcpy(text, state.bytes, state.length);
    text[state.length] = '\0';
}

/* Puts the session there, which steps behind it need. */
static void put_group(struct world *world) {
    struct message *put =
        storage_object_message(STORAGE_OBJECT_GROUP, STORAGE_OBJECT_PUT, SPAN("me"), SPAN("0"));
    struct publisher publisher = {.log = world->log};
    struct publish publish = {.reply_to = &publisher.mailbox,
                              .on_answered = on_answered,
                              .context = &publisher,
                              .messages = &put,
                              .count = 1};
    EXPECT_EQ(mailbox_init(&publisher.mailbox, 16), OK);
    EXPECT_EQ(log_submit(world->log, &publish), OK);
    while (!publisher.is_answered) {
        mailbox_wait(&publisher.mailbox, -1);
        mailbox_deliver_all(&publisher.mailbox, &publisher);
    }
    EXPECT_EQ(publisher.result, OK);
    message_unref(put);
    mailbox_finish(&publisher.mailbox);
}

TEST(commands_ride_with_messages_and_take_no_channel_and_no_offset) {
    struct world world;
    struct asked asked[5];
    char text[100] = "";
    world_make(&world);
    put_group(&world);
    world_ask(&world, &asked[0], "SaS", NULL, "1", 0);
    EXPECT_EQ(asked_await(&asked[0]), OK);
    EXPECT_EQ(asked[0].messages[0]->place.position, 2);
    EXPECT_EQ(asked[0].messages[0]->place.channel_id, 0);
    EXPECT_EQ(asked[0].messages[1]->place.offset, 1);
    EXPECT_EQ(asked[0].messages[2]->place.position, 4);
    atomic_store(&faults.appends_to_fail, 1);
    world_ask(&world, &asked[1], "Sb", NULL, "no", 0);
    EXPECT_EQ(asked_await(&asked[1]), ERR_STORAGE_FULL);
    world_ask(&world, &asked[2], "aS", "key", "2", 0);
    EXPECT_EQ(asked_await(&asked[2]), OK);
    EXPECT_EQ(asked[2].messages[0]->place.position, 5);
    world_ask(&world, &asked[3], "aS", "key", "2", 0);
    EXPECT_EQ(asked_await(&asked[3]), OK);
    EXPECT_TRUE(asked[3].publish.is_repeated);
    EXPECT_EQ(asked[3].messages[0]->place.position, 5);
    EXPECT_EQ(asked[3].messages[1]->place.position, 7);
    world_close(&world);
    world_open(&world);
    EXPECT_EQ(storage_each_object(world.storage, STORAGE_OBJECT_GROUP, on_object, text, NULL), OK);
    EXPECT_STRING(text, "01122");
    world_ask(&world, &asked[4], "aS", "key", "2", 0);
    EXPECT_EQ(asked_await(&asked[4]), OK);
    EXPECT_TRUE(asked[4].publish.is_repeated);
    EXPECT_EQ(asked[4].messages[0]->place.offset, 2);
    EXPECT_EQ(asked[4].messages[1]->place.position, 8);
    EXPECT_EQ(world_count_stored(&world, "a"), 2);
    EXPECT_EQ(world_count_stored(&world, "b"), 0);
    log_stop(world.log);
    EXPECT_TRUE(world.is_ordered);
    for (size_t i = 0; i < ARRAY_COUNT(asked); i++) {
        asked_finish(&asked[i]);
    }
    world_remove(&world);
}

TEST(the_largest_publish_is_one_commit_and_each_message_knows_how_many_follow) {
    static struct message *messages[PUBLISH_MESSAGES_MAX];
    struct world world;
    struct asked asked;
    world_make(&world);
    world_ask_many(&world, &asked, messages, PUBLISH_MESSAGES_MAX);
    EXPECT_EQ(asked_await(&asked), OK);
    EXPECT_EQ(messages[0]->group_rest, PUBLISH_MESSAGES_MAX - 1);
    EXPECT_EQ(messages[PUBLISH_MESSAGES_MAX - 1]->group_rest, 0);
    log_stop(world.log);
    EXPECT_TRUE(world.is_ordered);
    EXPECT_EQ(world.position, PUBLISH_MESSAGES_MAX);
    asked_finish(&asked);
    world_remove(&world);
}

UNIT_TESTS(UNIT(offsets_are_dense_with_eight_publishers_and_what_is_answered_can_be_read),
           UNIT(publishers_that_ask_for_fsync_and_those_that_do_not_keep_one_order),
           UNIT(a_publish_by_itself_is_synced_where_it_was_written_once_the_disk_is_known),
           UNIT(a_sync_that_fails_ends_the_process_before_an_answer_on_whatever_thread_it_runs),
           UNIT(a_log_that_is_opened_again_goes_on_where_it_ended),
           UNIT(what_expired_while_no_log_ran_is_given_to_nobody_from_the_start_on),
           UNIT(a_stopped_log_refuses),
           UNIT(a_log_that_ends_before_it_is_told_keeps_no_letter_of_a_caller_that_is_gone),
           UNIT(a_listener_that_is_away_is_told_nothing_and_goes_on_where_the_log_is),
           UNIT(a_delete_is_a_record_with_the_last_offset_of_its_channel),
           UNIT(commands_ride_with_messages_and_take_no_channel_and_no_offset),
           UNIT(the_largest_publish_is_one_commit_and_each_message_knows_how_many_follow))
