/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/sinks/sink_scene.h"

#include <stdio.h>
#include <time.h>

#include "broker/runtime/log.h"
#include "broker/runtime/reads.h"
#include "protocols/sinks/sink_private.h"
#include "protocols/sinks/sinks.h"
#include "storage/storage.h"
#include "tests/unit.h"

#define PATIENCE_S 60

/* --- the driver ------------------------------------------------------------------------------ */

struct carrier carrier = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static struct sink_link carried;

static enum error_code on_open(const struct sink_link *link, void **ret_state, struct error *why) {
    (void)why;
    carried = *link;
    *ret_state = &carried;
    return OK;
}

static void on_terms(const void *state, struct terms *ret_terms) {
    (void)state;
    *ret_terms = (struct terms){.messages_max = carrier.messages_max,
                                .bytes_max = 65536,
                                .shipments_max = 4,
                                .age_ms_max = carrier.age_ms_max};
}

static void on_start(void *state) {
    sink_on_up(((struct sink_link *)state)->sink, NULL, 0);
}

static enum outcome find_outcome(const struct shipment *shipment) {
    for (size_t i = 0; i < shipment->count && carrier.poison != 0; i++) {
        if (shipment->messages[i]->place.offset == carrier.poison) {
            return OUTCOME_FAILED;
        }
    }
    return carrier.outcome;
}

static void on_ship(void *state, struct shipment *shipment) {
    (void)state;
    pthread_mutex_lock(&carrier.lock);
    if (carrier.count == carrier.outcome_until) {
        carrier.outcome = OUTCOME_DELIVERED;
    }
    struct verdict verdict = {
        .outcome = find_outcome(shipment), .status = 500, .retry_after_ms = carrier.retry_after_ms};
    if (carrier.count < SHIPPED_MAX) {
        struct shipped *row = &carrier.rows[carrier.count++];
        snprintf(row->id, sizeof(row->id), "%s", shipment->id);
        row->offset = shipment->messages[0]->place.offset;
        row->count = shipment->count;
        row->attempt = shipment->attempt;
        row->state = sink_find_state(shipment->sink);
    }
    pthread_cond_broadcast(&carrier.changed);
    pthread_mutex_unlock(&carrier.lock);
    sink_on_settled(shipment, &verdict);
}

static void on_stop(void *state) {
    sink_on_stopped(((struct sink_link *)state)->sink);
}

static bool on_look(const struct sink_row *row, const struct message *message) {
    (void)row;
    bool is_passed = message->place.offset == carrier.passed_over;
    pthread_mutex_lock(&carrier.lock);
    carrier.passed_count += is_passed;
    pthread_cond_broadcast(&carrier.changed);
    pthread_mutex_unlock(&carrier.lock);
    return is_passed;
}

static void on_close(void *state) {
    (void)state;
}

static const struct driver driver = {.kind = "test",
                                     .passes_over = on_look,
                                     .open = on_open,
                                     .get_terms = on_terms,
                                     .start = on_start,
                                     .ship = on_ship,
                                     .stop = on_stop,
                                     .close = on_close};

/* Stands before the one of the library. */
const struct driver *driver_of(const struct sink_row *row) {
    (void)row;
    return &driver;
}

const char *outcome_name(enum outcome outcome) {
    (void)outcome;
    return "";
}

/* Until so many are there, of what is counted under the lock. */
void await_counted(const size_t *counted, size_t count) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    int code = 0;
    pthread_mutex_lock(&carrier.lock);
    while (*counted < count && code == 0) {
        code = pthread_cond_timedwait(&carrier.changed, &carrier.lock, &until);
    }
    EXPECT_TRUE(*counted >= count);
    pthread_mutex_unlock(&carrier.lock);
}

void await_shipped(size_t count) {
    await_counted(&carrier.count, count);
}

void set_outcome_until(enum outcome outcome, size_t count) {
    pthread_mutex_lock(&carrier.lock);
    carrier.outcome = outcome;
    carrier.outcome_until = count;
    pthread_mutex_unlock(&carrier.lock);
}

void set_outcome(enum outcome outcome) {
    set_outcome_until(outcome, SIZE_MAX);
}

/* --- the broker ------------------------------------------------------------------------------ */

struct world world;

/* --- in front of the log ---------------------------------------------------------------------- */

size_t refused_count;        /* stores with letters: under the carrier's lock, as is … */
static size_t refused_until; /* … how many the log refuses in all */

enum error_code __real_log_submit(struct log *log, struct publish *publish);
enum error_code __wrap_log_submit(struct log *log, struct publish *publish);

enum error_code __wrap_log_submit(struct log *log, struct publish *publish) {
    pthread_mutex_lock(&carrier.lock);
    bool is_refused = publish->count > 1 && refused_count < refused_until;
    refused_count += is_refused;
    pthread_cond_broadcast(&carrier.changed);
    pthread_mutex_unlock(&carrier.lock);
    return is_refused ? ERR_BUSY : __real_log_submit(log, publish);
}

void refuse_letters(size_t count) {
    pthread_mutex_lock(&carrier.lock);
    refused_until = refused_count + count;
    pthread_mutex_unlock(&carrier.lock);
}

static void on_retention(void *context, struct span channel, struct retention *ret_retention) {
    (void)context;
    (void)channel;
    *ret_retention =
        (struct retention){RETENTION_UNLIMITED, RETENTION_UNLIMITED, RETENTION_UNLIMITED};
}

void start_world(void) {
    struct error why = {0};
    struct broker *broker = &world.broker;
    struct storage_options options = {.directory = world.directory,
                                      .bytes_max = 1ull << 30,
                                      .journal_file_bytes = JOURNAL_FILE_BYTES,
                                      .open_batch_bytes_max = OPEN_BATCH_BYTES_MAX,
                                      .fold_bytes = FOLD_BYTES,
                                      .segment_messages = SEGMENT_MESSAGES,
                                      .segment_bytes = SEGMENT_BYTES,
                                      .on_retention = on_retention};
    EXPECT_EQ(metrics_create(1, &broker->metrics), OK);
    EXPECT_EQ(storage_open(&options, &broker->storage, &why), OK);
    EXPECT_EQ(mailbox_init(&world.mailbox, 16), OK);
    broker->config = &world.config;
    atomic_store(&broker->configured, &world.config);
    EXPECT_EQ(sinks_create(broker, &broker->sinks, &why), OK);
    world.listeners[0] = sinks_listener(broker->sinks);
    struct log_options log_options = {.channels_max = 1000,
                                      .storage = broker->storage,
                                      .listeners = world.listeners,
                                      .listener_count = 1,
                                      .metrics = broker->metrics};
    EXPECT_EQ(log_create(&log_options, &broker->log, &why), OK);
    EXPECT_EQ(log_start(broker->log, &why), OK);
    EXPECT_EQ(reads_create(broker->storage, broker->metrics, &broker->reads, &why), OK);
    EXPECT_EQ(sinks_start(broker->sinks, &why), OK);
}

void stop_world(void) {
    struct broker *broker = &world.broker;
    sinks_stop(broker->sinks);
    log_stop(broker->log);
    reads_stop(broker->reads);
    reads_destroy(broker->reads);
    sinks_destroy(broker->sinks);
    log_destroy(broker->log);
    storage_close(broker->storage);
    metrics_destroy(broker->metrics);
    mailbox_finish(&world.mailbox);
}

static char row_name[] = "s";
static char row_start[] = "earliest";
static char row_channel[] = "a";
static char row_wait[] = "1ms";
static char *channels[] = {row_channel};
static char *waits[] = {row_wait, row_wait};

int set_up(void **state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    scratch_create_folder(world.directory);
    carrier.count = carrier.passed_count = 0;
    refused_count = refused_until = 0;
    set_outcome(OUTCOME_DELIVERED);
    carrier.messages_max = 1;
    carrier.age_ms_max = 0;
    carrier.poison = 0;
    carrier.retry_after_ms = 0;
    world.row = (struct sink_row){.name = row_name,
                                  .channels = {channels, 1, true},
                                  .start = row_start,
                                  .retries = {waits, 2, true},
                                  .retry_after_max_ms = 1000,
                                  .disable_after_ms = CONFIG_UNLIMITED,
                                  .rate = CONFIG_UNLIMITED,
                                  .concurrency = 4};
    world.config.sinks = &world.row;
    world.config.sink_count = 1;
    start_world();
    return 0;
}

int tear_down(void **state) {
    (void)state;
    stop_world();
    scratch_remove(world.directory);
    return 0;
}

static void on_published(struct publish *publish) {
    *(bool *)publish->context = true;
}

void publish_some(size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct message_fields fields = {
            .kind = MESSAGE_DATA, .channel = SPAN("a"), .payload = SPAN("{}")};
        struct message *message = message_create(&fields);
        bool is_answered = false;
        struct publish publish = {.reply_to = &world.mailbox,
                                  .on_answered = on_published,
                                  .context = &is_answered,
                                  .messages = &message,
                                  .count = 1};
        EXPECT_EQ(log_submit(world.broker.log, &publish), OK);
        while (!is_answered) {
            mailbox_wait(&world.mailbox, -1);
            mailbox_deliver_all(&world.mailbox, NULL);
        }
        EXPECT_EQ(publish.result, OK);
        message_unref(message);
    }
}

uint64_t count_kept(const char *channel) {
    struct storage_page page = {0};
    struct error why = {0};
    struct storage_query query = {.channel = span_of_string(channel),
                                  .start = STORAGE_EARLIEST,
                                  .limit = 1000,
                                  .bytes_max = 1 << 20};
    EXPECT_EQ(storage_read(world.broker.storage, &query, &page, &why), OK);
    uint64_t count = page.count;
    storage_page_finish(&page);
    return count;
}
