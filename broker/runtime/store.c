/* SPDX-License-Identifier: Apache-2.0 */
/* The beat: a first message wakes the thread, which then waits FOLD_INTERVAL_MS for more company,
 * or less if the open batch says that a fold is due. Meanwhile the log does not wake it for what
 * goes along anyway. A fold that failed is tried again after RETRY_MS, whatever comes meanwhile. A
 * silent broker does not wake but for retention: what only grows older has to go, too. Then it also
 * folds what keeps deleted bytes in the journal: a tick that came while their delete was folded
 * asks for no fold. */
#include "broker/runtime/store.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/limits.h"
#include "broker/metrics/thread.h"
#include "broker/runtime/disk.h"
#include "broker/runtime/log.h"
#include "broker/runtime/tenants.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "storage/storage.h"

#define RETAIN_INTERVAL_MS 1000
#define RETRY_MS 1000
#define RETAIN_STEPS_MAX 2 /* a fold of FOLD_BYTES: what it brings in, these let go of */
#define LETTERS_MAX 2      /* the log's, and stop */

struct store {
    pthread_t thread;
    bool is_started;
    bool is_stopping;
    uint64_t fold_failures; /* since one succeeded; the first is said */
    bool has_to_retain;     /* the last step of retention left something */
    bool has_retain_failed; /* said once, until it succeeds */
    struct storage *storage;
    struct metrics_shard *metrics; /* of this thread */
    struct log *log;
    struct tenants *tenants;
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

static void on_swept(void *context, const struct storage_swept *swept) {
    struct store *store = context;
    if (swept->bytes > 0) {
        tenants_on_lost(store->tenants, swept->name, swept->bytes);
    }
    if (swept->is_forgotten) {
        log_on_forgotten(store->log, swept->name, swept->channel_id, swept->offset_last);
    }
}

/* One step, so that a fold is never far away. */
static void retain(struct store *store) {
    struct error why = {0};
    bool is_more = false;
    uint64_t begin_us = clock_monotonic_us();
    enum error_code code = storage_retain(store->storage, &is_more, &why);
    metrics_observe(store->metrics, METRIC_RETENTION, clock_monotonic_us() - begin_us);
    metrics_add(store->metrics, METRIC_RETENTION_FAILURES, code != OK);
    if (code != OK && !store->has_retain_failed) {
        log_event(RETAIN_FAILED, .code = error_row(code)->slug, .detail = why.detail);
    }
    storage_each_swept(store->storage, on_swept, store);
    store->has_retain_failed = code != OK;
    store->has_to_retain = code == OK && is_more;
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

/* Meanwhile the log does not wake it for what goes along anyway, and retention goes on.
 * `ends_when_due`: a full open batch does not wait. */
static void await_fold(struct store *store, uint64_t wait_ms, bool ends_when_due) {
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t until_ms = now_ms + wait_ms;
    log_expect_fold(store->log, true);
    while (!store->is_stopping && now_ms < until_ms &&
           !(ends_when_due && storage_is_fold_due(store->storage))) {
        pause_for(store, store->has_to_retain ? 0 : (int)(until_ms - now_ms));
        if (store->has_to_retain) {
            retain(store);
        }
        now_ms = clock_monotonic_ms();
    }
    log_expect_fold(store->log, false);
}

static void *store_thread(void *argument) {
    struct store *store = argument;
    bool has_work = true; /* what recovery left */
    thread_begin(store->metrics);
    while (!store->is_stopping) {
        bool is_busy = store->has_to_retain || has_work;
        bool was_woken = pause_for(store, is_busy ? 0 : RETAIN_INTERVAL_MS);
        if (was_woken) {
            await_fold(store, FOLD_INTERVAL_MS, true);
            has_work = true;
        }
        has_work |= storage_holds_deleted(store->storage);
        if (has_work) {
            has_work = !fold(store);
            if (has_work) {
                await_fold(store, RETRY_MS, false);
            }
        }
        retain(store);
        for (int step = 1; step < RETAIN_STEPS_MAX && store->has_to_retain; step++) {
            retain(store);
        }
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

enum error_code store_start(struct store *store, struct log *log, struct tenants *tenants) {
    INVARIANT(!store->is_started);
    store->log = log;
    store->tenants = tenants;
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
