/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/delivery/reader.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/limits.h"
#include "tests/unit.h"

static enum error_code put_offset(struct buffer *buffer, const struct message *message,
                                  const struct frame_options *options) {
    (void)options;
    return buffer_printf(buffer, "%llu,", (unsigned long long)message->place.offset);
}

static const struct framing offset_framing = {
    .name = "offset", .slot = 2, .put_message = put_offset};

struct world {
    struct feeds feeds;
    struct gather gather;
    uint64_t offset;
};

static void world_init(struct world *world, uint64_t position) {
    *world = (struct world){0};
    EXPECT_EQ(feeds_init(&world->feeds, position), OK);
    gather_init(&world->gather, 4096);
}

static void world_finish(struct world *world) {
    gather_finish(&world->gather);
    feeds_finish(&world->feeds);
}

/* One commit with one message of `channel`. */
static void commit(struct world *world, const char *channel, size_t payload_bytes) {
    uint8_t *payload = calloc(1, payload_bytes + 1);
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .channel = span_of_string(channel),
                                    .payload = span_of(payload, payload_bytes)};
    struct message *message = message_create(&fields);
    struct place place = {.log_id = 1,
                          .generation = 1,
                          .position = world->feeds.position + 1,
                          .channel_id = 1,
                          .offset = ++world->offset};
    message_order(message, &place, 1);
    feeds_put(&world->feeds, &message, 1, place.position, world->feeds.time_ms);
    message_unref(message);
    free(payload);
}

static void on_touched(struct reader *reader) {
    (void)reader;
}

static void init_reader(struct world *world, struct reader *reader) {
    struct storage_selector selector = {SPAN("a"), false};
    EXPECT_EQ(reader_init(reader, &world->feeds, &selector, 1, on_touched), OK);
}

static void join_at(struct world *world, struct reader *reader, uint64_t position) {
    init_reader(world, reader);
    reader->place.position = position;
    EXPECT_TRUE(reader_join_live(reader));
}

/* All that the reader lacks, taken as a whole. */
static void expect_frames(struct world *world, struct reader *reader, const char *expected) {
    struct run run = {0};
    EXPECT_TRUE(reader_is_due(reader));
    EXPECT_EQ(reader_borrow_run(reader, &offset_framing, 0, UINT64_MAX, &world->gather, &run), OK);
    EXPECT_SPAN(run.bytes, expected);
    reader_advance(reader, &world->gather, run.count);
}

TEST(a_live_reader_gets_each_message_once_and_in_order) {
    struct world world;
    struct reader reader;
    world_init(&world, 50);
    join_at(&world, &reader, 50);
    EXPECT_FALSE(reader_is_due(&reader));
    commit(&world, "a", 4);
    commit(&world, "other", 4);
    commit(&world, "a", 4);
    expect_frames(&world, &reader, "1,3,");
    EXPECT_FALSE(reader_is_due(&reader));
    EXPECT_EQ(reader.one.feed->tail.bytes, 0); /* a quiet feed costs nothing */
    commit(&world, "a", 4);
    expect_frames(&world, &reader, "4,");
    reader_finish(&reader);
    world_finish(&world);
}

TEST(two_readers_share_frames_and_the_slower_one_keeps_them) {
    struct world world;
    struct reader fast;
    struct reader slow;
    world_init(&world, 0);
    join_at(&world, &fast, 0);
    join_at(&world, &slow, 0);
    commit(&world, "a", 4);
    expect_frames(&world, &fast, "1,");
    commit(&world, "a", 4);
    expect_frames(&world, &fast, "2,");
    EXPECT_EQ(fast.one.feed->behind_count, 1);
    EXPECT_TRUE(fast.one.feed->tail.bytes > 0);
    expect_frames(&world, &slow, "1,2,");
    EXPECT_EQ(fast.one.feed->tail.bytes, 0);
    reader_finish(&fast);
    reader_finish(&slow);
    world_finish(&world);
}

TEST(a_partly_sent_run_goes_on_where_it_stopped) {
    struct world world;
    struct reader reader;
    struct run run;
    world_init(&world, 0);
    join_at(&world, &reader, 0);
    for (int i = 0; i < 5; i++) {
        commit(&world, "a", 4);
    }
    EXPECT_EQ(reader_borrow_run(&reader, &offset_framing, 0, UINT64_MAX, &world.gather, &run), OK);
    reader_advance(&reader, &world.gather, 2);
    EXPECT_EQ(reader.place.offset, 2);
    expect_frames(&world, &reader, "3,4,5,");
    reader_finish(&reader);
    world_finish(&world);
}

TEST(a_reader_that_the_tail_has_left_goes_behind_and_back_to_the_log) {
    struct world world;
    struct reader reader;
    struct run run;
    world_init(&world, 0);
    join_at(&world, &reader, 0);
    for (int i = 0; i < 40; i++) {
        commit(&world, "a", TAIL_BYTES_MAX / 16);
    }
    EXPECT_EQ(reader_borrow_run(&reader, &offset_framing, 0, UINT64_MAX, &world.gather, &run),
              ERR_AGAIN);
    EXPECT_FALSE(reader.is_live);
    EXPECT_EQ(reader.one.feed->behind_count, 0);
    EXPECT_FALSE(reader_join_live(&reader)); /* it has not read the log yet */
    reader.place.position = reader.one.feed->tail.floor_position;
    EXPECT_TRUE(reader_join_live(&reader)); /* the log brought it to the head */
    commit(&world, "a", 4);
    expect_frames(&world, &reader, "41,");
    reader_finish(&reader);
    world_finish(&world);
}

TEST(a_reader_that_read_past_the_worker_gets_nothing_twice) {
    struct world world;
    struct reader reader;
    world_init(&world, 0);
    init_reader(&world, &reader);
    reader.place.position = 3; /* a page showed commits that this worker has not seen yet */
    EXPECT_TRUE(reader_join_live(&reader));
    for (int i = 0; i < 5; i++) {
        commit(&world, "a", 4);
        EXPECT_EQ(reader_is_due(&reader), world.offset > 3);
    }
    expect_frames(&world, &reader, "4,5,");
    reader_finish(&reader);
    world_finish(&world);
}

TEST(a_missed_commit_sends_every_reader_to_the_log) {
    struct world world;
    struct reader reader;
    world_init(&world, 10);
    join_at(&world, &reader, 10);
    readers_cut(&world.feeds, 25);
    EXPECT_FALSE(reader.is_live);
    EXPECT_EQ(reader.place.position, 10);
    EXPECT_FALSE(list_is_empty(&world.feeds.touched));
    EXPECT_FALSE(reader_join_live(&reader));
    reader.place.position = 25;
    EXPECT_TRUE(reader_join_live(&reader));
    reader_finish(&reader);
    world_finish(&world);
}

TEST(progress_of_a_quiet_reader_is_the_head_of_its_worker) {
    struct world world;
    struct reader reader;
    struct place place;
    world_init(&world, 10);
    join_at(&world, &reader, 10);
    commit(&world, "other", 4);
    commit(&world, "other", 4);
    reader_get_place(&reader, &place);
    EXPECT_EQ(place.position, 12);
    commit(&world, "a", 4);
    reader_get_place(&reader, &place); /* something waits for it: no progress past that */
    EXPECT_EQ(place.position, 10);
    reader_finish(&reader);
    world_finish(&world);
}

TEST(a_reader_of_several_feeds_takes_them_in_order_and_each_message_once) {
    static const struct storage_selector selectors[] = {
        {{(const uint8_t *)"a", 1}, false},
        {{(const uint8_t *)"*", 1}, true},
        {{(const uint8_t *)"b", 1}, false},
    };
    struct world world;
    struct reader reader;
    struct run run;
    char taken[64] = "";
    world_init(&world, 0);
    EXPECT_EQ(reader_init(&reader, &world.feeds, selectors, 3, on_touched), OK);
    EXPECT_TRUE(reader_join_live(&reader));
    commit(&world, "a", 4);
    commit(&world, "c", 4);
    commit(&world, "b", 4);
    commit(&world, "a", 4);
    commit(&world, "c/d", 4);
    commit(&world, "a", 4);
    while (reader_is_due(&reader)) {
        EXPECT_EQ(reader_borrow_run(&reader, &offset_framing, 0, 2, &world.gather, &run), OK);
        EXPECT_TRUE(run.count <= 2);
        snprintf(taken + strlen(taken), sizeof(taken) - strlen(taken), "%.*s",
                 SPAN_PRINTF(run.bytes));
        reader_advance(&reader, &world.gather, run.count);
    }
    EXPECT_STRING(taken, "1,2,3,4,6,");
    EXPECT_EQ(world.feeds.tails.bytes, 0);
    reader_finish(&reader);
    world_finish(&world);
}

TEST(what_comes_from_several_feeds_in_turn_is_one_write) {
    static const struct storage_selector selectors[] = {
        {{(const uint8_t *)"a", 1}, false},
        {{(const uint8_t *)"b", 1}, false},
        {{(const uint8_t *)"*", 1}, true},
    };
    struct world world;
    struct reader reader;
    struct run run;
    world_init(&world, 0);
    EXPECT_EQ(reader_init(&reader, &world.feeds, selectors, 3, on_touched), OK);
    EXPECT_TRUE(reader_join_live(&reader));
    for (int i = 0; i < 300; i++) {
        commit(&world, i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "c", 4);
    }
    EXPECT_TRUE(reader_is_due(&reader));
    EXPECT_EQ(reader_borrow_run(&reader, &offset_framing, 0, UINT64_MAX, &world.gather, &run), OK);
    EXPECT_EQ(run.count, 300);
    reader_advance(&reader, &world.gather, 7); /* the socket took so much of it */
    EXPECT_EQ(reader.place.position, 7);
    EXPECT_TRUE(reader_is_due(&reader));
    EXPECT_EQ(reader_borrow_run(&reader, &offset_framing, 0, 3, &world.gather, &run), OK);
    EXPECT_SPAN(run.bytes, "8,9,10,");
    reader_advance(&reader, &world.gather, 3);
    EXPECT_TRUE(reader_is_due(&reader));
    EXPECT_EQ(reader_borrow_run(&reader, &offset_framing, 0, UINT64_MAX, &world.gather, &run), OK);
    EXPECT_EQ(run.count, 290);
    reader_advance(&reader, &world.gather, 290);
    EXPECT_FALSE(reader_is_due(&reader));
    EXPECT_EQ(world.feeds.tails.bytes, 0);
    reader_finish(&reader);
    world_finish(&world);
}

TEST(an_expired_message_is_the_logs_to_tell) {
    struct world world;
    struct reader reader;
    struct run run;
    world_init(&world, 0);
    join_at(&world, &reader, 0);
    commit(&world, "a", 4);
    struct message_fields fields = {.kind = MESSAGE_DATA, .channel = SPAN("a"), .ttl_ms = 10};
    struct message *message = message_create(&fields);
    struct place place = {.log_id = 1, .position = 2, .channel_id = 1, .offset = ++world.offset};
    message_order(message, &place, 1);
    feeds_put(&world.feeds, &message, 1, 2, 1);
    message_unref(message);
    world.feeds.time_ms = 11;
    expect_frames(&world, &reader, "1,");
    EXPECT_EQ(reader_borrow_run(&reader, &offset_framing, 0, 9, &world.gather, &run), ERR_AGAIN);
    EXPECT_FALSE(reader.is_live);
    EXPECT_EQ(reader.place.offset, 1);
    reader_finish(&reader);
    world_finish(&world);
}

TEST(a_loss_is_told_once_on_a_way_through_the_log) {
    struct world world;
    struct reader reader;
    struct storage_selector selectors[] = {{SPAN("a"), false}, {SPAN("*"), true}};
    world_init(&world, 0);
    EXPECT_EQ(reader_init(&reader, &world.feeds, selectors, 2, on_touched), OK);
    struct storage_gap channel = {.gap = {GAP_EXPIRED, 3, 9}, .selector = SPAN("a")};
    struct storage_gap pattern = {
        .gap = {GAP_EXPIRED, 0, 0}, .selector = SPAN("*"), .is_pattern = true, .lost_position = 70};
    EXPECT_TRUE(reader_note_gap(&reader, &channel));
    EXPECT_TRUE(reader_note_gap(&reader, &pattern));
    channel.gap.from = 5; /* a later page begins further on */
    EXPECT_FALSE(reader_note_gap(&reader, &channel));
    EXPECT_FALSE(reader_note_gap(&reader, &pattern));
    channel.gap.to = 12; /* retention went on meanwhile */
    pattern.lost_position = 71;
    EXPECT_TRUE(reader_note_gap(&reader, &channel));
    EXPECT_TRUE(reader_note_gap(&reader, &pattern));
    channel.gap.reason = GAP_DROPPED; /* another kind of loss each time */
    EXPECT_TRUE(reader_note_gap(&reader, &channel));
    reader_finish(&reader);
    world_finish(&world);
}

static unsigned left_count;

static void leave(struct reader *reader) {
    reader_finish(reader);
    left_count++;
}

TEST(readers_may_leave_when_they_are_touched_and_their_feed_with_the_last) {
    struct world world;
    struct reader readers[2];
    struct storage_selector selectors[] = {{SPAN("a"), false}, {SPAN("*"), true}};
    world_init(&world, 0);
    left_count = 0;
    EXPECT_EQ(reader_init(&readers[0], &world.feeds, selectors, 2, leave), OK);
    EXPECT_EQ(reader_init(&readers[1], &world.feeds, selectors, 1, leave), OK);
    commit(&world, "a", 1);
    readers_touch(&world.feeds);
    EXPECT_EQ(left_count, 2);
    world_finish(&world);
}

TEST(a_reader_that_joins_and_lacks_nothing_leaves_nothing_in_the_tail) {
    struct world world;
    struct reader reader;
    world_init(&world, 10);
    init_reader(&world, &reader);
    commit(&world, "a", 10); /* while it reads a page, which shows it */
    EXPECT_TRUE(world.feeds.tails.bytes > 0);
    reader.place.position = 11;
    EXPECT_TRUE(reader_join_live(&reader));
    EXPECT_FALSE(reader_is_due(&reader));
    EXPECT_EQ(world.feeds.tails.bytes, 0);
    reader_finish(&reader);
    world_finish(&world);
}

TEST(the_lag_of_a_live_reader_is_what_the_tail_holds_for_it) {
    struct world world;
    struct reader early;
    struct reader late;
    uint64_t messages = 0;
    uint64_t bytes = 0;
    world_init(&world, 10);
    join_at(&world, &early, 10);
    commit(&world, "a", 100);
    commit(&world, "a", 1000);
    join_at(&world, &late, 11);
    reader_get_lag(&early, &messages, &bytes);
    EXPECT_EQ(messages, 2);
    EXPECT_EQ(bytes, world.feeds.tails.bytes);
    reader_get_lag(&late, &messages, &bytes);
    EXPECT_EQ(messages, 1);
    EXPECT_EQ(bytes, 1000 + sizeof(struct message) + 1);
    EXPECT_EQ(feeds_count_readers(&world.feeds, SPAN("a")), 2);
    reader_finish(&late);
    EXPECT_EQ(feeds_count_readers(&world.feeds, SPAN("a")), 1);
    reader_finish(&early);
    EXPECT_EQ(feeds_count_readers(&world.feeds, SPAN("a")), 0);
    world_finish(&world);
}

TEST(deletes_are_not_counted_as_messages) {
    struct world world;
    struct reader reader;
    struct run run = {0};
    uint8_t payload[MESSAGE_DELETE_BYTES];
    struct message_fields fields = {
        .kind = MESSAGE_DELETE, .channel = SPAN("a"), .payload = span_of(payload, sizeof(payload))};
    struct place place = {.log_id = 1, .generation = 1, .position = 12, .channel_id = 1};
    world_init(&world, 10);
    join_at(&world, &reader, 10);
    commit(&world, "a", 0);
    message_put_deleted(2, 1, payload); /* it took nothing away: a frame of no bytes */
    struct message *message = message_create(&fields);
    message_order(message, &place, 1);
    feeds_put(&world.feeds, &message, 1, 12, 1);
    message_unref(message);
    EXPECT_EQ(reader_borrow_run(&reader, &offset_framing, 0, UINT64_MAX, &world.gather, &run), OK);
    EXPECT_EQ(run.count, 2);
    EXPECT_EQ(reader_count_messages(&reader, &world.gather, 2), 1);
    EXPECT_EQ(reader_count_messages(&reader, &world.gather, 0), 0);
    reader_advance(&reader, &world.gather, 2);
    EXPECT_FALSE(reader_is_due(&reader));
    reader_finish(&reader);
    world_finish(&world);
}

UNIT_TESTS(UNIT(a_live_reader_gets_each_message_once_and_in_order),
           UNIT(two_readers_share_frames_and_the_slower_one_keeps_them),
           UNIT(a_partly_sent_run_goes_on_where_it_stopped),
           UNIT(a_reader_that_the_tail_has_left_goes_behind_and_back_to_the_log),
           UNIT(a_reader_that_read_past_the_worker_gets_nothing_twice),
           UNIT(a_reader_of_several_feeds_takes_them_in_order_and_each_message_once),
           UNIT(what_comes_from_several_feeds_in_turn_is_one_write),
           UNIT(an_expired_message_is_the_logs_to_tell),
           UNIT(a_loss_is_told_once_on_a_way_through_the_log),
           UNIT(a_missed_commit_sends_every_reader_to_the_log),
           UNIT(progress_of_a_quiet_reader_is_the_head_of_its_worker),
           UNIT(readers_may_leave_when_they_are_touched_and_their_feed_with_the_last),
           UNIT(a_reader_that_joins_and_lacks_nothing_leaves_nothing_in_the_tail),
           UNIT(the_lag_of_a_live_reader_is_what_the_tail_holds_for_it),
           UNIT(deletes_are_not_counted_as_messages))
