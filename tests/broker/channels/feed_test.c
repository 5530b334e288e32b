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

/* A commit of one message. */
static void commit(struct feeds *feeds, const char *channel, enum message_kind kind,
                   struct span payload) {
    struct message_fields fields = {
        .kind = kind, .channel = span_of_string(channel), .payload = payload};
    struct message *message = message_create(&fields);
    struct place place = {.log_id = 1, .position = feeds->position + 1, .offset = 1};
    message_order(message, &place, 1);
    feeds_put(feeds, &message, 1, place.position);
    message_unref(message);
}

TEST(a_feed_is_made_once_and_goes_when_nobody_reads_it) {
    struct feeds feeds;
    EXPECT_EQ(feeds_init(&feeds, 7), OK);
    struct feed *feed = feeds_get(&feeds, SPAN("a"));
    EXPECT_TRUE(feeds_get(&feeds, SPAN("a")) == feed);
    EXPECT_TRUE(feeds_find(&feeds, SPAN("a")) == feed);
    EXPECT_EQ(feed->tail.floor_position, 7);
    feed_release(feed);
    EXPECT_NULL(feeds_find(&feeds, SPAN("a")));
    feeds_finish(&feeds);
}

TEST(only_what_is_read_here_and_is_data_joins_a_tail) {
    struct feeds feeds;
    EXPECT_EQ(feeds_init(&feeds, 0), OK);
    struct feed *feed = feeds_get(&feeds, SPAN("a"));
    commit(&feeds, "b", MESSAGE_DATA, SPAN("1"));
    commit(&feeds, "", MESSAGE_TICK, SPAN(""));
    EXPECT_TRUE(list_is_empty(&feeds.touched));
    EXPECT_EQ(feeds.position, 2);
    commit(&feeds, "a", MESSAGE_DATA, SPAN("1"));
    EXPECT_FALSE(list_is_empty(&feeds.touched));
    EXPECT_EQ(feed->newest.position, 3);
    feed_release(feed);
    feeds_finish(&feeds);
}

TEST(a_frame_is_encoded_once_however_many_readers_there_are) {
    struct feeds feeds;
    struct frames scratch;
    EXPECT_EQ(feeds_init(&feeds, 0), OK);
    frames_init(&scratch, FRAME_BYTES_MAX, 4096);
    struct feed *feed = feeds_get(&feeds, SPAN("a"));
    feed->live_count = 3; /* as three live readers would have it */
    uint64_t first = feed->tail.sequence_next;
    commit(&feeds, "a", MESSAGE_DATA, SPAN("one"));
    commit(&feeds, "a", MESSAGE_DATA, SPAN("two"));
    encoded_count = 0;
    for (int reader = 0; reader < 3; reader++) {
        struct run run;
        EXPECT_EQ(feed_borrow_run(feed, &framing, first, &scratch, &run), OK);
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
    struct feed *feed = feeds_get(&feeds, SPAN("a"));
    feed->live_count = 2;
    uint64_t first = feed->tail.sequence_next;
    commit(&feeds, "a", MESSAGE_DATA, span_of(payload, length));
    EXPECT_EQ(feed_borrow_run(feed, &framing, first, &scratch, &run), OK);
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

UNIT_TESTS(UNIT(a_feed_is_made_once_and_goes_when_nobody_reads_it),
           UNIT(only_what_is_read_here_and_is_data_joins_a_tail),
           UNIT(a_frame_is_encoded_once_however_many_readers_there_are),
           UNIT(a_message_larger_than_the_shared_frames_is_still_framed))
