/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/batch.h"

#include <stdlib.h>

#include "broker/channels/rules.h"
#include "broker/config/config.h"
#include "broker/limits.h"
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
    struct rules *rules = rules_create(&config);
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
    rules_unref(rules);
}

#define BATCH(name) cmocka_unit_test_setup_teardown(name, fakes_begin, end)

UNIT_TESTS(BATCH(names_that_nobody_may_publish_to_are_refused),
           BATCH(the_first_message_alone_carries_the_hash), BATCH(a_batch_of_nothing_is_refused),
           BATCH(a_payload_is_held_to_its_channels_rule), BATCH(a_batch_is_bounded_in_number),
           BATCH(a_batch_is_bounded_in_memory),
           BATCH(a_publish_is_as_durable_as_its_strictest_channel_asks_for))
