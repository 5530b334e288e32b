/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/feed.h"

#include <stdlib.h>

#include "broker/channels/rules.h"
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

/* Such a frame is its subscription's digit and its message's payload. */
static enum error_code put_numbered(struct buffer *buffer, const struct message *message,
                                    const struct frame_options *options) {
    uint8_t digit = (uint8_t)('0' + options->subscription);
    encoded_count++;
    EXPECT_EQ(buffer_put(buffer, span_of(&digit, 1)), OK);
    return buffer_put(buffer, message->fields.payload);
}

static enum error_code put_renumbered(struct buffer *buffer, struct span frame,
                                      uint64_t subscription) {
    uint8_t digit = (uint8_t)('0' + subscription);
    EXPECT_EQ(buffer_put(buffer, span_of(&digit, 1)), OK);
    return buffer_put(buffer, span_of(frame.bytes + 1, frame.length - 1));
}

TEST(frames_of_another_subscription_are_renumbered_where_that_can_be_done) {
    static const struct framing numbered = {.name = "numbered",
                                            .slot = 2,
                                            .put_message = put_numbered,
                                            .put_renumbered = put_renumbered};
    struct feeds feeds;
    struct frames scratch;
    struct run run;
    EXPECT_EQ(feeds_init(&feeds, 0), OK);
    frames_init(&scratch, FRAME_BYTES_MAX, 4096);
    struct feed *feed = feeds_get(&feeds, &CHANNEL_A);
    feed->live_count = 3;
    commit(&feeds, "a", MESSAGE_DATA, SPAN("one"));
    commit(&feeds, "a", MESSAGE_DATA, SPAN("two"));
    encoded_count = 0;
    static const char *const expected[] = {"1one1two", "7one7two", "4one4two"};
    static const uint64_t numbers[] = {1, 7, 4};
    for (size_t reader = 0; reader < ARRAY_COUNT(numbers); reader++) {
        struct feed_question question = {.framing = &numbered,
                                         .subscription = numbers[reader],
                                         .sequence = 1,
                                         .count_max = UINT64_MAX};
        EXPECT_EQ(feed_borrow_run(feed, &question, &scratch, &run), OK);
        EXPECT_SPAN(run.bytes, expected[reader]);
        EXPECT_EQ(run.count, 2);
    }
    EXPECT_EQ(encoded_count, 2);
    for (int reader = 0; reader < 3; reader++) {
        feed_on_caught_up(feed);
    }
    feed->live_count = 0;
    feed_release(feed);
    frames_finish(&scratch);
    feeds_finish(&feeds);
}

/* A feed in a turn at 1,000 ms, under rules that hold `a` back for 20 ms. */
struct held {
    struct feeds feeds;
    struct rules *rules;
    struct feed *feed;
};

static void begin_held(struct held *held, struct storage_selector selector) {
    static char match[] = "a";
    struct channel_rule row = {.match = match, .flush_interval_ms = 20};
    struct config config = {.rules = &row, .rule_count = 1};
    held->rules = rules_create(&config, NULL);
    EXPECT_NOT_NULL(held->rules);
    EXPECT_EQ(feeds_init(&held->feeds, 0), OK);
    held->feed = feeds_get(&held->feeds, &selector);
    feeds_turn(&held->feeds, held->rules, 1000);
}

static void end_held(struct held *held) {
    if (held->feed != NULL) {
        feed_release(held->feed);
    }
    feeds_finish(&held->feeds);
    rules_destroy(held->rules);
}

TEST(after_a_pause_a_feed_is_touched_at_once_and_then_once_an_interval) {
    struct held held;
    begin_held(&held, CHANNEL_A);
    commit(&held.feeds, "a", MESSAGE_DATA, SPAN("1"));
    EXPECT_TRUE(feeds_take_touched(&held.feeds) == held.feed);
    EXPECT_EQ(feeds_wait_ms(&held.feeds), 0);
    for (uint64_t now_ms = 1001; now_ms < 1020; now_ms++) {
        feeds_turn(&held.feeds, held.rules, now_ms);
        commit(&held.feeds, "a", MESSAGE_DATA, SPAN("1"));
        EXPECT_NULL(feeds_take_touched(&held.feeds));
        EXPECT_EQ(feeds_wait_ms(&held.feeds), 1020 - now_ms);
    }
    feeds_turn(&held.feeds, held.rules, 1020);
    EXPECT_TRUE(feeds_take_touched(&held.feeds) == held.feed);
    EXPECT_NULL(feeds_take_touched(&held.feeds));
    EXPECT_EQ(feeds_wait_ms(&held.feeds), 0);
    end_held(&held);
}

TEST(what_waits_is_touched_once_nothing_is_to_wait) {
    struct held held;
    begin_held(&held, CHANNEL_A);
    commit(&held.feeds, "a", MESSAGE_DATA, SPAN("1"));
    EXPECT_TRUE(feeds_take_touched(&held.feeds) == held.feed);
    commit(&held.feeds, "a", MESSAGE_DATA, SPAN("2"));
    EXPECT_NULL(feeds_take_touched(&held.feeds));
    feeds_turn(&held.feeds, NULL, 1000);
    EXPECT_TRUE(feeds_take_touched(&held.feeds) == held.feed);
    commit(&held.feeds, "a", MESSAGE_DATA, SPAN("3"));
    EXPECT_TRUE(feeds_take_touched(&held.feeds) == held.feed);
    end_held(&held);
}

TEST(a_pattern_waits_only_for_messages_that_may_wait) {
    struct held held;
    begin_held(&held, (struct storage_selector){SPAN("**"), true});
    commit(&held.feeds, "a", MESSAGE_DATA, SPAN("1"));
    EXPECT_TRUE(feeds_take_touched(&held.feeds) == held.feed);
    commit(&held.feeds, "a", MESSAGE_DATA, SPAN("2"));
    EXPECT_NULL(feeds_take_touched(&held.feeds));
    commit(&held.feeds, "b", MESSAGE_DATA, SPAN("3"));
    EXPECT_TRUE(feeds_take_touched(&held.feeds) == held.feed);
    EXPECT_EQ(feeds_wait_ms(&held.feeds), 0);
    end_held(&held);
}

TEST(a_feed_that_waits_may_go) {
    struct held held;
    begin_held(&held, CHANNEL_A);
    commit(&held.feeds, "a", MESSAGE_DATA, SPAN("1"));
    EXPECT_TRUE(feeds_take_touched(&held.feeds) == held.feed);
    commit(&held.feeds, "a", MESSAGE_DATA, SPAN("2"));
    feed_release(held.feed);
    held.feed = NULL;
    EXPECT_EQ(feeds_wait_ms(&held.feeds), 0);
    feeds_turn(&held.feeds, held.rules, 1020);
    EXPECT_NULL(feeds_take_touched(&held.feeds));
    end_held(&held);
}

/* Publishes to "a" until `bytes` of memory have come. */
static void commit_bytes(struct feeds *feeds, struct feed *feed, size_t bytes) {
    static const uint8_t payload[1000];
    uint64_t end = feed->tail.bytes_put + bytes;
    while (feed->tail.bytes_put < end) {
        commit(feeds, "a", MESSAGE_DATA, span_of(payload, sizeof(payload)));
    }
}

TEST(what_waits_is_touched_before_a_tail_lets_go_of_it) {
    struct held held;
    begin_held(&held, CHANNEL_A);
    commit(&held.feeds, "a", MESSAGE_DATA, SPAN("1"));
    EXPECT_TRUE(feeds_take_touched(&held.feeds) == held.feed);
    uint64_t first = held.feed->tail.sequence_first;
    commit_bytes(&held.feeds, held.feed, FLUSH_HELD_BYTES_MAX - 10000);
    EXPECT_NULL(feeds_take_touched(&held.feeds));
    commit_bytes(&held.feeds, held.feed, 20000);
    EXPECT_TRUE(feeds_take_touched(&held.feeds) == held.feed);
    EXPECT_EQ(held.feed->tail.sequence_first, first);
    end_held(&held);
}

TEST(a_reader_that_stalls_does_not_end_the_waiting_of_the_others) {
    struct held held;
    begin_held(&held, CHANNEL_A);
    commit_bytes(&held.feeds, held.feed, TAIL_BYTES_MAX); /* and nobody takes anything */
    EXPECT_TRUE(feeds_take_touched(&held.feeds) == held.feed);
    commit(&held.feeds, "a", MESSAGE_DATA, SPAN("1"));
    EXPECT_NULL(feeds_take_touched(&held.feeds));
    EXPECT_EQ(feeds_wait_ms(&held.feeds), 20);
    end_held(&held);
}

TEST(nothing_waits_while_the_tails_are_half_full) {
    struct held held;
    begin_held(&held, CHANNEL_A);
    commit(&held.feeds, "a", MESSAGE_DATA, SPAN("1"));
    EXPECT_TRUE(feeds_take_touched(&held.feeds) == held.feed);
    commit(&held.feeds, "a", MESSAGE_DATA, SPAN("2"));
    EXPECT_NULL(feeds_take_touched(&held.feeds));
    held.feeds.tails.bytes += TAILS_BYTES_MAX / 2; /* of other feeds */
    feeds_turn(&held.feeds, held.rules, 1001);
    EXPECT_TRUE(feeds_take_touched(&held.feeds) == held.feed);
    held.feeds.tails.bytes -= TAILS_BYTES_MAX / 2;
    feeds_turn(&held.feeds, held.rules, 1002);
    commit(&held.feeds, "a", MESSAGE_DATA, SPAN("3"));
    EXPECT_NULL(feeds_take_touched(&held.feeds));
    end_held(&held);
}

UNIT_TESTS(UNIT(a_feed_is_made_once_and_goes_when_nobody_reads_it),
           UNIT(only_what_is_read_here_and_is_data_joins_a_tail),
           UNIT(a_frame_is_encoded_once_however_many_readers_there_are),
           UNIT(a_pattern_gets_what_it_stands_for_and_the_channel_too),
           UNIT(frames_are_shared_among_those_with_one_subscription_number),
           UNIT(frames_of_another_subscription_are_renumbered_where_that_can_be_done),
           UNIT(after_a_pause_a_feed_is_touched_at_once_and_then_once_an_interval),
           UNIT(what_waits_is_touched_once_nothing_is_to_wait),
           UNIT(a_pattern_waits_only_for_messages_that_may_wait), UNIT(a_feed_that_waits_may_go),
           UNIT(what_waits_is_touched_before_a_tail_lets_go_of_it),
           UNIT(a_reader_that_stalls_does_not_end_the_waiting_of_the_others),
           UNIT(nothing_waits_while_the_tails_are_half_full),
           UNIT(a_message_larger_than_the_shared_frames_is_still_framed))
