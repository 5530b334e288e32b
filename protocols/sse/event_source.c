/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sse/event_source.h"

#include <stdlib.h>

#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/runtime/stream.h"
#include "broker/runtime/worker.h"
#include "broker/support/hash.h"
#include "broker/support/invariant.h"
#include "protocols/rest/reading.h"
#include "protocols/rest/request.h"
#include "protocols/sse/event.h"
#include "protocols/sse/framing.h"

#define RETRY_MS 1000        /* a reconnect comes after this … */
#define RETRY_JITTER_MS 1000 /* … and up to this, so that a restart does not bring all at once */

struct event_source {
    struct connection *connection;
    struct stream *stream;
    uint64_t position_told; /* the last one that a heartbeat told */
    uint64_t heartbeat_due_ms;
    uint64_t moved_ms;   /* when the peer was last seen to take bytes … */
    uint64_t bytes_sent; /* … and how many there were then */
    bool is_begun;       /* the head and `retry:` are written */
    bool has_ended;      /* the farewell is written */
};

/* Says goodbye: the client reads why, and whether coming back makes sense. Nothing of the stream
 * follows, because a closing connection takes none. */
static void end(struct event_source *source, const char *code_text, enum close_reason reason) {
    if (source->has_ended) {
        return;
    }
    source->has_ended = true;
    struct buffer *scratch = worker_borrow_scratch(connection_worker(source->connection));
    if (event_put_close(scratch, code_text, close_row(reason)->may_reconnect) == OK) {
        connection_write(source->connection, buffer_borrow(scratch));
    }
    connection_close(source->connection, reason);
}

/* Ends the block that `retry:` began, with an id and no data: the client dispatches nothing, but
 * one that loses the stream before its first message resumes from here (WHATWG HTML, 9.2.6). The
 * start of an empty log is a place, too; one that is still looked up has no log. */
static void tell_start(struct event_source *source, struct buffer *buffer) {
    struct place place = {0};
    stream_get_place(source->stream, &place);
    if (place.log_id != 0 && event_put_progress(buffer, &place) == OK) {
        source->position_told = place.position;
    }
}

static void on_started(void *context, const struct place *place) {
    struct event_source *source = context;
    (void)place;
    if (source->is_begun && !source->has_ended) {
        struct buffer *scratch = worker_borrow_scratch(connection_worker(source->connection));
        tell_start(source, scratch);
        connection_write(source->connection, buffer_borrow(scratch));
    }
}

static void on_failed(void *context, enum error_code code) {
    static const enum close_reason reasons[ERROR_CODE_COUNT] = {
        [ERR_NOT_ACCEPTABLE] = CLOSE_NOT_ALLOWED,
        [ERR_SLOW] = CLOSE_TOO_SLOW,
    };
    INVARIANT(code != OK);
    struct event_source *source = context;
    enum close_reason reason = reasons[code];
    end(source, error_row(code)->slug, reason == CLOSE_NORMAL ? CLOSE_INTERNAL : reason);
}

enum error_code event_source_create(struct connection *connection, const struct request *request,
                                    struct event_source **ret_source) {
    INVARIANT(request->reading != NULL);
    struct event_source *source = calloc(1, sizeof(*source));
    if (source == NULL) {
        return ERR_MEMORY;
    }
    source->connection = connection;
    const struct reading *reading = request->reading;
    struct stream_options options = {
        .connection = connection,
        .selectors = reading->selectors,
        .selector_count = reading->selector_count,
        .framing = reading->is_bare ? &sse_framing_bare : &sse_framing,
        .on_lag = reading_choose_on_lag(reading->on_lag, reading->selectors,
                                        reading->selector_count, request->broker->rules),
        .start = reading->query,
        .on_started = on_started,
        .on_failed = on_failed,
        .context = source,
    };
    enum error_code code = stream_create(&options, &source->stream);
    if (code != OK) {
        free(source);
        return code;
    }
    *ret_source = source;
    return OK;
}

/* Often enough to see a peer that takes nothing, however short a time it is given. */
static void arm(struct event_source *source) {
    struct worker *worker = connection_worker(source->connection);
    uint64_t stall_due_ms = worker_now_ms(worker) + worker_broker(worker)->config->stall_timeout_ms;
    connection_set_deadline(source->connection, source->heartbeat_due_ms < stall_due_ms
                                                    ? source->heartbeat_due_ms
                                                    : stall_due_ms);
}

void event_source_start(struct event_source *source) {
    struct worker *worker = connection_worker(source->connection);
    struct buffer *scratch = worker_borrow_scratch(worker);
    uint64_t id = connection_id(source->connection);
    struct hash_key key = {{id, connection_opened_ms(source->connection)}};
    uint64_t jitter_ms = hash_bytes(&key, span_of(&id, sizeof(id))) % RETRY_JITTER_MS;
    /* Without an empty line behind it: it is part of whatever comes first. */
    if (buffer_printf(scratch, "retry: %llu\n", (unsigned long long)(RETRY_MS + jitter_ms)) == OK) {
        tell_start(source, scratch);
        connection_write(source->connection, buffer_borrow(scratch));
    }
    source->is_begun = true;
    source->moved_ms = worker_now_ms(worker);
    source->heartbeat_due_ms = source->moved_ms + HEARTBEAT_MS;
    arm(source);
}

/* What a client sends after its request means nothing here; TCP would hold it back for ever. */
static void on_bytes(struct connection *connection, void *state, struct span bytes) {
    (void)connection;
    (void)state;
    (void)bytes;
}

static void on_writable(struct connection *connection, void *state) {
    struct event_source *source = state;
    (void)connection;
    if (!source->has_ended) {
        stream_on_writable(source->stream);
    }
}

static void put_heartbeat(struct event_source *source, struct buffer *buffer) {
    struct place place = {0};
    stream_get_place(source->stream, &place);
    enum error_code code = OK;
    if (place.position > source->position_told) {
        source->position_told = place.position;
        code = event_put_progress(buffer, &place);
    } else {
        code = event_put_comment(buffer);
    }
    IGNORE_RESULT(code); /* the next heartbeat comes in HEARTBEAT_MS */
}

static void on_deadline(struct connection *connection, void *state) {
    struct event_source *source = state;
    struct worker *worker = connection_worker(connection);
    uint64_t now_ms = worker_now_ms(worker);
    if (source->has_ended) {
        return;
    }
    if (connection_bytes_sent(connection) != source->bytes_sent) {
        source->bytes_sent = connection_bytes_sent(connection);
        source->moved_ms = now_ms;
    }
    bool is_blocked = connection_is_blocked(connection);
    if (is_blocked &&
        now_ms - source->moved_ms >= worker_broker(worker)->config->stall_timeout_ms) {
        connection_abort(connection, CLOSE_STALLED);
        return;
    }
    if (now_ms >= source->heartbeat_due_ms) {
        source->heartbeat_due_ms = now_ms + HEARTBEAT_MS;
        if (!is_blocked) {
            struct buffer *scratch = worker_borrow_scratch(worker);
            put_heartbeat(source, scratch);
            connection_write(connection, buffer_borrow(scratch));
        }
    }
    arm(source);
}

static void on_drain(struct connection *connection, void *state) {
    (void)connection;
    end(state, error_row(ERR_DRAINING)->slug, CLOSE_DRAINING);
}

static void on_dismissed(struct connection *connection, void *state, enum close_reason reason) {
    (void)connection;
    end(state, close_row(reason)->name, reason);
}

static void on_closed(struct connection *connection, void *state, enum close_reason reason) {
    struct event_source *source = state;
    (void)connection;
    (void)reason;
    stream_destroy(source->stream);
    free(source);
}

const struct protocol event_source_protocol = {
    .name = "sse",
    .on_bytes = on_bytes,
    .on_writable = on_writable,
    .on_deadline = on_deadline,
    .on_drain = on_drain,
    .on_dismissed = on_dismissed,
    .on_closed = on_closed,
};
