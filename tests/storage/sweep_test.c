/* SPDX-License-Identifier: Apache-2.0 */
/* Space comes back, nothing that is kept is lost with it. */
#include "storage/sweep.h"

#include <stdio.h>

#include "storage/erase.h"
#include "tests/storage/fixture.h"
#include "tests/storage/store_fixture.h"

static struct storage_figures figures_of(const struct fixture *fixture) {
    struct storage_figures figures;
    storage_get_figures(fixture->storage, &figures);
    return figures;
}

static void round_of(struct fixture *fixture, size_t fast, size_t slow) {
    fixture_publish_many(fixture, "fast", fast);
    fixture_publish_many(fixture, "keep/slow", slow);
    fixture->time_ms += 1000;
    fixture_fold(fixture);
    fixture_retain(fixture);
}

TEST(dead_segments_are_dropped_and_the_file_stops_growing) {
    struct fixture fixture;
    uint64_t half = 0;
    fixture_init(&fixture);
    fixture.options.segment_messages = 500;
    fixture.retention.messages_max = 1000;
    fixture_open(&fixture);
    for (int i = 0; i < 200; i++) {
        round_of(&fixture, 200, 0);
        if (i == 60) {
            half = figures_of(&fixture).lmdb_bytes_file;
        }
        EXPECT_TRUE(figures_of(&fixture).segment_count < 8);
    }
    EXPECT_TRUE(figures_of(&fixture).lmdb_bytes_file <= half * 5 / 4);
    EXPECT_TRUE(figures_of(&fixture).journal_file_count <= 2);
    EXPECT_EQ(fixture_check_all(&fixture, "fast", 100), 1000);
    fixture_kill(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(fixture_check_all(&fixture, "fast", 100), 1000);
    fixture_finish(&fixture);
}

TEST(survivors_outlive_their_segments_in_the_cold_table) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.options.segment_messages = 500;
    fixture.retention.messages_max = 300;
    fixture_open(&fixture);
    for (int i = 0; i < 60; i++) {
        round_of(&fixture, 200, 2);
        if (i % 10 == 9) {
            EXPECT_EQ(fixture_check_all(&fixture, "keep/slow", 7), (i + 1) * 2);
            EXPECT_EQ(fixture_check_all(&fixture, "fast", 100), 300);
        }
    }
    EXPECT_TRUE(figures_of(&fixture).segment_count < 10);
    fixture_kill(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(fixture_check_all(&fixture, "keep/slow", 50), 120);
    round_of(&fixture, 200, 2);
    EXPECT_EQ(fixture_check_all(&fixture, "keep/slow", 50), 122);
    fixture_finish(&fixture);
}

TEST(ids_and_offsets_lead_to_cold_messages_too) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.options.segment_messages = 100;
    fixture.retention.messages_max = 50;
    fixture_open(&fixture);
    struct place seen = fixture_publish(&fixture, "keep/slow", "keep/slow:1");
    for (int i = 0; i < 40; i++) {
        round_of(&fixture, 50, i % 4 == 0 ? 1 : 0);
    }
    struct storage_query query = {
        .channel = SPAN("keep/slow"), .start = STORAGE_AFTER_PLACE, .place = seen, .limit = 3};
    fixture_expect(&fixture, query, "1<2,3,4>4");
    query.start = STORAGE_NEWEST;
    fixture_expect(&fixture, query, "8<9,10,11>11 head");
    query.start = STORAGE_AFTER_TIME;
    query.time_ms = 1700000000000 + 3500;
    fixture_expect(&fixture, query, "2<3,4,5>5");
    fixture_finish(&fixture);
}

TEST(large_messages_move_to_the_cold_table_whole) {
    struct fixture fixture;
    static char payload[30000];
    fixture_init(&fixture);
    fixture.options.segment_messages = 100;
    fixture.retention.messages_max = 50;
    fixture_open(&fixture);
    memset(payload, 'p', sizeof(payload));
    for (int i = 0; i < 20; i++) {
        fixture_publish_bytes(&fixture, "keep/big", span_of(payload, sizeof(payload) - (size_t)i));
        round_of(&fixture, 60, 0);
    }
    struct storage_query query = {.channel = SPAN("keep/big"), .limit = 20, .bytes_max = 1 << 20};
    struct storage_page page = fixture_read(&fixture, &query);
    EXPECT_EQ(page.count, 20);
    for (size_t i = 0; i < page.count; i++) {
        EXPECT_EQ(page.messages[i]->fields.payload.length, sizeof(payload) - i);
    }
    storage_page_finish(&page);
    fixture_finish(&fixture);
}

TEST(cold_messages_expire_like_others) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.options.segment_messages = 100;
    fixture.retention.messages_max = 40;
    fixture_open(&fixture);
    fixture_publish_many(&fixture, "slow", 30);
    for (int i = 0; i < 30; i++) {
        round_of(&fixture, 60, 0);
    }
    EXPECT_EQ(fixture_check_all(&fixture, "slow", 50), 30);
    for (int i = 0; i < 30; i++) {
        fixture_publish_many(&fixture, "slow", 3);
        round_of(&fixture, 60, 0);
        size_t kept = 30 + 3 * (size_t)(i + 1) > 40 ? 40 : 30 + 3 * (size_t)(i + 1);
        EXPECT_EQ(fixture_check_all(&fixture, "slow", 50), kept);
    }
    EXPECT_TRUE(figures_of(&fixture).segment_count < 10);
    fixture_finish(&fixture);
}

TEST(above_bytes_max_the_oldest_go_and_the_gap_is_told) {
    struct fixture fixture;
    static char payload[1000];
    uint64_t file = 0;
    fixture_init(&fixture);
    fixture.options.bytes_max = 8 << 20;
    fixture_open(&fixture);
    memset(payload, 'p', sizeof(payload));
    struct place seen = fixture_publish(&fixture, "keep/slow", "keep/slow:1");
    for (int i = 0; i < 120; i++) {
        for (int j = 0; j < 250; j++) {
            fixture_publish_bytes(&fixture, "keep/all", span_of(payload, sizeof(payload)));
        }
        fixture_fold(&fixture);
        fixture_retain(&fixture);
        EXPECT_TRUE(figures_of(&fixture).lmdb_bytes_used < (8 << 20) + (1 << 20));
        file = i == 60 ? figures_of(&fixture).lmdb_bytes_file : file;
    }
    EXPECT_TRUE(figures_of(&fixture).lmdb_bytes_file <= file * 5 / 4);
    struct storage_query query = {
        .channel = SPAN("keep/all"), .start = STORAGE_AFTER_OFFSET, .limit = 1, .bytes_max = 10};
    struct storage_page page = fixture_read(&fixture, &query);
    EXPECT_TRUE(page.has_gap);
    EXPECT_EQ(page.gap.reason, GAP_EXPIRED);
    EXPECT_EQ(page.gap.from, 1);
    EXPECT_EQ(page.gap.to, page.first - 1);
    EXPECT_TRUE(page.first > 20000);
    EXPECT_EQ(page.last, 30000);
    EXPECT_EQ(page.messages[0]->place.offset, page.first);
    storage_page_finish(&page);
    fixture_expect(&fixture,
                   (struct storage_query){
                       .channel = SPAN("keep/slow"), .start = STORAGE_AFTER_PLACE, .place = seen},
                   "1<>1 head");
    fixture_expect(
        &fixture,
        (struct storage_query){.channel = SPAN("keep/slow"), .start = STORAGE_AFTER_OFFSET},
        "expired 1-1 1<>1 head");
    fixture_finish(&fixture);
}

TEST(an_empty_channel_is_forgotten_after_its_retention_and_seven_days) {
    const uint64_t day_ms = 86400000;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.retention.age_ms_max = day_ms;
    fixture_open(&fixture);
    struct place seen = fixture_publish(&fixture, "a", "x");
    fixture_publish_many(&fixture, "a", 4);
    fixture.time_ms += day_ms * 8 - 1;
    fixture_tick(&fixture);
    fixture_fold(&fixture);
    fixture_retain(&fixture);
    EXPECT_EQ(figures_of(&fixture).channel_count, 1);
    struct storage_query query = {
        .channel = SPAN("a"), .start = STORAGE_AFTER_PLACE, .place = seen};
    fixture_expect(&fixture, query, "expired 2-5 5<>5 head");
    fixture.time_ms += SWEEP_REST_MS;
    fixture_tick(&fixture);
    fixture_fold(&fixture);
    fixture_retain(&fixture);
    fixture_expect(&fixture, query, "expired 0-0 0<>0 head");
    fixture_kill(&fixture);
    fixture_open(&fixture); /* the log thread knows it no more: offsets begin again */
    EXPECT_EQ(fixture.channel_count, 0);
    EXPECT_EQ(fixture.channel_id_next, 2);
    fixture_publish_many(&fixture, "a", 2);
    fixture_expect(&fixture, query, "expired 0-0 0<1,2>2 head");
    fixture_fold(&fixture);
    fixture_expect(&fixture, query, "expired 0-0 0<1,2>2 head");
    fixture_finish(&fixture);
}

TEST(in_a_silent_log_what_expires_leaves_the_disk_without_a_fold) {
    const uint64_t day_ms = 86400000;
    struct fixture fixture;
    static char payload[2000];
    fixture_init(&fixture);
    fixture.retention.age_ms_max = day_ms;
    fixture_open(&fixture);
    for (int i = 0; i < 500; i++) {
        fixture_publish_bytes(&fixture, "a", span_of(payload, sizeof(payload)));
    }
    fixture_fold(&fixture);
    fixture_retain(&fixture);
    uint64_t folds = figures_of(&fixture).fold_count;
    uint64_t used = figures_of(&fixture).lmdb_bytes_used;
    fixture.time_ms += day_ms + 1;
    fixture_tick(&fixture);
    fixture_retain(&fixture);
    fixture.time_ms += day_ms * 8;
    fixture_tick(&fixture);
    fixture_retain(&fixture);
    EXPECT_EQ(figures_of(&fixture).fold_count, folds);
    EXPECT_EQ(figures_of(&fixture).segment_count, 0);
    EXPECT_EQ(figures_of(&fixture).channel_count, 0);
    EXPECT_TRUE(figures_of(&fixture).lmdb_bytes_used < used / 10);
    fixture_publish_many(&fixture, "a", 2);
    fixture_kill(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(fixture_check_all(&fixture, "a", 10), 2);
    fixture_finish(&fixture);
}

/* A run of many large survivors is more than one step's work. */
TEST(a_run_is_moved_to_the_cold_table_in_parts) {
    struct fixture fixture;
    static char payload[200000];
    bool is_more = true;
    uint64_t grown_max = 0;
    fixture_init(&fixture);
    fixture.options.segment_messages = 300;
    fixture.retention.messages_max = 20;
    fixture_open(&fixture);
    for (size_t i = 0; i < 100; i++) {
        fixture_publish_bytes(&fixture, "keep/big", span_of(payload, sizeof(payload) - i));
    }
    for (int i = 0; i < 8; i++) {
        fixture_publish_many(&fixture, "fast", 300);
        fixture.time_ms += SWEEP_REST_MS;
        fixture_fold(&fixture);
        for (is_more = true; is_more;) {
            uint64_t before = figures_of(&fixture).lmdb_bytes_used;
            EXPECT_EQ(storage_retain(fixture.storage, &is_more, NULL), OK);
            uint64_t after = figures_of(&fixture).lmdb_bytes_used;
            grown_max = after > before + grown_max ? after - before : grown_max;
        }
    }
    EXPECT_TRUE(grown_max > 2000000);  /* it was moved … */
    EXPECT_TRUE(grown_max < 12000000); /* … of 40 MB, and not at once */
    struct storage_query query = {.channel = SPAN("keep/big"), .limit = 200, .bytes_max = 1 << 30};
    struct storage_page page = fixture_read(&fixture, &query);
    EXPECT_EQ(page.count, 100);
    for (size_t i = 0; i < page.count; i++) {
        EXPECT_EQ(page.messages[i]->fields.payload.length, sizeof(payload) - i);
    }
    storage_page_finish(&page);
    fixture_finish(&fixture);
}

TEST(a_forgotten_channel_may_go_on_with_its_offsets) {
    const uint64_t day_ms = 86400000;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.retention.age_ms_max = day_ms;
    fixture_open(&fixture);
    struct place seen = fixture_publish(&fixture, "a", "x");
    fixture_publish_many(&fixture, "a", 4);
    fixture.time_ms += day_ms * 9;
    fixture_tick(&fixture);
    fixture_fold(&fixture);
    fixture_retain(&fixture);
    fixture_publish_many(&fixture, "a", 2); /* the log thread still counts from 5 */
    struct storage_query query = {
        .channel = SPAN("a"), .start = STORAGE_AFTER_PLACE, .place = seen};
    fixture_expect(&fixture, query, "expired 2-5 5<6,7>7 head");
    fixture_fold(&fixture);
    fixture_expect(&fixture, query, "expired 2-5 5<6,7>7 head");
    fixture_finish(&fixture);
}

static void on_forgotten(void *context, const struct storage_swept *swept) {
    size_t *count = context;
    EXPECT_SPAN(swept->name, "a");
    EXPECT_EQ(swept->channel_id, 1);
    EXPECT_EQ(swept->offset_last, 5);
    EXPECT_EQ(swept->bytes, 0); /* nobody counts */
    EXPECT_TRUE(swept->is_forgotten);
    ++*count;
}

TEST(a_forgotten_channel_may_begin_anew_while_the_log_is_open) {
    const uint64_t day_ms = 86400000;
    struct fixture fixture;
    size_t count = 0;
    fixture_init(&fixture);
    fixture.retention.age_ms_max = day_ms;
    fixture_open(&fixture);
    struct place seen = fixture_publish(&fixture, "a", "x");
    fixture_publish_many(&fixture, "a", 4);
    fixture.time_ms += day_ms * 9;
    fixture_tick(&fixture);
    fixture_fold(&fixture);
    fixture_retain(&fixture);
    storage_each_swept(fixture.storage, on_forgotten, &count);
    EXPECT_EQ(count, 1);
    fixture_retain(&fixture);
    storage_each_swept(fixture.storage, on_forgotten, &count);
    EXPECT_EQ(count, 1); /* said once */
    fixture.channel_count = 0;
    fixture_publish_many(&fixture, "a", 2);
    struct storage_query query = {
        .channel = SPAN("a"), .start = STORAGE_AFTER_PLACE, .place = seen};
    fixture_expect(&fixture, query, "expired 0-0 0<1,2>2 head");
    fixture_fold(&fixture);
    fixture_expect(&fixture, query, "expired 0-0 0<1,2>2 head");
    fixture_finish(&fixture);
}

TEST(a_step_is_bounded_and_the_next_goes_on) {
    struct fixture fixture;
    bool is_more = false;
    size_t steps = 0;
    fixture_init(&fixture);
    fixture.options.segment_messages = 2000;
    fixture_open(&fixture);
    for (int i = 0; i < 1000; i++) {
        char channel[32];
        snprintf(channel, sizeof(channel), "c%d", i);
        fixture_publish_many(&fixture, channel, 6);
    }
    fixture_fold(&fixture);
    fixture.retention.messages_max = 1;
    do {
        EXPECT_EQ(storage_retain(fixture.storage, &is_more, NULL), OK);
        steps++;
    } while (is_more);
    EXPECT_TRUE(steps >= 1);
    EXPECT_EQ(fixture_check_all(&fixture, "c7", 10), 1);
    EXPECT_EQ(storage_retain(fixture.storage, &is_more, NULL), OK);
    EXPECT_FALSE(is_more);
    fixture_finish(&fixture);
}

static void keep_nothing(void *context, struct span channel, struct retention *ret_retention) {
    (void)context;
    (void)channel;
    *ret_retention = (struct retention){0};
}

/* Sweeps all; whether the first message's run is still in the index. */
static bool is_indexed_after_sweep(struct store_fixture *fixture) {
    struct sweep_options options = {.bytes_max = 1 << 30, .on_retention = keep_nothing};
    struct sweep sweep = {0};
    struct channel_row row = {0};
    bool is_more = true;
    while (is_more) {
        EXPECT_EQ(sweep_step(&sweep, &fixture->store, &fixture->segments, &options, &is_more, NULL),
                  OK);
    }
    sweep_finish(&sweep);
    MDB_txn *txn = store_fixture_begin(fixture);
    EXPECT_EQ(store_get_channel(&fixture->store, txn, 1, &row, NULL), OK);
    bool is = row.trimmed_offset == 0;
    mdb_txn_abort(txn);
    return is;
}

/* A disk that is full keeps a delete from being done, and retention from waiting for it. */
TEST(the_index_of_what_is_yet_to_be_erased_is_kept) {
    struct store_fixture fixture;
    struct message *messages[5];
    bool is_more = false;
    store_fixture_init(&fixture);
    for (uint64_t i = 0; i < ARRAY_COUNT(messages); i++) {
        messages[i] = store_fixture_make(&fixture, 1, i + 1, 10);
    }
    store_fixture_apply(&fixture, messages, ARRAY_COUNT(messages));
    MDB_txn *txn = store_fixture_begin(&fixture);
    EXPECT_EQ(erase_put(&fixture.store, txn, 1, 2, 3, NULL), OK);
    EXPECT_EQ(store_commit(txn, NULL), OK);
    EXPECT_TRUE(is_indexed_after_sweep(&fixture));
    EXPECT_EQ(erase_step(&fixture.store, &fixture.segments, &is_more, NULL), OK);
    EXPECT_FALSE(is_indexed_after_sweep(&fixture));
    store_fixture_finish(&fixture);
}

/* --- what is counted --- */

#define COUNTED "t/a"

static bool on_counts(void *context, struct span channel) {
    (void)context;
    return span_has_prefix(channel, SPAN("t/"));
}

static void add_swept(void *context, const struct storage_swept *swept) {
    EXPECT_SPAN(swept->name, COUNTED);
    *(uint64_t *)context += swept->bytes;
}

static void add_kept(void *context, struct span name, uint64_t channel_id, uint64_t offset_last,
                     uint64_t bytes) {
    (void)channel_id;
    (void)offset_last;
    *(uint64_t *)context += span_is_equal(name, SPAN(COUNTED)) ? bytes : 0;
}

/* Folds and retains; returns the bytes that the step told to be lost, and each only once. */
static uint64_t lose(struct fixture *fixture) {
    bool is_more = true;
    uint64_t bytes = 0;
    fixture->time_ms += SWEEP_REST_MS;
    fixture_tick(fixture);
    fixture_fold(fixture);
    while (is_more) {
        EXPECT_EQ(storage_retain(fixture->storage, &is_more, NULL), OK);
        storage_each_swept(fixture->storage, add_swept, &bytes);
    }
    return bytes;
}

static uint64_t kept(struct fixture *fixture) {
    uint64_t bytes = 0;
    EXPECT_EQ(storage_each_channel(fixture->storage, add_kept, &bytes, NULL), OK);
    return bytes;
}

TEST(what_a_counted_channel_loses_is_told_to_the_byte_and_once) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.options.on_counts = on_counts;
    fixture.retention.messages_max = 3;
    fixture_open(&fixture);
    fixture_publish_many(&fixture, COUNTED, 2);
    fixture_publish_many(&fixture, "other", 9);
    EXPECT_EQ(lose(&fixture), 0);
    uint64_t each = kept(&fixture) / 2;
    EXPECT_TRUE(each > 0);
    fixture_publish_many(&fixture, COUNTED, 6);
    EXPECT_EQ(lose(&fixture), 5 * each);
    EXPECT_EQ(lose(&fixture), 0);
    EXPECT_EQ(kept(&fixture), 3 * each);
    fixture_kill(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(kept(&fixture), 3 * each);
    EXPECT_EQ(lose(&fixture), 0);
    fixture_delete(&fixture, COUNTED, 1, 7);
    EXPECT_EQ(lose(&fixture), 2 * each);
    EXPECT_EQ(kept(&fixture), each);
    fixture_delete(&fixture, COUNTED, 1, 8);
    EXPECT_EQ(lose(&fixture), each);
    EXPECT_EQ(kept(&fixture), 0);
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(dead_segments_are_dropped_and_the_file_stops_growing),
           UNIT(survivors_outlive_their_segments_in_the_cold_table),
           UNIT(ids_and_offsets_lead_to_cold_messages_too),
           UNIT(large_messages_move_to_the_cold_table_whole),
           UNIT(cold_messages_expire_like_others),
           UNIT(above_bytes_max_the_oldest_go_and_the_gap_is_told),
           UNIT(an_empty_channel_is_forgotten_after_its_retention_and_seven_days),
           UNIT(in_a_silent_log_what_expires_leaves_the_disk_without_a_fold),
           UNIT(a_run_is_moved_to_the_cold_table_in_parts),
           UNIT(a_forgotten_channel_may_go_on_with_its_offsets),
           UNIT(a_forgotten_channel_may_begin_anew_while_the_log_is_open),
           UNIT(what_a_counted_channel_loses_is_told_to_the_byte_and_once),
           UNIT(a_step_is_bounded_and_the_next_goes_on),
           UNIT(the_index_of_what_is_yet_to_be_erased_is_kept))
