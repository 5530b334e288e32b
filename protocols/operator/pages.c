/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/pages.h"

#include "broker/runtime/broker.h"
#include "broker/runtime/budget.h"
#include "broker/runtime/log.h"
#include "broker/support/invariant.h"
#include "protocols/operator/guard.h"
#include "protocols/operator/scrape.h"
#include "protocols/rest/request.h"

#define PAGES_ALLOW "GET, HEAD, OPTIONS"

static enum error_code put_health(struct request *request, struct error *why) {
    (void)why;
    reply_add_header(&request->reply, "Content-Type", "text/plain; charset=utf-8");
    request->reply.body_static = SPAN("alive\n");
    return OK;
}

enum error_code pages_check_ready(const struct broker *broker, struct error *why) {
    if (atomic_load(&broker->is_draining)) {
        return error_set(why, ERR_DRAINING, "the broker drains");
    }
    if (!atomic_load(&broker->is_ready)) {
        return error_set(why, ERR_BUSY, "the broker is not ready yet");
    }
    if (budget_level(broker->budget) >= BUDGET_CONNECTIONS) {
        return error_set(why, ERR_MEMORY, "memory is short: no new connections are taken");
    }
    enum error_code health = log_health(broker->log);
    return health == OK ? OK : error_set(why, health, "the store takes nothing at the moment");
}

static enum error_code put_readiness(struct request *request, struct error *why) {
    enum error_code code = pages_check_ready(request->broker, why);
    if (code != OK) {
        return code;
    }
    reply_add_header(&request->reply, "Content-Type", "text/plain; charset=utf-8");
    request->reply.body_static = SPAN("ready\n");
    return OK;
}

/* A row puts headers and a body, or says why not, or waits (request_wait). */
static const struct page {
    const char *path;
    enum error_code (*on_put)(struct request *request, struct error *why);
} pages[] = {
    {"/healthz", put_health},
    {"/readyz", put_readiness},
    {"/metrics", scrape_put},
};

static const struct page *find(struct span path) {
    for (size_t i = 0; i < ARRAY_COUNT(pages); i++) {
        if (span_is_equal(path, span_of_string(pages[i].path))) {
            return &pages[i];
        }
    }
    return NULL;
}

bool pages_has(struct span path) {
    return find(path) != NULL;
}

static enum error_code answer(struct request *request, struct error *why) {
    bool is_read = span_is_equal(request->method, SPAN("GET")) || request_is_head(request);
    const struct page *page = find(request->path);
    INVARIANT(page != NULL);
    enum error_code code = guard_check(request, !is_read, why);
    if (code != OK) {
        return code;
    }
    if (span_is_equal(request->method, SPAN("OPTIONS"))) {
        request->reply.status = 204;
        reply_add_header(&request->reply, "Allow", PAGES_ALLOW);
        return OK;
    }
    if (!is_read) {
        reply_add_header(&request->reply, "Allow", PAGES_ALLOW);
        return error_set(why, ERR_METHOD, "allowed here: " PAGES_ALLOW);
    }
    request->reply.status = 200;
    code = page->on_put(request, why);
    if (code == OK) {
        reply_add_header(&request->reply, "Cache-Control", "no-store");
    }
    return code;
}

void pages_handle(struct request *request) {
    struct error why = {0};
    enum error_code code = answer(request, &why);
    if (!request->is_pending) {
        request_end(request, code, &why);
    }
}
