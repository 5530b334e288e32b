/* SPDX-License-Identifier: Apache-2.0 */
/* The beat: a first message wakes the thread, which then waits FOLD_INTERVAL_MS for more company,
 * or less if the open batch says that a fold is due. A silent broker does not wake but for
 * retention: what only grows older has to go, too. */
#include "broker/runtime/store.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/limits.h"
#include "broker/metrics/thread.h"
#include "broker/runtime/disk.h"
#include "broker/runtime/log.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "storage/storage.h"

#define RETAIN_INTERVAL_MS 1000
#define RETRY_MS 1000
#define LETTERS_MAX 2 /* the log's, and stop */

struct store {
    pthread_t thread;
    bool is_started;
    bool is_stopping;
    uint64_t fold_failures; /* since one succeeded; the first is said */
    bool has_retain_failed; /* said once, until it succeeds */
    struct storage *storage;
    struct metrics_shard *metrics; /* of this thread */
    struct log *log;
    struct mailbox mailbox;
    struct letter stop;
};

static void on_stop(struct letter *letter, void *consumer) {
    (void)letter;
    ((struct store *)consumer)->is_stopping = true;
}

/* What a second try cannot mend ends the process; see sync.h. All that was answered is in the
 * journal, and the next start reads what the disk really holds. */
static void end_if_failed(const struct store *store) {
    if (storage_has_failed(store->storage)) {
        log_event(DISK_FAILED, .exit_code = EXIT_DISK_FAILED);
        _exit(EXIT_DISK_FAILED);
    }
}

static void count_fold(struct store *store, uint64_t begin_us) {
    struct storage_folded folded;
    storage_get_folded(store->storage, &folded);
    if (folded.messages > 0) {
        disk_note_time(store->metrics, METRIC_FOLD, begin_us, "fold");
        metrics_observe(store->metrics, METRIC_FOLD_RECORDS, folded.messages);
        metrics_observe(store->metrics, METRIC_FOLD_BYTES, folded.bytes);
    }
}

/* False: wait before the next try. */
static bool fold(struct store *store) {
    struct error why = {0};
    uint64_t begin_us = clock_monotonic_us();
    enum error_code code = storage_fold(store->storage, &why);
    end_if_failed(store);
    if (code != OK) {
        metrics_add(store->metrics, METRIC_FOLD_FAILURES, 1);
        if (store->fold_failures++ == 0) {
            log_event(FOLD_FAILED, .code = error_row(code)->slug, .detail = why.detail);
        }
        log_on_fold_failed(store->log, code);
        return false;
    }
    count_fold(store, begin_us);
    if (store->fold_failures > 0) {
        log_event(FOLD_RECOVERED, .failures = store->fold_failures);
    }
    store->fold_failures = 0;
    log_on_folded(store->log);
    return true;
}

static void on_forgotten(void *context, struct span name, uint64_t channel_id,
                         uint64_t offset_last) {
    struct store *store = context;
    log_on_forgotten(store->log, name, channel_id, offset_last);
}

/* One step, so that a fold is never far away. */
static bool retain(struct store *store) {
    struct error why = {0};
    bool is_more = false;
    uint64_t begin_us = clock_monotonic_us();
    enum error_code code = storage_retain(store->storage, &is_more, &why);
    metrics_observe(store->metrics, METRIC_RETENTION, clock_monotonic_us() - begin_us);
    metrics_add(store->metrics, METRIC_RETENTION_FAILURES, code != OK);
    if (code != OK && !store->has_retain_failed) {
        log_event(RETAIN_FAILED, .code = error_row(code)->slug, .detail = why.detail);
    }
    storage_each_forgotten(store->storage, on_forgotten, store);
    store->has_retain_failed = code != OK;
    return code == OK && is_more;
}

/* Sleeps `timeout_ms`, or until a full open batch or the end asks for attention. Returns whether
 * anything woke it. */
static bool pause_for(struct store *store, int timeout_ms) {
    thread_sleep(store->metrics);
    mailbox_wait(&store->mailbox, timeout_ms);
    thread_wake(store->metrics);
    size_t delivered = mailbox_deliver_all(&store->mailbox, store);
    metrics_add(store->metrics, METRIC_LETTERS, delivered);
    return delivered > 0;
}

static void gather_company(struct store *store) {
    uint64_t until_ms = clock_monotonic_ms() + FOLD_INTERVAL_MS;
    uint64_t now_ms = clock_monotonic_ms();
    while (!store->is_stopping && !storage_is_fold_due(store->storage) && now_ms < until_ms) {
        pause_for(store, (int)(until_ms - now_ms));
        now_ms = clock_monotonic_ms();
    }
}

static void *store_thread(void *argument) {
    struct store *store = argument;
    bool is_more = false;
    bool has_work = true; /* what recovery left */
    thread_begin(store->metrics);
    while (!store->is_stopping) {
        bool was_woken = pause_for(store, is_more    ? 0
                                          : has_work ? FOLD_INTERVAL_MS
                                                     : RETAIN_INTERVAL_MS);
        if (was_woken) {
            gather_company(store);
            has_work = true;
        }
        if (has_work) {
            has_work = !fold(store);
            if (has_work) {
                pause_for(store, RETRY_MS);
            }
        }
        is_more = retain(store);
    }
    return NULL;
}

enum error_code store_create(struct storage *storage, struct metrics_shard *metrics,
                             struct store **ret_store) {
    struct store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        return ERR_MEMORY;
    }
    store->storage = storage;
    store->metrics = metrics;
    store->stop.on_delivered = on_stop;
    enum error_code code = mailbox_init(&store->mailbox, LETTERS_MAX);
    if (code != OK) {
        free(store);
        return code;
    }
    *ret_store = store;
    return OK;
}

struct mailbox *store_mailbox(struct store *store) {
    return &store->mailbox;
}

enum error_code store_start(struct store *store, struct log *log) {
    INVARIANT(!store->is_started);
    store->log = log;
    if (pthread_create(&store->thread, NULL, store_thread, store) != 0) {
        return ERR_MEMORY;
    }
    store->is_started = true;
    return OK;
}

void store_destroy(struct store *store) {
    if (store == NULL) {
        return;
    }
    if (store->is_started) {
        mailbox_put_answer(&store->mailbox, &store->stop);
        pthread_join(store->thread, NULL);
    }
    mailbox_finish(&store->mailbox);
    free(store);
}
