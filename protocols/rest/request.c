/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/throttle.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "broker/support/string_map.h"
#include "protocols/rest/authorization.h"
#include "protocols/rest/problem.h"
#include "protocols/rest/reading.h"
#include "protocols/trace_context.h"

#define HEADER_VALUE_BYTES_MAX 8192

/* glibc's calloc() takes nothing out of a thread's cache: malloc() here and for an exchange is a
 * tenth of what a publish costs besides its system calls. */
struct request *request_create(void) {
    struct request *request = malloc(sizeof(*request));
    if (request == NULL) {
        return NULL;
    }
    *request = (struct request){0};
    request->counted_as = METRICS_ROUTE_OTHER;
    request->begin_us = clock_monotonic_us();
    buffer_init(&request->channel, HTTP_TARGET_BYTES_MAX);
    buffer_init(&request->reply.headers, REPLY_HEADERS_BYTES_MAX);
    buffer_init(&request->reply.body, REPLY_BODY_BYTES_MAX);
    return request;
}

static void request_free(struct request *request) {
    INVARIANT(!request->is_pending);
    if (request->on_state_finish != NULL) {
        request->on_state_finish(request->state);
    }
    authorization_finish(request);
    buffer_finish(&request->channel);
    buffer_finish(&request->reply.headers);
    buffer_finish(&request->reply.body);
    reading_destroy(request->reading);
    free(request);
}

void request_hurry(struct request *request) {
    request->is_hurried = true;
    if (request->is_pending && request->on_hurried != NULL) {
        request->on_hurried(request);
    }
}

void request_destroy(struct request *request) {
    if (request == NULL) {
        return;
    }
    INVARIANT(!request->is_abandoned);
    petition_finish(&request->petition);
    if (request->is_pending) {
        /* The log or a read thread holds a letter inside our state. It comes back to this
         * thread. */
        request->is_abandoned = true;
        request_hurry(request);
        return;
    }
    request_free(request);
}

void request_count(const struct request *request, struct metrics_shard *metrics) {
    enum metrics_route route =
        request->reply.kind == REPLY_WHOLE ? request->counted_as : METRICS_ROUTE_STREAM;
    metrics_add_at(
        metrics, METRIC_HTTP_REQUESTS,
        METRICS_PAIR(METRIC_HTTP_REQUESTS, route, metrics_status_of(request->reply.status)), 1);
    if (request->reply.status == 413 || request->reply.status == 431) {
        enum metrics_limit limit =
            request->reply.status == 431 ? METRICS_LIMIT_HEADERS : METRICS_LIMIT_MESSAGE_BYTES;
        metrics_add_at(metrics, METRIC_LIMITS_REFUSED,
                       METRICS_PAIR(METRIC_LIMITS_REFUSED, limit, METRICS_PROTOCOL_HTTP), 1);
    }
    metrics_observe_at(metrics, METRIC_HTTP_REQUEST, route,
                       clock_monotonic_us() - request->begin_us);
}

void request_wait(struct request *request) {
    INVARIANT(!request->is_pending);
    request->is_pending = true;
}

void request_answer(struct request *request) {
    request->is_pending = false;
    if (request->is_abandoned) {
        request_free(request);
        return;
    }
    INVARIANT(request->on_replied != NULL);
    request->on_replied(request);
}

bool request_is_wanted(const struct request *request) {
    return !request->is_abandoned;
}

bool request_find_header(const struct request *request, const char *name, struct span *ret_value) {
    struct span wanted = span_of_string(name);
    for (size_t i = 0; i < request->header_count; i++) {
        if (span_is_equal_nocase(request->headers[i].name, wanted)) {
            *ret_value = request->headers[i].value;
            return true;
        }
    }
    return false;
}

bool request_is_head(const struct request *request) {
    return span_is_equal(request->method, SPAN("HEAD"));
}

/* --- replies --------------------------------------------------------------------------------- */

/* What an error's reply keeps of the headers that are set already: those that are not of the form
 * that it was going to have. */
static bool is_kept(struct span name) {
    static const char *const kept[] = {"Allow", "Vary", "Sec-WebSocket-Version", "RateLimit",
                                       "RateLimit-Policy"};
    for (size_t i = 0; i < ARRAY_COUNT(kept); i++) {
        if (span_is_equal(name, span_of_string(kept[i]))) {
            return true;
        }
    }
    return span_has_prefix(name, SPAN("Access-Control-"));
}

static void drop_headers_of_content(struct reply *reply) {
    struct buffer all = reply->headers;
    struct span rest = buffer_borrow(&all);
    struct span name, value;
    buffer_init(&reply->headers, REPLY_HEADERS_BYTES_MAX);
    while (reply_next_header(&rest, &name, &value)) {
        if (is_kept(name)) {
            IGNORE_RESULT(string_map_put(&reply->headers, name, value)); /* fitted before */
        }
    }
    buffer_finish(&all);
}

void request_refuse(struct request *request, enum error_code code, const struct error *why) {
    struct reply *reply = &request->reply;
    INVARIANT(code != OK);
    if (request->connection != NULL) {
        throttle_note_depth(request->connection, why);
    }
    drop_headers_of_content(reply);
    reply->kind = REPLY_WHOLE;
    reply->has_no_length = false;
    reply->status = error_row(code)->http_status;
    reply->body_static = (struct span){0};
    buffer_clear(&reply->body);
    reply_add_header(reply, "Content-Type", PROBLEM_MEDIA_TYPE);
    reply_add_header(reply, "Cache-Control", "no-store");
    if (reply->status == 503 || reply->status == 507 || reply->status == 429) {
        /* A fold or a retention step makes room within a second or so. */
        uint32_t wait_ms = why != NULL && why->retry_after_ms > 0 ? why->retry_after_ms
                           : reply->status == 507                 ? 10000
                                                                  : 1000;
        reply_add_header(reply, "Retry-After", "%u", (wait_ms + 999) / 1000);
    }
    authorization_challenge(request, code, why);
    if (problem_put(&reply->body, code, why) != OK) {
        buffer_clear(&reply->body); /* the status alone still says what happened */
    }
}

void request_end(struct request *request, enum error_code code, const struct error *why) {
    if (code != OK && request_is_wanted(request)) {
        request_refuse(request, code, why);
    }
    request_answer(request);
}

void request_refuse_because(struct request *request, enum error_code code, const char *field,
                            const char *format, ...) {
    struct error why;
    va_list arguments;
    va_start(arguments, format);
    error_set_arguments(&why, code, field == NULL ? "" : field, format, arguments);
    va_end(arguments);
    request_refuse(request, code, &why);
}

void reply_put_header(struct reply *reply, struct span name, struct span value) {
    if (string_map_put(&reply->headers, name, value) != OK) {
        reply->status = 500;
    }
}

void reply_add_header(struct reply *reply, const char *name, const char *format, ...) {
    char value[HEADER_VALUE_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(value, sizeof(value), format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof(value)) {
        reply->status = 500;
        return;
    }
    for (int i = 0; i < length; i++) {
        /* What a client sent may come back in a value; it must not end the line. */
        if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f) {
            value[i] = '?';
        }
    }
    reply_put_header(reply, span_of_string(name), span_of(value, (size_t)length));
}

bool reply_next_header(struct span *rest, struct span *ret_name, struct span *ret_value) {
    return string_map_next(rest, ret_name, ret_value);
}

void request_log(const struct request *request) {
    log_event(REQUEST, .peer = request->peer, .method = request->method, .path = request->path,
              .status = request->reply.status, .body_bytes = reply_body(&request->reply).length,
              .trace_id = trace_context_find_id(request->headers, request->header_count));
}

struct span reply_body(const struct reply *reply) {
    return reply->body_static.length > 0 ? reply->body_static : buffer_borrow(&reply->body);
}
