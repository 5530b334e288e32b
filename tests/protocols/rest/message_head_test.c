/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/message_head.h"

#include <stdio.h>

#include "broker/support/string_map.h"
#include "protocols/rest/request.h"
#include "tests/unit.h"

static struct message_head head;
static struct error why;

/* Reads "Name: value\n…". */
static enum error_code read(const char *text) {
    struct request_header rows[128];
    struct span rest = span_of_string(text);
    size_t count = 0;
    bool passes_over_events = head.passes_over_events;
    message_head_finish(&head);
    message_head_init(&head);
    head.passes_over_events = passes_over_events;
    why = (struct error){0};
    while (rest.length > 0) {
        struct span line = span_split(&rest, '\n');
        struct span name = span_split(&line, ':');
        rows[count++] = (struct request_header){name, span_trim(line)};
    }
    return message_head_read(&head, rows, count, &why);
}

static int end(void **state) {
    (void)state;
    message_head_finish(&head);
    head = (struct message_head){0};
    return 0;
}

static struct span key(void) {
    return buffer_borrow(&head.idempotency_key);
}

TEST(headers_describe_a_message) {
    EXPECT_EQ(read("Host: x\nTidings-Event: goal\ntidings-key: k\nTIDINGS-TTL: 5\n"
                   "Tidings-Retain: true\nTidings-Header-Origin: x\nContent-Type: text/plain"),
              OK);
    EXPECT_SPAN(head.fields.event, "goal");
    EXPECT_SPAN(head.fields.key, "k");
    EXPECT_EQ(head.fields.ttl_ms, 5000);
    EXPECT_EQ(head.fields.flags, MESSAGE_RETAIN);
    EXPECT_SPAN(head.content_type, "text/plain");
    EXPECT_TRUE(head.describing.length > 0);
    struct span rest = buffer_borrow(&head.headers), name, value;
    EXPECT_TRUE(string_map_next(&rest, &name, &value));
    EXPECT_SPAN(name, "origin");
    EXPECT_FALSE(head.is_event);
}

TEST(a_key_is_a_string_in_quotes_or_a_word) {
    EXPECT_EQ(read("Idempotency-Key: \"8e03978e-40d5-43dd-bc93-6894a57f9324\""), OK);
    EXPECT_SPAN(key(), "8e03978e-40d5-43dd-bc93-6894a57f9324");
    EXPECT_EQ(head.describing.length, 0);
    EXPECT_EQ(read("Idempotency-Key: 8e03978e-40d5-43dd-bc93-6894a57f9324"), OK);
    EXPECT_SPAN(key(), "8e03978e-40d5-43dd-bc93-6894a57f9324");
    EXPECT_EQ(read("Idempotency-Key: \"a \\\"b\\\" \\\\, ;\""), OK);
    EXPECT_SPAN(key(), "a \"b\" \\, ;");
    EXPECT_EQ(read("Idempotency-Key: chat/7:user=1"), OK);
    static const char *const bad[] = {
        "Idempotency-Key:",           "Idempotency-Key: \"\"",     "Idempotency-Key: \"a",
        "Idempotency-Key: a\"",       "Idempotency-Key: \"a\"b\"", "Idempotency-Key: \"a\\\"",
        "Idempotency-Key: \"\\a\"",   "Idempotency-Key: a b",      "Idempotency-Key: a, b",
        "Idempotency-Key: \"a\";x=1", "Idempotency-Key: \xC3\xBC", "Idempotency-Key: \"",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_EQ(read(bad[i]), ERR_BAD_REQUEST);
        EXPECT_STRING(why.field, "Idempotency-Key");
    }
}

TEST(a_key_has_a_bound) {
    char text[400];
    snprintf(text, sizeof(text), "Idempotency-Key: %0255d", 0);
    EXPECT_EQ(read(text), OK);
    EXPECT_EQ(head.idempotency_key.length, 255);
    snprintf(text, sizeof(text), "Idempotency-Key: %0256d", 0);
    EXPECT_EQ(read(text), ERR_BAD_REQUEST);
}

TEST(an_event_in_binary_mode_is_its_headers) {
    EXPECT_EQ(read("ce-specversion: 1.0\nCE-Id: a%20b\nce-source: \"/q\"\nce-type: t\n"
                   "ce-partitionkey: p\nce-myext: 5\nTidings-Header-A: 1"),
              OK);
    EXPECT_TRUE(head.is_event);
    EXPECT_SPAN(head.fields.event, "t");
    EXPECT_SPAN(head.fields.key, "p");
    struct span rest = buffer_borrow(&head.headers), name, value;
    static const char *const expected[][2] = {{"ce-specversion", "1.0"},
                                              {"ce-id", "a b"},
                                              {"ce-source", "/q"},
                                              {"ce-myext", "5"},
                                              {"a", "1"}};
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        EXPECT_TRUE(string_map_next(&rest, &name, &value));
        EXPECT_SPAN(name, expected[i][0]);
        EXPECT_SPAN(value, expected[i][1]);
    }
    EXPECT_EQ(rest.length, 0);
}

#define EVENT_HEADERS "ce-specversion: 1.0\nce-id: 1\nce-source: /s\nce-type: t\n"

TEST(what_a_header_cannot_mean_is_refused_and_named) {
    static const struct {
        const char *headers, *field;
    } faults[] = {
        {"Tidings-TTL: 0", "Tidings-TTL"},
        {"Tidings-Retain: yes", "Tidings-Retain"},
        {"Tidings-Tll: 5", "Tidings-Tll"},
        {"Tidings-Key: a\nTidings-Key: b", "Tidings-Key"},
        {"Tidings-Header-A: a\ntidings-header-a: b", "tidings-header-a"},
        {"Tidings-Header-\xFF: a", "Tidings-Header-?"},
        {"Content-Type: nonsense", "Content-Type"},
        {"Content-Type: */*", "Content-Type"},
        {"Content-Type: multipart/form-data; boundary=x", "Content-Type"},
        {"Content-Encoding: gzip", "Content-Encoding"},
        {"ce-id: 1", "ce-specversion"},
        {"ce-specversion: 1.0\nce-id: 1\nce-source: /s", "ce-type"},
        {EVENT_HEADERS "ce-id: 2", "ce-id"},
        {EVENT_HEADERS "ce-datacontenttype: text/plain", "ce-datacontenttype"},
        {EVENT_HEADERS "ce-my-ext: 1", "ce-my-ext"},
        {EVENT_HEADERS "ce-ext: %C0%A0", "ce-ext"},
        {EVENT_HEADERS "ce-data: 1", "ce-data"},
        {EVENT_HEADERS "Tidings-Event: x", "Tidings-Event"},
        {EVENT_HEADERS "Tidings-Key: x\nce-partitionkey: y", "Tidings-Key"},
        {EVENT_HEADERS "Tidings-Header-ce-id: x", "Tidings-Header-ce-id"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        EXPECT_TRUE(read(faults[i].headers) != OK);
        EXPECT_STRING(why.field, faults[i].field);
    }
}

TEST(an_event_may_take_its_key_from_the_request) {
    EXPECT_EQ(read(EVENT_HEADERS "Tidings-Key: x"), OK);
    EXPECT_SPAN(head.fields.key, "x");
}

/* HTTP binding, section 3.2.3. */
TEST(in_structured_mode_headers_only_repeat_the_body) {
    head.passes_over_events = true;
    EXPECT_EQ(read("ce-id: 1\nce-nonsense-: \"\nTidings-Key: k"), OK);
    EXPECT_FALSE(head.is_event);
    EXPECT_SPAN(head.fields.key, "k");
    EXPECT_EQ(head.headers.length, 0);
}

#define HEAD(name) cmocka_unit_test_teardown(name, end)

UNIT_TESTS(HEAD(headers_describe_a_message), HEAD(a_key_is_a_string_in_quotes_or_a_word),
           HEAD(a_key_has_a_bound), HEAD(an_event_in_binary_mode_is_its_headers),
           HEAD(what_a_header_cannot_mean_is_refused_and_named),
           HEAD(an_event_may_take_its_key_from_the_request),
           HEAD(in_structured_mode_headers_only_repeat_the_body))
