/* SPDX-License-Identifier: Apache-2.0 */
/* What has come is worked off in steps: a head, then its body, then the reply to the oldest request
 * that has none. Each step takes bytes from the front of what is there; what no step takes is kept
 * for the next time. While a reply is awaited or the socket takes no more, reading is paused, so
 * that a peer which asks faster than it is answered is held back by TCP.
 *
 * Publishes overlap: all that one read brought go to the log in their order, in one turn, and what
 * is ready of their replies leaves in the order of the requests with one write. Any other request
 * waits until those before it are answered, and holds back those behind it: what it reads is what
 * they wrote. Nor do publishes overlap while the log or the worker's memory is short: then a
 * connection has one under way, or one more whose head was taken before. Of a connection that
 * pipelines, the obvious way (one request at a time) takes one message a turn of the loop, and a
 * turn is as long as a fan-out. */
#include "protocols/http/server.h"

#include <stdlib.h>
#include <string.h>

#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/runtime/log.h"
#include "broker/runtime/worker.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "protocols/http/exchange.h"
#include "protocols/http/reply.h"
#include "protocols/mqtt/mqtt.h"
#include "protocols/rest/request.h"
#include "protocols/rest/routes.h"
#include "protocols/sse/event_source.h"
#include "protocols/websocket/websocket.h"

/* A whole head that is still incomplete, and what one read brings. */
#define INPUT_BYTES_MAX (HTTP_HEAD_BYTES_MAX + 1048576)
#define REPLY_GATHER_BYTES_MAX 65536 /* head and body are copied together up to this */

/* What the deadline is for. */
enum awaited {
    AWAITED_HEAD,    /* the rest of a head, or the first */
    AWAITED_BODY,    /* the rest of one */
    AWAITED_REPLY,   /* nothing of the peer */
    AWAITED_REQUEST, /* the next one */
    AWAITED_ROOM,    /* in the socket */
};

struct http {
    struct connection *connection;
    struct exchange_owner owner;
    struct chore chore;    /* replies came */
    struct list exchanges; /* all but the last are overlapping and wait for their replies */
    uint32_t exchange_count;
    size_t exchanges_bytes;
    size_t pipeline_bytes;     /* what the worker counts of them */
    struct buffer input;       /* came and is not worked off; empty and without memory when idle */
    struct head_search search; /* how far an incomplete head at the front of it was looked at */
    enum awaited awaited;      /* which the deadline was set for */
    bool is_stepping;          /* http_run() is on the stack */
    bool is_draining;
    bool is_blocked;     /* a reply is still on its way out */
    bool is_last;        /* and the connection ends behind it */
    bool has_asked;      /* at least one request was answered */
    bool is_head_begun;  /* bytes of a head are there */
    uint64_t bytes_sent; /* when the deadline for AWAITED_ROOM was set */
    /* Who has the connection now: this is freed when the stack is clear. NULL: we do. */
    const struct protocol *successor;
    void *successor_state;
};

static void http_run(struct http *http, struct span fresh);

static uint64_t now_ms(const struct http *http) {
    return worker_now_ms(connection_worker(http->connection));
}

static void set_deadline(struct http *http, uint64_t from_now_ms) {
    connection_set_deadline(http->connection, from_now_ms == 0 ? 0 : now_ms(http) + from_now_ms);
}

static struct broker *broker_of(const struct http *http) {
    return worker_broker(connection_worker(http->connection));
}

static void set_stall_deadline(struct http *http) {
    http->bytes_sent = connection_bytes_sent(http->connection);
    set_deadline(http, broker_of(http)->config->stall_timeout_ms);
}

/* A request that is alone costs what any does. */
static void count_pipeline(struct http *http) {
    size_t bytes = http->exchange_count > 1 ? http->exchanges_bytes : 0;
    worker_count_pipeline(connection_worker(http->connection), http->pipeline_bytes, bytes);
    http->pipeline_bytes = bytes;
}

static void put_exchange(struct http *http, struct exchange *exchange) {
    exchange_put_tail(&http->exchanges, exchange);
    http->exchange_count++;
    http->exchanges_bytes += exchange_bytes(exchange);
    count_pipeline(http);
}

static void end_exchange(struct http *http, struct exchange *exchange) {
    INVARIANT(http->exchange_count > 0);
    INVARIANT(http->exchanges_bytes >= exchange_bytes(exchange));
    http->exchange_count--;
    http->exchanges_bytes -= exchange_bytes(exchange);
    exchange_destroy(exchange);
    count_pipeline(http);
}

/* --- replying -------------------------------------------------------------------------------- */

static bool has_to_drain(const struct http *http) {
    return http->is_draining || atomic_load(&broker_of(http)->is_draining);
}

/* Of those that are under way all are answered before the connection closes. */
static enum reply_connection connection_after(const struct http *http,
                                              const struct exchange *exchange) {
    bool has_to_go = exchange_must_close(exchange) || has_to_drain(http);
    if (has_to_go && http->exchange_count == 1) {
        return REPLY_CLOSES;
    }
    return exchange_is_http_1_0(exchange) ? REPLY_KEEPS_AS_1_0 : REPLY_KEEPS;
}

static void write_out(struct http *http, struct buffer *out) {
    if (out->length > 0) {
        connection_write(http->connection, buffer_borrow(out));
        buffer_clear(out);
    }
    http->is_blocked = connection_is_blocked(http->connection);
}

/* Head and body go behind what is gathered, but for bodies that are too large to be worth the
 * copy. */
static void put_reply(struct http *http, const struct exchange *exchange,
                      enum reply_connection after, struct buffer *out) {
    struct request *request = exchange_request(exchange);
    struct span body = request_is_head(request) ? (struct span){0} : reply_body(&request->reply);
    enum error_code code = reply_put_head(out, &request->reply, after, clock_wall_ms());
    bool is_gathered = code == OK && body.length <= REPLY_GATHER_BYTES_MAX;
    if (is_gathered) {
        code = buffer_put(out, body);
    }
    if (code != OK) {
        connection_abort(http->connection, CLOSE_MEMORY);
        return;
    }
    request_log(request);
    request_count(request, worker_metrics(connection_worker(http->connection)));
    if (!is_gathered) {
        write_out(http, out);
        if (request->reply.body_static.length > 0) {
            connection_write(http->connection, body);
        } else {
            connection_give(http->connection, &request->reply.body);
        }
    }
    if (!is_gathered || out->length >= REPLY_GATHER_BYTES_MAX) {
        write_out(http, out);
    }
}

static enum error_code open_event_source(struct connection *connection,
                                         const struct request *request, void **ret_state) {
    struct event_source *source = NULL;
    enum error_code code = event_source_create(connection, request, &source);
    *ret_state = source;
    return code;
}

static enum error_code open_websocket(struct connection *connection, const struct request *request,
                                      void **ret_state) {
    struct websocket *websocket = NULL;
    enum error_code code = websocket_create(connection, request, &websocket);
    *ret_state = websocket;
    return code;
}

static enum error_code open_mqtt(struct connection *connection, const struct request *request,
                                 void **ret_state) {
    struct mqtt *mqtt = NULL;
    (void)request; /* MQTT says all in its own CONNECT */
    enum error_code code = mqtt_create_websocket(connection, &mqtt);
    *ret_state = mqtt;
    return code;
}

static void start_event_source(void *state) {
    event_source_start(state);
}

static void start_websocket(void *state) {
    websocket_start(state);
}

static void start_mqtt(void *state) {
    mqtt_start(state);
}

/* What a connection goes on as. */
static const struct {
    const struct protocol *protocol;
    enum error_code (*open)(struct connection *connection, const struct request *request,
                            void **ret_state);
    void (*start)(void *state);
} successors[] = {
    [REPLY_EVENT_STREAM] = {&event_source_protocol, open_event_source, start_event_source},
    [REPLY_WEBSOCKET] = {&websocket_protocol, open_websocket, start_websocket},
    [REPLY_MQTT] = {&mqtt_protocol, open_mqtt, start_mqtt},
};

/* The connection goes on as an event stream or a WebSocket. OK: this protocol has left. */
static enum error_code switch_protocol(struct http *http, const struct exchange *exchange) {
    const struct request *request = exchange_request(exchange);
    enum reply_kind kind = request->reply.kind;
    void *state = NULL;
    enum error_code code = successors[kind].open(http->connection, request, &state);
    if (code != OK) {
        return code;
    }
    struct buffer *out = worker_borrow_scratch(connection_worker(http->connection));
    put_reply(http, exchange, REPLY_CLOSES, out);
    write_out(http, out);
    http->successor = successors[kind].protocol;
    http->successor_state = state;
    connection_set_protocol(http->connection, http->successor, state);
    successors[kind].start(state);
    return OK;
}

/* The identity has its place before the answer leaves: whoever has read it is counted. */
static enum error_code admit_and_switch(struct http *http, const struct exchange *exchange,
                                        struct error *why) {
    struct identity *identity = exchange_request(exchange)->identity;
    enum error_code code = atomic_load(&broker_of(http)->is_stopping)
                               ? ERR_DRAINING
                               : connection_admit(http->connection, identity, why);
    code = code == OK ? switch_protocol(http, exchange) : code;
    if (code != OK) {
        connection_forget_identity(http->connection);
    }
    return code;
}

/* True: the reply is no whole one, and this protocol has left. */
static bool has_switched(struct http *http, struct exchange *exchange) {
    struct request *request = exchange_request(exchange);
    if (request->reply.kind == REPLY_WHOLE) {
        return false;
    }
    INVARIANT(http->exchange_count == 1);
    struct error why = {0};
    enum error_code code = admit_and_switch(http, exchange, &why);
    if (code != OK) {
        request_refuse(request, code, &why);
        return false;
    }
    end_exchange(http, exchange);
    return true;
}

static void end_connection(struct http *http) {
    connection_close(http->connection, http->is_draining ? CLOSE_DRAINING : CLOSE_REPLIED);
}

static struct exchange *next_replied(const struct http *http) {
    struct exchange *exchange = exchange_first(&http->exchanges);
    bool is_replied = exchange != NULL && exchange_phase(exchange) == EXCHANGE_REPLIED;
    return is_replied ? exchange : NULL;
}

/* Sends the replies that are ready and next, and decides what becomes of the connection. */
static void reply(struct http *http) {
    struct exchange *exchange = next_replied(http);
    if (has_switched(http, exchange)) {
        return;
    }
    struct buffer *out = worker_borrow_scratch(connection_worker(http->connection));
    while (exchange != NULL && exchange_request(exchange)->reply.kind == REPLY_WHOLE &&
           !http->is_blocked) {
        enum reply_connection after = connection_after(http, exchange);
        put_reply(http, exchange, after, out);
        end_exchange(http, exchange);
        http->has_asked = true;
        http->is_last = after == REPLY_CLOSES;
        exchange = next_replied(http);
    }
    write_out(http, out);
    if (http->exchange_count == 0) {
        http->awaited = AWAITED_REPLY; /* the next request has its own time */
    }
    if (connection_is_closing(http->connection)) {
        return;
    }
    if (http->is_blocked) {
        connection_want_writable(http->connection);
    } else if (http->is_last) {
        end_connection(http);
    }
}

static void on_chore(struct chore *chore) {
    http_run(CONTAINER_OF(chore, struct http, chore), (struct span){0});
}

static void on_replied(struct exchange_owner *owner) {
    struct http *http = CONTAINER_OF(owner, struct http, owner);
    if (!http->is_stepping) {
        worker_put_chore(connection_worker(http->connection), &http->chore);
    }
}

/* --- the steps -------------------------------------------------------------------------------- */

/* True: a step was made, and the next may be tried. */
static bool step_head(struct http *http, struct span *rest) {
    struct exchange *exchange = NULL;
    if (rest->length == 0) {
        return false;
    }
    enum error_code code =
        exchange_begin(http->connection, &http->search, rest, &http->owner, &exchange);
    if (code == ERR_AGAIN) {
        http->is_head_begun = true;
        return false;
    }
    if (code != OK) {
        connection_abort(http->connection, CLOSE_MEMORY);
        return false;
    }
    http->is_head_begun = false;
    connection_settle(http->connection);
    http->awaited = AWAITED_REPLY; /* its body has its own time */
    put_exchange(http, exchange);
    return true;
}

static bool step_body(struct http *http, struct exchange *exchange, struct span *rest) {
    if (exchange_take_continue(exchange) && rest->length == 0) {
        connection_write(http->connection, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    bool has_moved = exchange_take_body(exchange, rest);
    if (exchange_phase(exchange) == EXCHANGE_WHOLE) {
        size_t bytes_before = exchange_bytes(exchange);
        exchange_handle(exchange);
        http->exchanges_bytes += exchange_bytes(exchange) - bytes_before;
        count_pipeline(http);
    } else if (has_moved) {
        http->awaited = AWAITED_REPLY; /* gives it more time */
    }
    return exchange_phase(exchange) != EXCHANGE_BODY;
}

/* A request may follow one that is not answered yet. */
static bool has_room(const struct http *http) {
    return !has_to_drain(http) && http->exchange_count < HTTP_REQUESTS_MAX &&
           http->exchanges_bytes < HTTP_REQUESTS_BYTES_MAX &&
           worker_has_pipeline_room(connection_worker(http->connection)) &&
           log_is_relaxed(broker_of(http)->log);
}

/* The newest request does not hold back a further one. */
static bool can_go_on(const struct http *http, const struct exchange *newest) {
    return newest == NULL ||
           (exchange_phase(newest) != EXCHANGE_BODY && exchange_can_overlap(newest) &&
            !exchange_must_close(newest) && has_room(http));
}

/* The newest request's body is to be taken now. */
static bool awaits_body(const struct http *http) {
    const struct exchange *newest = exchange_last(&http->exchanges);
    return newest != NULL && exchange_phase(newest) == EXCHANGE_BODY &&
           (http->exchange_count == 1 || exchange_can_overlap(newest));
}

/* Replies come last, so that those of one turn leave together. */
static bool step(struct http *http, struct span *rest) {
    struct exchange *newest = exchange_last(&http->exchanges);
    if (http->successor != NULL || http->is_blocked || connection_is_closing(http->connection)) {
        return false;
    }
    if (awaits_body(http) && step_body(http, newest, rest)) {
        return true;
    }
    if (can_go_on(http, newest) && step_head(http, rest)) {
        return true;
    }
    if (connection_is_closing(http->connection) || next_replied(http) == NULL) {
        return false;
    }
    reply(http);
    return true;
}

/* --- around them ------------------------------------------------------------------------------ */

/* Keeps what no step took. `held` is where it may stand already. */
static void keep_input(struct http *http, struct buffer *held, struct span rest) {
    if (rest.length > 0 && rest.length == held->length) {
        http->input = *held;
        buffer_init(held, INPUT_BYTES_MAX);
    } else if (rest.length > 0 && buffer_put(&http->input, rest) != OK) {
        connection_abort(http->connection, CLOSE_MEMORY);
    }
}

static enum awaited what_is_awaited(const struct http *http) {
    if (http->is_blocked) {
        return AWAITED_ROOM;
    }
    if (http->exchange_count > 0) {
        /* Replies that are due come first: what is behind them may be the peer's end. */
        bool is_body = awaits_body(http) && http->exchange_count == 1;
        return is_body ? AWAITED_BODY : AWAITED_REPLY;
    }
    return http->is_head_begun || !http->has_asked ? AWAITED_HEAD : AWAITED_REQUEST;
}

/* Reading and the deadline follow from what is awaited now. */
static void settle(struct http *http) {
    const struct config *config = broker_of(http)->config;
    const uint64_t timeouts_ms[] = {[AWAITED_HEAD] = config->handshake_timeout_ms,
                                    [AWAITED_BODY] = config->body_timeout_ms,
                                    [AWAITED_REPLY] = 0,
                                    [AWAITED_REQUEST] = config->idle_timeout_ms};
    enum awaited awaited = what_is_awaited(http);
    if (awaited == AWAITED_ROOM) {
        set_stall_deadline(http);
    } else if (awaited != http->awaited || awaited == AWAITED_REPLY) {
        set_deadline(http, timeouts_ms[awaited]);
    }
    if (awaited == AWAITED_ROOM || awaited == AWAITED_REPLY) {
        connection_pause_reading(http->connection);
    } else {
        connection_resume_reading(http->connection);
    }
    http->awaited = awaited;
}

static void http_run(struct http *http, struct span fresh) {
    struct connection *connection = http->connection;
    struct buffer held = http->input;
    struct span rest = fresh;
    INVARIANT(!http->is_stepping);
    buffer_init(&http->input, INPUT_BYTES_MAX);
    if (held.length > 0) {
        if (buffer_put(&held, fresh) != OK) {
            buffer_finish(&held);
            connection_abort(connection, CLOSE_MEMORY);
            return;
        }
        rest = buffer_borrow(&held);
    }
    http->is_stepping = true;
    while (step(http, &rest)) {
    }
    http->is_stepping = false;
    if (http->successor != NULL) {
        const struct protocol *successor = http->successor;
        void *state = http->successor_state;
        bool has_to_go = http->is_draining;
        chore_take_back(&http->chore);
        free(http);
        connection_resume_reading(connection);
        if (rest.length > 0 && !connection_is_closing(connection)) {
            successor->on_bytes(connection, state, rest); /* sent before it could know */
        }
        if (has_to_go && !connection_is_closing(connection)) {
            successor->on_drain(connection, state); /* it was told while it still asked */
        }
    } else if (!connection_is_closing(connection)) {
        keep_input(http, &held, rest);
        settle(http);
    }
    buffer_finish(&held);
}

static void on_bytes(struct connection *connection, void *state, struct span bytes) {
    struct http *http = state;
    if (http->awaited == AWAITED_ROOM || http->awaited == AWAITED_REPLY) {
        /* Was on its way when reading was paused. */
        if (buffer_put(&http->input, bytes) != OK) {
            connection_abort(connection, CLOSE_TOO_BIG);
        }
        return;
    }
    http_run(http, bytes);
}

static void on_writable(struct connection *connection, void *state) {
    struct http *http = state;
    if (http->is_blocked && !connection_is_blocked(connection)) {
        http->is_blocked = false;
        if (http->is_last || (http->is_draining && http->exchange_count == 0)) {
            end_connection(http);
            return;
        }
        http_run(http, (struct span){0});
    }
}

static void on_deadline(struct connection *connection, void *state) {
    static const struct error late = {.detail = "the head did not come in time"};
    struct http *http = state;
    struct exchange *exchange = NULL;
    if (http->is_blocked && connection_bytes_sent(connection) != http->bytes_sent) {
        set_stall_deadline(http); /* slow, and not dead */
    } else if (http->is_blocked) {
        connection_abort(connection, CLOSE_STALLED);
    } else if (awaits_body(http)) {
        exchange_refuse(exchange_last(&http->exchanges), ERR_REQUEST_TIMEOUT,
                        "the body did not come in time");
        http_run(http, (struct span){0});
    } else if (http->is_head_begun &&
               exchange_begin_refused(connection, ERR_REQUEST_TIMEOUT, &late, &exchange) == OK) {
        put_exchange(http, exchange);
        http_run(http, (struct span){0});
    } else {
        connection_close(connection, http->has_asked ? CLOSE_IDLE : CLOSE_HANDSHAKE_TIMEOUT);
    }
}

static void on_drain(struct connection *connection, void *state) {
    struct http *http = state;
    struct exchange *newest = exchange_last(&http->exchanges);
    bool is_idle = newest == NULL && http->has_asked && !http->is_head_begun && !http->is_blocked;
    http->is_draining = true;
    if (newest != NULL) {
        request_hurry(exchange_request(newest)); /* those before it are publishes */
    } else if (is_idle || atomic_load(&broker_of(http)->is_stopping)) {
        connection_close(connection, CLOSE_DRAINING); /* else what it asks for is its last */
    }
}

/* A long poll whose identity has ended is answered with what there is. */
static void on_dismissed(struct connection *connection, void *state, enum close_reason reason) {
    struct http *http = state;
    struct exchange *newest = exchange_last(&http->exchanges);
    bool has_ended = reason == CLOSE_TOKEN_EXPIRED || reason == CLOSE_REVOKED;
    if (has_ended && newest != NULL && exchange_phase(newest) == EXCHANGE_HANDLED) {
        request_hurry(exchange_request(newest));
    } else {
        connection_close(connection, reason);
    }
}

static void on_closed(struct connection *connection, void *state, enum close_reason reason) {
    struct http *http = state;
    (void)reason;
    if (http == NULL) {
        return;
    }
    for (struct exchange *exchange; (exchange = exchange_first(&http->exchanges)) != NULL;) {
        exchange_destroy(exchange);
    }
    worker_count_pipeline(connection_worker(connection), http->pipeline_bytes, 0);
    chore_take_back(&http->chore);
    buffer_finish(&http->input);
    free(http);
}

const struct protocol *http_protocol(void) {
    static const struct protocol protocol = {
        .name = "http",
        .on_bytes = on_bytes,
        .on_writable = on_writable,
        .on_deadline = on_deadline,
        .on_drain = on_drain,
        .on_dismissed = on_dismissed,
        .on_closed = on_closed,
    };
    return &protocol;
}

struct span http_refusal(void) {
    return SPAN("HTTP/1.1 503 Service Unavailable\r\n"
                "Content-Type: application/problem+json\r\n"
                "Retry-After: 10\r\n"
                "Connection: close\r\n"
                "Content-Length: 85\r\n"
                "\r\n"
                "{\"type\":\"/problems/out-of-memory\",\"title\":\"The broker is out of memory\","
                "\"status\":503}");
}

void *http_on_accepted(struct connection *connection) {
    struct http *http = calloc(1, sizeof(*http));
    if (http == NULL) {
        return NULL;
    }
    http->connection = connection;
    http->owner.on_replied = on_replied;
    chore_init(&http->chore, on_chore);
    list_init(&http->exchanges);
    buffer_init(&http->input, INPUT_BYTES_MAX);
    set_deadline(http, broker_of(http)->config->handshake_timeout_ms);
    return http;
}
