/* SPDX-License-Identifier: Apache-2.0 */
/* Two clocks watch a connection. libmicrohttpd's own timeout counts from the last byte, so a peer
 * that sends one byte a minute is never late by it. So each connection has a deadline on our wheel
 * too: for the head, for each CALL_PROGRESS_BYTES of a body, for the next request. What is late is
 * shut down at the socket; libmicrohttpd finds it closed and cleans up. */
#include "protocols/operator/call.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/admission/addresses.h"
#include "broker/runtime/broker.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "protocols/http/head.h"
#include "protocols/operator/api.h"
#include "protocols/operator/certificate.h"
#include "protocols/operator/guard.h"
#include "protocols/operator/pages.h"
#include "protocols/rest/hardening.h"
#include "protocols/rest/request.h"
#include "protocols/rest/routes.h"

#define CALL_PROGRESS_BYTES 4096 /* so much of a body renews BODY_TIMEOUT_MS */

/* One connection. */
struct peer {
    struct wheel_timer deadline;
    int socket;
    struct sockaddr_storage address;
    char text[ADDRESS_PEER_BYTES];
};

enum call_phase {
    CALL_HEAD,    /* on_access has not been called yet */
    CALL_BODY,    /* a body may come, and is kept */
    CALL_REFUSED, /* the reply is there; a body is thrown away */
    CALL_WAITING, /* the routes work on it */
    CALL_REPLIED, /* the reply is there and not handed over yet */
    CALL_SENT,    /* the reply is libmicrohttpd's to send */
};

struct call {
    struct list in_calls;
    struct switchboard *switchboard;
    struct MHD_Connection *connection;
    struct request *request;
    struct peer *peer;
    enum call_phase phase;
    bool is_suspended;
    bool must_close;
    struct buffer body;
    size_t room_bytes; /* of switchboard->bodies_bytes */
    size_t discarded_bytes;
    size_t progress_bytes;
    size_t head_bytes;
    struct request_header headers[HTTP_HEADERS_MAX];
    size_t target_length;
    char target[];
};

/* --- connections ----------------------------------------------------------------------------- */

static void on_late(struct wheel_timer *timer) {
    struct peer *peer = CONTAINER_OF(timer, struct peer, deadline);
    shutdown(peer->socket, SHUT_RDWR);
}

static void take_address(struct peer *peer, const struct sockaddr *address) {
    memcpy(&peer->address, address,
           address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in));
    address_format_peer(&peer->address, peer->text);
}

static void arm(struct call *call, uint64_t timeout_ms) {
    wheel_arm(&call->switchboard->wheel, &call->peer->deadline, clock_monotonic_ms() + timeout_ms);
}

void call_on_connection(void *argument, struct MHD_Connection *connection,
                        void **connection_context, enum MHD_ConnectionNotificationCode code) {
    struct switchboard *switchboard = argument;
    struct peer *peer = *connection_context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (peer != NULL) {
            wheel_disarm(&switchboard->wheel, &peer->deadline);
        }
        free(peer);
        *connection_context = NULL;
        return;
    }
    peer = calloc(1, sizeof(*peer));
    *connection_context = peer; /* NULL: call_on_target() then makes no call */
    if (peer == NULL) {
        return;
    }
    peer->deadline.on_due = on_late;
    peer->socket =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    take_address(
        peer, MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    wheel_arm(&switchboard->wheel, &peer->deadline, clock_monotonic_ms() + HANDSHAKE_TIMEOUT_MS);
    if (switchboard->certificate != NULL) {
        certificate_apply(
            switchboard->certificate,
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session);
    }
}

/* --- replies --------------------------------------------------------------------------------- */

/* Adds the routes' headers. A length is libmicrohttpd's own to tell. */
static bool add_headers(struct MHD_Response *response, const struct reply *reply) {
    char line[REPLY_HEADERS_BYTES_MAX + 2];
    struct span rest = buffer_borrow(&reply->headers);
    struct span name;
    struct span value;
    while (reply_next_header(&rest, &name, &value)) {
        INVARIANT(name.length + value.length + 2 <= sizeof(line));
        memcpy(line, name.bytes, name.length);
        line[name.length] = '\0';
        memcpy(line + name.length + 1, value.bytes, value.length);
        line[name.length + 1 + value.length] = '\0';
        /* An empty value is refused by libmicrohttpd and means nothing anyway. */
        if (value.length > 0 &&
            MHD_add_response_header(response, line, line + name.length + 1) != MHD_YES) {
            return false;
        }
    }
    return true;
}

static bool harden(struct MHD_Response *response, bool is_secure) {
    static const struct {
        const char *name;
        const char *value;
    } rows[] = {
#define ROW(name, value) {name, value},
        HARDENING_TABLE(ROW)
#undef ROW
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (MHD_add_response_header(response, rows[i].name, rows[i].value) != MHD_YES) {
            return false;
        }
    }
    return !is_secure || MHD_add_response_header(response, HARDENING_OF_TLS_NAME,
                                                 HARDENING_OF_TLS_VALUE) == MHD_YES;
}

/* A path that the routes are not asked for. */
static bool is_own(const struct request *request) {
    return pages_has(request->path) || api_has(request->path);
}

/* Hands the reply over. The body is not copied: the request outlives its response. */
static enum MHD_Result send_reply(struct call *call) {
    struct request *request = call->request;
    struct reply *reply = &request->reply;
    struct span body = reply_body(reply);
    INVARIANT(reply->kind == REPLY_WHOLE);
    INVARIANT(reply->status >= 200);
    const void *bytes = body.length == 0 ? "" : (const void *)body.bytes;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body.length, (void *)(uintptr_t)bytes, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        return MHD_NO;
    }
    bool is_leaving =
        !is_own(request) && atomic_load(&request->broker->is_draining); /* of the back ends */
    bool must_close = call->must_close || call->switchboard->is_stopping || is_leaving;
    bool is_whole =
        add_headers(response, reply) && harden(response, reply->is_secure) &&
        (!must_close || MHD_add_response_header(response, "Connection", "close") == MHD_YES);
    enum MHD_Result result =
        is_whole ? MHD_queue_response(call->connection, reply->status, response) : MHD_NO;
    MHD_destroy_response(response); /* the connection has its own reference */
    request_log(request);
    request_count(request, call->switchboard->shard);
    call->phase = CALL_SENT;
    wheel_disarm(&call->switchboard->wheel, &call->peer->deadline);
    return result;
}

static void on_replied(struct request *request) {
    struct call *call = request->context;
    INVARIANT(call->phase == CALL_WAITING);
    call->phase = CALL_REPLIED;
    if (call->is_suspended) {
        call->is_suspended = false;
        MHD_resume_connection(call->connection); /* runs when the whole batch is delivered */
    }
}

static void refuse(struct call *call, enum error_code code, const char *field, const char *detail) {
    request_refuse_because(call->request, code, field, "%s", detail);
    call->phase = CALL_REFUSED;
}

/* --- the head -------------------------------------------------------------------------------- */

static enum MHD_Result on_header(void *argument, enum MHD_ValueKind kind, const char *name,
                                 size_t name_length, const char *value, size_t value_length) {
    struct call *call = argument;
    struct request *request = call->request;
    (void)kind;
    call->head_bytes += name_length + value_length + 4; /* ": " and CRLF */
    if (request->header_count == HTTP_HEADERS_MAX) {
        call->head_bytes = HTTP_HEAD_BYTES_MAX + 1;
        return MHD_NO;
    }
    call->headers[request->header_count++] = (struct request_header){
        span_of(name, name_length), span_trim(span_of(value, value_length))};
    return MHD_YES;
}

static size_t count_headers(const struct request *request, const char *name) {
    size_t count = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        count += span_is_equal_nocase(request->headers[i].name, span_of_string(name));
    }
    return count;
}

static bool has_body(const struct request *request) {
    struct span length;
    return count_headers(request, "Transfer-Encoding") > 0 ||
           (request_find_header(request, "Content-Length", &length) &&
            !span_is_equal(length, SPAN("0")));
}

/* The whole body may be read and thrown away before the answer: its length is told and bearable. */
static bool is_worth_discarding(const struct request *request) {
    struct span text;
    uint64_t length;
    return count_headers(request, "Expect") == 0 &&
           (!request_find_header(request, "Content-Length", &text) ||
            (span_parse_u64(text, &length) && length <= CALL_DISCARD_BYTES_MAX));
}

static bool is_longer_than(struct span name, struct span field) {
    return name.length > field.length &&
           span_is_equal_nocase(span_of(name.bytes, field.length), field);
}

/* A length to some and no field to others: "Content-Length : 5"; and folded ones, whose second line
 * libmicrohttpd 0.9.75 hangs to the name: "Content-Length5", "XContent-Length: 5". */
static bool has_broken_name(const struct request *request) {
    for (size_t i = 0; i < request->header_count; i++) {
        struct span name = request->headers[i].name;
        if (!head_is_token(name) || is_longer_than(name, SPAN("Content-Length")) ||
            is_longer_than(name, SPAN("Transfer-Encoding"))) {
            return true;
        }
    }
    return false;
}

/* A request that could have a body: whoever sent it on may have seen a length where none is. */
static bool tells_no_length(const struct request *request) {
    bool may_have_body =
        span_is_equal(request->method, SPAN("POST")) || span_is_equal(request->method, SPAN("PUT"));
    return may_have_body && count_headers(request, "Content-Length") == 0 &&
           count_headers(request, "Transfer-Encoding") == 0;
}

/* What libmicrohttpd lets pass and the public port does not: heads that two parties may read
 * differently (RFC 9112, section 6.3), and sizes. */
static void check_head(struct call *call) {
    struct request *request = call->request;
    struct span value = {0};
    size_t codings = count_headers(request, "Transfer-Encoding");
    size_t lengths = count_headers(request, "Content-Length");
    call->must_close = true; /* as long as it is not sure where the request ends */
    if (call->target_length > HTTP_TARGET_BYTES_MAX) {
        refuse(call, ERR_URI_TOO_LONG, NULL, "the address has more than 8192 bytes");
    } else if (call->head_bytes > HTTP_HEAD_BYTES_MAX) {
        refuse(call, ERR_HEADERS_TOO_LARGE, NULL, "the head is above 16384 bytes or 100 headers");
    } else if (has_broken_name(request)) {
        refuse(call, ERR_BAD_REQUEST, NULL, "the name of a field is none");
    } else if (codings + lengths > 1) {
        refuse(call, ERR_BAD_REQUEST, "Content-Length", "the request has two lengths");
    } else if (lengths == 1 && !(request_find_header(request, "Content-Length", &value) &&
                                 span_parse_u64(value, &(uint64_t){0}))) {
        refuse(call, ERR_BAD_REQUEST, "Content-Length", "the length is not a number");
    } else if (codings == 1 && !(request_find_header(request, "Transfer-Encoding", &value) &&
                                 span_is_equal_nocase(value, SPAN("chunked")))) {
        refuse(call, ERR_NOT_IMPLEMENTED, "Transfer-Encoding", "only chunked is understood");
    } else if (count_headers(request, "Host") > 1) {
        refuse(call, ERR_BAD_REQUEST, "Host", "the request names two hosts");
    } else if (request_find_header(request, "Expect", &value) &&
               !span_is_equal_nocase(value, SPAN("100-continue"))) {
        refuse(call, ERR_EXPECTATION, "Expect", "only 100-continue can be met");
    } else {
        call->must_close = tells_no_length(request);
    }
}

static struct request *request_of(struct call *call, const char *method) {
    struct request *request = request_create();
    if (request == NULL) {
        return NULL;
    }
    struct span rest = span_of(call->target, call->target_length);
    struct span upgrade;
    request->broker = call->switchboard->broker;
    request->assets = request->broker->operator_assets;
    request->reply_to = &call->switchboard->mailbox;
    request->method = span_of_string(method);
    request->path = span_split(&rest, '?');
    request->query = rest;
    request->headers = call->headers;
    request->peer = call->peer->text;
    request->is_operator = true;
    request->is_secure = call->switchboard->certificate != NULL;
    request->counted_as = is_own(request) ? METRICS_ROUTE_OPERATOR : METRICS_ROUTE_OTHER;
    request->on_replied = on_replied;
    request->context = call;
    call->request = request;
    MHD_get_connection_values_n(call->connection, MHD_HEADER_KIND, on_header, call);
    request->is_upgrade = request_find_header(request, "Upgrade", &upgrade) &&
                          span_is_equal_nocase(upgrade, SPAN("websocket"));
    return request;
}

/* Who is it? Before anything else is said about what is here. */
static void check_key(struct call *call) {
    struct error why = {0};
    enum error_code code =
        guard_identify(call->request, &call->peer->address, call->switchboard->shard, &why);
    if (code != OK) {
        request_refuse(call->request, code, &why);
        call->phase = CALL_REFUSED;
    }
    if (code == ERR_UNAUTHORIZED) {
        guard_challenge(call->request);
    }
}

static void admit(struct call *call) {
    struct request *request = call->request;
    if (!routes_admit(request)) {
        call->phase = CALL_REFUSED;
    } else if (request->is_upgrade) {
        refuse(call, ERR_NOT_ACCEPTABLE, "Upgrade",
               "no WebSockets are spoken here; they are on the public port");
    }
}

/* The head is there. A reply that is ready goes out at once only where the body must not come:
 * otherwise the connection would end under a peer that is still writing. */
static enum MHD_Result take_head(struct call *call, const char *method) {
    struct request *request = request_of(call, method);
    if (request == NULL) {
        return MHD_NO;
    }
    call->phase = CALL_BODY;
    check_head(call);
    if (call->phase == CALL_BODY) {
        check_key(call);
    }
    if (call->phase == CALL_BODY && !is_own(request)) {
        admit(call);
    } else if (api_has(request->path)) {
        request->body_bytes_max = api_body_bytes_max(request);
    }
    if (call->phase == CALL_REFUSED && has_body(request) &&
        (call->must_close || !is_worth_discarding(request))) {
        call->must_close = true;
        return send_reply(call);
    }
    buffer_init(&call->body, (size_t)request->body_bytes_max);
    arm(call, BODY_TIMEOUT_MS);
    return MHD_YES;
}

/* --- the body -------------------------------------------------------------------------------- */

static void let_body_go(struct call *call) {
    call->switchboard->bodies_bytes -= call->room_bytes;
    call->room_bytes = 0;
    metrics_set(call->switchboard->shard, METRIC_BODIES, call->switchboard->bodies_bytes);
    buffer_finish(&call->body);
}

static void keep(struct call *call, struct span bytes) {
    struct switchboard *switchboard = call->switchboard;
    enum error_code code = buffer_put(&call->body, bytes);
    if (code == OK && call->body.capacity > call->room_bytes) {
        switchboard->bodies_bytes += call->body.capacity - call->room_bytes;
        call->room_bytes = call->body.capacity;
        code = switchboard->bodies_bytes > BODIES_BYTES_MAX ? ERR_BUSY : OK;
        metrics_set(switchboard->shard, METRIC_BODIES, switchboard->bodies_bytes);
    }
    if (code == OK) {
        return;
    }
    let_body_go(call);
    if (code != ERR_TOO_LARGE) {
        refuse(call, code, NULL, "too many bodies are under way");
    } else if (call->request->body_bytes_max == 0) {
        refuse(call, code, NULL, "no body is taken here");
    } else {
        refuse(call, code, NULL, "the body is larger than is taken here");
    }
}

/* MHD_NO ends the connection: in the middle of a body libmicrohttpd takes no reply. */
static enum MHD_Result take_body(struct call *call, struct span bytes) {
    call->progress_bytes += bytes.length;
    if (call->progress_bytes >= CALL_PROGRESS_BYTES) {
        call->progress_bytes = 0;
        arm(call, BODY_TIMEOUT_MS);
    }
    bool is_kept = !is_own(call->request) || call->request->body_bytes_max > 0;
    if (call->phase == CALL_BODY && is_kept) {
        keep(call, bytes);
        return MHD_YES;
    }
    call->discarded_bytes += bytes.length;
    return call->discarded_bytes <= CALL_DISCARD_BYTES_MAX ? MHD_YES : MHD_NO;
}

static enum MHD_Result handle(struct call *call) {
    struct request *request = call->request;
    wheel_disarm(&call->switchboard->wheel, &call->peer->deadline);
    call->phase = CALL_WAITING;
    request->body = buffer_borrow(&call->body);
    if (pages_has(request->path)) {
        pages_handle(request);
    } else if (api_has(request->path)) {
        api_handle(request);
    } else {
        routes_handle(request);
    }
    request->body = (struct span){0};
    let_body_go(call);
    if (call->phase == CALL_REPLIED) {
        return send_reply(call);
    }
    call->is_suspended = true;
    MHD_suspend_connection(call->connection);
    return MHD_YES;
}

/* --- libmicrohttpd's side -------------------------------------------------------------------- */

void *call_on_target(void *argument, const char *target, struct MHD_Connection *connection) {
    struct switchboard *switchboard = argument;
    struct peer *peer =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    size_t length = strlen(target);
    struct call *call = peer == NULL ? NULL : calloc(1, sizeof(*call) + length);
    if (call == NULL) {
        return NULL;
    }
    call->switchboard = switchboard;
    call->connection = connection;
    call->peer = peer;
    call->target_length = length;
    call->head_bytes = length;
    memcpy(call->target, target, length);
    list_put_tail(&switchboard->calls, &call->in_calls);
    return call;
}

enum MHD_Result call_on_access(void *argument, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload_data,
                               size_t *upload_data_size, void **context) {
    struct call *call = *context;
    (void)argument;
    (void)connection;
    (void)url;
    (void)version;
    if (call == NULL) {
        return MHD_NO;
    }
    if (call->phase == CALL_HEAD) {
        return take_head(call, method);
    }
    if (*upload_data_size > 0) {
        struct span bytes = span_of(upload_data, *upload_data_size);
        *upload_data_size = 0;
        return take_body(call, bytes);
    }
    if (call->phase == CALL_BODY) {
        return handle(call);
    }
    if (call->phase == CALL_WAITING) { /* resumed by call_abandon_all() */
        return MHD_NO;
    }
    return send_reply(call);
}

void call_on_completed(void *argument, struct MHD_Connection *connection, void **context,
                       enum MHD_RequestTerminationCode code) {
    struct call *call = *context;
    (void)argument;
    (void)connection;
    *context = NULL;
    if (call == NULL) {
        return;
    }
    INVARIANT(!call->is_suspended);
    if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK) {
        arm(call, KEEP_ALIVE_TIMEOUT_MS + HANDSHAKE_TIMEOUT_MS);
    }
    let_body_go(call);
    list_remove(&call->in_calls);
    request_destroy(call->request);
    free(call);
}

void call_abandon_all(struct switchboard *switchboard) {
    LIST_EACH(&switchboard->calls, node) {
        struct call *call = CONTAINER_OF(node, struct call, in_calls);
        if (call->is_suspended) {
            call->is_suspended = false;
            MHD_resume_connection(call->connection);
        }
    }
}
