/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/pages.h"

#include "protocols/rest/request.h"
#include "tests/broker/metrics/exposition_checker.h"
#include "tests/protocols/operator/fakes.h"
#include "tests/unit.h"

static bool is_replied;

static void on_replied(struct request *request) {
    (void)request;
    is_replied = true;
}

/* Asks as a program does, or with `origin` as a page of it does. */
static struct request *ask_as(struct broker *broker, const char *method, const char *path,
                              const char *host, const char *origin) {
    struct request *request = request_create();
    EXPECT_NOT_NULL(request);
    struct request_header headers[] = {{SPAN("Host"), span_of_string(host)},
                                       {SPAN("Origin"), span_of_string(origin)}};
    request->broker = broker;
    request->method = span_of_string(method);
    request->path = span_of_string(path);
    request->headers = headers;
    request->header_count = origin == NULL ? 1 : 2;
    request->is_operator = true;
    request->on_replied = on_replied;
    is_replied = false;
    EXPECT_TRUE(pages_has(request->path));
    pages_handle(request);
    EXPECT_TRUE(is_replied);
    request->header_count = 0; /* they end here */
    return request;
}

static struct request *ask(struct broker *broker, const char *method, const char *path) {
    return ask_as(broker, method, path, "localhost:8081", NULL);
}

static unsigned status_of(struct broker *broker, const char *method, const char *path) {
    struct request *request = ask(broker, method, path);
    unsigned status = request->reply.status;
    request_destroy(request);
    return status;
}

static bool has_header(const struct request *request, const char *wanted, const char *expected) {
    struct span rest = buffer_borrow(&request->reply.headers);
    struct span name;
    struct span value;
    while (reply_next_header(&rest, &name, &value)) {
        if (span_is_equal_nocase(name, span_of_string(wanted)) &&
            span_is_equal(value, span_of_string(expected))) {
            return true;
        }
    }
    return false;
}

TEST(own_paths_are_known_exactly) {
    EXPECT_TRUE(pages_has(SPAN("/metrics")));
    EXPECT_FALSE(pages_has(SPAN("/metrics/")));
    EXPECT_FALSE(pages_has(SPAN("/channels/a")));
    EXPECT_FALSE(pages_has(SPAN("")));
}

TEST(readiness_follows_the_broker) {
    struct broker *broker = fakes_create(NULL);
    EXPECT_EQ(status_of(broker, "GET", "/readyz"), 200);
    atomic_store(&broker->is_draining, true);
    EXPECT_EQ(status_of(broker, "GET", "/readyz"), 503);
    atomic_store(&broker->is_draining, false);
    atomic_store(&broker->is_ready, false);
    EXPECT_EQ(status_of(broker, "GET", "/readyz"), 503);
    EXPECT_EQ(status_of(broker, "GET", "/healthz"), 200);
    fakes_destroy(broker);
}

TEST(metrics_are_clean_and_hold_the_figures) {
    struct broker *broker = fakes_create(NULL);
    char fault[CHECKER_FAULT_BYTES] = "";
    double number = 0;
    broker->sinks = NULL; /* the answer comes at once: scrape_test.c has them */
    struct request *request = ask(broker, "GET", "/metrics");
    struct span text = reply_body(&request->reply);
    EXPECT_EQ(request->reply.status, 200);
    EXPECT_TRUE(has_header(request, "Content-Type", "text/plain; version=0.0.4; charset=utf-8"));
    if (!exposition_is_clean(text, fault)) {
        fail_msg("%s", fault);
    }
    EXPECT_TRUE(exposition_find(text, "tidings_journal_bytes", &number));
    EXPECT_EQ(number, 101);
    request_destroy(request);
    fakes_destroy(broker);
}

TEST(methods_that_change_something_are_refused) {
    struct broker *broker = fakes_create(NULL);
    struct request *request = ask(broker, "POST", "/metrics");
    EXPECT_EQ(request->reply.status, 405);
    EXPECT_TRUE(has_header(request, "Allow", "GET, HEAD, OPTIONS"));
    request_destroy(request);
    request = ask(broker, "OPTIONS", "/metrics");
    EXPECT_EQ(request->reply.status, 204);
    EXPECT_TRUE(has_header(request, "Allow", "GET, HEAD, OPTIONS"));
    request_destroy(request);
    EXPECT_EQ(status_of(broker, "HEAD", "/healthz"), 200);
    fakes_destroy(broker);
}

TEST(name_that_was_rebound_reads_nothing) {
    struct broker *broker = fakes_create(NULL);
    struct request *request = ask_as(broker, "GET", "/metrics", "evil.example:8081", NULL);
    EXPECT_EQ(request->reply.status, 421);
    request_destroy(request);
    fakes_destroy(broker);
}

TEST(page_of_another_origin_reads_nothing) {
    struct broker *broker = fakes_create(NULL);
    struct request *request =
        ask_as(broker, "GET", "/metrics", "localhost:8081", "https://evil.example");
    EXPECT_EQ(request->reply.status, 403);
    request_destroy(request);
    fakes_destroy(broker);
}

UNIT_TESTS(UNIT(own_paths_are_known_exactly), UNIT(readiness_follows_the_broker),
           UNIT(metrics_are_clean_and_hold_the_figures),
           UNIT(methods_that_change_something_are_refused),
           UNIT(name_that_was_rebound_reads_nothing), UNIT(page_of_another_origin_reads_nothing))
