/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/publish.h"

#include <stdio.h>

#include "broker/runtime/log.h"
#include "broker/support/string_map.h"
#include "protocols/rest/routes.h"
#include "tests/protocols/fakes.h"
#include "tests/unit.h"

static struct request *request;

static int end(void **state) {
    request_destroy(request);
    request = NULL;
    return fakes_end(state);
}

/* Publishes `body` with these headers; the status, or 0 while the log has not answered. */
static unsigned post(const char *headers, const char *body) {
    char all[1024];
    snprintf(all, sizeof(all), "Host: localhost\nContent-Length: %zu%s%s", strlen(body),
             headers == NULL ? "" : "\n", headers == NULL ? "" : headers);
    request_destroy(request);
    request = fakes_request("POST", "/channels/a", NULL, all);
    if (routes_admit(request)) {
        request->body = span_of_string(body);
        routes_handle(request);
    }
    return request->reply.status;
}

static const struct message_fields *published(void) {
    return &fakes.publish->messages[0]->fields;
}

static bool blames(const char *field) {
    char text[96];
    snprintf(text, sizeof(text), "\"field\":\"%s\"", field);
    return memmem(request->reply.body.bytes, request->reply.body.length, text, strlen(text)) !=
           NULL;
}

TEST(the_answer_tells_channel_offset_and_id) {
    EXPECT_EQ(post(NULL, "{\"a\":1}"), 0);
    EXPECT_EQ(fakes_replied(), 0);
    fakes_answer_publish(OK);
    EXPECT_EQ(fakes_replied(), 1);
    EXPECT_EQ(request->reply.status, 200);
    struct span body = reply_body(&request->reply);
    EXPECT_TRUE(span_has_prefix(body, SPAN("{\"channel\":\"a\",\"offset\":1,\"id\":\"t1")));
}

TEST(a_body_without_a_telling_type_is_json_else_text) {
    EXPECT_EQ(post(NULL, "{\"a\":1}"), 0);
    EXPECT_EQ(published()->payload_kind, PAYLOAD_JSON);
    EXPECT_EQ(published()->type.length, 0);
    EXPECT_SPAN(published()->payload, "{\"a\":1}");
    fakes_answer_publish(OK);
    EXPECT_EQ(post("Content-Type: application/x-www-form-urlencoded", "40-15"), 0);
    EXPECT_EQ(published()->payload_kind, PAYLOAD_TEXT);
    fakes_answer_publish(OK);
}

TEST(headers_become_the_messages_fields) {
    EXPECT_EQ(post("Tidings-Event: goal\nTidings-Key: k\nTidings-TTL: 5\nTidings-Retain: true\n"
                   "Tidings-Header-Origin: x\nX-Other: y",
                   "1"),
              0);
    EXPECT_SPAN(published()->event, "goal");
    EXPECT_SPAN(published()->key, "k");
    EXPECT_EQ(published()->ttl_ms, 5000);
    EXPECT_EQ(published()->flags & MESSAGE_RETAIN, MESSAGE_RETAIN);
    struct span rest = published()->headers, name, value;
    EXPECT_TRUE(string_map_next(&rest, &name, &value));
    EXPECT_SPAN(name, "origin");
    EXPECT_SPAN(value, "x");
    EXPECT_EQ(rest.length, 0);
    fakes_answer_publish(OK);
}

TEST(what_a_header_cannot_mean_is_refused_and_named) {
    static const struct {
        const char *header, *field;
        unsigned status;
    } faults[] = {
        {"Tidings-TTL: 0", "Tidings-TTL", 400},
        {"Tidings-TTL: 1.5", "Tidings-TTL", 400},
        {"Tidings-TTL: 99999999999", "Tidings-TTL", 400},
        {"Tidings-Retain: yes", "Tidings-Retain", 400},
        {"Tidings-Event:", "Tidings-Event", 400},
        {"Tidings-Event: a\tb", "Tidings-Event", 400},
        {"Tidings-Key: \xff", "Tidings-Key", 400},
        {"Tidings-Key: a\nTidings-Key: b", "Tidings-Key", 400},
        {"Tidings-Tll: 5", "Tidings-Tll", 400},
        {"Tidings-Header-: x", "Tidings-Header-", 400},
        {"Idempotency-Key: ", "Idempotency-Key", 400},
        {"ce-specversion: 1.0", "ce-id", 400},
        {"Content-Type: nonsense", "Content-Type", 415},
        {"Content-Type: application/x-ndjson; charset=utf-16", "Content-Type", 415},
        {"Content-Type: multipart/form-data; boundary=x", "Content-Type", 415},
        {"Content-Encoding: gzip", "Content-Encoding", 415},
    };
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        EXPECT_EQ(post(faults[i].header, "1"), faults[i].status);
        EXPECT_TRUE(blames(faults[i].field));
    }
    EXPECT_EQ(fakes.publish_count, 0);
}

TEST(json_that_does_not_parse_is_400_and_reaches_no_log) {
    EXPECT_EQ(post("Content-Type: application/json", "{\"a\":1,}"), 400);
    EXPECT_EQ(fakes_replied(), 1);
    EXPECT_EQ(fakes.publish_count, 0);
}

TEST(a_log_that_takes_nothing_is_503_with_retry_after) {
    fakes.submit_result = ERR_BUSY;
    EXPECT_EQ(post(NULL, "1"), 503);
    EXPECT_TRUE(fakes_reply_header(request, "Retry-After").length > 0);
    EXPECT_EQ(fakes_replied(), 1);
}

TEST(a_full_disk_is_507) {
    EXPECT_EQ(post(NULL, "1"), 0);
    fakes_answer_publish(ERR_STORAGE_FULL);
    EXPECT_EQ(request->reply.status, 507);
}

TEST(an_answer_to_nobody_frees_what_was_kept) {
    EXPECT_EQ(post(NULL, "1"), 0);
    request_destroy(request);
    request = NULL;
    fakes_answer_publish(OK);
    EXPECT_EQ(fakes_replied(), 0);
}

#define PUBLISH(name) cmocka_unit_test_setup_teardown(name, fakes_begin, end)

UNIT_TESTS(PUBLISH(the_answer_tells_channel_offset_and_id),
           PUBLISH(a_body_without_a_telling_type_is_json_else_text),
           PUBLISH(headers_become_the_messages_fields),
           PUBLISH(what_a_header_cannot_mean_is_refused_and_named),
           PUBLISH(json_that_does_not_parse_is_400_and_reaches_no_log),
           PUBLISH(a_log_that_takes_nothing_is_503_with_retry_after), PUBLISH(a_full_disk_is_507),
           PUBLISH(an_answer_to_nobody_frees_what_was_kept))
