/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/runtime/worker.h"
#include "protocols/websocket/answer.h"
#include "protocols/websocket/subscriptions.h"
#include "protocols/websocket/websocket_private.h"

static uint64_t stall_timeout_ms(const struct websocket *websocket) {
    return worker_broker(websocket_worker(websocket))->config->stall_timeout_ms;
}

/* When anything last moved in either direction. */
static uint64_t moved_ms(const struct websocket *websocket) {
    uint64_t sent_ms = connection_sent_ms(websocket->connection);
    return sent_ms > websocket->received_ms ? sent_ms : websocket->received_ms;
}

/* At the next thing that is due, and often enough to see a peer that takes nothing. */
static void arm(struct websocket *websocket) {
    bool is_blocked = connection_is_blocked(websocket->connection);
    uint64_t due_ms = (is_blocked ? moved_ms(websocket) : websocket_now_ms(websocket)) +
                      stall_timeout_ms(websocket);
    uint64_t others[] = {websocket->ping_due_ms, websocket->pong_due_ms,
                         websocket->progress_due_ms};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        due_ms = others[i] != 0 && others[i] < due_ms ? others[i] : due_ms;
    }
    connection_set_deadline(websocket->connection, due_ms);
}

void clocks_start(struct websocket *websocket) {
    uint64_t now = websocket_now_ms(websocket);
    websocket->received_ms = now;
    websocket->ping_due_ms = now + PING_INTERVAL_MS;
    websocket->progress_due_ms = now + HEARTBEAT_MS;
    arm(websocket);
}

/* The deadline counts from when the ping left: while it stands behind other bytes in the kernel,
 * and those get fewer, the peer is slow and not dead. One that is blocked is the stall
 * timeout's. */
static void mind_pong(struct websocket *websocket) {
    uint64_t now = websocket_now_ms(websocket);
    if (websocket->pong_due_ms == 0 || now < websocket->pong_due_ms) {
        return;
    }
    if (websocket->is_paused) { /* the pong may be here, and it is we who do not read */
        websocket->pong_due_ms = now + PONG_TIMEOUT_MS;
        return;
    }
    size_t unsent_bytes = connection_unsent_bytes(websocket->connection);
    bool has_progress = unsent_bytes > 0 && unsent_bytes < websocket->ping_unsent_bytes;
    if (!has_progress && !connection_is_blocked(websocket->connection)) {
        websocket_end_because(websocket, CLOSE_PONG_LATE, NULL);
        return;
    }
    websocket->ping_unsent_bytes = unsent_bytes;
    websocket->pong_due_ms = now + PONG_TIMEOUT_MS;
}

static void mind_pings(struct websocket *websocket) {
    uint64_t now = websocket_now_ms(websocket);
    mind_pong(websocket);
    if (now < websocket->ping_due_ms) {
        return;
    }
    websocket->ping_due_ms = now + PING_INTERVAL_MS;
    struct buffer *scratch = worker_borrow_scratch(websocket_worker(websocket));
    if (!connection_is_blocked(websocket->connection) && websocket->pong_due_ms == 0 &&
        frame_put(scratch, FRAME_PING, (struct span){0}) == OK) {
        websocket->pong_due_ms = now + PONG_TIMEOUT_MS;
        websocket_write(websocket, scratch);
        websocket->ping_unsent_bytes = connection_unsent_bytes(websocket->connection);
    }
}

/* --- progress --------------------------------------------------------------------------------- */

/* A message that went out names its channel and offset; a place that moved and has the same ones
 * still moved past what did not match. */
bool progress_advance(struct progress *told, const struct place *place) {
    bool has_matched = told->channel_id != place->channel_id || told->offset != place->offset;
    bool has_moved = place->position > told->position;
    *told = (struct progress){place->position, place->channel_id, place->offset};
    return has_moved && !has_matched;
}

static void tell_progress(struct websocket *websocket) {
    uint64_t now = websocket_now_ms(websocket);
    if (now < websocket->progress_due_ms || connection_is_blocked(websocket->connection)) {
        return;
    }
    websocket->progress_due_ms = now + HEARTBEAT_MS;
    if (websocket->subscriptions != NULL) {
        subscriptions_tell_progress(websocket);
        return;
    }
    struct place place = {0};
    stream_get_place(websocket->stream, &place);
    size_t start = 0;
    struct buffer *text = NULL;
    if (progress_advance(&websocket->progress, &place) &&
        (text = websocket_begin_text(websocket, &start)) != NULL) {
        websocket_end_text(websocket, text, start, answer_put_progress(text, 0, &place));
    }
}

void clocks_on_deadline(struct websocket *websocket) {
    /* A peer that takes what it is sent is asked by pings; this is for one that does not. */
    if (connection_is_blocked(websocket->connection) &&
        websocket_now_ms(websocket) - moved_ms(websocket) >= stall_timeout_ms(websocket)) {
        websocket_end_because(websocket, CLOSE_STALLED, NULL);
        return;
    }
    mind_pings(websocket);
    if (!websocket->has_ended) {
        tell_progress(websocket);
    }
    if (!websocket->has_ended) {
        arm(websocket);
    }
}
