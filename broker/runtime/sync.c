/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/sync.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/limits.h"
#include "broker/metrics/thread.h"
#include "broker/runtime/disk.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "storage/storage.h"

#define LETTERS_MAX 2 /* please and stop */

struct syncer {
    pthread_t thread;
    struct storage *storage;
    struct metrics_shard *metrics; /* of this thread */
    struct mailbox *reply_to;
    struct letter *done;
    struct mailbox mailbox;
    struct letter please;
    struct letter stop;
    bool is_stopping;
    atomic_uint_fast64_t took_us; /* the newest sync, wherever it ran */
};

static void sync_now(struct syncer *syncer, struct metrics_shard *metrics) {
    struct error why = {0};
    uint64_t begin_us = clock_monotonic_us();
    if (storage_sync(syncer->storage, &why) != OK) {
        log_event(SYNC_FAILED, .detail = why.detail);
        _exit(EXIT_DISK_FAILED);
    }
    uint64_t took_us = disk_note_time(metrics, METRIC_JOURNAL_SYNC, begin_us, "sync");
    atomic_store_explicit(&syncer->took_us, took_us, memory_order_relaxed);
}

static void on_please(struct letter *letter, void *consumer) {
    (void)letter;
    struct syncer *syncer = consumer;
    sync_now(syncer, syncer->metrics);
    mailbox_put_answer(syncer->reply_to, syncer->done);
}

static void on_stop(struct letter *letter, void *consumer) {
    (void)letter;
    ((struct syncer *)consumer)->is_stopping = true;
}

static void *sync_thread(void *argument) {
    struct syncer *syncer = argument;
    thread_begin(syncer->metrics);
    while (!syncer->is_stopping) {
        thread_sleep(syncer->metrics);
        mailbox_wait(&syncer->mailbox, -1);
        thread_wake(syncer->metrics);
        metrics_add(syncer->metrics, METRIC_LETTERS, mailbox_deliver_all(&syncer->mailbox, syncer));
    }
    return NULL;
}

enum error_code syncer_create(struct storage *storage, struct metrics_shard *metrics,
                              struct mailbox *reply_to, struct letter *done,
                              struct syncer **ret_syncer) {
    INVARIANT(done->on_delivered != NULL);
    struct syncer *syncer = calloc(1, sizeof(*syncer));
    if (syncer == NULL) {
        return ERR_MEMORY;
    }
    syncer->storage = storage;
    syncer->metrics = metrics;
    atomic_init(&syncer->took_us, UINT64_MAX); /* nobody knows the disk yet */
    syncer->reply_to = reply_to;
    syncer->done = done;
    syncer->please.on_delivered = on_please;
    syncer->stop.on_delivered = on_stop;
    enum error_code code = mailbox_init(&syncer->mailbox, LETTERS_MAX);
    if (code == OK && pthread_create(&syncer->thread, NULL, sync_thread, syncer) != 0) {
        mailbox_finish(&syncer->mailbox);
        code = ERR_MEMORY;
    }
    if (code != OK) {
        free(syncer);
        return code;
    }
    *ret_syncer = syncer;
    return OK;
}

void syncer_ask(struct syncer *syncer) {
    mailbox_put_answer(&syncer->mailbox, &syncer->please);
}

bool syncer_try_here(struct syncer *syncer, struct metrics_shard *metrics) {
    if (atomic_load_explicit(&syncer->took_us, memory_order_relaxed) > SYNC_HERE_US_MAX) {
        return false;
    }
    sync_now(syncer, metrics);
    return true;
}

void syncer_destroy(struct syncer *syncer) {
    if (syncer == NULL) {
        return;
    }
    mailbox_put_answer(&syncer->mailbox, &syncer->stop);
    pthread_join(syncer->thread, NULL);
    mailbox_finish(&syncer->mailbox);
    free(syncer);
}
