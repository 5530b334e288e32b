/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/broker/runtime/house.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/channels/pattern.h"
#include "broker/channels/rules.h"
#include "broker/limits.h"
#include "broker/runtime/home.h"
#include "broker/runtime/reads.h"
#include "broker/runtime/store.h"
#include "tests/unit.h"

#define LOOK_INTERVAL_NS 20000000

static const struct entrance no_entrances[PORT_COUNT]; /* nobody comes */
static struct config_faults faults;                    /* 50 KiB: on no stack */

/* --- parts ---------------------------------------------------------------------------------- */

static void on_retention(void *context, struct span channel, struct retention *ret_retention) {
    const struct broker *broker = context;
    const struct channel_rule *rule = rules_find(atomic_load(&broker->rules), channel);
    *ret_retention = (struct retention){.messages_max = rule->history_messages_max,
                                        .age_ms_max = rule->history_age_ms_max,
                                        .bytes_max = rule->history_bytes_max};
}

static void open_storage(struct house *house) {
    struct storage_options options = {.directory = house->directory,
                                      .bytes_max = UINT64_C(1) << 30,
                                      .journal_file_bytes = JOURNAL_FILE_BYTES,
                                      .open_batch_bytes_max = OPEN_BATCH_BYTES_MAX,
                                      .fold_bytes = FOLD_BYTES,
                                      .segment_messages = SEGMENT_MESSAGES,
                                      .segment_bytes = SEGMENT_BYTES,
                                      .on_retention = on_retention,
                                      .on_match = pattern_matches,
                                      .context = &house->broker};
    EXPECT_EQ(storage_open(&options, &house->broker.storage, NULL), OK);
}

void house_init(struct house *house, const char *rules) {
    memset(house, 0, sizeof(*house));
    scratch_create_folder(house->directory);
    snprintf(house->text, sizeof(house->text),
             "public: {listen: \"127.0.0.1:0\"}\nmqtt: {listen: off}\nworkers: %d\n%s",
             HOUSE_WORKERS, rules == NULL ? "" : rules);
    pthread_mutex_init(&house->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&house->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    EXPECT_EQ(mailbox_init(&house->mailbox, MAILBOX_NODES_MAX), OK);
}

void house_finish(struct house *house) {
    mailbox_finish(&house->mailbox);
    pthread_cond_destroy(&house->changed);
    pthread_mutex_destroy(&house->mutex);
    scratch_remove(house->directory);
}

/* Up to where the log comes. */
static void prepare(struct house *house) {
    struct broker *broker = &house->broker;
    struct config *config = NULL;
    memset(broker, 0, sizeof(*broker));
    broker->budget = house->budget;
    house->sources = (struct config_sources){.text = span_of_string(house->text),
                                             .check_pattern = rules_check_pattern};
    EXPECT_EQ(config_load(&house->sources, &config, &faults), OK);
    EXPECT_EQ(metrics_create(HOUSE_WORKERS, &broker->metrics), OK);
    EXPECT_EQ(reloader_create(broker, &house->sources, config, &house->reloader, NULL), OK);
    open_storage(house);
    EXPECT_EQ(
        store_create(broker->storage, metrics_shard(broker->metrics, METRICS_STORE), &house->store),
        OK);
    broker->workers = calloc(HOUSE_WORKERS, sizeof(struct worker *));
    for (size_t i = 0; i < HOUSE_WORKERS; i++) {
        EXPECT_EQ(worker_create(broker, i, no_entrances, &broker->workers[i], NULL), OK);
        broker->worker_count++;
        house->listeners[i] = worker_listener(broker->workers[i]);
    }
    EXPECT_EQ(home_restore(broker, NULL), OK);
}

void house_start(struct house *house) {
    struct broker *broker = &house->broker;
    prepare(house);
    struct log_options options = {.channels_max = 1000000,
                                  .storage = broker->storage,
                                  .listeners = house->listeners,
                                  .listener_count = HOUSE_WORKERS,
                                  .store_mailbox = store_mailbox(house->store),
                                  .metrics = broker->metrics};
    EXPECT_EQ(log_create(&options, &broker->log, NULL), OK);
    EXPECT_EQ(log_start(broker->log, NULL), OK);
    EXPECT_EQ(store_start(house->store, broker->log, NULL), OK);
    EXPECT_EQ(reads_create(broker->storage, broker->metrics, &broker->reads, NULL), OK);
    for (size_t i = 0; i < HOUSE_WORKERS; i++) {
        EXPECT_EQ(worker_bind(broker->workers[i], NULL), OK);
        EXPECT_EQ(worker_start(broker->workers[i], NULL), OK);
    }
}

static void settle(struct house *house) {
    for (size_t i = 0; i < HOUSE_WORKERS; i++) {
        worker_settle(house->broker.workers[i]);
    }
}

/* In the order of main.c. */
void house_stop(struct house *house) {
    struct broker *broker = &house->broker;
    for (size_t i = 0; i < HOUSE_WORKERS; i++) {
        worker_drain(broker->workers[i]);
    }
    for (size_t i = 0; i < HOUSE_WORKERS; i++) {
        worker_join(broker->workers[i]);
    }
    settle(house);
    if (broker->log != NULL) {
        log_stop(broker->log);
    }
    reads_stop(broker->reads);
    settle(house);
    for (size_t i = 0; i < HOUSE_WORKERS; i++) {
        worker_destroy(broker->workers[i]);
    }
    reads_destroy(broker->reads);
    store_destroy(house->store);
    log_destroy(broker->log);
    storage_close(broker->storage);
    metrics_destroy(broker->metrics);
    free(broker->workers);
    reloader_destroy(house->reloader);
}

void house_start_without_log(struct house *house) {
    prepare(house);
    house_stop(house);
}

/* --- calls ---------------------------------------------------------------------------------- */

struct call {
    struct letter letter;
    void (*run)(void *context);
    void *context;
    sem_t done;
};

static void on_called(struct letter *letter, void *consumer) {
    struct call *call = CONTAINER_OF(letter, struct call, letter);
    (void)consumer;
    call->run(call->context);
    sem_post(&call->done);
}

void house_call_at(struct mailbox *mailbox, void (*run)(void *context), void *context) {
    struct call call = {.letter.on_delivered = on_called, .run = run, .context = context};
    sem_init(&call.done, 0, 0);
    mailbox_put_answer(mailbox, &call.letter);
    while (sem_wait(&call.done) != 0) {
    }
    sem_destroy(&call.done);
}

void house_call(struct house *house, size_t worker, void (*run)(void *context), void *context) {
    house_call_at(worker_mailbox(house->broker.workers[worker]), run, context);
}

static void on_answered(struct publish *publish) {
    *(bool *)publish->context = true;
}

void house_publish(struct house *house, const char *channel, uint64_t number, uint64_t ttl_ms) {
    char payload[32];
    bool is_answered = false;
    snprintf(payload, sizeof(payload), "%llu", (unsigned long long)number);
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .ttl_ms = ttl_ms,
                                    .channel = span_of_string(channel),
                                    .payload = span_of_string(payload)};
    struct message *message = message_create(&fields);
    struct publish publish = {.reply_to = &house->mailbox,
                              .on_answered = on_answered,
                              .context = &is_answered,
                              .messages = &message,
                              .count = 1};
    EXPECT_EQ(log_submit(house->broker.log, &publish), OK);
    while (!is_answered) {
        mailbox_wait(&house->mailbox, -1);
        mailbox_deliver_all(&house->mailbox, NULL);
    }
    EXPECT_EQ(publish.result, OK);
    message_unref(message);
}

/* --- waiting -------------------------------------------------------------------------------- */

void house_lock(struct house *house) {
    pthread_mutex_lock(&house->mutex);
}

void house_unlock(struct house *house) {
    pthread_cond_broadcast(&house->changed);
    pthread_mutex_unlock(&house->mutex);
}

void house_wait(struct house *house, bool (*is_true)(void *context), void *context) {
    pthread_mutex_lock(&house->mutex);
    while (!is_true(context)) {
        pthread_cond_wait(&house->changed, &house->mutex);
    }
    pthread_mutex_unlock(&house->mutex);
}

void house_look(struct house *house, bool (*is_true)(void *context), void *context) {
    pthread_mutex_lock(&house->mutex);
    while (!is_true(context)) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LOOK_INTERVAL_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&house->changed, &house->mutex, &until);
    }
    pthread_mutex_unlock(&house->mutex);
}

struct wanted_metric {
    const struct metrics *metrics;
    enum metric metric;
    uint64_t value;
};

static bool is_value(void *context) {
    const struct wanted_metric *wanted = context;
    return metrics_sum(wanted->metrics, wanted->metric, 0) == wanted->value;
}

void house_wait_metric(struct house *house, enum metric metric, uint64_t value) {
    struct wanted_metric wanted = {house->broker.metrics, metric, value};
    house_look(house, is_value, &wanted);
}
