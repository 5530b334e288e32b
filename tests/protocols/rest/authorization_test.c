/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/authorization.h"

#include "broker/runtime/access.h"
#include "protocols/rest/reading.h"
#include "protocols/rest/routes.h"
#include "tests/protocols/fakes.h"
#include "tests/protocols/mqtt/gate.h"
#include "tests/unit.h"

static struct request *request;

static int begin(void **state) {
    fakes_begin(state);
    gate_begin();
    gate_guard();
    return 0;
}

static int end(void **state) {
    request_destroy(request);
    request = NULL;
    gate_end();
    return fakes_end(state);
}

static bool admit(const char *method, const char *path, const char *query) {
    request_destroy(request);
    request = fakes_request(method, path, query,
                            "Host: localhost\nAuthorization: Bearer x\nContent-Length: 1\n");
    request->petition.access = (struct access *)&gate;
    return routes_admit(request);
}

TEST(each_resource_asks_for_its_right_to_its_channel) {
    static const struct {
        const char *method;
        const char *path;
        const char *query;
        const char *asked;
    } rows[] = {
        {"POST", "/channels/a/b", NULL, "publish a/b"},
        {"POST", "/channels/a%20b", NULL, "publish a b"},
        {"GET", "/channels/a", NULL, "history a"},
        {"GET", "/channels/a/**", "wait=1s", "history a/**"},
        {"GET", "/stream", "channel=a&since=now", "subscribe a"},
        {"GET", "/stream", "channel=a&since=-5m", "history a"},
    };
    gate.next = gate_make("alice", NULL);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        IGNORE_RESULT(admit(rows[i].method, rows[i].path, rows[i].query)); /* a body may be due */
        EXPECT_STRING(gate.asked, rows[i].asked);
        gate.forbidden = rows[i].asked;
        EXPECT_FALSE(admit(rows[i].method, rows[i].path, rows[i].query));
        EXPECT_EQ(request->reply.status, 403);
        gate.forbidden = NULL;
    }
}

TEST(readers_go_on_in_the_scope_of_their_tenant) {
    gate.next = gate_make("alice", "acme");
    EXPECT_FALSE(admit("GET", "/stream", "channel=a&channel=b/**")); /* a body is not taken here */
    EXPECT_SPAN(request->tenant, "acme");
    EXPECT_SPAN(request->reading->selectors[0].text, "\001acme/a");
    EXPECT_SPAN(request->reading->selectors[1].text, "\001acme/b/**");
}

TEST(bad_credentials_are_challenged_and_none_are_asked_for) {
    gate.result = ERR_UNAUTHORIZED;
    EXPECT_FALSE(admit("POST", "/channels/a", NULL));
    EXPECT_EQ(request->reply.status, 401);
    EXPECT_SPAN(fakes_reply_header(request, "WWW-Authenticate"),
                "Bearer realm=\"tidings\", error=\"invalid_token\", "
                "error_description=\"the gate is shut\"");
    request_destroy(request);
    request = fakes_request("GET", "/channels/a", NULL, "Host: localhost\n");
    request->petition.access = (struct access *)&gate;
    EXPECT_FALSE(routes_admit(request));
    EXPECT_SPAN(fakes_reply_header(request, "WWW-Authenticate"), "Bearer realm=\"tidings\"");
}

TEST(a_request_waits_for_who_sends_it_and_then_for_what_they_may) {
    gate.is_slow = true;
    gate.next = gate_make("alice", NULL);
    EXPECT_TRUE(admit("POST", "/channels/a", NULL));
    EXPECT_FALSE(request->can_overlap);
    request->body = SPAN("1");
    routes_handle(request);
    EXPECT_EQ(fakes.publish_count, 0);
    gate_answer(OK);
    EXPECT_STRING(gate.asked, "publish a");
    EXPECT_EQ(fakes.publish_count, 0);
    gate_answer(OK);
    EXPECT_EQ(fakes.publish_count, 1);
    EXPECT_EQ(gate.identify_count, 1);
    fakes_answer_publish(OK);
    EXPECT_EQ(request->reply.status, 200);
}

TEST(the_answer_may_come_before_the_body) {
    gate.is_slow = true;
    gate.next = gate_make("alice", NULL);
    EXPECT_TRUE(admit("POST", "/channels/a", NULL));
    gate_answer(ERR_TOKEN_EXPIRED);
    request->body = SPAN("1");
    routes_handle(request);
    EXPECT_EQ(request->reply.status, 401);
    EXPECT_EQ(fakes_replied(), 1);
}

TEST(a_body_that_could_not_be_kept_for_so_long_is_not_published_as_an_empty_one) {
    gate.is_slow = true;
    gate.next = gate_make("alice", NULL);
    EXPECT_TRUE(admit("POST", "/channels/a", NULL));
    request->body = SPAN("1");
    routes_handle(request);
    EXPECT_TRUE(request->keeps_body);
    request->body = (struct span){0};
    request->body_result = ERR_BUSY;
    gate_answer(OK);
    gate_answer(OK);
    EXPECT_EQ(fakes.publish_count, 0);
    EXPECT_EQ(request->reply.status, 503);
}

TEST(who_was_good_when_a_slow_body_began_has_to_be_so_at_its_end) {
    gate.next = gate_make("alice", NULL);
    EXPECT_TRUE(admit("POST", "/channels/a", NULL));
    gate.has_ended = true;
    request->body = SPAN("1");
    request->is_late = true;
    routes_handle(request);
    EXPECT_EQ(fakes.publish_count, 0);
    EXPECT_EQ(request->reply.status, 401);
}

TEST(a_request_that_goes_while_it_waits_is_forgotten) {
    gate.is_slow = true;
    gate.next = gate_make("alice", NULL);
    EXPECT_TRUE(admit("POST", "/channels/a", NULL));
    routes_handle(request);
    request_destroy(request);
    request = NULL;
    gate_answer(OK);
    EXPECT_EQ(fakes.publish_count, 0);
}

TEST(channels_of_a_body_are_asked_about_one_by_one_and_each_once) {
    static const char body[] = "[{\"channel\":\"a\",\"data\":1},{\"channel\":\"b\",\"data\":2},"
                               "{\"channel\":\"b\",\"data\":3},{\"channel\":\"c\",\"data\":4}]";
    gate.next = gate_make("alice", NULL);
    EXPECT_TRUE(admit("POST", "/publish", NULL));
    EXPECT_TRUE(request->can_overlap);
    gate.is_slow = true;
    request->body = SPAN(body);
    routes_handle(request);
    EXPECT_TRUE(request->keeps_body);
    EXPECT_FALSE(request->can_overlap);
    gate_answer(OK);
    gate_answer(OK);
    EXPECT_EQ(fakes.publish_count, 0);
    gate_answer(ERR_FORBIDDEN);
    EXPECT_EQ(gate.permit_count, 3);
    EXPECT_EQ(request->reply.status, 403);
    EXPECT_TRUE(strstr((const char *)request->reply.body.bytes, "\"[3]\"") != NULL);
    EXPECT_EQ(fakes.publish_count, 0);
}

/* Each answer reads the body from its start. */
TEST(the_application_is_not_asked_about_thousands_of_channels_of_one_body) {
    static char body[PUBLISH_QUESTIONS_MAX * 40];
    size_t length = 1;
    body[0] = '[';
    for (unsigned i = 0; i <= PUBLISH_QUESTIONS_MAX; i++) {
        length += (size_t)snprintf(body + length, sizeof(body) - length,
                                   "%s{\"channel\":\"c%u\",\"data\":1}", i == 0 ? "" : ",", i);
    }
    body[length++] = ']';
    gate.next = gate_make("alice", NULL);
    EXPECT_TRUE(admit("POST", "/publish", NULL));
    gate.is_slow = true;
    request->body = span_of(body, length);
    routes_handle(request);
    for (unsigned i = 0; i < PUBLISH_QUESTIONS_MAX; i++) {
        EXPECT_EQ(request->reply.status, 0);
        gate_answer(OK);
    }
    EXPECT_EQ(request->reply.status, 413);
    EXPECT_EQ(fakes.publish_count, 0);
    EXPECT_TRUE(gate.inquiry->is_abandoned);
    gate_answer(ERR_AGAIN); /* as it is promised: the inquiry is let go */
}

TEST(pages_of_the_broker_are_for_everybody) {
    gate.result = ERR_UNAUTHORIZED;
    EXPECT_FALSE(admit("GET", "/demo/x", NULL)); /* a body is not taken here */
    EXPECT_EQ(request->reply.status, 413);
    EXPECT_EQ(gate.identify_count, 0);
}

#define GUARDED(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(GUARDED(each_resource_asks_for_its_right_to_its_channel),
           GUARDED(readers_go_on_in_the_scope_of_their_tenant),
           GUARDED(bad_credentials_are_challenged_and_none_are_asked_for),
           GUARDED(a_request_waits_for_who_sends_it_and_then_for_what_they_may),
           GUARDED(the_answer_may_come_before_the_body),
           GUARDED(a_body_that_could_not_be_kept_for_so_long_is_not_published_as_an_empty_one),
           GUARDED(who_was_good_when_a_slow_body_began_has_to_be_so_at_its_end),
           GUARDED(a_request_that_goes_while_it_waits_is_forgotten),
           GUARDED(channels_of_a_body_are_asked_about_one_by_one_and_each_once),
           GUARDED(the_application_is_not_asked_about_thousands_of_channels_of_one_body),
           GUARDED(pages_of_the_broker_are_for_everybody))
