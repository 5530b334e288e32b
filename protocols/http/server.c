/* SPDX-License-Identifier: Apache-2.0 */
/* What has come is worked off in steps: a head, then its body, then the wait for the reply. Each
 * step takes bytes from the front of what is there; what no step takes is kept for the next time.
 * While a reply is awaited or the socket takes no more, reading is paused, so that a peer which
 * asks faster than it is answered is held back by TCP. */
#include "protocols/http/server.h"

#include <stdlib.h>
#include <string.h>

#include "broker/config/config.h"
#include "broker/limits.h"
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

struct http {
    struct connection *connection;
    struct exchange *exchange; /* NULL between two requests */
    struct buffer input;       /* came and is not worked off; empty and without memory when idle */
    struct head_search search; /* how far an incomplete head at the front of it was looked at */
    bool is_stepping;          /* http_run() is on the stack */
    bool is_replied;           /* the exchange's reply is ready */
    bool is_draining;
    bool is_blocked;     /* a reply is still on its way out */
    bool is_last;        /* and the connection ends behind it */
    uint64_t bytes_sent; /* when its deadline was set */
    bool has_asked;      /* at least one request was answered */
    bool is_head_begun;  /* bytes of a head are there, and its deadline runs */
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

/* --- replying -------------------------------------------------------------------------------- */

static enum reply_connection connection_after(const struct http *http) {
    const struct exchange *exchange = http->exchange;
    if (exchange_must_close(exchange) || http->is_draining ||
        atomic_load(&broker_of(http)->is_draining) ||
        exchange_request(exchange)->reply.must_close) {
        return REPLY_CLOSES;
    }
    return exchange_is_http_1_0(exchange) ? REPLY_KEEPS_AS_1_0 : REPLY_KEEPS;
}

/* One write for head and body, but for bodies that are too large to be worth the copy. */
static void write_reply(struct http *http, enum reply_connection after) {
    const struct request *request = exchange_request(http->exchange);
    struct buffer *out = worker_borrow_scratch(connection_worker(http->connection));
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
    connection_write(http->connection, buffer_borrow(out));
    if (!is_gathered) {
        connection_write(http->connection, body);
    }
}

static void end_exchange(struct http *http) {
    exchange_destroy(http->exchange);
    http->exchange = NULL;
    http->is_replied = false;
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
static enum error_code switch_protocol(struct http *http) {
    const struct request *request = exchange_request(http->exchange);
    enum reply_kind kind = request->reply.kind;
    void *state = NULL;
    enum error_code code = successors[kind].open(http->connection, request, &state);
    if (code != OK) {
        return code;
    }
    write_reply(http, REPLY_CLOSES);
    http->successor = successors[kind].protocol;
    http->successor_state = state;
    connection_set_protocol(http->connection, http->successor, state);
    successors[kind].start(state);
    return OK;
}

static void end_connection(struct http *http) {
    connection_close(http->connection, http->is_draining ? CLOSE_DRAINING : CLOSE_REPLIED);
}

/* Sends the reply that is ready, and decides what becomes of the connection. */
static void reply(struct http *http) {
    struct request *request = exchange_request(http->exchange);
    if (request->reply.kind != REPLY_WHOLE && atomic_load(&broker_of(http)->is_stopping)) {
        request_refuse(request, ERR_DRAINING, NULL);
    } else if (request->reply.kind != REPLY_WHOLE) {
        enum error_code code = switch_protocol(http);
        if (code == OK) {
            end_exchange(http);
            return;
        }
        request_refuse(request, code, NULL);
    }
    enum reply_connection after = connection_after(http);
    write_reply(http, after);
    end_exchange(http);
    http->has_asked = true;
    http->is_blocked = connection_is_blocked(http->connection);
    http->is_last = after == REPLY_CLOSES;
    if (http->is_last && !http->is_blocked) {
        end_connection(http);
        return;
    }
    if (http->is_blocked) {
        connection_want_writable(http->connection);
    }
}

static void on_replied(struct request *request) {
    struct http *http = request->context;
    http->is_replied = true;
    if (!http->is_stepping) {
        http_run(http, (struct span){0});
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
        exchange_begin(http->connection, &http->search, rest, on_replied, http, &exchange);
    if (code == ERR_AGAIN) {
        if (!http->is_head_begun && http->has_asked) {
            set_deadline(http, HANDSHAKE_TIMEOUT_MS);
        }
        http->is_head_begun = true;
        return false;
    }
    if (code != OK) {
        connection_abort(http->connection, CLOSE_MEMORY);
        return false;
    }
    http->is_head_begun = false;
    http->exchange = exchange;
    if (exchange_phase(exchange) == EXCHANGE_REFUSED) {
        http->is_replied = true;
        return true;
    }
    if (exchange_expects_continue(exchange) && rest->length == 0) {
        connection_write(http->connection, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    set_deadline(http, BODY_TIMEOUT_MS);
    return true;
}

static bool step_body(struct http *http, struct span *rest) {
    struct exchange *exchange = http->exchange;
    bool has_moved = exchange_take_body(exchange, rest);
    if (exchange_phase(exchange) == EXCHANGE_REFUSED) {
        http->is_replied = true;
        return true;
    }
    if (exchange_phase(exchange) == EXCHANGE_WHOLE) {
        set_deadline(http, 0);
        exchange_handle(exchange);
        return true;
    }
    if (has_moved) {
        set_deadline(http, BODY_TIMEOUT_MS);
    }
    return false;
}

static bool step(struct http *http, struct span *rest) {
    if (http->successor != NULL || http->is_blocked || connection_is_closing(http->connection)) {
        return false;
    }
    if (http->is_replied) {
        reply(http);
        return true;
    }
    if (http->exchange == NULL) {
        return step_head(http, rest);
    }
    return exchange_phase(http->exchange) == EXCHANGE_BODY && step_body(http, rest);
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

/* Reading and the deadline follow from what is awaited now. */
static void settle(struct http *http) {
    if (http->is_blocked) {
        connection_pause_reading(http->connection);
        set_stall_deadline(http);
    } else if (http->exchange != NULL && exchange_phase(http->exchange) != EXCHANGE_BODY) {
        connection_pause_reading(http->connection);
    } else {
        connection_resume_reading(http->connection);
        if (http->exchange == NULL && http->has_asked && !http->is_head_begun) {
            set_deadline(http, KEEP_ALIVE_TIMEOUT_MS);
        }
    }
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
    (void)connection;
    if (http->is_blocked ||
        (http->exchange != NULL && exchange_phase(http->exchange) == EXCHANGE_WHOLE)) {
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
        if (http->is_last || http->is_draining) {
            end_connection(http);
            return;
        }
        http_run(http, (struct span){0});
    }
}

static void on_deadline(struct connection *connection, void *state) {
    struct http *http = state;
    if (http->is_blocked && connection_bytes_sent(connection) != http->bytes_sent) {
        set_stall_deadline(http); /* slow, and not dead */
    } else if (http->is_blocked) {
        connection_abort(connection, CLOSE_STALLED);
    } else if (http->exchange != NULL) {
        INVARIANT(exchange_phase(http->exchange) == EXCHANGE_BODY);
        exchange_refuse(http->exchange, ERR_REQUEST_TIMEOUT, "the body did not come in time");
        http->is_replied = true;
        http_run(http, (struct span){0});
    } else if (http->is_head_begun && exchange_begin_refused(connection, ERR_REQUEST_TIMEOUT, NULL,
                                                             &http->exchange) == OK) {
        http->is_replied = true;
        http_run(http, (struct span){0});
    } else {
        connection_close(connection, http->has_asked ? CLOSE_IDLE : CLOSE_HANDSHAKE_TIMEOUT);
    }
}

static void on_drain(struct connection *connection, void *state) {
    struct http *http = state;
    bool is_idle =
        http->exchange == NULL && http->has_asked && !http->is_head_begun && !http->is_blocked;
    http->is_draining = true;
    if (http->exchange != NULL) {
        request_hurry(exchange_request(http->exchange));
    } else if (is_idle || atomic_load(&broker_of(http)->is_stopping)) {
        connection_close(connection, CLOSE_DRAINING); /* else what it asks for is its last */
    }
}

static void on_closed(struct connection *connection, void *state, enum close_reason reason) {
    struct http *http = state;
    (void)connection;
    (void)reason;
    if (http == NULL) {
        return;
    }
    exchange_destroy(http->exchange);
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
        .on_closed = on_closed,
    };
    return &protocol;
}

void *http_on_accepted(struct connection *connection) {
    struct http *http = calloc(1, sizeof(*http));
    if (http == NULL) {
        return NULL;
    }
    http->connection = connection;
    buffer_init(&http->input, INPUT_BYTES_MAX);
    set_deadline(http, HANDSHAKE_TIMEOUT_MS);
    return http;
}
