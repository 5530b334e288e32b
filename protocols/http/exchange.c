/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "broker/limits.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "protocols/http/chunked.h"
#include "protocols/rest/request.h"
#include "protocols/rest/routes.h"

/* So much of a body must come to renew BODY_TIMEOUT_MS: a byte now and then does not. */
#define BODY_PROGRESS_BYTES 4096

/* One allocation: the struct, the table of headers, the head's bytes. */
struct exchange {
    struct connection *connection;
    struct request *request;
    enum exchange_phase phase;
    bool is_http_1_0;
    bool must_close;
    bool expects_continue;
    bool is_chunked;
    struct chunked chunked;
    uint64_t body_missing_bytes; /* of a body whose length was told */
    size_t progress_bytes;
    struct buffer body;
    size_t room_bytes; /* taken from the worker for `body` */
    struct request_header headers[];
};

enum exchange_phase exchange_phase(const struct exchange *exchange) {
    return exchange->phase;
}

struct request *exchange_request(const struct exchange *exchange) {
    return exchange->request;
}

bool exchange_must_close(const struct exchange *exchange) {
    return exchange->must_close;
}

bool exchange_is_http_1_0(const struct exchange *exchange) {
    return exchange->is_http_1_0;
}

bool exchange_expects_continue(const struct exchange *exchange) {
    return exchange->expects_continue;
}

/* --- beginning ------------------------------------------------------------------------------- */

static enum error_code create(struct connection *connection, size_t extra_bytes,
                              struct exchange **ret_exchange) {
    struct exchange *exchange = calloc(1, sizeof(*exchange) + extra_bytes);
    struct request *request = request_create();
    if (exchange == NULL || request == NULL) {
        free(exchange);
        request_destroy(request);
        return ERR_MEMORY;
    }
    struct broker *broker = worker_broker(connection_worker(connection));
    request->broker = broker;
    request->assets = broker->public_assets;
    request->reply_to = worker_mailbox(connection_worker(connection));
    request->peer = connection_peer(connection);
    request->can_switch = true;
    exchange->connection = connection;
    exchange->request = request;
    *ret_exchange = exchange;
    return OK;
}

enum error_code exchange_begin_refused(struct connection *connection, enum error_code code,
                                       const struct error *why, struct exchange **ret_exchange) {
    INVARIANT(code != OK);
    enum error_code created = create(connection, 0, ret_exchange);
    if (created == OK) {
        request_refuse((*ret_exchange)->request, code, why);
        (*ret_exchange)->phase = EXCHANGE_REFUSED;
        (*ret_exchange)->must_close = true;
    }
    return created;
}

/* Where a span of the parsed head stands in the exchange's own copy of it. */
static struct span moved(struct span span, const uint8_t *from, const uint8_t *to) {
    return span.length == 0 ? (struct span){0} : span_of(to + (span.bytes - from), span.length);
}

/* Copies what the routes will ask for: the bytes that it stands in belong to the socket's
 * buffer. */
static enum error_code copy_head(struct connection *connection, const struct head *head,
                                 struct span bytes, struct exchange **ret_exchange) {
    size_t headers_bytes = head->header_count * sizeof(struct request_header);
    enum error_code code = create(connection, headers_bytes + bytes.length, ret_exchange);
    if (code != OK) {
        return code;
    }
    struct exchange *exchange = *ret_exchange;
    struct request *request = exchange->request;
    uint8_t *copy = (uint8_t *)exchange->headers + headers_bytes;
    memcpy(copy, bytes.bytes, bytes.length);
    for (size_t i = 0; i < head->header_count; i++) {
        const struct head_header *header = &head->headers[i];
        /* The authority of an absolute address stands for Host (RFC 9112, section 3.2.2). */
        bool is_host = span_is_equal_nocase(header->name, SPAN("Host"));
        exchange->headers[i] =
            (struct request_header){moved(header->name, bytes.bytes, copy),
                                    moved(is_host ? head->host : header->value, bytes.bytes, copy)};
    }
    request->method = moved(head->method_text, bytes.bytes, copy);
    request->query = moved(head->query, bytes.bytes, copy);
    /* An absolute address without a path has one that does not stand in the head. */
    bool is_own = head->path.bytes >= bytes.bytes && head->path.bytes < bytes.bytes + bytes.length;
    request->path = is_own ? moved(head->path, bytes.bytes, copy) : SPAN("/");
    request->headers = exchange->headers;
    request->header_count = head->header_count;
    request->is_upgrade = head->upgrades_to_websocket;
    exchange->is_http_1_0 = head->version_minor == 0;
    exchange->must_close = !head->keep_alive;
    exchange->expects_continue = head->expects_continue;
    exchange->is_chunked = head->is_chunked;
    exchange->body_missing_bytes = head->has_content_length ? head->content_length : 0;
    return OK;
}

/* A refused request's body is passed over where it is here already; else the connection ends. */
static void pass_over_body(struct exchange *exchange, struct span *rest) {
    exchange->phase = EXCHANGE_REFUSED;
    if (!exchange->is_chunked && exchange->body_missing_bytes <= rest->length) {
        size_t length = (size_t)exchange->body_missing_bytes;
        *rest = span_of(rest->bytes + length, rest->length - length);
    } else {
        exchange->must_close = true;
    }
}

enum error_code exchange_begin(struct connection *connection, struct head_search *search,
                               struct span *rest, void (*on_replied)(struct request *request),
                               void *context, struct exchange **ret_exchange) {
    struct error why = {0};
    struct head head;
    size_t length = 0;
    enum error_code code = head_find_end(search, *rest, &length, &why);
    if (code == ERR_AGAIN) {
        return ERR_AGAIN;
    }
    *search = (struct head_search){0};
    struct span bytes = span_of(rest->bytes, length);
    if (code == OK) {
        code = head_parse(bytes, &head, &why);
    }
    if (code != OK) {
        *rest = (struct span){0}; /* where the next request would begin is not known */
        return exchange_begin_refused(connection, code, &why, ret_exchange);
    }
    *rest = span_of(rest->bytes + length, rest->length - length);
    code = copy_head(connection, &head, bytes, ret_exchange);
    if (code != OK) {
        return code;
    }
    struct exchange *exchange = *ret_exchange;
    exchange->request->on_replied = on_replied;
    exchange->request->context = context;
    if (!routes_admit(exchange->request)) {
        pass_over_body(exchange, rest);
        return OK;
    }
    bool has_body = exchange->is_chunked || exchange->body_missing_bytes > 0;
    exchange->phase = EXCHANGE_BODY;
    exchange->expects_continue = exchange->expects_continue && has_body;
    buffer_init(&exchange->body, (size_t)exchange->request->body_bytes_max);
    return OK;
}

/* --- the body -------------------------------------------------------------------------------- */

void exchange_refuse(struct exchange *exchange, enum error_code code, const char *why) {
    INVARIANT(exchange->phase == EXCHANGE_BODY);
    request_refuse_because(exchange->request, code, NULL, "%s", why);
    exchange->phase = EXCHANGE_REFUSED;
    exchange->must_close = true;
}

/* Appends to the body, with memory that the worker grants. */
static bool put_body(struct exchange *exchange, struct span bytes) {
    struct worker *worker = connection_worker(exchange->connection);
    struct buffer *body = &exchange->body;
    if (bytes.length > body->ceiling - body->length) {
        exchange_refuse(exchange, ERR_TOO_LARGE, "the body is larger than is taken here");
        return false;
    }
    enum error_code code = buffer_reserve(body, bytes.length);
    if (code == OK && body->capacity > exchange->room_bytes) {
        size_t more = body->capacity - exchange->room_bytes;
        code = worker_take_body_room(worker, more) ? OK : ERR_BUSY;
        exchange->room_bytes += code == OK ? more : 0;
    }
    if (code == OK) {
        code = buffer_put(body, bytes);
    }
    if (code != OK) {
        exchange_refuse(exchange, code, "too many bodies are under way");
        return false;
    }
    exchange->progress_bytes += bytes.length;
    return true;
}

static void take_plain(struct exchange *exchange, struct span *rest) {
    uint64_t missing = exchange->body_missing_bytes;
    size_t length = missing < rest->length ? (size_t)missing : rest->length;
    struct span part = span_of(rest->bytes, length);
    *rest = span_of(rest->bytes + length, rest->length - length);
    exchange->body_missing_bytes -= length;
    if (exchange->body.length == 0 && exchange->body_missing_bytes == 0) {
        exchange->request->body = part; /* all at once: no copy is needed */
        exchange->phase = EXCHANGE_WHOLE;
    } else if (put_body(exchange, part) && exchange->body_missing_bytes == 0) {
        exchange->request->body = buffer_borrow(&exchange->body);
        exchange->phase = EXCHANGE_WHOLE;
    }
}

static void take_chunks(struct exchange *exchange, struct span *rest) {
    struct error why = {0};
    struct span data = {0};
    do {
        enum error_code code = chunked_feed(&exchange->chunked, rest, &data, &why);
        if (code != OK) {
            exchange_refuse(exchange, code, why.detail);
            return;
        }
        if (data.length > 0 && !put_body(exchange, data)) {
            return;
        }
    } while (data.length > 0);
    if (chunked_is_done(&exchange->chunked)) {
        exchange->request->body = buffer_borrow(&exchange->body);
        exchange->phase = EXCHANGE_WHOLE;
    }
}

bool exchange_take_body(struct exchange *exchange, struct span *rest) {
    INVARIANT(exchange->phase == EXCHANGE_BODY);
    if (exchange->is_chunked) {
        take_chunks(exchange, rest);
    } else {
        take_plain(exchange, rest);
    }
    bool has_moved = exchange->progress_bytes >= BODY_PROGRESS_BYTES;
    if (has_moved) {
        exchange->progress_bytes = 0;
    }
    return has_moved;
}

static void let_body_go(struct exchange *exchange) {
    if (exchange->room_bytes > 0) {
        worker_give_body_room(connection_worker(exchange->connection), exchange->room_bytes);
        exchange->room_bytes = 0;
    }
    buffer_finish(&exchange->body);
}

void exchange_handle(struct exchange *exchange) {
    INVARIANT(exchange->phase == EXCHANGE_WHOLE);
    routes_handle(exchange->request);
    exchange->request->body = (struct span){0};
    let_body_go(exchange);
}

void exchange_destroy(struct exchange *exchange) {
    if (exchange == NULL) {
        return;
    }
    let_body_go(exchange);
    request_destroy(exchange->request);
    free(exchange);
}
