/* SPDX-License-Identifier: Apache-2.0 */
/* The engine `local`. One turn of the log thread:
 *
 *     publishes from the mailbox -> order -> one journal write -> round
 *     round -> (sync, if one of its messages asks for it) -> admit, tell workers, answer publishers
 *
 * Rounds leave in the order in which they were written. A round that waits for its sync holds back
 * those behind it, also their answers: what was answered can be read, and every reader sees one
 * order. The sync runs on a thread of its own beside further writes, so one fdatasync serves all
 * the rounds that were written before it began (group commit). */
#include "broker/runtime/log.h"

#include <pthread.h>
#include <stdlib.h>

#include "broker/runtime/order.h"
#include "broker/runtime/sync.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "storage/storage.h"

/* One journal write and everything that waits for it. */
struct round {
    struct round *next;
    struct commit *commit;
    struct publish *publishes; /* oldest first */
    size_t data_count;         /* of its messages; the others are ticks */
    bool needs_sync;
};

struct log {
    struct owner owner;
    pthread_t thread;
    bool is_started;
    struct mailbox mailbox;
    struct log_options options;
    struct order order;

    struct publish *waiting_first; /* taken from the mailbox, not ordered yet */
    struct publish **waiting_last;
    struct round *rounds_first; /* written, not released yet */
    struct round **rounds_last;
    size_t rounds_bytes;
    struct round *sync_last; /* the last round that the running sync covers; NULL: none runs */
    struct syncer *syncer;
    struct letter synced;
    struct letter folded; /* from the store thread: there may be room again */
    atomic_bool is_folded_told;
    struct letter fold_please;
    atomic_bool is_fold_asked;
    bool was_room;
    bool has_append_failed;
    struct publish tick; /* underway while it holds its message */
    struct message *tick_message;

    atomic_bool is_stopping;
    atomic_size_t waiting_bytes; /* of publishes from submission to answer */
    atomic_size_t waiting_count;
    atomic_uint fold_code; /* enum error_code of the newest fold */
    atomic_uint_fast64_t position_readable;
    atomic_uint_fast64_t commits, messages, refused, syncs;
};

/* --- answers -------------------------------------------------------------------------------- */

static void on_answer_delivered(struct letter *letter, void *consumer) {
    (void)consumer;
    struct publish *publish = CONTAINER_OF(letter, struct publish, letter);
    publish->on_answered(publish);
}

static void give_room(struct log *log, const struct publish *publish) {
    atomic_fetch_sub_explicit(&log->waiting_bytes, publish->bytes, memory_order_relaxed);
    atomic_fetch_sub_explicit(&log->waiting_count, 1, memory_order_relaxed);
}

static void count(struct log *log, const struct publish *publish, enum error_code result) {
    struct metrics_shard *metrics = log->options.metrics;
    metrics_add_at(metrics, METRIC_PUBLISHES, result, 1);
    metrics_observe(metrics, METRIC_PUBLISH_ANSWER, clock_monotonic_us() - publish->submitted_us);
    give_room(log, publish);
    if (result != OK) {
        return;
    }
    uint64_t bytes = 0;
    for (size_t i = 0; i < publish->count; i++) {
        bytes += publish->messages[i]->fields.payload.length;
    }
    metrics_add_at(metrics, METRIC_PUBLISHED_MESSAGES, publish->counted_as, publish->count);
    metrics_add_at(metrics, METRIC_PUBLISHED_BYTES, publish->counted_as, bytes);
}

static void answer(struct log *log, struct publish *publish, enum error_code result,
                   const struct error *why) {
    count(log, publish, result);
    publish->result = result;
    if (result != OK) {
        publish->why = *why;
    }
    publish->letter.on_delivered = on_answer_delivered;
    mailbox_put_answer(publish->reply_to, &publish->letter);
}

/* The tick's message was only lent to its round. */
static void tick_end(struct publish *tick) {
    message_unref(tick->messages[0]);
    tick->messages[0] = NULL;
}

static void answer_all(struct log *log, struct publish *publishes, enum error_code result,
                       const struct error *why) {
    while (publishes != NULL) {
        struct publish *next = publishes->next; /* the answer hands the publish over */
        if (publishes->reply_to != NULL) {
            answer(log, publishes, result, why);
        } else {
            tick_end(publishes); /* nobody asked for a tick */
        }
        publishes = next;
    }
}

/* --- rounds --------------------------------------------------------------------------------- */

static void tell_listener(struct log_listener *listener, struct commit *commit) {
    size_t waiting = atomic_fetch_add(&listener->bytes_waiting, commit->bytes);
    if (waiting > 0 && waiting + commit->bytes > COMMITS_WAITING_BYTES_MAX) {
        atomic_fetch_sub(&listener->bytes_waiting, commit->bytes);
        atomic_store(&listener->has_missed, true);
        return;
    }
    listener->on_commit(listener, commit_ref(commit));
}

/* The store thread sleeps until data came; a full open batch does not wait for its beat. */
static void ask_for_fold(struct log *log, bool has_data) {
    if (log->options.store_mailbox == NULL ||
        !(has_data || storage_is_fold_due(log->options.storage)) ||
        atomic_exchange(&log->is_fold_asked, true)) {
        return;
    }
    mailbox_put_answer(log->options.store_mailbox, &log->fold_please);
}

static void on_fold_please(struct letter *letter, void *consumer) {
    (void)consumer; /* waking up was all that it is for */
    struct log *log = CONTAINER_OF(letter, struct log, fold_please);
    atomic_store(&log->is_fold_asked, false);
}

/* Readable from here on: by pages first, then by live readers, and then the publisher knows. */
static void release(struct log *log, struct round *round) {
    struct commit *commit = round->commit;
    storage_admit(log->options.storage, commit->messages, commit->count);
    atomic_store(&log->position_readable, commit->position_last);
    for (size_t i = 0; i < log->options.listener_count; i++) {
        tell_listener(log->options.listeners[i], commit);
    }
    answer_all(log, round->publishes, OK, NULL);
    atomic_fetch_add_explicit(&log->messages, round->data_count, memory_order_relaxed);
    atomic_fetch_add_explicit(&log->commits, 1, memory_order_relaxed);
    ask_for_fold(log, round->data_count > 0);
    log->rounds_bytes -= commit->bytes;
    commit_unref(commit);
    free(round);
}

/* Releases what nothing holds back, and starts a sync for what does. */
static void release_rounds(struct log *log) {
    if (log->sync_last != NULL) {
        return;
    }
    while (log->rounds_first != NULL && !log->rounds_first->needs_sync) {
        struct round *round = log->rounds_first;
        log->rounds_first = round->next;
        release(log, round);
    }
    if (log->rounds_first == NULL) {
        log->rounds_last = &log->rounds_first;
        return;
    }
    log->sync_last = CONTAINER_OF(log->rounds_last, struct round, next);
    atomic_fetch_add_explicit(&log->syncs, 1, memory_order_relaxed);
    syncer_ask(log->syncer);
}

static void on_synced(struct letter *letter, void *consumer) {
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

/* --- one turn ------------------------------------------------------------------------------- */

/* False: its channels cannot be had, and it is answered. Asked when a publish is about to be
 * ordered, not when it comes: a write that fails in between takes new channels back. */
static bool has_channels(struct log *log, struct publish *publish) {
    for (size_t i = 0; i < publish->count; i++) {
        struct error why = {0};
        enum error_code code = order_prepare(&log->order, publish->messages[i], &why);
        if (code != OK) {
            atomic_fetch_add_explicit(&log->refused, 1, memory_order_relaxed);
            answer(log, publish, code, &why);
            return false;
        }
    }
    return true;
}

/* Takes the publishes of one round off the waiting ones. NULL: none of them could be had. */
static struct publish *gather(struct log *log, size_t *ret_count) {
    struct publish *first = NULL;
    struct publish **end = &first;
    size_t bytes = 0;
    *ret_count = 0;
    while (log->waiting_first != NULL) {
        struct publish *publish = log->waiting_first;
        if (first != NULL && (*ret_count + publish->count > COMMIT_MESSAGES_MAX ||
                              bytes + publish->bytes > COMMIT_BYTES_MAX)) {
            break;
        }
        log->waiting_first = publish->next;
        publish->next = NULL;
        if (has_channels(log, publish)) {
            *ret_count += publish->count;
            bytes += publish->bytes;
            *end = publish;
            end = &publish->next;
        }
    }
    if (log->waiting_first == NULL) {
        log->waiting_last = &log->waiting_first;
    }
    return first;
}

static struct round *round_create(size_t count) {
    struct round *round = calloc(1, sizeof(*round));
    if (round == NULL) {
        return NULL;
    }
    round->commit = commit_create(count);
    if (round->commit == NULL) {
        free(round);
        return NULL;
    }
    return round;
}

static void fill_round(struct log *log, struct round *round, struct publish *publishes) {
    struct commit *commit = round->commit;
    commit->time_ms = order_turn_clock(&log->order, clock_wall_ms());
    round->publishes = publishes;
    for (struct publish *publish = publishes; publish != NULL; publish = publish->next) {
        for (size_t i = 0; i < publish->count; i++) {
            struct message *message = publish->messages[i];
            order_put(&log->order, message);
            commit_put(commit, message);
            round->needs_sync |= (message->fields.flags & MESSAGE_FSYNC) != 0;
            round->data_count += message->fields.kind == MESSAGE_DATA;
        }
    }
    INVARIANT(commit->count > 0);
    INVARIANT(commit->position_last == log->order.state.position_next - 1);
}

/* Orders and writes one round. What fails is answered; nothing of it remains. */
static void write_round(struct log *log) {
    size_t count;
    struct publish *publishes = gather(log, &count);
    if (publishes == NULL) {
        return;
    }
    struct error why = {.code = ERR_MEMORY, .detail = "no memory to order the message"};
    struct round *round = round_create(count);
    if (round == NULL) {
        answer_all(log, publishes, ERR_MEMORY, &why);
        return;
    }
    fill_round(log, round, publishes);
    enum error_code code =
        storage_append(log->options.storage, round->commit->messages, round->commit->count, &why);
    if (code != OK) {
        order_undo(&log->order, round->commit);
        atomic_fetch_add_explicit(&log->refused, count, memory_order_relaxed);
        if (!log->has_append_failed) { /* said once, until a write succeeds */
            log_error("APPEND_FAILED", "messages=%zu code=%s detail=\"%s\"", count,
                      error_row(code)->slug, why.detail);
        }
        log->has_append_failed = true;
        answer_all(log, publishes, code, &why);
        commit_unref(round->commit);
        free(round);
        return;
    }
    log->has_append_failed = false;
    log->rounds_bytes += round->commit->bytes;
    *log->rounds_last = round;
    log->rounds_last = &round->next;
    release_rounds(log);
}

static bool has_room(struct log *log) {
    bool is_room = storage_has_room(log->options.storage);
    if (!is_room && log->was_room) {
        log_warning("OPEN_BATCH_FULL", "effect=\"publishers wait for the fold\"");
    }
    log->was_room = is_room;
    return is_room && log->rounds_bytes < COMMITS_AWAITING_BYTES_MAX;
}

static void on_publish(struct letter *letter, void *consumer) {
    struct log *log = consumer;
    struct publish *publish = CONTAINER_OF(letter, struct publish, letter);
    publish->next = NULL;
    *log->waiting_last = publish;
    log->waiting_last = &publish->next;
}

/* --- ticks ---------------------------------------------------------------------------------- */

/* Gives a silent log the time, so that age and expiry go on. An empty log has nothing to expire. */
static void put_tick(struct log *log) {
    if (log->order.state.position_next == 1 || log->tick_message != NULL) {
        return;
    }
    struct message_fields fields = {.kind = MESSAGE_TICK};
    log->tick_message = message_create(&fields);
    if (log->tick_message == NULL) {
        return; /* the next beat tries again */
    }
    log->tick = (struct publish){.messages = &log->tick_message, .count = 1};
    *log->waiting_last = &log->tick;
    log->waiting_last = &log->tick.next;
}

/* --- the thread ----------------------------------------------------------------------------- */

static void on_folded(struct letter *letter, void *consumer) {
    (void)letter; /* the turn looks for room anyway */
    atomic_store(&((struct log *)consumer)->is_folded_told, false);
}

static bool is_done(const struct log *log) {
    return log->waiting_first == NULL && log->rounds_first == NULL;
}

/* Publishers wait for a fold, but not for one that fails, nor for one that comes after the end. */
static void refuse_waiting(struct log *log) {
    struct error why = {0};
    enum error_code code = log_health(log);
    if (atomic_load(&log->is_stopping)) {
        code = error_set(&why, ERR_DRAINING, "the broker goes down");
    } else if (code != OK) {
        error_set(&why, code, "the store takes nothing at the moment");
    } else {
        return;
    }
    struct publish *waiting = log->waiting_first;
    log->waiting_first = NULL;
    log->waiting_last = &log->waiting_first;
    answer_all(log, waiting, code, &why);
}

static void write_waiting(struct log *log) {
    while (log->waiting_first != NULL && has_room(log)) {
        write_round(log);
    }
    if (log->waiting_first != NULL && !storage_has_room(log->options.storage)) {
        refuse_waiting(log);
    }
}

static void *log_thread(void *argument) {
    struct log *log = argument;
    owner_claim(&log->owner);
    for (;;) {
        bool is_stopping = atomic_load(&log->is_stopping);
        uint32_t delivered = mailbox_deliver_all(&log->mailbox, log);
        write_waiting(log);
        if (is_stopping && delivered == 0 && is_done(log)) {
            return NULL;
        }
        uint64_t slept_ms = clock_monotonic_ms();
        mailbox_wait(&log->mailbox, is_stopping && is_done(log) ? 0 : TICK_INTERVAL_MS);
        if (!is_stopping && clock_monotonic_ms() - slept_ms >= TICK_INTERVAL_MS) {
            put_tick(log);
        }
    }
}

enum error_code log_create(const struct log_options *options, struct log **ret_log,
                           struct error *why) {
    struct log *log = calloc(1, sizeof(*log));
    if (log == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for the log");
    }
    log->options = *options;
    log->waiting_last = &log->waiting_first;
    log->rounds_last = &log->rounds_first;
    log->was_room = true;
    log->folded.on_delivered = on_folded;
    log->fold_please.on_delivered = on_fold_please;
    log->synced.on_delivered = on_synced;
    log->mailbox.event_fd = -1;
    enum error_code code = order_init(&log->order, options->storage, why);
    if (code == OK) {
        code = mailbox_init(&log->mailbox, MAILBOX_NODES_MAX);
    }
    atomic_init(&log->position_readable, log->order.state.position_next - 1);
    if (code != OK) {
        log_destroy(log);
        return code;
    }
    *ret_log = log;
    return OK;
}

enum error_code log_start(struct log *log, struct error *why) {
    enum error_code code =
        syncer_create(log->options.storage, &log->mailbox, &log->synced, &log->syncer);
    if (code != OK) {
        return error_set(why, code, "the sync thread does not start");
    }
    if (pthread_create(&log->thread, NULL, log_thread, log) != 0) {
        return error_set(why, ERR_MEMORY, "the log thread does not start");
    }
    log->is_started = true;
    return OK;
}

static void on_stop(struct letter *letter, void *consumer) {
    (void)letter;
    (void)consumer; /* waking up was all that it is for */
}

void log_stop(struct log *log) {
    if (!log->is_started) {
        return;
    }
    struct letter stop = {.on_delivered = on_stop};
    atomic_store(&log->is_stopping, true);
    mailbox_put_answer(&log->mailbox, &stop);
    pthread_join(log->thread, NULL);
    syncer_destroy(log->syncer);
    log->syncer = NULL;
    log->is_started = false;
}

void log_destroy(struct log *log) {
    if (log == NULL) {
        return;
    }
    INVARIANT(!log->is_started);
    INVARIANT(log->rounds_first == NULL);
    order_finish(&log->order);
    mailbox_finish(&log->mailbox);
    syncer_destroy(log->syncer);
    free(log);
}

/* --- other threads -------------------------------------------------------------------------- */

enum error_code log_submit(struct log *log, struct publish *publish) {
    INVARIANT(publish->count > 0);
    INVARIANT(publish->count <= COMMIT_MESSAGES_MAX);
    INVARIANT(publish->reply_to != NULL);
    if (atomic_load(&log->is_stopping)) {
        return ERR_DRAINING;
    }
    publish->letter.on_delivered = on_publish;
    publish->submitted_us = clock_monotonic_us();
    publish->bytes = 0;
    for (size_t i = 0; i < publish->count; i++) {
        publish->bytes += message_size(publish->messages[i]);
    }
    size_t bytes = atomic_fetch_add(&log->waiting_bytes, publish->bytes);
    size_t count_before = atomic_fetch_add(&log->waiting_count, 1);
    bool is_full = count_before >= MAILBOX_NODES_MAX ||
                   (bytes > 0 && bytes + publish->bytes > PUBLISHES_WAITING_BYTES_MAX);
    if (is_full || mailbox_put(&log->mailbox, &publish->letter) != OK) {
        give_room(log, publish);
        return ERR_BUSY;
    }
    return OK;
}

uint64_t log_position_readable(const struct log *log) {
    return atomic_load(&log->position_readable);
}

uint64_t log_id(const struct log *log) {
    return log->order.state.log_id;
}

uint32_t log_generation(const struct log *log) {
    return log->order.state.generation;
}

static void wake(struct log *log) {
    if (!atomic_exchange(&log->is_folded_told, true)) {
        mailbox_put_answer(&log->mailbox, &log->folded);
    }
}

void log_on_folded(struct log *log) {
    atomic_store(&log->fold_code, OK);
    wake(log);
}

void log_on_fold_failed(struct log *log, enum error_code code) {
    atomic_store(&log->fold_code, (unsigned)code);
    wake(log);
}

enum error_code log_health(const struct log *log) {
    return (enum error_code)atomic_load(&log->fold_code);
}

void log_get_figures(const struct log *log, struct log_figures *ret_figures) {
    *ret_figures = (struct log_figures){
        .commits = atomic_load_explicit(&log->commits, memory_order_relaxed),
        .messages = atomic_load_explicit(&log->messages, memory_order_relaxed),
        .refused = atomic_load_explicit(&log->refused, memory_order_relaxed),
        .syncs = atomic_load_explicit(&log->syncs, memory_order_relaxed),
        .waiting = atomic_load_explicit(&log->waiting_count, memory_order_relaxed),
        .channels = order_channel_count(&log->order)};
}
