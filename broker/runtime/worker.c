/* SPDX-License-Identifier: Apache-2.0 */
/* One turn of the loop, in libuv's order:
 *
 *     sockets      bytes in: requests are read, publishes go to the log's mailbox
 *     mailbox      commits join the tails, answers and pages arrive
 *     before_poll  readers of touched feeds become due; each due stream is flushed once; the doomed
 *                  are buried; then the loop may block
 *
 * So whatever came in during a turn leaves in one write a connection. A fan-out that takes longer
 * than FAN_OUT_SLICE_US goes on in the next turn, behind the sockets: never_block keeps the loop
 * turning. */
#include "broker/runtime/worker.h"

#include <libwebsockets.h>
#include <stdlib.h>

#include "broker/delivery/reader.h"
#include "broker/limits.h"
#include "broker/metrics/thread.h"
#include "broker/runtime/worker_private.h"
#include "broker/support/clock.h"
#include "broker/support/logger.h"

#define READ_BYTES_MAX 65536 /* one read of a socket; one buffer a worker */
#define LOOP_TURNS_AT_END 4096

/* --- letters -------------------------------------------------------------------------------- */

/* A commit's way to this worker. Allocated by the log thread, so that a commit can be in several
 * mailboxes at once. */
struct commit_letter {
    struct letter letter;
    struct commit *commit;
};

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
    atomic_fetch_sub(&worker->listener.bytes_waiting, commit->bytes);
    commit_unref(commit);
    free(commit_letter);
}

/* On the log thread. */
static void on_commit(struct log_listener *listener, struct commit *commit) {
    struct commit_letter *letter = malloc(sizeof(*letter));
    if (letter == NULL ||
        atomic_load(&listener->mailbox->letter_count) >= listener->mailbox->letters_max) {
        free(letter);
        atomic_fetch_sub(&listener->bytes_waiting, commit->bytes);
        commit_unref(commit);
        atomic_store(&listener->has_missed, true);
        return;
    }
    letter->letter.on_delivered = on_commit_delivered;
    letter->commit = commit;
    mailbox_put_answer(listener->mailbox, &letter->letter);
}

static void on_drain_asked(struct letter *letter, void *consumer) {
    (void)letter;
    struct worker *worker = consumer;
    worker->is_stopping = true;
    worker->stop_until_ms = worker->now_ms + DRAIN_TIMEOUT_MS;
    acceptor_close(worker);
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

/* A slice of the goodbyes that a drain owes. True: none is left over for the next turn. */
static bool tell_due(struct worker *worker) {
    uint64_t due = worker->drain_pace.due;
    uint64_t count = due < DRAIN_SLICE ? due : DRAIN_SLICE;
    connections_tell(worker, count);
    worker->drain_pace.due = due - count;
    return due == count;
}

static void on_never_block(uv_idle_t *idle) {
    (void)idle; /* an active idle handle is all that is wanted of it */
}

static void before_poll(uv_prepare_t *prepare) {
    struct worker *worker = prepare->data;
    metrics_add(worker->metrics, METRIC_LETTERS, mailbox_deliver_all(&worker->mailbox, worker));
    skip_missed(worker);
    readers_touch(&worker->feeds);
    bool is_all_sent = streams_flush_due(worker);
    if (is_all_sent) {
        note_written(worker);
    }
    bool is_all_told = tell_due(worker);
    end_if_late(worker);
    connections_bury(worker);
    metrics_set(worker->metrics, METRIC_TAILS_BYTES, worker->feeds.tails.bytes);
    metrics_set(worker->metrics, METRIC_FEEDS_OPEN,
                map_count(&worker->feeds.by_channel) + map_count(&worker->feeds.by_pattern));
    metrics_set(worker->metrics, METRIC_PATTERN_FEEDS_OPEN, map_count(&worker->feeds.by_pattern));
    metrics_set(worker->metrics, METRIC_BODIES, worker->bodies_bytes);
    if (is_over(worker)) {
        uv_stop(&worker->loop);
    }
    if (is_all_sent && is_all_told && list_is_empty(&worker->feeds.touched) &&
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

/* lws hands every callback here; its signature is its own. */
static int on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                  size_t length) {
    return connection_on_lws(wsi, (int)reason, user, in, length);
}

static const struct lws_protocols lws_protocols[] = {
    {.name = "tidings", .callback = on_lws, .rx_buffer_size = READ_BYTES_MAX},
    {0},
};

/* All zero: libwebsockets keeps no timer a connection. They live in one sorted list there, and
 * connecting becomes quadratic (measured: 466 us each at 16,000, against 54 us). */
static const lws_retry_bo_t no_retry_or_idle = {0};

static void on_lws_log(int level, const char *line) {
    if (level == LLL_ERR) {
        log_event(LIBWEBSOCKETS, .detail = span_trim(span_of_string(line)));
    }
}

static enum error_code open_lws(struct worker *worker) {
    void *loops[] = {&worker->loop};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = lws_protocols,
        .options = LWS_SERVER_OPTION_LIBUV,
        .foreign_loops = loops,
        .pt_serv_buf_size = READ_BYTES_MAX,
        .retry_and_idle_policy = &no_retry_or_idle,
        .vhost_name = "public",
    };
    lws_set_log_level(LLL_ERR, on_lws_log);
    worker->lws = lws_create_context(&info);
    if (worker->lws == NULL) {
        return ERR_MEMORY;
    }
    worker->vhost = lws_get_vhost_by_name(worker->lws, "public");
    INVARIANT(worker->vhost != NULL);
    return OK;
}

static void open_handles(struct worker *worker) {
    uv_prepare_init(&worker->loop, &worker->before_poll);
    uv_check_init(&worker->loop, &worker->after_poll);
    uv_idle_init(&worker->loop, &worker->never_block);
    uv_timer_init(&worker->loop, &worker->beat);
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
    list_init(&worker->connections);
    list_init(&worker->watches);
    list_init(&worker->surveys);
    list_init(&worker->doomed);
    gather_init(&worker->gather, READ_BYTES_MAX * 2);
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
                    home_create(worker, &worker->home) == OK && open_lws(worker) == OK;
    if (!is_ready) { /* the process ends: what was opened so far goes with it */
        free(worker);
        return error_set(why, ERR_MEMORY, "a worker's loop cannot be set up");
    }
    worker->listener.mailbox = &worker->mailbox;
    worker->listener.on_commit = on_commit;
    open_handles(worker);
    *ret_worker = worker;
    return OK;
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

/* Ours alone: libwebsockets closes its own, and both need turns of the loop to be done with it. */
static void close_handles(struct worker *worker) {
    uv_close((uv_handle_t *)&worker->before_poll, NULL);
    uv_close((uv_handle_t *)&worker->after_poll, NULL);
    uv_close((uv_handle_t *)&worker->never_block, NULL);
    uv_close((uv_handle_t *)&worker->beat, NULL);
    uv_close((uv_handle_t *)&worker->mailbox_poll, NULL);
}

static void run_out(struct worker *worker) {
    for (int i = 0; i < LOOP_TURNS_AT_END && uv_run(&worker->loop, UV_RUN_NOWAIT) != 0; i++) {
    }
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
    close_handles(worker);
    lws_context_destroy(worker->lws); /* on a foreign loop: begins to close what it has there … */
    run_out(worker);
    lws_context_destroy(worker->lws); /* … and frees itself when asked again */
    run_out(worker);
    uv_loop_close(&worker->loop);
    home_destroy(worker->home);
    feeds_finish(&worker->feeds);
    if (worker->protocol_state != NULL) {
        worker->on_protocol_finish(worker->protocol_state);
    }
    wheel_finish(&worker->wheel);
    gather_finish(&worker->gather);
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
    if (bytes > BODIES_BYTES_MAX - worker->bodies_bytes) {
        return false;
    }
    worker->bodies_bytes += bytes;
    return true;
}

void worker_give_body_room(struct worker *worker, size_t bytes) {
    INVARIANT(worker->bodies_bytes >= bytes);
    worker->bodies_bytes -= bytes;
}
