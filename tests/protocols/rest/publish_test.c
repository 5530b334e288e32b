/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/publish.h"

#include <stdio.h>

#include "broker/runtime/log.h"
#include "broker/support/json.h"
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
static unsigned post_to(const char *path, const char *headers, const char *body) {
    char all[1024];
    snprintf(all, sizeof(all), "Host: localhost\nContent-Length: %zu%s%s", strlen(body),
             headers == NULL ? "" : "\n", headers == NULL ? "" : headers);
    request_destroy(request);
    request = fakes_request("POST", path, NULL, all);
    if (routes_admit(request)) {
        request->body = span_of_string(body);
        routes_handle(request);
    }
    return request->reply.status;
}

static unsigned post(const char *headers, const char *body) {
    return post_to("/channels/a", headers, body);
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

#define EVENT "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}"

static bool answers(const char *prefix) {
    EXPECT_EQ(request->reply.status, 200);
    return span_has_prefix(reply_body(&request->reply), span_of_string(prefix));
}

TEST(the_type_of_a_body_says_how_many_messages_it_holds) {
    static const struct {
        const char *headers, *body, *answer;
        size_t count;
    } rows[] = {
        {"Content-Type: application/x-ndjson", "1\n2\n3", "{\"results\":[{\"channel\":\"a\"", 3},
        {"Content-Type: application/ndjson", "1", "{\"results\":[", 1},
        {"Content-Type: Application/JSONL; charset=utf-8", "1\n2", "{\"results\":[", 2},
        {"Content-Type: application/cloudevents+json", EVENT, "{\"channel\":\"a\"", 1},
        {"Content-Type: application/cloudevents-batch+json", "[" EVENT "," EVENT "]",
         "{\"results\":[", 2},
        {"ce-specversion: 1.0\nce-id: 1\nce-source: /s\nce-type: t\n"
         "Content-Type: application/x-ndjson",
         "1\n2", "{\"channel\":\"a\"", 1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        EXPECT_EQ(post(rows[i].headers, rows[i].body), 0);
        EXPECT_EQ(fakes.publish->count, rows[i].count);
        fakes_answer_publish(OK);
        EXPECT_TRUE(answers(rows[i].answer));
    }
}

TEST(results_stand_in_the_order_of_the_messages) {
    EXPECT_EQ(post_to("/publish", NULL,
                      "[{\"channel\":\"b\",\"data\":1},{\"channel\":\"c\",\"data\":2}]"),
              0);
    EXPECT_EQ(fakes.publish->count, 2);
    fakes_answer_publish(OK);
    EXPECT_TRUE(answers("{\"results\":[{\"channel\":\"b\",\"offset\":1,\"id\":\"t1"));
    struct span body = reply_body(&request->reply);
    EXPECT_NOT_NULL(memmem(body.bytes, body.length, "{\"channel\":\"c\",\"offset\":2,", 25));
    EXPECT_EQ(json_check(body, NULL, NULL), OK);
}

TEST(all_messages_are_taken_or_none) {
    EXPECT_EQ(post("Content-Type: application/x-ndjson", "1\n2\n{"), 400);
    EXPECT_TRUE(blames("line 3"));
    EXPECT_EQ(post("Content-Type: application/x-ndjson", "\n\n"), 400);
    EXPECT_EQ(post_to("/publish", NULL, "[]"), 400);
    EXPECT_EQ(post_to("/publish", NULL, "[{\"channel\":\"b\",\"data\":1},{\"channel\":\"b\"}]"),
              400);
    EXPECT_TRUE(blames("[1].data"));
    EXPECT_EQ(fakes.publish_count, 0);
    EXPECT_EQ(fakes_replied(), 4);
}

TEST(many_channels_are_published_to_with_json_and_no_headers_of_one) {
    static const char *const refused[][2] = {
        {"Tidings-Key: k", "Tidings-Key"},
        {"Tidings-Header-A: b", "Tidings-Header-A"},
        {"ce-specversion: 1.0\nce-id: 1\nce-source: /s\nce-type: t", "ce-type"},
        {"Content-Type: text/plain", "Content-Type"},
        {"Content-Type: application/x-ndjson", "Content-Type"},
        {"Content-Type: application/json; charset=utf-16", "Content-Type"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        unsigned status = i < 3 ? 400 : 415;
        EXPECT_EQ(post_to("/publish", refused[i][0], "{\"channel\":\"b\",\"data\":1}"), status);
        EXPECT_TRUE(blames(refused[i][1]));
    }
    EXPECT_EQ(fakes.publish_count, 0);
}

/* --- idempotency ------------------------------------------------------------------------------ */

/* Publishes, and copies the hash that the log would be given; its first half is of the key. */
static void hash_of(const char *path, const char *headers, const char *body, uint8_t hash[64]) {
    EXPECT_EQ(post_to(path, headers, body), 0);
    struct span own = published()->idempotency_hash;
    EXPECT_EQ(own.length, 64);
    memcpy(hash, own.bytes, 64);
    fakes_answer_publish(OK);
}

#define KEY "Idempotency-Key: k"

TEST(the_same_publish_under_the_same_key_has_the_same_hash) {
    uint8_t one[64], other[64];
    hash_of("/channels/a", KEY "\nTidings-Event: e", "1", one);
    hash_of("/channels/a", "tidings-event: e\nIdempotency-Key: \"k\"\nX-Other: 1", "1", other);
    EXPECT_EQ(memcmp(one, other, 64), 0);
    EXPECT_EQ(post(NULL, "1"), 0);
    EXPECT_EQ(published()->idempotency_hash.length, 0);
    fakes_answer_publish(OK);
}

#define TRACE_ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define TRACEPARENT "00-" TRACE_ID "-00f067aa0ba902b7-01"

TEST(a_retry_of_another_trace_is_the_same_publish) {
    uint8_t one[64], other[64];
    hash_of("/channels/a", KEY "\ntraceparent: " TRACEPARENT "\ntracestate: a=1", "1", one);
    hash_of("/channels/a", KEY "\ntraceparent: 00-" TRACE_ID "-00f067aa0ba902b8-01", "1", other);
    EXPECT_EQ(memcmp(one, other, 64), 0);
    hash_of("/channels/a", KEY, "1", other);
    EXPECT_EQ(memcmp(one, other, 64), 0);
}

TEST(whatever_makes_another_message_makes_another_hash) {
    static const struct {
        const char *path, *headers, *body;
    } others[] = {
        {"/channels/b", KEY, "1"},
        {"/channels/a", KEY, "2"},
        {"/channels/a", KEY "\nContent-Type: text/plain", "1"},
        {"/channels/a", KEY "\nTidings-Event: e", "1"},
        {"/channels/a", KEY "\nTidings-Key: e", "1"},
        {"/channels/a", KEY "\nTidings-TTL: 9", "1"},
        {"/channels/a", KEY "\nTidings-Retain: true", "1"},
        {"/channels/a", KEY "\nTidings-Header-A: 1", "1"},
    };
    uint8_t one[64], other[64];
    hash_of("/channels/a", KEY, "1", one);
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        hash_of(others[i].path, others[i].headers, others[i].body, other);
        EXPECT_EQ(memcmp(one, other, 32), 0);
        EXPECT_TRUE(memcmp(one + 32, other + 32, 32) != 0);
    }
}

TEST(a_key_is_of_a_whole_batch) {
    uint8_t hash[64];
    EXPECT_EQ(post("Content-Type: application/x-ndjson\n" KEY, "1\n2"), 0);
    EXPECT_EQ(fakes.publish->messages[0]->fields.idempotency_hash.length, 64);
    EXPECT_EQ(fakes.publish->messages[1]->fields.idempotency_hash.length, 0);
    fakes_answer_publish(OK);
    hash_of("/publish", KEY, "{\"channel\":\"b\",\"data\":1}", hash);
}

TEST(a_key_that_came_with_another_body_is_422) {
    EXPECT_EQ(post(KEY, "1"), 0);
    fakes_answer_publish(ERR_UNPROCESSABLE);
    EXPECT_EQ(request->reply.status, 422);
}

#define PUBLISH(name) cmocka_unit_test_setup_teardown(name, fakes_begin, end)

UNIT_TESTS(PUBLISH(the_answer_tells_channel_offset_and_id),
           PUBLISH(a_body_without_a_telling_type_is_json_else_text),
           PUBLISH(headers_become_the_messages_fields),
           PUBLISH(what_a_header_cannot_mean_is_refused_and_named),
           PUBLISH(json_that_does_not_parse_is_400_and_reaches_no_log),
           PUBLISH(a_log_that_takes_nothing_is_503_with_retry_after), PUBLISH(a_full_disk_is_507),
           PUBLISH(an_answer_to_nobody_frees_what_was_kept),
           PUBLISH(the_type_of_a_body_says_how_many_messages_it_holds),
           PUBLISH(results_stand_in_the_order_of_the_messages),
           PUBLISH(all_messages_are_taken_or_none),
           PUBLISH(many_channels_are_published_to_with_json_and_no_headers_of_one),
           PUBLISH(the_same_publish_under_the_same_key_has_the_same_hash),
           PUBLISH(a_retry_of_another_trace_is_the_same_publish),
           PUBLISH(whatever_makes_another_message_makes_another_hash),
           PUBLISH(a_key_is_of_a_whole_batch), PUBLISH(a_key_that_came_with_another_body_is_422))
