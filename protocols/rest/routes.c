/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/routes.h"

#include <stdio.h>

#include "broker/admission/origin.h"
#include "broker/config/config.h"
#include "broker/runtime/broker.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "protocols/rest/assets.h"
#include "protocols/rest/authorization.h"
#include "protocols/rest/channel.h"
#include "protocols/rest/get.h"
#include "protocols/rest/publish.h"
#include "protocols/rest/request.h"
#include "protocols/rest/ticket.h"
#include "protocols/websocket/handshake.h"

#define READING (METHOD_GET | METHOD_HEAD)

/* The first row that fits decides. */
static const struct route routes[] = {
    {.path = "/channels/",
     .is_prefix = true,
     .counted_as = METRICS_ROUTE_OTHER,
     .methods = READING | METHOD_POST | METHOD_DELETE,
     .on_admit = channel_admit,
     .on_request = channel_handle},
    {.path = "/",
     .port = ROUTE_PUBLIC,
     .counted_as = METRICS_ROUTE_DEMO,
     .methods = READING,
     .on_request = assets_handle_root},
    {.path = "/demo/",
     .port = ROUTE_PUBLIC,
     .counted_as = METRICS_ROUTE_DEMO,
     .methods = READING,
     .on_request = assets_handle_root},
    {.path = "/demo",
     .port = ROUTE_PUBLIC,
     .counted_as = METRICS_ROUTE_DEMO,
     .methods = READING,
     .on_request = assets_handle},
    {.path = "/demo/",
     .is_prefix = true,
     .port = ROUTE_PUBLIC,
     .counted_as = METRICS_ROUTE_DEMO,
     .methods = READING,
     .on_request = assets_handle},
    {.path = "/",
     .port = ROUTE_OPERATOR,
     .counted_as = METRICS_ROUTE_OPERATOR,
     .methods = READING,
     .on_request = assets_handle},
    {.path = "/console/",
     .is_prefix = true,
     .port = ROUTE_OPERATOR,
     .counted_as = METRICS_ROUTE_OPERATOR,
     .methods = READING,
     .on_request = assets_handle},
    {.path = "/stream",
     .counted_as = METRICS_ROUTE_OTHER,
     .methods = READING,
     .on_admit = get_admit_stream,
     .on_request = get_handle},
    {.path = "/publish",
     .counted_as = METRICS_ROUTE_OTHER,
     .methods = METHOD_POST,
     .on_admit = publish_admit_objects,
     .on_request = publish_handle},
    {.path = "/presence",
     .is_prefix = true,
     .counted_as = METRICS_ROUTE_OTHER,
     .reserved_for = "presence is not in this version"},
    {.path = "/groups",
     .is_prefix = true,
     .counted_as = METRICS_ROUTE_OTHER,
     .reserved_for = "groups are not in this version"},
    {.path = "/views",
     .is_prefix = true,
     .counted_as = METRICS_ROUTE_OTHER,
     .reserved_for = "views are not in this version"},
    {.path = "/hub",
     .is_prefix = true,
     .counted_as = METRICS_ROUTE_OTHER,
     .reserved_for = "WebSub is not in this version"},
    {.path = "/token",
     .port = ROUTE_PUBLIC,
     .counted_as = METRICS_ROUTE_OTHER,
     .methods = METHOD_POST,
     .on_admit = ticket_admit,
     .on_request = ticket_handle},
};

static enum error_code admit_all(struct request *request, struct error *why) {
    (void)request;
    (void)why;
    return OK;
}

/* MQTT in a WebSocket is spoken at any path; it has a row, and no path of its own. */
static const struct route route_of_mqtt = {
    .methods = METHOD_GET,
    .on_admit = admit_all,
    .on_request = handshake_handle_mqtt,
    .counted_as = METRICS_ROUTE_STREAM,
};

static const struct {
    const char *name;
    enum method_bit bit;
} methods[] = {
    {"GET", METHOD_GET},       {"HEAD", METHOD_HEAD},       {"POST", METHOD_POST},
    {"DELETE", METHOD_DELETE}, {"OPTIONS", METHOD_OPTIONS},
};

static unsigned method_bit_of(struct span method) {
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        if (span_is_equal(method, span_of_string(methods[i].name))) {
            return methods[i].bit;
        }
    }
    return 0;
}

/* NULL: there is nothing. */
static const struct route *find_route(struct span path, bool is_operator) {
    enum route_port other = is_operator ? ROUTE_PUBLIC : ROUTE_OPERATOR;
    for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
        const struct route *route = &routes[i];
        struct span own = span_of_string(route->path);
        bool fits = route->is_prefix ? span_has_prefix(path, own) : span_is_equal(path, own);
        if (fits && route->port != other) {
            return route;
        }
    }
    return NULL;
}

/* "GET, HEAD, POST, DELETE, OPTIONS" and a NUL. */
#define ALLOW_BYTES 40
static void format_allow(const struct route *route, char ret_text[ALLOW_BYTES]) {
    size_t length = 0;
    ret_text[0] = '\0';
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        if (((route->methods | METHOD_OPTIONS) & methods[i].bit) != 0) {
            length += (size_t)snprintf(ret_text + length, ALLOW_BYTES - length, "%s%s",
                                       length == 0 ? "" : ", ", methods[i].name);
        }
    }
    INVARIANT(length < ALLOW_BYTES);
}

/* --- admission ------------------------------------------------------------------------------- */

static struct span header_or_empty(const struct request *request, const char *name) {
    struct span value = {0};
    return request_find_header(request, name, &value) ? value : (struct span){0};
}

/* Refuses what a page may not do, and tells the browser what a listed page may see. */
static enum error_code admit_origin(struct request *request, struct error *why) {
    const struct config *config = request->broker->config;
    struct origin_policy policy = {
        .is_open = config->open,
        .hosts = config->public_hosts.items,
        .host_count = config->public_hosts.count,
        .origins = config->public_origins.items,
        /* Pages of other origins have no business on the operator's port. */
        .origin_count = request->is_operator ? 0 : config->public_origins.count,
    };
    struct span host = {0};
    struct origin_question question = {
        .has_host = request_find_header(request, "Host", &host),
        .origin = header_or_empty(request, "Origin"),
        .fetch_site = header_or_empty(request, "Sec-Fetch-Site"),
        .is_secure = request->is_secure,
        .changes_state = request->method_bit != METHOD_GET && request->method_bit != METHOD_HEAD,
        .ignores_scheme = handshake_is_mqtt(request),
    };
    bool is_listed = false;
    question.host = host;
    enum error_code code = origin_check(&policy, &question, &is_listed, why);
    if (code == ERR_MISDIRECTED || code == ERR_FORBIDDEN_ORIGIN) {
        log_event(ORIGIN_REFUSED, .peer = request->peer, .code = error_row(code)->slug,
                  .host = question.host, .origin = question.origin,
                  .fetch_site = question.fetch_site, .path = request->path);
    }
    if (code != OK) {
        return code;
    }
    if (is_listed) {
        reply_add_header(&request->reply, "Access-Control-Allow-Origin", "%.*s",
                         SPAN_PRINTF(question.origin));
        reply_add_header(&request->reply, "Access-Control-Expose-Headers",
                         "ETag, Retry-After, Allow, RateLimit, RateLimit-Policy, WWW-Authenticate");
        if (!authorization_is_open(request)) { /* its cookie counts, as credentials.h says */
            reply_put_header(&request->reply, SPAN("Access-Control-Allow-Credentials"),
                             SPAN("true"));
        }
    }
    if (config->public_origins.count > 0 && !request->is_operator) {
        reply_add_header(&request->reply, "Vary", "Origin");
    }
    return OK;
}

/* RFC 9110, section 9.3.7, and the CORS preflight of the Fetch standard. */
static void answer_options(struct request *request, const char *allow) {
    struct reply *reply = &request->reply;
    struct span ignored = {0}, asked = {0};
    reply->status = 204;
    reply_add_header(reply, "Allow", "%s", allow);
    if (!request_find_header(request, "Access-Control-Request-Method", &ignored)) {
        return;
    }
    reply_add_header(reply, "Access-Control-Allow-Methods", "%s", allow);
    reply_add_header(reply, "Access-Control-Max-Age", "600");
    if (request_find_header(request, "Access-Control-Request-Headers", &asked) &&
        asked.length <= 1024) {
        reply_add_header(reply, "Access-Control-Allow-Headers", "%.*s", SPAN_PRINTF(asked));
    }
    if (request_find_header(request, "Access-Control-Request-Private-Network", &ignored)) {
        reply_add_header(reply, "Access-Control-Allow-Private-Network", "true");
    }
}

/* What is done with a channel says more than that it is one. */
static enum metrics_route class_of(const struct route *route, unsigned method_bit) {
    static const struct {
        unsigned method_bits;
        enum metrics_route class;
    } classes[] = {{METHOD_POST, METRICS_ROUTE_PUBLISH},
                   {METHOD_DELETE, METRICS_ROUTE_DELETE},
                   {READING, METRICS_ROUTE_PAGE}};
    for (size_t i = 0; route->on_admit != NULL && i < ARRAY_COUNT(classes); i++) {
        if ((classes[i].method_bits & method_bit) != 0) {
            return classes[i].class;
        }
    }
    return route->counted_as;
}

/* Who it is comes first: what is wrong with the request is nobody else's business. */
static enum error_code admit_to(struct request *request, const struct route *route,
                                struct error *why) {
    request->route = route;
    enum error_code code = authorization_identify(request, why);
    if (code == OK) {
        code = route->on_admit(request, why);
    }
    return code == OK ? authorization_admit(request, why) : code;
}

/* Path and method against the table. OK with a status set: the reply is ready. */
static enum error_code admit_route(struct request *request, struct error *why) {
    if (request->can_switch && request->method_bit == METHOD_GET && handshake_is_mqtt(request)) {
        request->counted_as = METRICS_ROUTE_STREAM;
        request->identifies_later = true; /* CONNECT may bring its own */
        return admit_to(request, &route_of_mqtt, why);
    }
    if (request->method_bit == METHOD_OPTIONS && span_is_equal(request->path, SPAN("*"))) {
        answer_options(request, "GET, HEAD, POST, DELETE, OPTIONS");
        return OK;
    }
    const struct route *route = find_route(request->path, request->is_operator);
    if (route == NULL) {
        return error_set(why, ERR_NOT_FOUND, "channels are below /channels/%s",
                         request->is_upgrade ? "; MQTT needs Sec-WebSocket-Protocol: mqtt" : "");
    }
    request->counted_as = class_of(route, request->method_bit);
    request->route = route;
    if (route->reserved_for != NULL) {
        return error_set(why, ERR_NOT_IMPLEMENTED, "%s", route->reserved_for);
    }
    if ((route->methods & request->method_bit) == 0) {
        char allow[ALLOW_BYTES];
        format_allow(route, allow);
        if (request->method_bit == METHOD_OPTIONS) {
            answer_options(request, allow);
            return OK;
        }
        reply_add_header(&request->reply, "Allow", "%s", allow);
        return error_set(why, ERR_METHOD, "allowed here: %s", allow);
    }
    if (route->on_admit == NULL) { /* a page, which anybody may see */
        request->is_permitted = true;
        return OK;
    }
    return admit_to(request, route, why);
}

/* What the head tells of the body's size, so that a large one is refused before it is sent. */
static enum error_code admit_length(struct request *request, struct error *why) {
    struct span text = {0};
    uint64_t length = 0;
    if (!request_find_header(request, "Content-Length", &text)) {
        bool is_length_told = request_find_header(request, "Transfer-Encoding", &text);
        return is_length_told || request->method_bit != METHOD_POST || request->body_bytes_max == 0
                   ? OK
                   : error_set_field(why, ERR_LENGTH_REQUIRED, "Content-Length",
                                     "a body needs Content-Length or Transfer-Encoding: chunked");
    }
    if (!span_parse_u64(text, &length)) {
        return error_set_field(why, ERR_BAD_REQUEST, "Content-Length",
                               "this is no length, or one beyond 64 bits");
    }
    if (length <= request->body_bytes_max) {
        return OK;
    }
    if (request->body_bytes_max == 0) {
        return error_set_field(why, ERR_TOO_LARGE, "Content-Length", "no body is taken here");
    }
    return error_set_field(why, ERR_TOO_LARGE, "Content-Length", "a body may have %llu bytes here",
                           (unsigned long long)request->body_bytes_max);
}

bool routes_admit(struct request *request) {
    struct error why = {0};
    INVARIANT(request->broker != NULL);
    request->method_bit = method_bit_of(request->method);
    request->body_bytes_max = 0;
    enum error_code code = admit_origin(request, &why);
    if (code == OK) {
        code = admit_route(request, &why);
    }
    if (code == OK && request->reply.status == 0) {
        code = admit_length(request, &why);
    }
    if (code != OK) {
        request_refuse(request, code, &why);
        return false;
    }
    return request->reply.status == 0;
}

void routes_handle(struct request *request) {
    INVARIANT(request->route != NULL);
    INVARIANT(request->route->on_request != NULL);
    authorization_proceed(request);
}
