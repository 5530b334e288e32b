/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "broker/runtime/log_private.h"
#include "storage/storage.h"

struct round *round_create(size_t count) {
    struct round *round = calloc(1, sizeof(*round));
    struct commit *commit = commit_create(count);
    if (round == NULL || commit == NULL) {
        free(round);
        commit_unref(commit);
        return NULL;
    }
    round->commit = commit;
    list_init(&round->publishes);
    return round;
}

void round_destroy(struct round *round) {
    if (round != NULL) {
        commit_unref(round->commit);
        free(round);
    }
}

static void tell_listener(struct log_listener *listener, struct commit *commit) {
    if (atomic_load(&listener->is_away)) {
        return;
    }
    size_t waiting = atomic_fetch_add(&listener->bytes_waiting, commit->bytes);
    if (waiting > 0 && waiting + commit->bytes > COMMITS_WAITING_BYTES_MAX) {
        atomic_fetch_sub(&listener->bytes_waiting, commit->bytes);
        atomic_store(&listener->has_missed, true);
        return;
    }
    listener->on_commit(listener, commit_ref(commit));
}

/* The store thread sleeps until data came; a full open batch does not wait for its beat. What is
 * admitted while a fold is expected goes with it, so a round wakes nobody then. */
static void ask_for_fold(struct log *log, bool has_data) {
    bool is_wanted = (has_data && !atomic_load(&log->is_fold_expected)) ||
                     storage_is_fold_due(log->options.storage);
    if (log->options.store_mailbox != NULL && is_wanted &&
        !atomic_exchange(&log->is_fold_asked, true)) {
        mailbox_put_answer(log->options.store_mailbox, &log->fold_please);
    }
}

void rounds_on_fold_please(struct letter *letter, void *consumer) {
    (void)consumer; /* waking up was all that it is for */
    struct log *log = CONTAINER_OF(letter, struct log, fold_please);
    atomic_store(&log->is_fold_asked, false);
}

static void show(struct log *log, struct commit *commit) {
    storage_admit(log->options.storage, commit->messages, commit->count);
    atomic_store(&log->position_readable, commit->position_last);
    for (size_t i = 0; i < log->options.listener_count; i++) {
        tell_listener(log->options.listeners[i], commit);
    }
}

/* Readable from here on: by pages first, then by live readers, and then the publisher knows. */
static void release(struct log *log, struct round *round) {
    if (round->commit->count > 0) {
        show(log, round->commit);
    }
    metrics_add(log->answers.metrics, METRIC_LOG_MESSAGES, round->data_count);
    answers_send_all(&log->answers, &round->publishes, OK, NULL);
    for (size_t i = 0; i < log->options.listener_count; i++) {
        mailbox_nudge(
            log->options.listeners[i]->mailbox); /* once, for the commit and the answers */
    }
    ask_for_fold(log, round->has_stored);
    log->rounds_bytes -= round->commit->bytes;
    round_destroy(round);
}

static void release_free(struct log *log) {
    while (log->rounds_first != NULL && !log->rounds_first->needs_sync) {
        struct round *round = log->rounds_first;
        log->rounds_first = round->next;
        release(log, round);
    }
    if (log->rounds_first == NULL) {
        log->rounds_last = &log->rounds_first;
    }
}

/* One publish, and nothing that could be written while the disk is waited for. */
static bool is_alone(const struct log *log) {
    const struct round *round = log->rounds_first;
    return round->next == NULL && round->publishes.next == round->publishes.previous &&
           list_is_empty(&log->waiting) && mailbox_is_empty(&log->mailbox);
}

/* Releases what nothing holds back, and starts a sync for what does. */
static void release_rounds(struct log *log) {
    if (log->sync_last != NULL) {
        return;
    }
    release_free(log);
    if (log->rounds_first == NULL) {
        return;
    }
    if (is_alone(log) && syncer_try_here(log->syncer, log->answers.metrics)) {
        log->rounds_first->needs_sync = false;
        release_free(log);
        return;
    }
    log->sync_last = CONTAINER_OF(log->rounds_last, struct round, next);
    syncer_ask(log->syncer);
}

void rounds_on_synced(struct letter *letter, void *consumer) {
    (void)letter;
    struct log *log = consumer;
    struct round *covered = log->sync_last;
    INVARIANT(covered != NULL);
    for (struct round *round = log->rounds_first;; round = round->next) {
        round->needs_sync = false;
        if (round == covered) {
            break;
        }
    }
    log->sync_last = NULL;
    release_rounds(log);
}

void rounds_put(struct log *log, struct round *round) {
    log->rounds_bytes += round->commit->bytes;
    *log->rounds_last = round;
    log->rounds_last = &round->next;
    release_rounds(log);
}
