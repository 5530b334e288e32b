/* SPDX-License-Identifier: Apache-2.0 */
/* asking.h — one request to the administration's resources, answered by the fakes.
 *
 * Place:   included by the tests of api.c, channels.c and connections.c.
 * Thread:  the test's; letters are delivered until the reply is there.
 * Bounds:  none.
 */
#pragma once

#include "broker/support/mailbox.h"
#include "protocols/operator/api.h"
#include "protocols/rest/request.h"
#include "tests/protocols/operator/fakes.h"
#include "tests/unit.h"

static bool is_replied;
static struct mailbox mailbox;

static void on_replied(struct request *request) {
    (void)request;
    is_replied = true;
}

/* The request with its reply; the caller destroys it. `target` may have a query. */
static struct request *ask_with(struct broker *broker, const char *method, const char *target,
                                const char *host, const char *body) {
    struct request *request = request_create();
    struct request_header header = {SPAN("Host"), span_of_string(host)};
    struct span query = span_of_string(target);
    EXPECT_NOT_NULL(request);
    EXPECT_EQ(mailbox_init(&mailbox, 16), OK);
    request->broker = broker;
    request->reply_to = &mailbox;
    request->method = span_of_string(method);
    request->path = span_split(&query, '?');
    request->query = query;
    request->headers = &header;
    request->header_count = 1;
    request->is_operator = true;
    request->on_replied = on_replied;
    request->body = span_of_string(body);
    is_replied = false;
    EXPECT_TRUE(api_has(request->path));
    EXPECT_TRUE(request->body.length <= api_body_bytes_max(request));
    api_handle(request);
    request->header_count = 0; /* they end here, and so does the query */
    request->query = (struct span){0};
    request->body = (struct span){0};
    while (!is_replied && mailbox_deliver_all(&mailbox, NULL) > 0) {
    }
    EXPECT_TRUE(is_replied);
    mailbox_finish(&mailbox);
    return request;
}

static inline struct request *ask_as(struct broker *broker, const char *method, const char *target,
                                     const char *host) {
    return ask_with(broker, method, target, host, NULL);
}

static inline struct request *ask(struct broker *broker, const char *method, const char *target) {
    return ask_as(broker, method, target, "localhost:8081");
}

static inline unsigned status_of(struct broker *broker, const char *method, const char *target) {
    struct request *request = ask(broker, method, target);
    unsigned status = request->reply.status;
    request_destroy(request);
    return status;
}

/* Expects a 200 whose body is exactly that, or holds it where `text` does not begin with `{`. */
static inline void expect_body(struct broker *broker, const char *target, const char *text) {
    struct request *request = ask(broker, "GET", target);
    EXPECT_EQ(request->reply.status, 200);
    EXPECT_EQ(buffer_put_byte(&request->reply.body, '\0'), OK);
    const char *body = (const char *)request->reply.body.bytes;
    if (strstr(body, text) == NULL) {
        fail_msg("no %s in %s", text, body);
    }
    request_destroy(request);
}
