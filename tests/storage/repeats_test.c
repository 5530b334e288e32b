/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/repeats.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/limits.h"
#include "tests/storage/store_fixture.h"

#define COUNT_MAX 5000

struct told {
    size_t count;
    uint64_t position;
    uint8_t hash;
    size_t messages;
    uint64_t last_channel_id;
    uint64_t last_offset;
};

static void on_repeat(void *context, const struct storage_repeat *repeat) {
    struct told *told = context;
    EXPECT_EQ(repeat->hash.length, 64);
    EXPECT_TRUE(repeat->position_first > told->position);
    EXPECT_EQ(repeat->generation, 1);
    *told = (struct told){.count = told->count + 1,
                          .position = repeat->position_first,
                          .hash = repeat->hash.bytes[63],
                          .messages = repeat->count,
                          .last_channel_id = repeat->places[repeat->count - 1].channel_id,
                          .last_offset = repeat->places[repeat->count - 1].offset};
}

static struct told tell(struct store_fixture *fixture) {
    struct told told = {0};
    struct meta_row meta;
    MDB_txn *txn = store_fixture_begin(fixture);
    EXPECT_EQ(store_get_meta(&fixture->store, txn, &meta, NULL), OK);
    EXPECT_EQ(repeats_each(&fixture->store, txn, &meta, on_repeat, &told, NULL), OK);
    EXPECT_EQ(meta.repeat_count, told.count);
    mdb_txn_abort(txn);
    return told;
}

/* `count` messages of one publish with the hash `hash`, over `channels` channels. */
static void publish(struct store_fixture *fixture, uint8_t hash, size_t count, uint64_t channels,
                    uint64_t time_ms) {
    static uint64_t offsets[COUNT_MAX + 1];
    static struct message *messages[COUNT_MAX];
    uint8_t bytes[64] = {0};
    bytes[63] = hash;
    if (fixture->position == 0) {
        memset(offsets, 0, sizeof(offsets));
    }
    for (size_t i = 0; i < count; i++) {
        char name[32];
        uint64_t channel_id = 1 + i % channels;
        snprintf(name, sizeof(name), "c%llu", (unsigned long long)channel_id);
        struct message_fields fields = {.kind = MESSAGE_DATA, .channel = span_of_string(name)};
        if (i == 0 && hash > 0) {
            fields.idempotency_hash = span_of(bytes, sizeof(bytes));
        }
        messages[i] = message_create(&fields);
        struct place place = {77, 1, ++fixture->position, channel_id, ++offsets[channel_id]};
        message_order(messages[i], &place, time_ms);
        messages[i]->group_rest = (uint32_t)(count - 1 - i);
    }
    store_fixture_apply(fixture, messages, count);
}

TEST(a_publish_with_a_key_is_told_with_all_its_places) {
    struct store_fixture fixture;
    store_fixture_init(&fixture);
    publish(&fixture, 0, 3, 1, 1000); /* without a key */
    EXPECT_EQ(tell(&fixture).count, 0);
    publish(&fixture, 5, 1, 1, 1000);
    struct told told = tell(&fixture);
    EXPECT_EQ(told.count, 1);
    EXPECT_EQ(told.position, 4);
    EXPECT_EQ(told.hash, 5);
    EXPECT_EQ(told.last_offset, 4);
    publish(&fixture, 6, COUNT_MAX, COUNT_MAX, 1000); /* a row of many parts */
    publish(&fixture, 7, COUNT_MAX, 1, 1000);
    told = tell(&fixture);
    EXPECT_EQ(told.count, 3);
    EXPECT_EQ(told.messages, COUNT_MAX);
    EXPECT_EQ(told.last_channel_id, 1);
    EXPECT_EQ(told.last_offset, 5 + COUNT_MAX);
    publish(&fixture, 8, 7, 3, 1000);
    told = tell(&fixture);
    EXPECT_EQ(told.messages, 7);
    EXPECT_EQ(told.last_channel_id, 1);
    store_fixture_finish(&fixture);
}

TEST(what_is_older_than_the_window_is_forgotten) {
    struct store_fixture fixture;
    store_fixture_init(&fixture);
    publish(&fixture, 1, 2000, 2000, 1000);
    publish(&fixture, 2, 1, 1, 2000);
    publish(&fixture, 0, 1, 1, 1000 + IDEMPOTENCY_AGE_MS);
    EXPECT_EQ(tell(&fixture).count, 2);
    publish(&fixture, 0, 1, 1, 1001 + IDEMPOTENCY_AGE_MS);
    struct told told = tell(&fixture);
    EXPECT_EQ(told.count, 1);
    EXPECT_EQ(told.hash, 2);
    publish(&fixture, 0, 1, 1, 1001 + 2 * IDEMPOTENCY_AGE_MS);
    EXPECT_EQ(tell(&fixture).count, 0);
    MDB_txn *txn = store_fixture_begin(&fixture);
    MDB_stat stat;
    EXPECT_EQ(mdb_stat(txn, fixture.store.repeats, &stat), 0);
    EXPECT_EQ(stat.ms_entries, 0);
    mdb_txn_abort(txn);
    store_fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(a_publish_with_a_key_is_told_with_all_its_places),
           UNIT(what_is_older_than_the_window_is_forgotten))
