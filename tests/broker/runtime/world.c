/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/broker/runtime/world.h"

#include <stdio.h>
#include <unistd.h>

#include "broker/admission/idempotency.h"
#include "broker/runtime/order.h"
#include "broker/support/logger.h"

#define SESSIONS_MAX 1000000
#define WALL_MS UINT64_C(1769846709123)
#define MONOTONIC_MS UINT64_C(1000000)

/* --- the disk and the post: see --wrap in meson.build --------------------------------------- */

struct faults faults;
static _Thread_local bool is_tester;
static _Thread_local bool has_appended;

enum error_code __real_storage_append(struct storage *storage, struct message *const *messages,
                                      size_t count, struct error *why);
enum error_code __wrap_storage_append(struct storage *storage, struct message *const *messages,
                                      size_t count, struct error *why);
enum error_code __real_storage_sync(struct storage *storage, struct error *why);
enum error_code __wrap_storage_sync(struct storage *storage, struct error *why);

enum error_code __real_storage_each_repeat(struct storage *storage, storage_on_repeat *on_repeat,
                                           void *context, struct error *why);
enum error_code __wrap_storage_each_repeat(struct storage *storage, storage_on_repeat *on_repeat,
                                           void *context, struct error *why);

enum error_code __wrap_storage_append(struct storage *storage, struct message *const *messages,
                                      size_t count, struct error *why) {
    if (atomic_load(&faults.appends_to_fail) > 0) {
        atomic_fetch_sub(&faults.appends_to_fail, 1);
        return error_set(why, ERR_STORAGE_FULL, "the disk is full");
    }
    has_appended = true;
    return __real_storage_append(storage, messages, count, why);
}

enum error_code __real_order_prepare(struct order *order, struct message *const *messages,
                                     size_t count, struct error *why);
enum error_code __wrap_order_prepare(struct order *order, struct message *const *messages,
                                     size_t count, struct error *why);

enum error_code __wrap_order_prepare(struct order *order, struct message *const *messages,
                                     size_t count, struct error *why) {
    bool has_data = messages[0]->fields.kind == MESSAGE_DATA;
    if (has_data && atomic_load(&faults.are_channels_full)) {
        return error_set(why, ERR_FULL, "there are too many channels");
    }
    return __real_order_prepare(order, messages, count, why);
}

enum error_code __wrap_storage_sync(struct storage *storage, struct error *why) {
    if (atomic_load(&faults.is_sync_held)) {
        sem_wait(&faults.sync_gate);
    }
    if (atomic_load(&faults.is_sync_failing)) {
        return error_set(why, ERR_IO, "the disk is broken");
    }
    atomic_fetch_add(&faults.syncs_by_log, has_appended ? 1 : 0);
    return atomic_load(&faults.is_sync_instant) ? OK : __real_storage_sync(storage, why);
}

enum error_code __wrap_storage_each_repeat(struct storage *storage, storage_on_repeat *on_repeat,
                                           void *context, struct error *why) {
    enum error_code code = __real_storage_each_repeat(storage, on_repeat, context, why);
    if (code == OK && faults.stored.count > 0) {
        on_repeat(context, &faults.stored);
    }
    return code;
}

void __real_mailbox_put_answer(struct mailbox *mailbox, struct letter *letter);
void __wrap_mailbox_put_answer(struct mailbox *mailbox, struct letter *letter);

void __wrap_mailbox_put_answer(struct mailbox *mailbox, struct letter *letter) {
    if (is_tester && faults.put_delay_ms > 0) {
        usleep(faults.put_delay_ms * 1000);
    }
    __real_mailbox_put_answer(mailbox, letter);
}

/* Time passes where a test lets it pass: in a second in which the machine stood still, a log would
 * tick, and no position would be the one that the test expects. */
uint64_t __wrap_clock_wall_ms(void);
uint64_t __wrap_clock_monotonic_ms(void);

uint64_t __wrap_clock_wall_ms(void) {
    return WALL_MS + atomic_load(&faults.ahead_ms);
}

uint64_t __wrap_clock_monotonic_ms(void) {
    return MONOTONIC_MS + atomic_load(&faults.ahead_ms);
}

/* --- the world ------------------------------------------------------------------------------ */

static void on_retention(void *context, struct span channel, struct retention *ret_retention) {
    (void)context;
    (void)channel;
    *ret_retention =
        (struct retention){RETENTION_UNLIMITED, RETENTION_UNLIMITED, RETENTION_UNLIMITED};
}

/* On the log thread: positions go on without a hole, offsets of each channel too. */
static void on_commit(struct log_listener *listener, struct commit *commit) {
    struct world *world = CONTAINER_OF(listener, struct world, listener);
    world->is_ordered &= commit->position_first == world->position + 1;
    world->is_ordered &= world->group_rest == 0; /* no publish goes on in another commit */
    world->position = commit->position_last;
    for (size_t i = 0; i < commit->count; i++) {
        const struct message *message = commit->messages[i];
        bool is_next = world->group_rest == 0 || message->group_rest == world->group_rest - 1;
        world->is_ordered &= is_next;
        world->group_rest = message->group_rest;
        if (message->fields.kind == MESSAGE_DATA) {
            size_t channel = (size_t)(message->fields.channel.bytes[0] - 'a');
            world->is_ordered &= message->place.offset == world->offsets[channel] + 1;
            world->offsets[channel] = message->place.offset;
        }
    }
    atomic_fetch_sub(&listener->bytes_waiting, commit->bytes);
    commit_unref(commit);
}

static void on_session_over(void *context, struct span client_id) {
    (void)client_id;
    atomic_fetch_add(&((struct world *)context)->over_count, 1);
}

static bool is_over_busy(void *context) {
    return atomic_load(&((struct world *)context)->is_over_busy);
}

static void prepare(struct world *world) {
    struct error why = {0};
    struct storage_options options = {.directory = world->directory,
                                      .bytes_max = 1ull << 30,
                                      .journal_file_bytes = JOURNAL_FILE_BYTES,
                                      .open_batch_bytes_max = OPEN_BATCH_BYTES_MAX,
                                      .fold_bytes = FOLD_BYTES,
                                      .segment_messages = SEGMENT_MESSAGES,
                                      .segment_bytes = SEGMENT_BYTES,
                                      .on_retention = on_retention};
    EXPECT_EQ(metrics_create(1, &world->metrics), OK);
    EXPECT_EQ(storage_open(&options, &world->storage, &why), OK);
    EXPECT_EQ(
        store_create(world->storage, metrics_shard(world->metrics, METRICS_STORE), &world->store),
        OK);
    EXPECT_EQ(mailbox_init(&world->mailbox, 16), OK);
    EXPECT_EQ(mailbox_init(&world->answers, 16), OK);
    world->listener.mailbox = &world->mailbox;
    world->listener.on_commit = on_commit;
    world->listeners[0] = &world->listener;
    struct log_options log_options = {.channels_max = 1000000,
                                      .storage = world->storage,
                                      .listeners = world->listeners,
                                      .listener_count = 1,
                                      .store_mailbox = store_mailbox(world->store),
                                      .metrics = world->metrics,
                                      .sessions_max = world->sessions_max,
                                      .sessions_bytes_max = world->sessions_bytes_max,
                                      .on_session_over = on_session_over,
                                      .is_over_busy = is_over_busy,
                                      .context = world};
    EXPECT_EQ(log_create(&log_options, &world->log, &why), OK);
    world->position = log_position_readable(world->log);
    world->is_ordered = true;
    world->group_rest = 0;
}

void world_start(struct world *world) {
    struct error why = {0};
    EXPECT_EQ(log_start(world->log, &why), OK);
    EXPECT_EQ(store_start(world->store, world->log, NULL), OK);
}

void world_open(struct world *world) {
    prepare(world);
    world_start(world);
}

void world_close(struct world *world) {
    log_stop(world->log);
    store_destroy(world->store);
    log_destroy(world->log);
    storage_close(world->storage);
    metrics_destroy(world->metrics);
    mailbox_finish(&world->mailbox);
    mailbox_finish(&world->answers);
}

void world_make_waiting(struct world *world) {
    *world = (struct world){.sessions_max = SESSIONS_MAX, .sessions_bytes_max = SESSIONS_BYTES_MAX};
    is_tester = true;
    logger_set_level(LOG_LEVEL_INFO);
    scratch_create_folder(world->directory);
    prepare(world);
}

void world_make(struct world *world) {
    world_make_waiting(world);
    world_start(world);
}

void world_remove(struct world *world) {
    world_close(world);
    world_wipe(world);
}

void world_wipe(const struct world *world) {
    scratch_remove(world->directory);
}

void world_await_failures(struct world *world) {
    while (atomic_load(&faults.appends_to_fail) > 0) {
        mailbox_wait(&world->answers, 10);
        atomic_fetch_add(&faults.ahead_ms, 10);
    }
}

uint64_t world_count_stored(struct world *world, const char *channel) {
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

/* --- publishes ------------------------------------------------------------------------------ */

static void on_asked_answered(struct publish *publish) {
    struct asked *asked = publish->context;
    asked->is_answered = true;
}

static void asked_init(struct world *world, struct asked *asked, struct message **messages,
                       size_t count) {
    *asked = (struct asked){.publish.reply_to = &world->answers,
                            .publish.on_answered = on_asked_answered,
                            .publish.context = asked,
                            .publish.messages = messages,
                            .publish.count = count};
}

static struct message *make_step(const char *body) {
    return storage_object_message(STORAGE_OBJECT_GROUP, STORAGE_OBJECT_APPEND, SPAN("me"),
                                  span_of_string(body));
}

void world_ask(struct world *world, struct asked *asked, const char *channels, const char *key,
               const char *body, uint32_t flags) {
    uint8_t hash[IDEMPOTENCY_HASH_BYTES];
    uint8_t deleted[MESSAGE_DELETE_BYTES];
    const struct span parts[] = {span_of(channels, strcspn(channels, "S")), span_of_string(body)};
    asked_init(world, asked, asked->messages, strlen(channels));
    EXPECT_TRUE(asked->publish.count <= ASKED_MAX);
    EXPECT_EQ(idempotency_hash(SPAN("me"), span_of_string(key), parts, 2, hash), OK);
    message_put_deleted(1, UINT64_MAX, deleted);
    for (size_t i = 0; i < asked->publish.count; i++) {
        bool is_delete = channels[i] == 'D';
        bool has_hash = i == 0 && key != NULL;
        struct message_fields fields = {
            .kind = is_delete ? MESSAGE_DELETE : MESSAGE_DATA,
            .flags = flags,
            .channel = is_delete ? SPAN("a") : span_of(channels + i, 1),
            .idempotency_hash = has_hash ? span_of(hash, sizeof(hash)) : (struct span){0},
            .payload = is_delete ? span_of(deleted, sizeof(deleted)) : span_of_string(body)};
        asked->messages[i] = channels[i] == 'S' ? make_step(body) : message_create(&fields);
        EXPECT_NOT_NULL(asked->messages[i]);
    }
    EXPECT_EQ(log_submit(world->log, &asked->publish), OK);
}

void world_ask_many(struct world *world, struct asked *asked, struct message **messages,
                    size_t count) {
    struct message_fields fields = {.kind = MESSAGE_DATA, .channel = SPAN("a")};
    asked_init(world, asked, messages, count);
    for (size_t i = 0; i < count; i++) {
        messages[i] = message_create(&fields);
        EXPECT_NOT_NULL(messages[i]);
    }
    EXPECT_EQ(log_submit(world->log, &asked->publish), OK);
}

enum error_code asked_await(struct asked *asked) {
    while (!asked->is_answered) {
        mailbox_wait(asked->publish.reply_to, -1);
        mailbox_deliver_all(asked->publish.reply_to, NULL);
    }
    return asked->publish.result;
}

void asked_finish(struct asked *asked) {
    for (size_t i = 0; i < asked->publish.count; i++) {
        message_unref(asked->publish.messages[i]);
    }
}
