/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/each.h"

#include "tests/storage/fixture.h"

static void publish_with_key(struct fixture *fixture, uint8_t key) {
    uint8_t hash[64] = {key};
    struct message *made = fixture_make(fixture, "a", SPAN("once"));
    struct message_fields fields = made->fields;
    fields.idempotency_hash = span_of(hash, sizeof(hash));
    struct message *message = message_create(&fields);
    message_order(message, &made->place, made->time_ms);
    message_unref(made);
    EXPECT_EQ(storage_append(fixture->storage, &message, 1, NULL), OK);
    storage_admit(fixture->storage, &message, 1);
    message_unref(message);
}

static void on_repeat(void *context, const struct storage_repeat *repeat) {
    uint64_t *sum = context;
    EXPECT_EQ(repeat->count, 1);
    EXPECT_EQ(repeat->position_first, repeat->hash.bytes[0]);
    EXPECT_EQ(repeat->places[0].offset, repeat->hash.bytes[0]);
    *sum = *sum * 10 + repeat->position_first;
}

static void on_channel(void *context, struct span name, uint64_t channel_id, uint64_t offset_last) {
    EXPECT_SPAN(name, "a");
    EXPECT_EQ(channel_id, 1);
    *(uint64_t *)context = offset_last;
}

TEST(a_start_knows_channels_and_keys_whether_they_were_folded_or_not) {
    struct fixture fixture;
    uint64_t sum = 0;
    uint64_t last = 0;
    fixture_init(&fixture);
    fixture_open(&fixture);
    publish_with_key(&fixture, 1);
    fixture_fold(&fixture);
    publish_with_key(&fixture, 2);
    fixture_kill(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(storage_each_repeat(fixture.storage, on_repeat, &sum, NULL), OK);
    EXPECT_EQ(sum, 12);
    EXPECT_EQ(storage_each_channel(fixture.storage, on_channel, &last, NULL), OK);
    EXPECT_EQ(last, 2);
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(a_start_knows_channels_and_keys_whether_they_were_folded_or_not))
