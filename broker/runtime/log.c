/* SPDX-License-Identifier: Apache-2.0 */
/* The engine `local`. One turn of the log thread:
 *
 *     publishes from the mailbox -> order -> one journal write -> round
 *     round -> (sync, if one of its messages asks for it) -> admit, tell workers, answer publishers
 *
 * A publish is never split over two rounds. One that repeats an earlier one is written nowhere: it
 * joins the round of its turn, which comes after that of the first or is the same, and is answered
 * with it. A turn of nothing but repeats makes a round without messages. Only its commands are
 * written: an MQTT session notes the packet id of a message that was there already.
 *
 * Rounds leave in the order in which they were written. A round that waits for its sync holds back
 * those behind it, also their answers: what was answered can be read, and every reader sees one
 * order. The sync runs on a thread of its own beside further writes, so one fdatasync serves all
 * the rounds that were written before it began (group commit). Only where nothing could be written
 * meanwhile, and the disk is quick, this thread waits for the disk itself (rounds.c). */
#include "broker/runtime/log.h"

#include <stdlib.h>

#include "broker/metrics/thread.h"
#include "broker/runtime/disk.h"
#include "broker/runtime/log_private.h"
#include "broker/support/clock.h"
#include "broker/support/logger.h"
#include "storage/storage.h"

/* What one turn takes off the waiting publishes. */
struct turn {
    struct list fresh;   /* to be written; oldest first, as are the others */
    struct list repeats; /* their keys are known */
    size_t count;        /* messages of the fresh ones, and commands of the others */
    size_t bytes;
};

static struct publish *publish_of(struct list *node) {
    return CONTAINER_OF(node, struct publish, in_list);
}

/* --- one turn ------------------------------------------------------------------------------- */

/* Asked when a publish is about to be ordered, not when it comes: a write that fails in between
 * takes new channels back. */
static enum error_code prepare(struct log *log, struct publish *publish, struct error *why) {
    enum error_code code = order_prepare(&log->order, publish->messages, publish->count, why);
    if (code != OK || publish->messages[0]->fields.idempotency_hash.length == 0) {
        return code;
    }
    publish->repeat = repeats_put(log->repeats, publish->messages, publish->count);
    if (publish->repeat == NULL) {
        order_unprepare(&log->order, publish->messages, publish->count);
        return error_set(why, ERR_MEMORY, "no memory for the idempotency key");
    }
    return OK;
}

static struct repeat *find_first(struct log *log, const struct publish *publish) {
    struct span hash = publish->messages[0]->fields.idempotency_hash;
    return hash.length == 0 ? NULL : repeats_find(log->repeats, hash);
}

/* So many of a repeat are written; none of another body under the same key. */
static size_t count_commands(const struct publish *repeat) {
    return repeats_is_same(repeat->repeat, repeat->messages, repeat->count)
               ? repeats_count_commands(repeat->messages, repeat->count)
               : 0;
}

static void take(struct log *log, struct turn *turn, struct publish *publish) {
    struct error why = {0};
    publish->repeat = find_first(log, publish);
    if (publish->repeat != NULL) {
        size_t commands = count_commands(publish);
        turn->count += commands;
        turn->bytes += commands > 0 ? publish->bytes : 0;
        list_put_tail(&turn->repeats, &publish->in_list);
        return;
    }
    enum error_code code = prepare(log, publish, &why);
    if (code != OK) {
        answers_send(&log->answers, publish, code, &why);
        return;
    }
    turn->count += publish->count;
    turn->bytes += publish->bytes;
    list_put_tail(&turn->fresh, &publish->in_list);
}

/* Takes the publishes of one round off the waiting ones. */
static void gather(struct log *log, struct turn *turn) {
    *turn = (struct turn){0};
    list_init(&turn->fresh);
    list_init(&turn->repeats);
    while (!list_is_empty(&log->waiting)) {
        struct publish *publish = publish_of(log->waiting.next);
        if (turn->count > 0 && (turn->count + publish->count > COMMIT_MESSAGES_MAX ||
                                turn->bytes + publish->bytes > COMMIT_BYTES_MAX)) {
            return;
        }
        list_remove(&publish->in_list);
        take(log, turn, publish);
    }
}

static void order_messages(struct log *log, struct round *round, struct message *const *messages,
                           size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct message *message = messages[i];
        message->group_rest = (uint32_t)(count - 1 - i);
        order_put(&log->order, message);
        commit_put(round->commit, message);
        round->needs_sync |= (message->fields.flags & MESSAGE_FSYNC) != 0;
        round->has_stored |= message->fields.kind != MESSAGE_TICK;
        round->data_count += message->fields.kind == MESSAGE_DATA;
    }
}

static void order_publish(struct log *log, struct round *round, struct publish *publish) {
    commit_note_submitted(round->commit, publish->submitted_us);
    order_messages(log, round, publish->messages, publish->count);
    if (publish->repeat != NULL) {
        repeats_place(publish->repeat, publish->messages, publish->count);
    }
}

static void order_commands(struct log *log, struct round *round, struct publish *repeat) {
    size_t count = count_commands(repeat);
    if (count > 0) {
        commit_note_submitted(round->commit, repeat->submitted_us);
        order_messages(log, round, repeat->messages + repeat->count - count, count);
    }
}

/* It is ordered once more: nobody saw the place that it had. */
static void unorder_commands(struct publish *repeat) {
    for (size_t i = repeat->count - count_commands(repeat); i < repeat->count; i++) {
        repeat->messages[i]->place = (struct place){0};
    }
}

/* Orders and writes the fresh ones and the commands of repeats. After an error nothing of them
 * remains. */
static enum error_code write_messages(struct log *log, struct round *round, struct turn *turn,
                                      struct error *why) {
    struct metrics_shard *metrics = log->answers.metrics;
    struct commit *commit = round->commit;
    commit->time_ms = log->order.state.time_ms;
    LIST_EACH(&turn->fresh, node) {
        order_publish(log, round, publish_of(node));
    }
    LIST_EACH(&turn->repeats, node) {
        order_commands(log, round, publish_of(node));
    }
    INVARIANT(commit->count == turn->count);
    INVARIANT(commit->messages[commit->count - 1]->group_rest == 0);
    INVARIANT(commit->position_last == log->order.state.position_next - 1);
    uint64_t begin_us = clock_monotonic_us();
    enum error_code code =
        storage_append(log->options.storage, commit->messages, commit->count, why);
    if (code == OK) {
        disk_note_time(metrics, METRIC_JOURNAL_APPEND, begin_us, "append");
        metrics_observe(metrics, METRIC_COMMIT_RECORDS, commit->count);
        metrics_observe(metrics, METRIC_COMMIT_BYTES, commit->bytes);
    } else {
        metrics_add(metrics, METRIC_JOURNAL_APPEND_FAILURES, 1);
        order_undo(&log->order, commit);
    }
    return code;
}

/* Nothing was written. A repeat of what failed is the first now; a turn of repeats alone ends. */
static void fail(struct log *log, struct turn *turn, enum error_code code,
                 const struct error *why) {
    LIST_EACH(&turn->repeats, node) {
        unorder_commands(publish_of(node));
    }
    LIST_EACH(&turn->fresh, node) {
        repeats_take_back(log->repeats, publish_of(node)->repeat);
    }
    if (list_is_empty(&turn->fresh)) {
        answers_send_all(&log->answers, &turn->repeats, code, why);
    }
    answers_send_all(&log->answers, &turn->fresh, code, why);
    list_put_all(&turn->repeats, &log->waiting);
    list_put_all(&log->waiting, &turn->repeats);
}

/* Puts those that repeat into the round; a key that came with another body is refused. */
static void settle_repeats(struct log *log, struct round *round, struct turn *turn) {
    for (struct list *node; (node = list_take_head(&turn->repeats)) != NULL;) {
        struct publish *publish = publish_of(node);
        struct error why = {0};
        enum error_code code =
            repeats_answer(log->repeats, publish->repeat, publish->messages, publish->count, &why);
        if (code != OK) {
            answers_send(&log->answers, publish, code, &why);
            continue;
        }
        for (size_t i = 0; i < publish->count; i++) {
            round->needs_sync |= (publish->messages[i]->fields.flags & MESSAGE_FSYNC) != 0;
        }
        publish->is_repeated = true;
        list_put_tail(&round->publishes, node);
    }
}

static enum error_code write_turn(struct log *log, struct turn *turn, struct round *round,
                                  struct error *why) {
    if (round == NULL) {
        LIST_EACH(&turn->fresh, node) {
            struct publish *publish = publish_of(node);
            order_unprepare(&log->order, publish->messages, publish->count);
        }
        return error_set(why, ERR_MEMORY, "no memory to order the message");
    }
    if (turn->count == 0) {
        return OK;
    }
    enum error_code code = write_messages(log, round, turn, why);
    if (code != OK && !log->has_append_failed) { /* said once, until a write succeeds */
        log_event(APPEND_FAILED, .messages = turn->count, .code = error_row(code)->slug,
                  .detail = why->detail);
    }
    log->has_append_failed = code != OK;
    return code;
}

/* Orders and writes one round. What fails is answered; nothing of it remains. */
static void write_round(struct log *log) {
    struct turn turn;
    struct error why = {0};
    repeats_turn_clock(log->repeats, order_turn_clock(&log->order, clock_wall_ms()));
    gather(log, &turn);
    if (list_is_empty(&turn.fresh) && list_is_empty(&turn.repeats)) {
        return;
    }
    struct round *round = round_create(turn.count);
    enum error_code code = write_turn(log, &turn, round, &why);
    if (code != OK) {
        fail(log, &turn, code, &why);
        round_destroy(round);
        return;
    }
    list_put_all(&round->publishes, &turn.fresh);
    settle_repeats(log, round, &turn);
    rounds_put(log, round);
}

static bool has_room(struct log *log) {
    bool is_room = storage_has_room(log->options.storage);
    if (!is_room && log->was_room) {
        log_event(OPEN_BATCH_FULL, .bytes_max = OPEN_BATCH_BYTES_MAX);
    }
    log->was_room = is_room;
    return is_room && log->rounds_bytes < COMMITS_AWAITING_BYTES_MAX;
}

static void on_publish(struct letter *letter, void *consumer) {
    struct log *log = consumer;
    struct publish *publish = CONTAINER_OF(letter, struct publish, letter);
    list_put_tail(&log->waiting, &publish->in_list);
}

/* --- ticks ---------------------------------------------------------------------------------- */

/* The tick's message was only lent to its round. */
static void on_tick_answered(struct publish *tick) {
    message_unref(tick->messages[0]);
    tick->messages[0] = NULL;
}

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
    log->tick = (struct publish){
        .on_answered = on_tick_answered, .messages = &log->tick_message, .count = 1};
    list_put_tail(&log->waiting, &log->tick.in_list);
}

/* --- the thread ----------------------------------------------------------------------------- */

static void on_folded(struct letter *letter, void *consumer) {
    (void)letter; /* the turn looks for room anyway */
    atomic_store(&((struct log *)consumer)->is_folded_told, false);
}

static bool is_done(const struct log *log) {
    return list_is_empty(&log->waiting) && log->rounds_first == NULL;
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
    answers_send_all(&log->answers, &log->waiting, code, &why);
}

static void write_waiting(struct log *log) {
    while (!list_is_empty(&log->waiting) && has_room(log)) {
        write_round(log);
    }
    if (!list_is_empty(&log->waiting) && !storage_has_room(log->options.storage)) {
        refuse_waiting(log);
    }
}

/* Until the next tick, `silent_ms` after the last record, or what the registry waits for. */
static int wait_ms(const struct log *log, bool is_stopping, uint64_t silent_ms) {
    if (is_stopping) {
        return is_done(log) ? 0 : TICK_INTERVAL_MS;
    }
    uint64_t left_ms = silent_ms < TICK_INTERVAL_MS ? TICK_INTERVAL_MS - silent_ms : 0;
    return (int)registry_wait_ms(log->registry, left_ms);
}

static void *log_thread(void *argument) {
    struct log *log = argument;
    owner_claim(&log->owner);
    thread_begin(log->answers.metrics);
    uint64_t position_next = 0;
    uint64_t written_ms =
        0; /* the last record: whatever wakes this thread since puts off no tick */
    for (;;) {
        bool is_stopping = atomic_load(&log->is_stopping);
        registry_turn(log->registry, order_turn_clock(&log->order, clock_wall_ms()));
        uint32_t delivered = mailbox_deliver_all(&log->mailbox, log);
        metrics_add(log->answers.metrics, METRIC_LETTERS, delivered);
        write_waiting(log);
        if (is_stopping && delivered == 0 && is_done(log)) {
            registry_end(log->registry);
            return NULL;
        }
        uint64_t now_ms = clock_monotonic_ms();
        if (position_next != log->order.state.position_next) {
            position_next = log->order.state.position_next;
            written_ms = now_ms;
        }
        thread_sleep(log->answers.metrics);
        mailbox_wait(&log->mailbox, wait_ms(log, is_stopping, now_ms - written_ms));
        thread_wake(log->answers.metrics);
        now_ms = clock_monotonic_ms();
        if (!is_stopping && now_ms - written_ms >= TICK_INTERVAL_MS) {
            written_ms = now_ms;
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
    log->answers.metrics = metrics_shard(options->metrics, METRICS_LOG);
    list_init(&log->waiting);
    log->rounds_last = &log->rounds_first;
    log->was_room = true;
    log->folded.on_delivered = on_folded;
    log->fold_please.on_delivered = rounds_on_fold_please;
    log->synced.on_delivered = rounds_on_synced;
    log->mailbox.event_fd = -1;
    enum error_code code =
        order_init(&log->order, options->storage, options->channels_max, options->accounts, why);
    if (code == OK) {
        code = repeats_create(log->order.state.log_id, &log->repeats);
    }
    if (code == OK) {
        code = repeats_learn(log->repeats, options->storage, why);
    }
    if (code == OK) {
        code = mailbox_init(&log->mailbox, MAILBOX_NODES_MAX);
    }
    if (code == OK) {
        struct registry_options registry_options = {
            .mailbox = &log->mailbox,
            .publishes = &log->waiting,
            .metrics = log->answers.metrics,
            .sessions_max = options->sessions_max,
            .sessions_bytes_max = options->sessions_bytes_max,
            .time_ms = order_turn_clock(&log->order, clock_wall_ms()),
            .on_session_over = options->on_session_over,
            .is_over_busy = options->is_over_busy,
            .context = options->context};
        code = registry_create(&registry_options, options->storage, &log->registry, why);
    }
    atomic_init(&log->position_readable, log->order.state.position_next - 1);
    if (code != OK) {
        log_destroy(log);
        return code;
    }
    *ret_log = log;
    return OK;
}

/* Before the first reader: what expired while no broker ran is not to wait for the first tick. */
enum error_code log_start(struct log *log, struct error *why) {
    storage_raise_time(log->options.storage, order_turn_clock(&log->order, clock_wall_ms()));
    enum error_code code =
        syncer_create(log->options.storage, metrics_shard(log->options.metrics, METRICS_SYNC),
                      &log->mailbox, &log->synced, &log->syncer);
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
    log->stop.on_delivered = on_stop;
    registry_stop(log->registry);
    atomic_store(&log->is_stopping, true);
    mailbox_put_answer(&log->mailbox, &log->stop);
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
    mailbox_deliver_all(&log->mailbox, log); /* what the store thread said after the end */
    registry_destroy(log->registry);
    repeats_destroy(log->repeats);
    order_finish(&log->order);
    mailbox_finish(&log->mailbox);
    syncer_destroy(log->syncer);
    free(log);
}

/* --- other threads -------------------------------------------------------------------------- */

enum error_code log_submit(struct log *log, struct publish *publish) {
    enum error_code code = log_submit_quietly(log, publish);
    log_nudge(log);
    return code;
}

enum error_code log_submit_quietly(struct log *log, struct publish *publish) {
    INVARIANT(publish->count > 0);
    INVARIANT(publish->count <= PUBLISH_MESSAGES_MAX);
    INVARIANT(publish->reply_to != NULL);
    if (atomic_load(&log->is_stopping)) {
        return ERR_DRAINING;
    }
    publish->letter.on_delivered = on_publish;
    publish->repeat = NULL;
    publish->is_repeated = false;
    enum error_code code = answers_admit(&log->answers, publish);
    if (code == OK && mailbox_put_quietly(&log->mailbox, &publish->letter) != OK) {
        answers_turn_away(&log->answers, publish);
        code = ERR_BUSY;
    }
    return code;
}

void log_nudge(struct log *log) {
    mailbox_nudge(&log->mailbox);
}

bool log_is_relaxed(const struct log *log) {
    return answers_are_relaxed(&log->answers);
}

uint64_t log_position_readable(const struct log *log) {
    return atomic_load(&log->position_readable);
}

struct registry *log_borrow_registry(struct log *log) {
    return log->registry;
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

void log_expect_fold(struct log *log, bool is_expected) {
    atomic_store(&log->is_fold_expected, is_expected);
}

void log_on_folded(struct log *log) {
    atomic_store(&log->fold_code, OK);
    wake(log);
}

void log_on_fold_failed(struct log *log, enum error_code code) {
    atomic_store(&log->fold_code, (unsigned)code);
    wake(log);
}

void log_on_forgotten(struct log *log, struct span name, uint64_t channel_id,
                      uint64_t offset_last) {
    order_post_forgotten(&log->order, &log->mailbox, name, channel_id, offset_last);
}

enum error_code log_health(const struct log *log) {
    return (enum error_code)atomic_load(&log->fold_code);
}

void log_get_figures(const struct log *log, struct log_figures *ret_figures) {
    *ret_figures = (struct log_figures){
        .turned_away = atomic_load_explicit(&log->answers.turned_away, memory_order_relaxed),
        .waiting = atomic_load_explicit(&log->answers.waiting_count, memory_order_relaxed),
        .waiting_bytes = atomic_load_explicit(&log->answers.waiting_bytes, memory_order_relaxed),
        .letters = atomic_load_explicit(&log->mailbox.letter_count, memory_order_relaxed),
        .channels = order_channel_count(&log->order),
        .repeats = repeats_count(log->repeats)};
}
