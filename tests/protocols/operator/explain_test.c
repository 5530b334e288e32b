/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/explain.h"

#include "tests/protocols/operator/asking.h"

/* POSTs the question and lets the worker look at it. The caller destroys the request. */
static struct request *post(struct broker *broker, const char *body) {
    struct request *request = request_create();
    struct request_header header = {SPAN("Host"), SPAN("localhost:8081")};
    EXPECT_NOT_NULL(request);
    EXPECT_EQ(mailbox_init(&mailbox, 16), OK);
    request->broker = broker;
    request->reply_to = &mailbox;
    request->method = SPAN("POST");
    request->path = SPAN("/api/v1/explain");
    request->headers = &header;
    request->header_count = 1;
    request->is_operator = true;
    request->on_replied = on_replied;
    request->body = span_of_string(body);
    is_replied = false;
    EXPECT_EQ(api_body_bytes_max(request), EXPLAIN_BODY_BYTES_MAX);
    api_handle(request);
    request->header_count = 0;
    while (!is_replied && (fakes_turn(broker) || mailbox_deliver_all(&mailbox, NULL) > 0)) {
    }
    EXPECT_TRUE(is_replied);
    mailbox_finish(&mailbox);
    return request;
}

static void expect_answer(const char *body, unsigned status, const char *words) {
    struct broker *broker = fakes_create(NULL);
    struct request *request = post(broker, body);
    EXPECT_EQ(request->reply.status, status);
    EXPECT_EQ(buffer_put_byte(&request->reply.body, '\0'), OK);
    const char *text = (const char *)request->reply.body.bytes;
    if (strstr(text, words) == NULL) {
        fail_msg("no %s in %s", words, text);
    }
    request_destroy(request);
    fakes_destroy(broker);
}

TEST(what_is_allowed_names_its_rule) {
    expect_answer("{\"token\":\"alice\",\"publish\":\"a/7\"}", 200,
                  "{\"allowed\":true,\"action\":\"publish\",\"channel\":\"a/7\","
                  "\"rule\":\"claim tidings.publish\",\"reason\":\"");
    expect_answer(
        "{\"token\":\"alice\",\"subscribe\":\"a/*\"}", 200,
        "\"identity\":{\"kind\":\"token\",\"subject\":\"alice\",\"source\":\"auth.jwt[0]\","
        "\"line\":7,\"expires\":\"1970-01-01T00:00:01.000Z\"}}");
}

TEST(what_is_refused_names_its_rule_too) {
    expect_answer("{\"token\":\"alice\",\"delete\":\"a/7\"}", 200,
                  "{\"allowed\":false,\"action\":\"delete\",\"channel\":\"a/7\","
                  "\"code\":\"forbidden\",\"rule\":\"claim tidings.delete\"");
}

TEST(nobody_publishes_to_the_brokers_own_channels) {
    expect_answer(
        "{\"token\":\"alice\",\"publish\":\"$SYS/x\"}", 200,
        "{\"allowed\":false,\"action\":\"publish\",\"channel\":\"$SYS/x\","
        "\"code\":\"forbidden\",\"reason\":\"channels that begin with $ are the broker's own");
    expect_answer("{\"token\":\"alice\",\"subscribe\":\"$SYS/x\"}", 200,
                  "\"rule\":\"claim tidings.subscribe\"");
}

TEST(who_is_not_let_in_is_an_answer) {
    expect_answer("{\"token\":\"bad\",\"publish\":\"a/7\"}", 200,
                  "\"code\":\"token-expired\",\"reason\":\"claim exp was a while ago\"}");
}

TEST(an_answer_that_takes_a_while_is_waited_for) {
    expect_answer("{\"token\":\"slow\",\"publish\":\"a/7\"}", 200, "{\"allowed\":true,");
    expect_answer("{\"token\":\"slow\",\"publish\":\"a/asked\"}", 200,
                  "\"rule\":\"auth.webhook\",\"reason\":\"the application says no\"");
}

TEST(questions_that_mean_nothing_are_refused) {
    static const char *const bad[] = {
        "[]",
        "{}",
        "{\"publish\":7}",
        "{\"publish\":\"\"}",
        "{\"token\":\"\",\"publish\":\"a\"}",
        "{\"token\":\"a\",\"key\":\"b\",\"publish\":\"a\"}",
        "{\"publish\":\"a\",\"delete\":\"a\"}",
        "{\"read\":\"a\"}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        expect_answer(bad[i], 422, "\"detail\":\"");
    }
    expect_answer("", 400, "\"detail\":\"");
    expect_answer("{\"publish\":\"a/*\"}", 400, "\"detail\":\"");
}

UNIT_TESTS(UNIT(what_is_allowed_names_its_rule), UNIT(what_is_refused_names_its_rule_too),
           UNIT(nobody_publishes_to_the_brokers_own_channels), UNIT(who_is_not_let_in_is_an_answer),
           UNIT(an_answer_that_takes_a_while_is_waited_for),
           UNIT(questions_that_mean_nothing_are_refused))
