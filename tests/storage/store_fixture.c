/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/storage/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>

void store_fixture_init(struct store_fixture *fixture) {
    memset(fixture, 0, sizeof(*fixture));
    scratch_create_folder(fixture->directory);
    fixture->limits = (struct segment_limits){1000, 1 << 30};
    EXPECT_EQ(store_open(&fixture->store, fixture->directory, 1 << 30, 77, NULL), OK);
}

void store_fixture_finish(struct store_fixture *fixture) {
    store_close(&fixture->store);
    scratch_remove(fixture->directory);
}

struct message *store_fixture_make(struct store_fixture *fixture, uint64_t channel_id,
                                   uint64_t offset, size_t bytes) {
    char name[32];
    uint8_t *payload = calloc(1, bytes + 1);
    snprintf(name, sizeof(name), "c%llu", (unsigned long long)channel_id);
    struct message_fields fields = {
        .kind = MESSAGE_DATA, .channel = span_of_string(name), .payload = span_of(payload, bytes)};
    struct message *message = message_create(&fields);
    free(payload);
    struct place place = {77, 1, ++fixture->position, channel_id, offset};
    message_order(message, &place, 1000 + 10 * fixture->position);
    return message;
}

MDB_txn *store_fixture_begin(struct store_fixture *fixture) {
    MDB_txn *txn = NULL;
    EXPECT_EQ(store_begin(&fixture->store, &txn, NULL), OK);
    return txn;
}

void store_fixture_apply(struct store_fixture *fixture, struct message **messages, size_t count) {
    struct apply *apply = NULL;
    struct meta_row meta;
    unsigned slots = segments_wanted(&fixture->segments, &fixture->limits, count, 0);
    EXPECT_EQ(store_open_slots(&fixture->store, slots, NULL), OK);
    MDB_txn *txn = store_fixture_begin(fixture);
    struct apply_options options = {.limits = fixture->limits};
    EXPECT_EQ(apply_create(&fixture->store, txn, &fixture->segments, &options, &apply, NULL), OK);
    EXPECT_EQ(apply_messages(apply, messages, count, NULL), OK);
    EXPECT_EQ(apply_finish(apply, &meta, NULL), OK);
    apply_destroy(apply);
    for (size_t i = 0; i < count; i++) {
        message_unref(messages[i]);
    }
    EXPECT_EQ(store_commit(txn, NULL), OK);
}
