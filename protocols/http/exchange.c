/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "protocols/http/chunked.h"
#include "protocols/rest/request.h"
#include "protocols/rest/routes.h"

/* So much of a body must come to renew BODY_TIMEOUT_MS: a byte now and then does not. */
#define BODY_PROGRESS_BYTES 4096

/* One allocation: the struct, the table of headers, the head's bytes. */
struct exchange {
    struct list in_connection;
    struct connection *connection;
    struct exchange_owner *owner;
    size_t size; /* of this allocation */
    struct request *request;
    enum exchange_phase phase;
    bool is_http_1_0;
    bool must_close;
    bool expects_continue;
    bool is_chunked;
    struct chunked chunked;
    uint64_t body_missing_bytes; /* of a body whose length was told */
    size_t progress_bytes;
    bool lends_identity; /* the connection has that of the request */
    size_t kept_bytes;   /* of the request, when it was handed on: what it keeps after a wait is its
                        * own, for nothing overlaps it */
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

/* Who waits for 100 Continue must not be told before the answers to what came before. */
bool exchange_can_overlap(const struct exchange *exchange) {
    return exchange->request->can_overlap && !exchange->expects_continue;
}

size_t exchange_bytes(const struct exchange *exchange) {
    return exchange->size + sizeof(*exchange->request) + exchange->kept_bytes;
}

bool exchange_take_continue(struct exchange *exchange) {
    bool is_expected = exchange->expects_continue;
    exchange->expects_continue = false;
    return is_expected;
}

void exchange_put_tail(struct list *exchanges, struct exchange *exchange) {
    list_put_tail(exchanges, &exchange->in_connection);
}

struct exchange *exchange_first(const struct list *exchanges) {
    return list_is_empty(exchanges) ? NULL
                                    : CONTAINER_OF(exchanges->next, struct exchange, in_connection);
}

struct exchange *exchange_last(const struct list *exchanges) {
    return list_is_empty(exchanges)
               ? NULL
               : CONTAINER_OF(exchanges->previous, struct exchange, in_connection);
}

/* --- beginning ------------------------------------------------------------------------------- */

static enum error_code create(struct connection *connection, size_t extra_bytes,
                              struct exchange **ret_exchange) {
    struct exchange *exchange = malloc(sizeof(*exchange) + extra_bytes);
    struct request *request = request_create();
    if (exchange == NULL || request == NULL) {
        free(exchange);
        request_destroy(request);
        return ERR_MEMORY;
    }
    *exchange = (struct exchange){0};
    struct broker *broker = worker_broker(connection_worker(connection));
    request->broker = broker;
    request->assets = broker->public_assets;
    request->reply_to = worker_mailbox(connection_worker(connection));
    request->connection = connection;
    request->petition.access = worker_access(connection_worker(connection));
    request->peer = connection_peer(connection);
    request->is_secure = connection_is_secure(connection);
    request->reply.is_secure = request->is_secure;
    request->certificate = connection_certificate(connection, &request->certificate_ends_s);
    request->can_switch = true;
    list_init(&exchange->in_connection);
    exchange->size = sizeof(*exchange) + extra_bytes;
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
        (*ret_exchange)->phase = EXCHANGE_REPLIED;
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
    exchange->phase = EXCHANGE_REPLIED;
    if (!exchange->is_chunked && exchange->body_missing_bytes <= rest->length) {
        size_t length = (size_t)exchange->body_missing_bytes;
        *rest = span_of(rest->bytes + length, rest->length - length);
    } else {
        exchange->must_close = true;
    }
}

static void let_body_go(struct exchange *exchange) {
    if (exchange->room_bytes > 0) {
        worker_give_body_room(connection_worker(exchange->connection), exchange->room_bytes);
        exchange->room_bytes = 0;
    }
    buffer_finish(&exchange->body);
}

static void on_replied(struct request *request) {
    struct exchange *exchange = request->context;
    INVARIANT(exchange->phase == EXCHANGE_HANDLED);
    exchange->phase = EXCHANGE_REPLIED;
    if (request->keeps_body) {
        request->body = (struct span){0};
        let_body_go(exchange);
    }
    exchange->owner->on_replied(exchange->owner);
}

static enum error_code on_stay(struct request *request, struct error *why) {
    struct exchange *exchange = request->context;
    enum error_code code = request->identity == NULL
                               ? OK
                               : connection_admit(exchange->connection, request->identity, why);
    exchange->lends_identity = code == OK && request->identity != NULL;
    return code;
}

enum error_code exchange_begin(struct connection *connection, struct head_search *search,
                               struct span *rest, struct exchange_owner *owner,
                               struct exchange **ret_exchange) {
    struct error why = {0};
    struct head head;
    size_t length = 0;
    enum error_code code = head_take(search, *rest, &head, &length, &why);
    if (code == ERR_AGAIN) {
        return ERR_AGAIN;
    }
    *search = (struct head_search){0};
    if (code != OK) {
        *rest = (struct span){0}; /* where the next request would begin is not known */
        return exchange_begin_refused(connection, code, &why, ret_exchange);
    }
    struct span bytes = span_of(rest->bytes, length);
    *rest = span_of(rest->bytes + length, rest->length - length);
    code = copy_head(connection, &head, bytes, ret_exchange);
    if (code != OK) {
        return code;
    }
    struct exchange *exchange = *ret_exchange;
    exchange->owner = owner;
    exchange->request->on_replied = on_replied;
    exchange->request->on_stay = on_stay;
    exchange->request->context = exchange;
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
    exchange->phase = EXCHANGE_REPLIED;
    exchange->must_close = true;
}

/* Appends to the body, with memory that the worker grants. */
static enum error_code grow_body(struct exchange *exchange, struct span bytes) {
    struct worker *worker = connection_worker(exchange->connection);
    struct buffer *body = &exchange->body;
    enum error_code code = buffer_reserve(body, bytes.length);
    if (code == OK && body->capacity > exchange->room_bytes) {
        size_t more = body->capacity - exchange->room_bytes;
        code = worker_take_body_room(worker, more) ? OK : ERR_BUSY;
        exchange->room_bytes += code == OK ? more : 0;
    }
    return code == OK ? buffer_put(body, bytes) : code;
}

static bool put_body(struct exchange *exchange, struct span bytes) {
    struct buffer *body = &exchange->body;
    if (bytes.length > body->ceiling - body->length) {
        exchange_refuse(exchange, ERR_TOO_LARGE, "the body is larger than is taken here");
        return false;
    }
    enum error_code code = grow_body(exchange, bytes);
    if (code != OK) {
        exchange_refuse(exchange, code, "too many bodies are under way");
        return false;
    }
    exchange->progress_bytes += bytes.length;
    exchange->request->is_late = true;
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

/* Whoever asked for it waits for somebody: what stands in the socket's buffer is copied. */
static void keep_body(struct exchange *exchange) {
    struct request *request = exchange->request;
    if (exchange->body.length == 0) {
        request->body_result = grow_body(exchange, request->body);
    }
    request->body = buffer_borrow(&exchange->body);
}

void exchange_handle(struct exchange *exchange) {
    INVARIANT(exchange->phase == EXCHANGE_WHOLE);
    exchange->phase = EXCHANGE_HANDLED;
    routes_handle(exchange->request);
    exchange->kept_bytes = exchange->request->kept_bytes;
    if (exchange->request->keeps_body && exchange->phase == EXCHANGE_HANDLED) {
        keep_body(exchange);
        return;
    }
    exchange->request->body = (struct span){0};
    let_body_go(exchange);
}

void exchange_destroy(struct exchange *exchange) {
    if (exchange == NULL) {
        return;
    }
    let_body_go(exchange);
    if (exchange->lends_identity) {
        connection_forget_identity(exchange->connection);
    }
    list_remove(&exchange->in_connection);
    request_destroy(exchange->request);
    free(exchange);
}
