/* SPDX-License-Identifier: Apache-2.0 */
/* One turn of the loop, in libuv's order:
 *
 *     sockets      bytes in: requests are read, publishes go to the log's mailbox
 *     mailbox      commits join the tails, answers and pages arrive
 *     chores       what was gathered of them a connection is sent
 *     ready        sockets whose work no event tells: the next request is read, room is used
 *     before_poll  readers of touched feeds become due; each due stream is flushed once; handshakes
 *                  go on; a drain's goodbyes are said; the doomed are buried; then the loop may
 *                  block
 *
 * So whatever came in during a turn leaves in one write a connection. A fan-out that takes longer
 * than FAN_OUT_SLICE_US goes on in the next turn, behind the sockets: never_block keeps the loop
 * turning. */
#include "broker/runtime/worker.h"

#include <stdlib.h>

#include "broker/delivery/reader.h"
#include "broker/limits.h"
#include "broker/metrics/thread.h"
#include "broker/runtime/access.h"
#include "broker/runtime/budget.h"
#include "broker/runtime/commit_letter.h"
#include "broker/runtime/shed.h"
#include "broker/runtime/worker_private.h"
#include "broker/support/clock.h"
#include "broker/support/logger.h"

/* --- letters -------------------------------------------------------------------------------- */

/* The feeds go on behind what the log has made readable; their readers read it from there. */
static void skip_missed(struct worker *worker) {
    if (!atomic_exchange(&worker->listener.has_missed, false)) {
        return;
    }
    uint64_t position = log_position_readable(worker->broker->log);
    if (position > worker->feeds.position) {
        metrics_add(worker->metrics, METRIC_COMMITS_MISSED, 1);
        readers_cut(&worker->feeds, position);
    }
}

/* What nobody reads here is written to nobody. */
static void note_commit(struct worker *worker, const struct commit *commit) {
    if (worker->unwritten_us == 0 && !list_is_empty(&worker->feeds.touched)) {
        worker->unwritten_us = commit->submitted_us;
    }
}

/* All readers that can take something have it. */
static void note_written(struct worker *worker) {
    if (worker->unwritten_us != 0) {
        metrics_observe(worker->metrics, METRIC_PUBLISH_TO_WRITE,
                        clock_monotonic_us() - worker->unwritten_us);
        worker->unwritten_us = 0;
    }
}

static void on_commit_delivered(struct letter *letter, void *consumer) {
    struct worker *worker = consumer;
    struct commit_letter *commit_letter = CONTAINER_OF(letter, struct commit_letter, letter);
    struct commit *commit = commit_letter->commit;
    if (commit->position_first > worker->feeds.position + 1) {
        skip_missed(worker);
    }
    if (commit->position_last > worker->feeds.position) {
        INVARIANT(commit->position_first == worker->feeds.position + 1);
        feeds_put(&worker->feeds, commit->messages, commit->count, commit->position_last,
                  commit->time_ms);
        note_commit(worker, commit);
    }
    commit_letter_end(commit_letter);
}

/* On the log thread. */
static void on_commit(struct log_listener *listener, struct commit *commit) {
    commit_letter_send(listener, commit, on_commit_delivered);
}

/* All that came leaves before a goodbye, as far as the sockets take it. */
static void flush_all(struct worker *worker) {
    feeds_turn(&worker->feeds, NULL, uv_now(&worker->loop));
    readers_touch(&worker->feeds);
    while (!streams_flush_due(worker)) {
        /* a slice: nobody else is answered any more */
    }
}

static void on_drain_asked(struct letter *letter, void *consumer) {
    (void)letter;
    struct worker *worker = consumer;
    worker->is_stopping = true;
    worker->stop_until_ms = worker->now_ms + DRAIN_TIMEOUT_MS;
    acceptor_close(worker);
    flush_all(worker);
    watches_end_all(worker);
    connections_drain(worker);
}

static void on_mailbox(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct worker *worker = poll->data;
    mailbox_wake(&worker->mailbox); /* what waits is delivered before the loop blocks */
}

/* --- the turn ------------------------------------------------------------------------------- */

static void turn_clock(struct worker *worker) {
    worker->now_ms = clock_monotonic_ms();
    wheel_turn(&worker->wheel, worker->now_ms);
}

static void on_beat(uv_timer_t *timer) {
    struct worker *worker = timer->data;
    turn_clock(worker);
    census_go_on(worker);
    shed_readers(worker);
    drain_count_due(&worker->drain_pace, atomic_load(&worker->broker->drain_until_ms),
                    worker->now_ms, worker->connection_count - worker->told_count);
}

static bool is_over(const struct worker *worker) {
    return worker->is_stopping && worker->connection_count == 0;
}

static void end_if_late(struct worker *worker) {
    if (worker->is_stopping && worker->connection_count > 0 &&
        worker->now_ms >= worker->stop_until_ms) {
        log_event(DRAIN_OVER, .connections = worker->connection_count);
        connections_abort_all(worker, CLOSE_DRAINING);
    }
}

/* A slice of the goodbyes that a drain owes. True: none is left over for the next turn. Behind a
 * fan-out that is under way, so that nobody is told to go before what others were sent; but one
 * that does not end holds them up for no more than DRAIN_PATIENCE_TURNS. */
static bool tell_due(struct worker *worker, bool is_all_sent) {
    uint64_t due = worker->drain_pace.due;
    worker->turns_untold = is_all_sent || due == 0 ? 0 : worker->turns_untold + 1;
    if (worker->turns_untold > 0 && worker->turns_untold <= DRAIN_PATIENCE_TURNS) {
        return false;
    }
    uint64_t count = due < DRAIN_SLICE ? due : DRAIN_SLICE;
    connections_tell(worker, count);
    worker->drain_pace.due = due - count;
    return due == count;
}

/* Nothing waits for a flush_interval once goodbyes are said. */
static void begin_feeds(struct worker *worker) {
    const struct broker *broker = worker->broker;
    bool is_ending = worker->is_stopping || atomic_load(&broker->drain_until_ms) != 0;
    feeds_turn(&worker->feeds, is_ending ? NULL : atomic_load(&broker->rules),
               uv_now(&worker->loop));
}

static void on_flush(uv_timer_t *timer) {
    (void)timer; /* the turn that it begins is all that is wanted of it */
}

static void arm_flush(struct worker *worker) {
    uint64_t wait_ms = feeds_wait_ms(&worker->feeds);
    if (wait_ms > 0) {
        uv_timer_start(&worker->flush, on_flush, wait_ms, 0);
    }
}

static void on_never_block(uv_idle_t *idle) {
    (void)idle; /* an active idle handle is all that is wanted of it */
}

/* One that is put meanwhile waits for the next turn, so that this one ends. */
static void do_chores(struct worker *worker) {
    struct list chores;
    struct list *node;
    list_init(&chores);
    list_put_all(&chores, &worker->chores);
    while ((node = list_take_head(&chores)) != NULL) {
        struct chore *chore = CONTAINER_OF(node, struct chore, in_worker);
        chore->on_due(chore);
    }
}

static void before_poll(uv_prepare_t *prepare) {
    struct worker *worker = prepare->data;
    log_nudge(worker->broker->log); /* before a fan-out */
    begin_feeds(worker);
    worker->turn++;
    metrics_add(worker->metrics, METRIC_LETTERS, mailbox_deliver_all(&worker->mailbox, worker));
    do_chores(worker);
    sockets_serve_ready(&worker->sockets);
    log_nudge(worker->broker->log);
    skip_missed(worker);
    readers_touch(&worker->feeds);
    bool is_all_sent = streams_flush_due(worker);
    if (is_all_sent) {
        note_written(worker);
    }
    sockets_serve_shaking(&worker->sockets);
    bool is_all_told = tell_due(worker, is_all_sent);
    end_if_late(worker);
    connections_bury(worker);
    metrics_set(worker->metrics, METRIC_TAILS_BYTES, worker->feeds.tails.bytes);
    metrics_set(worker->metrics, METRIC_FEEDS_OPEN,
                map_count(&worker->feeds.by_channel) + map_count(&worker->feeds.by_pattern));
    metrics_set(worker->metrics, METRIC_PATTERN_FEEDS_OPEN, map_count(&worker->feeds.by_pattern));
    metrics_set(worker->metrics, METRIC_CONNECTIONS_OPENING, worker->opening_count);
    metrics_set(worker->metrics, METRIC_BODIES, worker->bodies_bytes + worker->pipelines_bytes);
    log_nudge(worker->broker->log); /* the last look: what came behind it is of the next turn */
    if (is_over(worker)) {
        uv_stop(&worker->loop);
    }
    arm_flush(worker);
    if (is_all_sent && is_all_told && !sockets_have_ready(&worker->sockets) &&
        list_is_empty(&worker->chores) && list_is_empty(&worker->feeds.touched) &&
        list_is_empty(&worker->doomed) && mailbox_sleep(&worker->mailbox)) {
        uv_idle_stop(&worker->never_block);
    } else {
        uv_idle_start(&worker->never_block, on_never_block);
    }
    thread_sleep(worker->metrics);
}

static void after_poll(uv_check_t *check) {
    thread_wake(((struct worker *)check->data)->metrics);
}

static void *worker_thread(void *argument) {
    struct worker *worker = argument;
    owner_claim(&worker->owner);
    thread_begin(worker->metrics);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    return NULL;
}

/* --- beginning and end ---------------------------------------------------------------------- */

static void open_handles(struct worker *worker) {
    uv_prepare_init(&worker->loop, &worker->before_poll);
    uv_check_init(&worker->loop, &worker->after_poll);
    uv_idle_init(&worker->loop, &worker->never_block);
    uv_timer_init(&worker->loop, &worker->beat);
    uv_timer_init(&worker->loop, &worker->flush);
    uv_poll_init(&worker->loop, &worker->mailbox_poll, worker->mailbox.event_fd);
    worker->before_poll.data = worker->after_poll.data = worker;
    worker->beat.data = worker->mailbox_poll.data = worker;
    uv_prepare_start(&worker->before_poll, before_poll);
    uv_check_start(&worker->after_poll, after_poll);
    uv_timer_start(&worker->beat, on_beat, WHEEL_TICK_MS, WHEEL_TICK_MS);
    uv_poll_start(&worker->mailbox_poll, UV_READABLE, on_mailbox);
}

static void init(struct worker *worker, struct broker *broker, size_t index) {
    worker->broker = broker;
    worker->index = index;
    worker->now_ms = clock_monotonic_ms();
    worker->metrics = metrics_shard(broker->metrics, METRICS_WORKERS + index);
    worker->drain.on_delivered = on_drain_asked;
    wheel_init(&worker->wheel, worker->now_ms);
    list_init(&worker->due);
    list_init(&worker->chores);
    list_init(&worker->connections);
    list_init(&worker->watches);
    list_init(&worker->surveys);
    list_init(&worker->sifts);
    list_init(&worker->doomed);
    list_init(&worker->opening);
    gather_init(&worker->gather, READ_BYTES_MAX * 2);
    sheaf_init(&worker->sheaf, READ_BYTES_MAX * 2);
    buffer_init(&worker->borrowed, FRAME_BYTES_MAX);
    hand_init(&worker->hand);
}

enum error_code worker_create(struct broker *broker, size_t index, const struct entrance *entrances,
                              struct worker **ret_worker, struct error *why) {
    struct worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for a worker");
    }
    init(worker, broker, index);
    acceptor_init(worker, entrances);
    bool is_ready = uv_loop_init(&worker->loop) == 0 &&
                    mailbox_init(&worker->mailbox, MAILBOX_NODES_MAX) == OK &&
                    feeds_init(&worker->feeds, 0) == OK &&
                    home_create(worker, &worker->home) == OK &&
                    (worker->access = access_create(broker, worker->metrics)) != NULL &&
                    sockets_init(&worker->sockets, &worker->loop, &connection_socket_calls) == OK;
    if (!is_ready) { /* the process ends: what was opened so far goes with it */
        free(worker);
        return error_set(why, ERR_MEMORY, "a worker's loop cannot be set up");
    }
    if (worker->feeds.held_bytes_max > broker->config->send_budget_bytes) {
        worker->feeds.held_bytes_max = broker->config->send_budget_bytes;
    }
    worker->listener.mailbox = &worker->mailbox;
    worker->listener.on_commit = on_commit;
    open_handles(worker);
    *ret_worker = worker;
    return OK;
}

enum error_code worker_bind(struct worker *worker, struct error *why) {
    owner_claim(&worker->owner);
    return acceptor_bind(worker, why);
}

enum error_code worker_start(struct worker *worker, struct error *why) {
    owner_claim(&worker->owner);
    worker->feeds.position = log_position_readable(worker->broker->log);
    enum error_code code = acceptor_open(worker, why);
    if (code != OK) {
        return code;
    }
    if (pthread_create(&worker->thread, NULL, worker_thread, worker) != 0) {
        acceptor_close(worker);
        return error_set(why, ERR_MEMORY, "a worker's thread does not start");
    }
    worker->is_started = true;
    return OK;
}

void worker_drain(struct worker *worker) {
    if (!atomic_exchange(&worker->is_drain_asked, true)) {
        mailbox_put_answer(&worker->mailbox, &worker->drain);
    }
}

static void close_handles(struct worker *worker) {
    uv_close((uv_handle_t *)&worker->before_poll, NULL);
    uv_close((uv_handle_t *)&worker->after_poll, NULL);
    uv_close((uv_handle_t *)&worker->never_block, NULL);
    uv_close((uv_handle_t *)&worker->beat, NULL);
    uv_close((uv_handle_t *)&worker->flush, NULL);
    uv_close((uv_handle_t *)&worker->mailbox_poll, NULL);
    sockets_finish(&worker->sockets);
    uv_run(&worker->loop, UV_RUN_DEFAULT); /* lets go of them */
    INVARIANT(uv_loop_close(&worker->loop) == 0);
}

void worker_join(struct worker *worker) {
    if (worker->is_started) {
        pthread_join(worker->thread, NULL);
        worker->is_started = false;
    }
}

void worker_settle(struct worker *worker) {
    INVARIANT(!worker->is_started);
    owner_claim(&worker->owner);
    while (mailbox_deliver_all(&worker->mailbox, worker) > 0) {
        /* a survey's letter comes back until its walk is over */
    }
    home_flush(worker->home);
}

void worker_destroy(struct worker *worker) {
    if (worker == NULL) {
        return;
    }
    worker_join(worker);
    owner_claim(&worker->owner);
    while (mailbox_deliver_all(&worker->mailbox, worker) > 0) {
        /* Answers to connections that are gone, and what they lead to. */
    }
    acceptor_close(worker);
    INVARIANT(list_is_empty(&worker->connections));
    close_handles(worker);
    home_destroy(worker->home);
    feeds_finish(&worker->feeds);
    access_destroy(worker->access);
    if (worker->protocol_state != NULL) {
        worker->on_protocol_finish(worker->protocol_state);
    }
    wheel_finish(&worker->wheel);
    gather_finish(&worker->gather);
    sheaf_finish(&worker->sheaf);
    buffer_finish(&worker->borrowed);
    hand_finish(&worker->hand);
    mailbox_finish(&worker->mailbox);
    free(worker);
}

/* --- what protocols ask for ----------------------------------------------------------------- */

struct broker *worker_broker(const struct worker *worker) {
    return worker->broker;
}

struct mailbox *worker_mailbox(struct worker *worker) {
    return &worker->mailbox;
}

struct access *worker_access(const struct worker *worker) {
    return worker->access;
}

struct log_listener *worker_listener(struct worker *worker) {
    return &worker->listener;
}

struct metrics_shard *worker_metrics(const struct worker *worker) {
    return worker->metrics;
}

uint64_t worker_now_ms(const struct worker *worker) {
    return worker->now_ms;
}

void worker_arm(struct worker *worker, struct wheel_timer *timer, uint64_t due_ms) {
    OWNER_CHECK(worker);
    wheel_arm(&worker->wheel, timer, due_ms);
}

void worker_disarm(struct worker *worker, struct wheel_timer *timer) {
    wheel_disarm(&worker->wheel, timer);
}

void chore_init(struct chore *chore, void (*on_due)(struct chore *chore)) {
    list_init(&chore->in_worker);
    chore->on_due = on_due;
}

void worker_put_chore(struct worker *worker, struct chore *chore) {
    OWNER_CHECK(worker);
    if (list_is_empty(&chore->in_worker)) {
        list_put_tail(&worker->chores, &chore->in_worker);
    }
}

void chore_take_back(struct chore *chore) {
    list_remove(&chore->in_worker);
}

struct buffer *worker_borrow_scratch(struct worker *worker) {
    OWNER_CHECK(worker);
    if (worker->borrowed.capacity > READ_BYTES_MAX) {
        buffer_finish(&worker->borrowed); /* one large message does not stay for ever */
    }
    buffer_clear(&worker->borrowed);
    return &worker->borrowed;
}

void *worker_borrow_protocol_state(const struct worker *worker) {
    return worker->protocol_state;
}

void worker_set_protocol_state(struct worker *worker, void *state, void (*on_finish)(void *state)) {
    OWNER_CHECK(worker);
    INVARIANT(worker->protocol_state == NULL);
    worker->protocol_state = state;
    worker->on_protocol_finish = on_finish;
}

bool worker_take_body_room(struct worker *worker, size_t bytes) {
    if (bytes > BODIES_BYTES_MAX - worker->bodies_bytes ||
        budget_level(worker->broker->budget) >= BUDGET_PUBLISHERS) {
        return false;
    }
    worker->bodies_bytes += bytes;
    return true;
}

void worker_give_body_room(struct worker *worker, size_t bytes) {
    INVARIANT(worker->bodies_bytes >= bytes);
    worker->bodies_bytes -= bytes;
}

void worker_count_pipeline(struct worker *worker, size_t bytes_before, size_t bytes) {
    OWNER_CHECK(worker);
    INVARIANT(worker->pipelines_bytes >= bytes_before);
    worker->pipelines_bytes += bytes - bytes_before;
}

bool worker_has_pipeline_room(const struct worker *worker) {
    return worker->pipelines_bytes < PIPELINES_BYTES_MAX;
}
