/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/api.h"

#include "protocols/operator/channels.h"
#include "protocols/operator/connections.h"
#include "protocols/operator/guard.h"
#include "protocols/rest/request.h"

/* A row's handler makes the reply, or says why not, or waits (request_wait). */
static const struct resource {
    const char *path;
    bool is_prefix;     /* something follows */
    const char *method; /* beside HEAD, where it is GET, and OPTIONS */
    const char *allow;
    enum error_code (*on_request)(struct request *request, struct error *why);
} resources[] = {
    {"/api/v1/channels", false, "GET", "GET, HEAD, OPTIONS", channels_list},
    {"/api/v1/connections", false, "GET", "GET, HEAD, OPTIONS", connections_list},
    {"/api/v1/connections/", true, "DELETE", "DELETE, OPTIONS", connections_dismiss},
};

static const struct resource *find(struct span path) {
    for (size_t i = 0; i < ARRAY_COUNT(resources); i++) {
        struct span own = span_of_string(resources[i].path);
        bool is_deeper = span_has_prefix(path, own) && path.length > own.length;
        if (resources[i].is_prefix ? is_deeper : span_is_equal(path, own)) {
            return &resources[i];
        }
    }
    return NULL;
}

bool api_has(struct span path) {
    return span_has_prefix(path, SPAN("/api/"));
}

static enum error_code answer(struct request *request, struct error *why) {
    bool is_read = span_is_equal(request->method, SPAN("GET")) || request_is_head(request);
    enum error_code code = guard_check(request, !is_read, why);
    if (code != OK) {
        return code;
    }
    const struct resource *resource = find(request->path);
    if (resource == NULL) {
        return error_set(why, ERR_NOT_FOUND, "there are /api/v1/channels and /api/v1/connections");
    }
    bool is_reading = span_is_equal(span_of_string(resource->method), SPAN("GET"));
    if (span_is_equal(request->method, SPAN("OPTIONS"))) {
        request->reply.status = 204;
        reply_add_header(&request->reply, "Allow", "%s", resource->allow);
        return OK;
    }
    if (!span_is_equal(request->method, span_of_string(resource->method)) &&
        !(is_reading && is_read)) {
        reply_add_header(&request->reply, "Allow", "%s", resource->allow);
        return error_set(why, ERR_METHOD, "allowed here: %s", resource->allow);
    }
    return resource->on_request(request, why);
}

void api_handle(struct request *request) {
    struct error why = {0};
    reply_add_header(&request->reply, "X-Content-Type-Options", "nosniff");
    enum error_code code = answer(request, &why);
    if (code != OK) {
        request_refuse(request, code, &why);
    }
    if (!request->is_pending) {
        request_answer(request);
    }
}
