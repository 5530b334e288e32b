/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/api.h"

#include <stdio.h>

#include "broker/config/config.h"
#include "broker/support/invariant.h"
#include "protocols/operator/answer.h"
#include "protocols/operator/channels.h"
#include "protocols/operator/configuration.h"
#include "protocols/operator/connections.h"
#include "protocols/operator/draining.h"
#include "protocols/operator/explain.h"
#include "protocols/operator/guard.h"
#include "protocols/operator/revocations.h"
#include "protocols/operator/sessions.h"
#include "protocols/operator/sinks.h"
#include "protocols/operator/status.h"
#include "protocols/operator/tenants.h"
#include "protocols/rest/request.h"

#define ALLOW_BYTES 64

static enum error_code show_index(struct request *request, struct error *why);

/* A row's handler makes the reply, or says why not, or waits (request_wait). A name in
 * braces stands for everything that has something there. Rows of one path stand together. */
static const struct resource {
    const char *path;
    const char *method; /* HEAD comes with GET, and OPTIONS with every path */
    enum error_code (*on_request)(struct request *request, struct error *why);
    const char *summary;
    uint64_t body_bytes_max; /* 0: a body that comes is thrown away */
} resources[] = {
    {"/api/v1", "GET", show_index, "this list", 0},
    {"/api/v1/status", "GET", status_show, "version, addresses, whether it is in service", 0},
    {"/api/v1/channels", "GET", channels_list, "depth, rate and readers of channels", 0},
    {"/api/v1/channels/{channel}", "GET", channels_show, "one channel", 0},
    {"/api/v1/connections", "GET", connections_list, "who is connected, and how far behind", 0},
    {"/api/v1/connections/{id}", "GET", connections_show, "one connection", 0},
    {"/api/v1/connections/{id}", "DELETE", connections_dismiss, "ends one connection", 0},
    {"/api/v1/sessions", "GET", sessions_list, "MQTT sessions, connected and away", 0},
    {"/api/v1/sessions/{client_id}", "DELETE", sessions_dismiss, "ends one session", 0},
    {"/api/v1/sinks", "GET", sinks_list, "what pushes messages out, and how far behind", 0},
    {"/api/v1/sinks", "POST", sinks_declare, "declares a sink", SINKS_BODY_BYTES_MAX},
    {"/api/v1/sinks/{name}", "GET", sinks_show, "one sink", 0},
    {"/api/v1/sinks/{name}", "PUT", sinks_redeclare, "changes a sink, whose place stays",
     SINKS_BODY_BYTES_MAX},
    {"/api/v1/sinks/{name}", "DELETE", sinks_remove, "ends a sink, and forgets its place", 0},
    {"/api/v1/sinks/{name}/pause", "POST", sinks_pause, "waits, and keeps its place", 0},
    {"/api/v1/sinks/{name}/resume", "POST", sinks_resume, "goes on, with attempts anew", 0},
    {"/api/v1/sinks/{name}/replay", "POST", sinks_replay, "sends again, from a point on",
     SINKS_REPLAY_BODY_BYTES_MAX},
    {"/api/v1/sinks/{name}/test", "POST", sinks_test, "sends one message, tells what came back", 0},
    {"/api/v1/sources", "GET", sinks_list_sources, "what brings messages in", 0},
    {"/api/v1/tenants", "GET", tenants_list, "what each tenant has, has used and may have", 0},
    {"/api/v1/tenants/{tenant}", "GET", tenants_show, "one tenant", 0},
    {"/api/v1/revoke", "GET", revocations_list, "tokens that are no good any more", 0},
    {"/api/v1/revoke", "POST", revocations_add, "tokens of an id, a subject or a tenant end now",
     REVOCATIONS_BODY_BYTES_MAX},
    {"/api/v1/revoke", "DELETE", revocations_lift_one, "takes a revocation back", 0},
    {"/api/v1/explain", "POST", explain_ask, "which rule allows or refuses something",
     EXPLAIN_BODY_BYTES_MAX},
    {"/api/v1/configuration", "GET", configuration_show, "values in force, and where from", 0},
    {"/api/v1/configuration/check", "POST", configuration_check, "every fault of a file",
     CONFIG_FILE_BYTES_MAX},
    {"/api/v1/configuration/reload", "POST", configuration_reload, "reads the configuration again",
     0},
    {"/api/v1/drain", "GET", draining_show, "how far a drain is", 0},
    {"/api/v1/drain", "POST", draining_begin, "out of service, evenly over a time", 0},
    {"/api/v1/drain", "DELETE", draining_end, "back into service", 0},
};

static bool fits(const struct resource *resource, struct span path) {
    const char *brace = strchr(resource->path, '{');
    struct span own = span_of_string(resource->path);
    if (brace == NULL) {
        return span_is_equal(path, own);
    }
    struct span end = span_of_string(strchr(brace, '}') + 1);
    own.length = (size_t)(brace - resource->path);
    return span_has_prefix(path, own) && path.length > own.length + end.length &&
           span_is_equal(span_of(path.bytes + path.length - end.length, end.length), end);
}

/* The path of the row that fits best: `{name}/pause` before `{name}`, which fits all below it. */
static const char *find_path(struct span path) {
    const char *best = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(resources); i++) {
        const char *own = resources[i].path;
        if (fits(&resources[i], path) && (best == NULL || strlen(own) > strlen(best))) {
            best = own;
        }
    }
    return best;
}

static bool does_answer(const struct resource *resource, const struct request *request) {
    return span_is_equal(request->method, span_of_string(resource->method)) ||
           (request_is_head(request) && strcmp(resource->method, "GET") == 0);
}

/* The row for the request; NULL: none, and `ret_allow` is empty where the path is not there. */
static const struct resource *find(const struct request *request, char ret_allow[ALLOW_BYTES]) {
    const struct resource *found = NULL;
    size_t length = 0;
    const char *path = find_path(request->path);
    ret_allow[0] = '\0';
    for (size_t i = 0; i < ARRAY_COUNT(resources) && path != NULL; i++) {
        const struct resource *resource = &resources[i];
        if (strcmp(resource->path, path) != 0) {
            continue;
        }
        bool is_reading = strcmp(resource->method, "GET") == 0;
        length += (size_t)snprintf(ret_allow + length, ALLOW_BYTES - length, "%s%s, ",
                                   resource->method, is_reading ? ", HEAD" : "");
        INVARIANT(length + sizeof("OPTIONS") <= ALLOW_BYTES);
        found = found == NULL && does_answer(resource, request) ? resource : found;
    }
    if (length > 0) {
        snprintf(ret_allow + length, ALLOW_BYTES - length, "OPTIONS");
    }
    return found;
}

static enum error_code put_index(struct buffer *body) {
    TRY(buffer_put(body, SPAN("{\"version\":\"" TIDINGS_VERSION "\",\"resources\":[")));
    for (size_t i = 0; i < ARRAY_COUNT(resources); i++) {
        TRY(buffer_printf(body, "%s{\"method\":\"%s\",\"path\":\"%s\",\"summary\":\"%s\"}",
                          i == 0 ? "" : ",", resources[i].method, resources[i].path,
                          resources[i].summary));
    }
    return buffer_put(body, SPAN("]}"));
}

static enum error_code show_index(struct request *request, struct error *why) {
    return answer_as_json(request, 200, put_index(&request->reply.body), why);
}

bool api_has(struct span path) {
    return span_has_prefix(path, SPAN("/api/"));
}

uint64_t api_body_bytes_max(const struct request *request) {
    char allow[ALLOW_BYTES];
    const struct resource *resource = find(request, allow);
    return resource == NULL ? 0 : resource->body_bytes_max;
}

static enum error_code answer(struct request *request, struct error *why) {
    bool is_read = span_is_equal(request->method, SPAN("GET")) || request_is_head(request);
    char allow[ALLOW_BYTES];
    enum error_code code = guard_check(request, !is_read, why);
    if (code != OK) {
        return code;
    }
    const struct resource *resource = find(request, allow);
    if (resource != NULL) {
        return resource->on_request(request, why);
    }
    if (allow[0] == '\0') {
        return error_set(why, ERR_NOT_FOUND, "GET /api/v1 lists what is here");
    }
    reply_add_header(&request->reply, "Allow", "%s", allow);
    if (!span_is_equal(request->method, SPAN("OPTIONS"))) {
        return error_set(why, ERR_METHOD, "allowed here: %s", allow);
    }
    request->reply.status = 204;
    return OK;
}

void api_handle(struct request *request) {
    struct error why = {0};
    enum error_code code = answer(request, &why);
    if (!request->is_pending) {
        request_end(request, code, &why);
    }
}
