/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/rows.h"

#include "tests/unit.h"

TEST(rows_survive_a_round_trip) {
    uint8_t bytes[ROW_BYTES_MAX];
    struct meta_row meta = {1, 2, true, 3, 4, 5, 6, 7, 8, 9, 10, 11, true};
    struct meta_row meta_again;
    size_t size = meta_row_write(&meta, bytes);
    EXPECT_TRUE(meta_row_read(span_of(bytes, size), &meta_again));
    EXPECT_EQ(meta_again.cold_messages, 8);
    EXPECT_EQ(meta_again.position_folded, 3);
    EXPECT_TRUE(meta_again.is_clean);
    EXPECT_EQ(meta_again.walk_floor, 9);
    EXPECT_EQ(meta_again.forgotten_through, 10);
    EXPECT_EQ(meta_again.repeat_count, 11);
    EXPECT_TRUE(meta_again.is_scrub_due);

    struct channel_row channel = {10, 2, 3, 4, 5, 6, 7, 8, 9, 1, 12, 3, SPAN("a/b")};
    struct channel_row channel_again;
    size = channel_row_write(&channel, bytes);
    EXPECT_TRUE(channel_row_read(span_of(bytes, size), &channel_again));
    EXPECT_EQ(channel_again.offset_last, 10);
    EXPECT_EQ(channel_again.keep_from, 1);
    EXPECT_EQ(channel_again.keyless_last, 12);
    EXPECT_EQ(channel_again.bytes_gone, 3);
    EXPECT_SPAN(channel_again.name, "a/b");

    struct segment_row segment = {SEGMENT_CLOSED, 1, 2, 3, 4, 5, 6};
    struct segment_row segment_again;
    size = segment_row_write(&segment, bytes);
    EXPECT_TRUE(segment_row_read(span_of(bytes, size), &segment_again));
    EXPECT_EQ(segment_again.bytes, 6);
    bytes[0] = 9;
    EXPECT_FALSE(segment_row_read(span_of(bytes, size), &segment_again));
}

TEST(rows_of_an_older_broker_are_read_and_what_they_lack_is_taken_for_the_worst) {
    uint8_t bytes[ROW_BYTES_MAX];
    struct meta_row meta = {.log_id = 1, .position_folded = 30, .channel_id_next = 1};
    meta_row_write(&meta, bytes);
    EXPECT_TRUE(meta_row_read(span_of(bytes, 61), &meta));
    EXPECT_EQ(meta.walk_floor, 30);
    EXPECT_EQ(meta.forgotten_through, 30);
    EXPECT_FALSE(meta.is_scrub_due);
    EXPECT_FALSE(meta_row_read(span_of(bytes, 60), &meta));

    struct channel_row channel = {.offset_last = 10, .birth_offset = 1, .name = SPAN("a/b")};
    size_t size = channel_row_write(&channel, bytes);
    memmove(bytes + 80, bytes + 89, size - 89);
    EXPECT_TRUE(channel_row_read(span_of(bytes, size - 9), &channel));
    EXPECT_SPAN(channel.name, "a/b");
    EXPECT_EQ(channel.keyless_last, 0);
    EXPECT_EQ(channel.bytes_gone, 0);
}

TEST(a_run_gives_back_each_of_its_messages) {
    struct run_builder builder;
    struct run run;
    struct run_entry entry = {.offset = 5, .position = 1000, .time_ms = 77, .bytes_before = 12};
    uint64_t before = 12;
    size_t count = 0;
    run_builder_init(&builder, 3);
    for (;; count++) {
        entry.bytes = count * count % 1000;
        entry.bytes_before = before;
        if (!run_builder_add(&builder, &entry)) {
            break;
        }
        before += entry.bytes;
        entry.offset++;
        entry.position += 1 + count % 300;
        entry.time_ms += count % 5;
    }
    EXPECT_TRUE(count > 50);
    EXPECT_TRUE(run_read(5, run_builder_borrow(&builder), &run));
    EXPECT_EQ(run.count, count);
    EXPECT_EQ(run.slot, 3);
    EXPECT_EQ(run.bytes_through, before);
    struct run_entry read;
    uint64_t position = 1000;
    run_rewind(&run, &read);
    for (size_t i = 0; i < count; i++) {
        EXPECT_TRUE(run_next(&run, &read));
        EXPECT_EQ(read.offset, 5 + i);
        EXPECT_EQ(read.position, position);
        EXPECT_EQ(read.bytes, i * i % 1000);
        position += 1 + i % 300;
    }
    EXPECT_EQ(read.position, run.position_last);
    EXPECT_EQ(read.time_ms, run.time_last);
    EXPECT_EQ(read.bytes_before + read.bytes, run.bytes_through);
    EXPECT_FALSE(run_next(&run, &read));
}

TEST(a_cut_run_ends_early_instead_of_reading_on) {
    struct run_builder builder;
    run_builder_init(&builder, 1);
    for (uint64_t i = 1; i <= 10; i++) {
        struct run_entry entry = {i, i, i, i, 0, NULL};
        EXPECT_TRUE(run_builder_add(&builder, &entry));
    }
    struct span whole = run_builder_borrow(&builder);
    for (size_t length = 0; length < whole.length; length++) {
        struct run run;
        struct run_entry entry;
        size_t count = 0;
        if (!run_read(1, span_of(whole.bytes, length), &run)) {
            continue;
        }
        run_rewind(&run, &entry);
        while (run_next(&run, &entry)) {
            count++;
        }
        EXPECT_TRUE(count < 10);
    }
}

UNIT_TESTS(UNIT(rows_survive_a_round_trip),
           UNIT(rows_of_an_older_broker_are_read_and_what_they_lack_is_taken_for_the_worst),
           UNIT(a_run_gives_back_each_of_its_messages),
           UNIT(a_cut_run_ends_early_instead_of_reading_on))
