/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/apply.h"

#include "storage/deleted.h"
#include "storage/index.h"
#include "storage/keys.h"
#include "tests/storage/store_fixture.h"

#define COUNT 3000

static uint64_t channel_of(uint64_t i) {
    return 1 + i * i % 7;
}

/* Applies the same messages, cut into batches of `batch`. */
static void fill(struct store_fixture *fixture, size_t batch) {
    uint64_t offsets[8] = {0};
    struct message *messages[COUNT];
    store_fixture_init(fixture);
    fixture->limits.messages_max = 400;
    for (uint64_t i = 0; i < COUNT; i++) {
        messages[i] = store_fixture_make(fixture, channel_of(i), ++offsets[channel_of(i)], i % 99);
    }
    for (size_t done = 0; done < COUNT; done += batch) {
        store_fixture_apply(fixture, messages + done, COUNT - done < batch ? COUNT - done : batch);
    }
}

static void expect_same_table(MDB_txn *left, MDB_dbi left_dbi, MDB_txn *right, MDB_dbi right_dbi) {
    MDB_cursor *cursors[2];
    MDB_val keys[2];
    MDB_val values[2];
    EXPECT_EQ(mdb_cursor_open(left, left_dbi, &cursors[0]), 0);
    EXPECT_EQ(mdb_cursor_open(right, right_dbi, &cursors[1]), 0);
    for (;;) {
        int code = mdb_cursor_get(cursors[0], &keys[0], &values[0], MDB_NEXT);
        EXPECT_EQ(mdb_cursor_get(cursors[1], &keys[1], &values[1], MDB_NEXT), code);
        if (code != 0) {
            break;
        }
        EXPECT_TRUE(span_is_equal(store_span(keys[0]), store_span(keys[1])));
        EXPECT_TRUE(span_is_equal(store_span(values[0]), store_span(values[1])));
    }
    mdb_cursor_close(cursors[0]);
    mdb_cursor_close(cursors[1]);
}

TEST(the_same_messages_give_the_same_rows_however_they_are_batched) {
    struct store_fixture one;
    fill(&one, COUNT);
    const size_t batches[] = {1500, 333, 100};
    for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
        struct store_fixture other;
        fill(&other, batches[i]);
        MDB_txn *left = store_fixture_begin(&one);
        MDB_txn *right = store_fixture_begin(&other);
        expect_same_table(left, one.store.meta, right, other.store.meta);
        expect_same_table(left, one.store.names, right, other.store.names);
        expect_same_table(left, one.store.channels, right, other.store.channels);
        expect_same_table(left, one.store.segments, right, other.store.segments);
        expect_same_table(left, one.store.index, right, other.store.index);
        for (unsigned slot = 1; slot <= 8; slot++) {
            expect_same_table(left, atomic_load(&one.store.slots[slot]), right,
                              atomic_load(&other.store.slots[slot]));
        }
        mdb_txn_abort(left);
        mdb_txn_abort(right);
        store_fixture_finish(&other);
    }
    store_fixture_finish(&one);
}

TEST(what_is_folded_already_is_passed_over) {
    struct store_fixture fixture;
    struct channel_row row;
    store_fixture_init(&fixture);
    struct message *message = store_fixture_make(&fixture, 1, 1, 10);
    struct message *again[] = {message_ref(message)};
    store_fixture_apply(&fixture, &message, 1);
    store_fixture_apply(&fixture, again, 1);
    MDB_txn *txn = store_fixture_begin(&fixture);
    EXPECT_EQ(store_get_channel(&fixture.store, txn, 1, &row, NULL), OK);
    EXPECT_EQ(row.offset_last, 1);
    EXPECT_EQ(row.bytes_total, 10);
    mdb_txn_abort(txn);
    EXPECT_EQ(fixture.segments.rows[1].messages, 1);
    store_fixture_finish(&fixture);
}

TEST(a_hole_in_the_offsets_of_a_channel_is_refused) {
    struct store_fixture fixture;
    struct apply *apply = NULL;
    struct error why = {0};
    store_fixture_init(&fixture);
    struct message *first = store_fixture_make(&fixture, 1, 1, 10);
    struct message *third = store_fixture_make(&fixture, 1, 3, 10);
    EXPECT_EQ(store_open_slots(&fixture.store, 2, NULL), OK);
    MDB_txn *txn = store_fixture_begin(&fixture);
    struct apply_options options = {.limits = fixture.limits};
    EXPECT_EQ(apply_create(&fixture.store, txn, &fixture.segments, &options, &apply, NULL), OK);
    EXPECT_EQ(apply_messages(apply, &first, 1, &why), OK);
    EXPECT_EQ(apply_messages(apply, &third, 1, &why), ERR_CORRUPT);
    apply_destroy(apply);
    mdb_txn_abort(txn);
    message_unref(first);
    message_unref(third);
    store_fixture_finish(&fixture);
}

TEST(more_channels_than_are_gathered_at_once_are_all_written) {
    struct store_fixture fixture;
    static struct message *messages[APPLY_CHANNELS_MAX * 2 + 100];
    const size_t count = sizeof(messages) / sizeof(messages[0]);
    store_fixture_init(&fixture);
    for (size_t i = 0; i < count; i++) {
        messages[i] = store_fixture_make(&fixture, i % (APPLY_CHANNELS_MAX + 50) + 1,
                                         i / (APPLY_CHANNELS_MAX + 50) + 1, 1);
    }
    store_fixture_apply(&fixture, messages, count);
    MDB_txn *txn = store_fixture_begin(&fixture);
    for (uint64_t id = 1; id <= APPLY_CHANNELS_MAX + 50; id++) {
        struct channel_row row;
        struct run_entry entry;
        EXPECT_EQ(store_get_channel(&fixture.store, txn, id, &row, NULL), OK);
        EXPECT_EQ(row.offset_last, 2);
        EXPECT_EQ(index_get_entry(&fixture.store, txn, id, 2, NULL, &entry, NULL), OK);
    }
    mdb_txn_abort(txn);
    store_fixture_finish(&fixture);
}

TEST(a_trim_moves_what_is_kept_and_keeps_the_name) {
    struct store_fixture fixture;
    struct channel_row row;
    store_fixture_init(&fixture);
    struct message *messages[4];
    for (uint64_t i = 0; i < 3; i++) {
        messages[i] = store_fixture_make(&fixture, 1, i + 1, 1);
    }
    struct message_fields fields = {.kind = MESSAGE_TRIM};
    messages[3] = message_create(&fields);
    struct place place = {77, 1, ++fixture.position, 1, 3};
    message_order(messages[3], &place, 5000);
    store_fixture_apply(&fixture, messages, 3);
    store_fixture_apply(&fixture, messages + 3, 1);
    MDB_txn *txn = store_fixture_begin(&fixture);
    EXPECT_EQ(store_get_channel(&fixture.store, txn, 1, &row, NULL), OK);
    EXPECT_EQ(row.keep_from, 3);
    EXPECT_SPAN(row.name, "c1");
    mdb_txn_abort(txn);
    store_fixture_finish(&fixture);
}

/* A message with a key (or none), or, where `to` is above 0, a delete through there. */
static struct message *make(struct store_fixture *fixture, const char *key, uint64_t offset,
                            uint64_t from, uint64_t to) {
    uint8_t range[MESSAGE_DELETE_BYTES];
    message_put_deleted(from, to, range);
    struct message_fields fields = {.kind = to > 0 ? MESSAGE_DELETE : MESSAGE_DATA,
                                    .channel = SPAN("c1"),
                                    .key = span_of_string(key)};
    if (to > 0) {
        fields.payload = span_of(range, sizeof(range));
    }
    struct message *message = message_create(&fields);
    struct place place = {77, 1, ++fixture->position, 1, offset};
    message_order(message, &place, 1000 + fixture->position);
    return message;
}

static uint64_t newest(struct store_fixture *fixture, const char *key) {
    uint64_t offset = 0;
    struct channel_row row;
    MDB_txn *txn = store_fixture_begin(fixture);
    if (*key != '\0') {
        enum error_code result =
            keys_find(&fixture->store, txn, 1, span_of_string(key), &offset, NULL);
        EXPECT_TRUE(result == OK || result == ERR_NOT_FOUND);
    } else {
        EXPECT_EQ(store_get_channel(&fixture->store, txn, 1, &row, NULL), OK);
        offset = row.keyless_last;
    }
    mdb_txn_abort(txn);
    return offset;
}

TEST(a_fold_says_which_message_of_a_key_is_the_newest) {
    struct store_fixture fixture;
    store_fixture_init(&fixture);
    struct message *first[] = {
        make(&fixture, "a", 1, 0, 0), make(&fixture, "b", 2, 0, 0), make(&fixture, "", 3, 0, 0),
        make(&fixture, "a", 4, 0, 0), make(&fixture, "", 5, 0, 0),
    };
    store_fixture_apply(&fixture, first, ARRAY_COUNT(first));
    EXPECT_EQ(newest(&fixture, "a"), 4);
    EXPECT_EQ(newest(&fixture, "b"), 2);
    EXPECT_EQ(newest(&fixture, ""), 5);
    struct message *second[] = {make(&fixture, "b", 6, 0, 0), make(&fixture, "a", 7, 0, 0),
                                make(&fixture, "", 7, 7, 7), make(&fixture, "", 7, 5, 5)};
    store_fixture_apply(&fixture, second, ARRAY_COUNT(second));
    EXPECT_EQ(newest(&fixture, "a"), 4); /* what the same fold deletes is not told */
    EXPECT_EQ(newest(&fixture, "b"), 6);
    EXPECT_EQ(newest(&fixture, ""), 0);
    store_fixture_finish(&fixture);
}

static void expect_deleted(struct store_fixture *fixture, uint64_t offset, uint64_t from,
                           uint64_t to) {
    uint64_t found_from = 0;
    uint64_t found_to = 0;
    MDB_txn *txn = store_fixture_begin(fixture);
    enum error_code result =
        deleted_find(&fixture->store, txn, 1, offset, &found_from, &found_to, NULL);
    EXPECT_EQ(result, to == 0 ? ERR_NOT_FOUND : OK);
    EXPECT_EQ(found_from, from);
    EXPECT_EQ(found_to, to);
    mdb_txn_abort(txn);
}

TEST(a_delete_is_written_down_and_at_the_front_raises_what_is_kept) {
    struct store_fixture fixture;
    struct channel_row row;
    store_fixture_init(&fixture);
    struct message *messages[12];
    for (uint64_t i = 0; i < 10; i++) {
        messages[i] = make(&fixture, "", i + 1, 0, 0);
    }
    messages[10] = make(&fixture, "", 10, 5, 6);
    messages[11] = make(&fixture, "", 10, 9, 1000); /* no further than the last one */
    store_fixture_apply(&fixture, messages, 12);
    expect_deleted(&fixture, 4, 0, 0);
    expect_deleted(&fixture, 5, 5, 6);
    expect_deleted(&fixture, 10, 9, 10);
    expect_deleted(&fixture, 11, 0, 0);
    messages[0] = make(&fixture, "", 10, 1, 4);
    messages[1] = make(&fixture, "", 10, 8, 3); /* nothing */
    store_fixture_apply(&fixture, messages, 2);
    expect_deleted(&fixture, 3, 1, 6);
    expect_deleted(&fixture, 8, 0, 0);
    MDB_txn *txn = store_fixture_begin(&fixture);
    EXPECT_EQ(store_get_channel(&fixture.store, txn, 1, &row, NULL), OK);
    EXPECT_EQ(row.keep_from, 7);
    mdb_txn_abort(txn);
    store_fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(the_same_messages_give_the_same_rows_however_they_are_batched),
           UNIT(what_is_folded_already_is_passed_over),
           UNIT(a_hole_in_the_offsets_of_a_channel_is_refused),
           UNIT(more_channels_than_are_gathered_at_once_are_all_written),
           UNIT(a_trim_moves_what_is_kept_and_keeps_the_name),
           UNIT(a_fold_says_which_message_of_a_key_is_the_newest),
           UNIT(a_delete_is_written_down_and_at_the_front_raises_what_is_kept))
