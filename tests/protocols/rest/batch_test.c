/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/batch.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/channels/rules.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/support/string_map.h"
#include "protocols/trace_context.h"
#include "tests/protocols/fakes.h"
#include "tests/unit.h"

static struct batch batch;
static struct error why;

static int end(void **state) {
    batch_finish(&batch);
    return fakes_end(state);
}

static enum error_code add(struct span payload, struct span headers) {
    struct message_fields fields = {
        .kind = MESSAGE_DATA, .channel = SPAN("a"), .headers = headers, .payload = payload};
    return batch_add(&batch, fakes.broker.rules, &fields, &why);
}

TEST(names_that_nobody_may_publish_to_are_refused) {
    EXPECT_EQ(batch_check_channel(SPAN("a/b"), false, &why), OK);
    EXPECT_EQ(batch_check_channel(SPAN("a//b"), true, &why), OK);
    EXPECT_EQ(batch_check_channel(SPAN("a//b"), false, &why), ERR_BAD_CHANNEL);
    EXPECT_STRING(why.field, "channel");
    EXPECT_EQ(batch_check_channel(SPAN("a/*"), true, &why), ERR_BAD_CHANNEL);
    EXPECT_EQ(batch_check_channel(SPAN("$x"), true, &why), ERR_FORBIDDEN);
    EXPECT_STRING(why.field, "channel");
}

TEST(the_first_message_alone_carries_the_hash) {
    static const uint8_t hash[64] = {1};
    batch.idempotency_hash = span_of(hash, sizeof(hash));
    EXPECT_EQ(add(SPAN("1"), SPAN("")), OK);
    EXPECT_EQ(add(SPAN("2"), SPAN("")), OK);
    EXPECT_EQ(batch_close(&batch, &why), OK);
    EXPECT_EQ(batch.messages[0]->fields.idempotency_hash.length, 64);
    EXPECT_EQ(batch.messages[1]->fields.idempotency_hash.length, 0);
}

TEST(a_batch_of_nothing_is_refused) {
    EXPECT_EQ(batch_close(&batch, &why), ERR_BAD_REQUEST);
}

TEST(a_payload_is_held_to_its_channels_rule) {
    uint8_t *large = calloc(1, MESSAGE_BYTES_DEFAULT + 1);
    EXPECT_NOT_NULL(large);
    EXPECT_EQ(add(span_of(large, MESSAGE_BYTES_DEFAULT), SPAN("")), OK);
    EXPECT_EQ(add(span_of(large, MESSAGE_BYTES_DEFAULT + 1), SPAN("")), ERR_TOO_LARGE);
    EXPECT_STRING(why.field, "data");
    EXPECT_EQ(batch.count, 1);
    free(large);
}

TEST(a_batch_is_bounded_in_number) {
    for (size_t i = 0; i < PUBLISH_MESSAGES_MAX; i++) {
        EXPECT_EQ(add(SPAN("1"), SPAN("")), OK);
    }
    EXPECT_EQ(add(SPAN("1"), SPAN("")), ERR_TOO_LARGE);
    EXPECT_NOT_NULL(strstr(why.detail, "10000"));
}

/* Headers of the request are copied into each message: they count as often. */
TEST(a_batch_is_bounded_in_memory) {
    uint8_t *headers = calloc(1, MESSAGE_HEADERS_BYTES_MAX);
    size_t count = 0;
    EXPECT_NOT_NULL(headers);
    while (add(SPAN("1"), span_of(headers, MESSAGE_HEADERS_BYTES_MAX)) == OK) {
        count++;
    }
    EXPECT_TRUE(count < PUBLISH_MEMORY_BYTES_MAX / MESSAGE_HEADERS_BYTES_MAX);
    EXPECT_TRUE(count > PUBLISH_MEMORY_BYTES_MAX / MESSAGE_HEADERS_BYTES_MAX * 9 / 10);
    free(headers);
}

TEST(a_publish_is_as_durable_as_its_strictest_channel_asks_for) {
    struct channel_rule rule = {.match = (char[]){"safe/**"}, .durability = DURABILITY_FSYNC};
    struct config config = {.rules = &rule, .rule_count = 1};
    rule.message_bytes_max = config.rule_default.message_bytes_max = 10;
    struct rules *rules = rules_create(&config, NULL);
    struct message_fields fields = {.kind = MESSAGE_DATA, .payload = SPAN("1")};
    fields.channel = SPAN("a");
    EXPECT_EQ(batch_add(&batch, rules, &fields, &why), OK);
    EXPECT_EQ(batch_close(&batch, &why), OK);
    EXPECT_EQ(batch.messages[0]->fields.flags, 0);
    fields.channel = SPAN("safe/a");
    EXPECT_EQ(batch_add(&batch, rules, &fields, &why), OK);
    EXPECT_EQ(batch_close(&batch, &why), OK);
    EXPECT_EQ(batch.messages[0]->fields.flags, MESSAGE_FSYNC);
    EXPECT_EQ(batch.messages[1]->fields.flags, MESSAGE_FSYNC);
    rules_destroy(rules);
}

/* --- the trace ------------------------------------------------------------------------------- */

#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static const struct trace_context trace = {
    .parent = {(const uint8_t *)PARENT, sizeof(PARENT) - 1}, .state = "a=1,b=2", .state_length = 7};

/* The value of that header of the newest message. */
static struct span header(const char *name) {
    struct span rest = batch.messages[batch.count - 1]->fields.headers;
    struct span own, value;
    while (string_map_next(&rest, &own, &value)) {
        if (span_is_equal(own, span_of_string(name))) {
            return value;
        }
    }
    return SPAN("none");
}

static struct buffer map;

static void put(const char *name, struct span value) {
    EXPECT_EQ(string_map_put(&map, span_of_string(name), value), OK);
}

static int begin_map(void **state) {
    buffer_init(&map, MESSAGE_HEADERS_BYTES_MAX);
    batch.trace = &trace;
    return fakes_begin(state);
}

static int end_map(void **state) {
    buffer_finish(&map);
    return end(state);
}

TEST(the_requests_trace_goes_with_each_message) {
    put("own", SPAN("1"));
    EXPECT_EQ(add(SPAN("1"), SPAN("")), OK);
    EXPECT_SPAN(header("traceparent"), PARENT);
    EXPECT_SPAN(header("tracestate"), "a=1,b=2");
    EXPECT_EQ(add(SPAN("2"), buffer_borrow(&map)), OK);
    EXPECT_SPAN(header("own"), "1");
    EXPECT_SPAN(header("traceparent"), PARENT);
    EXPECT_SPAN(header("tracestate"), "a=1,b=2");
}

TEST(a_message_with_a_trace_of_its_own_keeps_that_alone) {
    put("TraceParent", SPAN("its own"));
    EXPECT_EQ(add(SPAN("1"), buffer_borrow(&map)), OK);
    EXPECT_SPAN(header("TraceParent"), "its own");
    EXPECT_SPAN(header("traceparent"), "none");
    EXPECT_SPAN(header("tracestate"), "none");
    buffer_clear(&map);
    put("tracestate", SPAN("c=3"));
    EXPECT_EQ(add(SPAN("1"), buffer_borrow(&map)), OK);
    EXPECT_SPAN(header("tracestate"), "c=3");
    EXPECT_SPAN(header("traceparent"), "none");
}

TEST(a_trace_without_room_is_left_out_and_the_message_taken) {
    static uint8_t value[MESSAGE_HEADERS_BYTES_MAX];
    size_t own = sizeof("x") - 1 + 4, parent = sizeof("traceparent" PARENT) - 1 + 4;
    put("x", span_of(value, MESSAGE_HEADERS_BYTES_MAX - own - parent)); /* room for that alone */
    EXPECT_EQ(add(SPAN("1"), buffer_borrow(&map)), OK);
    EXPECT_SPAN(header("traceparent"), PARENT);
    EXPECT_SPAN(header("tracestate"), "none");
    buffer_clear(&map);
    put("x", span_of(value, MESSAGE_HEADERS_BYTES_MAX - own - parent + 1));
    EXPECT_EQ(add(SPAN("1"), buffer_borrow(&map)), OK);
    EXPECT_SPAN(header("traceparent"), "none");
    buffer_clear(&map);
    for (int i = 0; i < MESSAGE_HEADERS_MAX; i++) {
        char name[8];
        snprintf(name, sizeof(name), "h%d", i);
        put(name, SPAN(""));
    }
    EXPECT_EQ(add(SPAN("1"), buffer_borrow(&map)), OK);
    EXPECT_SPAN(header("traceparent"), "none");
}

#define BATCH(name) cmocka_unit_test_setup_teardown(name, fakes_begin, end)
#define TRACE(name) cmocka_unit_test_setup_teardown(name, begin_map, end_map)

UNIT_TESTS(BATCH(names_that_nobody_may_publish_to_are_refused),
           BATCH(the_first_message_alone_carries_the_hash), BATCH(a_batch_of_nothing_is_refused),
           BATCH(a_payload_is_held_to_its_channels_rule), BATCH(a_batch_is_bounded_in_number),
           BATCH(a_batch_is_bounded_in_memory),
           BATCH(a_publish_is_as_durable_as_its_strictest_channel_asks_for),
           TRACE(the_requests_trace_goes_with_each_message),
           TRACE(a_message_with_a_trace_of_its_own_keeps_that_alone),
           TRACE(a_trace_without_room_is_left_out_and_the_message_taken))
