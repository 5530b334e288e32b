/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/feed.h"

#include <stdlib.h>

#include "broker/limits.h"
#include "tests/unit.h"

static unsigned encoded_count;

/* A frame is its message's payload; how often one was made is counted. */
static enum error_code put_payload(struct buffer *buffer, const struct message *message,
                                   const struct frame_options *options) {
    (void)options;
    encoded_count++;
    return buffer_put(buffer, message->fields.payload);
}

static const struct framing framing = {.name = "payload", .slot = 1, .put_message = put_payload};

static const struct storage_selector CHANNEL_A = {{(const uint8_t *)"a", 1}, false};

static enum error_code borrow(struct feed *feed, uint64_t sequence, struct frames *scratch,
                              struct run *run) {
    struct feed_question question = {
        .framing = &framing, .sequence = sequence, .count_max = UINT64_MAX};
    return feed_borrow_run(feed, &question, scratch, run);
}

/* A commit of one message. */
static void commit(struct feeds *feeds, const char *channel, enum message_kind kind,
                   struct span payload) {
    struct message_fields fields = {
        .kind = kind, .channel = span_of_string(channel), .payload = payload};
    struct message *message = message_create(&fields);
    struct place place = {.log_id = 1, .position = feeds->position + 1, .offset = 1};
    message_order(message, &place, 1);
    feeds_put(feeds, &message, 1, place.position, 1);
    message_unref(message);
}

TEST(a_feed_is_made_once_and_goes_when_nobody_reads_it) {
    struct feeds feeds;
    EXPECT_EQ(feeds_init(&feeds, 7), OK);
    struct feed *feed = feeds_get(&feeds, &CHANNEL_A);
    EXPECT_TRUE(feeds_get(&feeds, &CHANNEL_A) == feed);
    EXPECT_TRUE(feeds_find(&feeds, &CHANNEL_A) == feed);
    EXPECT_EQ(feed->tail.floor_position, 7);
    feed_release(feed);
    EXPECT_NULL(feeds_find(&feeds, &CHANNEL_A));
    feeds_finish(&feeds);
}

TEST(only_what_is_read_here_and_is_data_joins_a_tail) {
    struct feeds feeds;
    EXPECT_EQ(feeds_init(&feeds, 0), OK);
    struct feed *feed = feeds_get(&feeds, &CHANNEL_A);
    commit(&feeds, "b", MESSAGE_DATA, SPAN("1"));
    commit(&feeds, "", MESSAGE_TICK, SPAN(""));
    commit(&feeds, "", MESSAGE_COMMAND, SPAN("1"));
    EXPECT_TRUE(list_is_empty(&feeds.touched));
    EXPECT_EQ(feeds.position, 3);
    commit(&feeds, "a", MESSAGE_DATA, SPAN("1"));
    EXPECT_FALSE(list_is_empty(&feeds.touched));
    EXPECT_EQ(feed->newest.position, 4);
    feed_release(feed);
    feeds_finish(&feeds);
}

TEST(a_frame_is_encoded_once_however_many_readers_there_are) {
    struct feeds feeds;
    struct frames scratch;
    EXPECT_EQ(feeds_init(&feeds, 0), OK);
    frames_init(&scratch, FRAME_BYTES_MAX, 4096);
    struct feed *feed = feeds_get(&feeds, &CHANNEL_A);
    feed->live_count = 3; /* as three live readers would have it */
    uint64_t first = feed->tail.sequence_next;
    commit(&feeds, "a", MESSAGE_DATA, SPAN("one"));
    commit(&feeds, "a", MESSAGE_DATA, SPAN("two"));
    encoded_count = 0;
    for (int reader = 0; reader < 3; reader++) {
        struct run run;
        EXPECT_EQ(borrow(feed, first, &scratch, &run), OK);
        EXPECT_SPAN(run.bytes, "onetwo");
    }
    EXPECT_EQ(encoded_count, 2);
    for (int reader = 0; reader < 3; reader++) {
        feed_on_caught_up(feed);
    }
    EXPECT_EQ(feed->tail.bytes, 0);
    EXPECT_EQ(feed->shared[1]->count, 0);
    feed->live_count = 0;
    feed_release(feed);
    frames_finish(&scratch);
    feeds_finish(&feeds);
}

TEST(a_message_larger_than_the_shared_frames_is_still_framed) {
    size_t length = FRAMES_BYTES_MAX + 4096;
    uint8_t *payload = calloc(1, length);
    struct feeds feeds;
    struct frames scratch;
    struct run run;
    EXPECT_EQ(feeds_init(&feeds, 0), OK);
    frames_init(&scratch, FRAME_BYTES_MAX, 4096);
    struct feed *feed = feeds_get(&feeds, &CHANNEL_A);
    feed->live_count = 2;
    uint64_t first = feed->tail.sequence_next;
    commit(&feeds, "a", MESSAGE_DATA, span_of(payload, length));
    EXPECT_EQ(borrow(feed, first, &scratch, &run), OK);
    EXPECT_EQ(run.bytes.length, length);
    EXPECT_EQ(run.count, 1);
    feed_on_caught_up(feed);
    feed_on_caught_up(feed);
    feed->live_count = 0;
    feed_release(feed);
    frames_finish(&scratch);
    feeds_finish(&feeds);
    free(payload);
}

TEST(a_pattern_gets_what_it_stands_for_and_the_channel_too) {
    struct feeds feeds;
    EXPECT_EQ(feeds_init(&feeds, 0), OK);
    struct storage_selector below = {SPAN("a/**"), true};
    struct storage_selector one = {SPAN("a/*"), true};
    struct storage_selector channel = {SPAN("a/b"), false};
    struct feed *feed_below = feeds_get(&feeds, &below);
    struct feed *feed_one = feeds_get(&feeds, &one);
    struct feed *feed_channel = feeds_get(&feeds, &channel);
    feed_below->live_count = feed_one->live_count = feed_channel->live_count = 1;
    commit(&feeds, "a", MESSAGE_DATA, SPAN("1"));
    commit(&feeds, "a/b", MESSAGE_DATA, SPAN("2"));
    commit(&feeds, "a/b/c", MESSAGE_DATA, SPAN("3"));
    commit(&feeds, "b", MESSAGE_DATA, SPAN("4"));
    EXPECT_EQ(feed_below->tail.sequence_next, 4);
    EXPECT_EQ(feed_one->tail.sequence_next, 2);
    EXPECT_EQ(feed_channel->tail.sequence_next, 2);
    feed_below->live_count = feed_one->live_count = feed_channel->live_count = 0;
    feed_on_caught_up(feed_below);
    feed_on_caught_up(feed_one);
    feed_on_caught_up(feed_channel);
    feed_release(feed_below);
    feed_release(feed_one);
    feed_release(feed_channel);
    feeds_finish(&feeds);
}

TEST(frames_are_shared_among_those_with_one_subscription_number) {
    struct feeds feeds;
    struct frames scratch;
    struct run run;
    EXPECT_EQ(feeds_init(&feeds, 0), OK);
    frames_init(&scratch, FRAME_BYTES_MAX, 4096);
    struct feed *feed = feeds_get(&feeds, &CHANNEL_A);
    feed->live_count = 4;
    commit(&feeds, "a", MESSAGE_DATA, SPAN("one"));
    struct feed_question question = {
        .framing = &framing, .subscription = 1, .sequence = 1, .count_max = 1};
    encoded_count = 0;
    for (uint64_t reader = 0; reader < 4; reader++) {
        question.subscription = reader == 2 ? 7 : 1;
        EXPECT_EQ(feed_borrow_run(feed, &question, &scratch, &run), OK);
    }
    EXPECT_EQ(encoded_count, 2);
    for (int reader = 0; reader < 4; reader++) {
        feed_on_caught_up(feed);
    }
    feed->live_count = 0;
    feed_release(feed);
    frames_finish(&scratch);
    feeds_finish(&feeds);
}

UNIT_TESTS(UNIT(a_feed_is_made_once_and_goes_when_nobody_reads_it),
           UNIT(only_what_is_read_here_and_is_data_joins_a_tail),
           UNIT(a_frame_is_encoded_once_however_many_readers_there_are),
           UNIT(a_pattern_gets_what_it_stands_for_and_the_channel_too),
           UNIT(frames_are_shared_among_those_with_one_subscription_number),
           UNIT(a_message_larger_than_the_shared_frames_is_still_framed))
