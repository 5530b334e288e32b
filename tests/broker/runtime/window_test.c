/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/window.h"

#include "broker/metrics/metrics.h"
#include "broker/runtime/stream_private.h"
#include "tests/broker/runtime/stage.h"
#include "tests/unit.h"

/* A peer that acknowledges. What it is sent begins with '#' instead of its first digit. */
struct peer {
    struct connection connection;
    struct stream *stream;
    const struct framing *framing_next; /* NULL: the framing stays */
    uint64_t room;
    size_t ready; /* so many frames may leave in one go */
    size_t prepare_count;
    size_t left_count;
    uint64_t position_prepared; /* of the last frame that was shown */
    enum error_code failure;
};

static uint64_t get_room(void *context) {
    return ((struct peer *)context)->room;
}

static size_t prepare(void *context, uint8_t *bytes, const uint32_t *ends,
                      const struct stream_item *items, size_t count) {
    struct peer *peer = context;
    uint32_t begin = 0;
    EXPECT_TRUE(count <= peer->room);
    for (size_t i = 0; i < count; i++) {
        if (ends[i] > begin) {
            bytes[begin] = '#';
        }
        begin = ends[i];
        peer->position_prepared = items[i].place.position;
    }
    peer->prepare_count++;
    return count < peer->ready ? count : peer->ready;
}

static void on_left(void *context, const struct stream_item *items, size_t count) {
    struct peer *peer = context;
    (void)items;
    peer->left_count += count;
    peer->room -= count;
    if (peer->framing_next != NULL) {
        stream_set_framing(peer->stream, peer->framing_next);
    }
}

static const struct stream_window window = {
    .get_room = get_room, .prepare = prepare, .on_left = on_left};

static void on_failed(void *context, enum error_code code) {
    struct peer *peer = context;
    peer->failure = code;
    stream_destroy(peer->stream);
    peer->stream = NULL;
}

/* One that reads `a` behind the position. */
static void peer_init(struct peer *peer, struct stage *stage, uint64_t position, uint64_t room,
                      enum on_lag on_lag, const struct framing *framing) {
    struct storage_selector selector = {SPAN("a"), false};
    *peer = (struct peer){.room = room, .ready = SIZE_MAX};
    connection_init(&peer->connection, stage, SIZE_MAX / 2);
    struct stream_options options = {
        .connection = &peer->connection,
        .selectors = &selector,
        .selector_count = 1,
        .framing = framing,
        .on_lag = on_lag,
        .window = &window,
        .start = {.start = STORAGE_AFTER_PLACE,
                  .place = {.log_id = 1, .generation = 1, .position = position}},
        .on_failed = on_failed,
        .context = peer};
    EXPECT_EQ(stream_create(&options, &peer->stream), OK);
    stage_turn(stage);
}

/* One that is live at the head. */
static void peer_init_live(struct peer *peer, struct stage *stage, uint64_t room,
                           enum on_lag on_lag) {
    uint64_t position = log_position_readable(stage->log);
    peer_init(peer, stage, position, 1, on_lag, &stage_framing);
    stage_answer(stage, stage_find_read(stage, position), 0, 0, position, true);
    stage_turn(stage);
    peer->room = room;
}

static void peer_finish(struct peer *peer) {
    stream_destroy(peer->stream);
    connection_finish(&peer->connection);
}

static void open_window(struct peer *peer, struct stage *stage, uint64_t room) {
    peer->room = room;
    stream_on_writable(peer->stream);
    stage_turn(stage);
}

/* What was sent since the last time. */
static void expect_sent(struct peer *peer, const char *expected) {
    EXPECT_SPAN(buffer_borrow(&peer->connection.sent), expected);
    buffer_clear(&peer->connection.sent);
}

static void publish(struct stage *stage, size_t count) {
    for (size_t i = 0; i < count; i++) {
        stage_publish(stage, "a");
    }
    stage_turn(stage);
}

TEST(no_more_leaves_than_the_window_has_room_for) {
    struct stage stage;
    struct peer peer;
    stage_init(&stage, 10);
    peer_init_live(&peer, &stage, 2, ON_LAG_CATCH_UP);
    publish(&stage, 3);
    expect_sent(&peer, "#1,#2,");
    open_window(&peer, &stage, 5);
    expect_sent(&peer, "#3,");
    EXPECT_EQ(peer.left_count, 3);
    EXPECT_EQ(peer.position_prepared, 13);
    peer_finish(&peer);
    stage_finish(&stage);
}

TEST(a_run_is_as_large_as_one_write_without_a_window_alone) {
    struct stage stage;
    struct peer peer;
    stage_init(&stage, 10);
    peer_init_live(&peer, &stage, 0, ON_LAG_CATCH_UP);
    publish(&stage, WINDOW_FRAMES_MAX + 100);
    open_window(&peer, &stage, UINT64_MAX / 2);
    EXPECT_EQ(peer.prepare_count, 2);
    EXPECT_EQ(peer.left_count, WINDOW_FRAMES_MAX + 100);
    struct storage_selector selector = {SPAN("a"), false};
    struct connection plain;
    connection_init(&plain, &stage, SIZE_MAX / 2);
    struct stream_options options = {.connection = &plain,
                                     .selectors = &selector,
                                     .selector_count = 1,
                                     .framing = &stage_framing,
                                     .start = {.start = STORAGE_NOW},
                                     .on_failed = on_failed};
    struct stream *stream = NULL;
    EXPECT_EQ(stream_create(&options, &stream), OK);
    stage_turn(&stage);
    for (size_t i = 0; i < WINDOW_FRAMES_MAX + 100; i++) {
        stage_publish(&stage, "a");
    }
    stage_turn(&stage);
    EXPECT_TRUE(span_has_prefix(buffer_borrow(&plain.sent), SPAN("623,624,")));
    EXPECT_SPAN(span_of(plain.sent.bytes + plain.sent.length - 10, 10), "1233,1234,");
    stream_destroy(stream);
    connection_finish(&plain);
    peer_finish(&peer);
    stage_finish(&stage);
}

TEST(a_shut_window_asks_for_no_page) {
    struct stage stage;
    struct peer peer;
    stage_init(&stage, 10);
    peer_init(&peer, &stage, 5, 0, ON_LAG_CATCH_UP, &stage_framing);
    EXPECT_EQ(stage_count_reads(&stage), 0);
    open_window(&peer, &stage, 3);
    stage_answer(&stage, stage_find_read(&stage, 5), 6, 10, 10, true);
    stage_turn(&stage);
    expect_sent(&peer, "#,#,#,");
    EXPECT_EQ(stage_count_reads(&stage), 0);
    open_window(&peer, &stage, 3);
    EXPECT_EQ(stage_find_read(&stage, 8)->query.limit, 3);
    stage_answer(&stage, stage_find_read(&stage, 8), 9, 10, 10, true);
    stage_turn(&stage);
    expect_sent(&peer, "#,#0,");
    peer_finish(&peer);
    stage_finish(&stage);
}

TEST(a_page_for_little_room_is_not_read_in_vain) {
    struct stage stage;
    struct peer small;
    struct peer large;
    stage_init(&stage, 100);
    peer_init(&small, &stage, 10, 1, ON_LAG_CATCH_UP, &stage_framing);
    peer_init(&large, &stage, 20, WINDOW_SHARES_ROOM, ON_LAG_CATCH_UP, &stage_framing);
    stage_answer(&stage, stage_find_read(&stage, 10), 0, 0, 11, false);
    stage_answer(&stage, stage_find_read(&stage, 20), 0, 0, 21, false);
    stage_turn(&stage);
    EXPECT_EQ(stage_find_read(&stage, 11)->query.limit, 1);
    EXPECT_EQ(stage_find_read(&stage, 21)->query.limit, CATCH_UP_PAGE_MESSAGES_MAX);
    peer_finish(&small);
    peer_finish(&large);
    stage_finish(&stage);
}

/* That stage_turn() returns at all says that the stream does not become due for ever. */
TEST(what_is_held_back_waits_until_the_stream_is_told) {
    struct stage stage;
    struct peer peer;
    stage_init(&stage, 10);
    peer_init_live(&peer, &stage, 10, ON_LAG_CATCH_UP);
    peer.ready = 0;
    publish(&stage, 2);
    publish(&stage, 1);
    expect_sent(&peer, "");
    EXPECT_EQ(peer.prepare_count, 1);
    EXPECT_EQ(peer.left_count, 0);
    peer.ready = 1;
    open_window(&peer, &stage, 10);
    expect_sent(&peer, "#1,");
    EXPECT_EQ(peer.prepare_count, 2);
    peer.ready = SIZE_MAX;
    open_window(&peer, &stage, 10);
    expect_sent(&peer, "#2,#3,");
    EXPECT_EQ(peer.left_count, 3);
    peer_finish(&peer);
    stage_finish(&stage);
}

TEST(a_part_of_a_page_may_be_held_back) {
    struct stage stage;
    struct peer peer;
    stage_init(&stage, 20);
    peer_init(&peer, &stage, 10, 5, ON_LAG_CATCH_UP, &stage_framing);
    peer.ready = 2;
    stage_answer(&stage, stage_find_read(&stage, 10), 11, 15, 15, false);
    stage_turn(&stage);
    expect_sent(&peer, "#1,#2,");
    EXPECT_EQ(stage_count_reads(&stage), 0);
    open_window(&peer, &stage, 5);
    EXPECT_NOT_NULL(stage_find_read(&stage, 12));
    peer_finish(&peer);
    stage_finish(&stage);
}

TEST(what_the_socket_did_not_take_has_not_left) {
    struct stage stage;
    struct peer peer;
    struct place place;
    stage_init(&stage, 10);
    peer_init_live(&peer, &stage, 10, ON_LAG_CATCH_UP);
    peer.connection.room = 4; /* one frame and a part of the second, which is kept */
    publish(&stage, 3);
    expect_sent(&peer, "#1,#2,");
    EXPECT_EQ(peer.left_count, 2);
    stream_get_place(peer.stream, &place);
    EXPECT_EQ(place.position, 12);
    connection_make_room(&peer.connection, 1000);
    open_window(&peer, &stage, 10);
    expect_sent(&peer, "#3,");
    EXPECT_EQ(peer.left_count, 3);
    stream_get_place(peer.stream, &place);
    EXPECT_EQ(place.position, 13);
    peer_finish(&peer);
    stage_finish(&stage);
}

TEST(the_place_of_a_shut_window_stands_before_what_did_not_leave) {
    struct stage stage;
    struct peer peer;
    struct place place;
    stage_init(&stage, 10);
    peer_init_live(&peer, &stage, 1, ON_LAG_CATCH_UP);
    publish(&stage, 3);
    stream_get_place(peer.stream, &place);
    EXPECT_EQ(place.position, 11);
    peer_finish(&peer);
    stage_finish(&stage);
}

TEST(frames_that_others_share_are_not_written_into) {
    struct stage stage;
    struct peer first;
    struct peer second;
    stage_init(&stage, 10);
    peer_init_live(&first, &stage, 10, ON_LAG_CATCH_UP);
    peer_init_live(&second, &stage, 10, ON_LAG_CATCH_UP);
    first.ready = second.ready = 0;
    publish(&stage, 1);
    struct run run;
    struct feed *feed =
        feeds_find(&stage.worker.feeds, &(struct storage_selector){SPAN("a"), false});
    struct feed_question question = {
        .framing = &stage_framing, .sequence = feed->tail.sequence_first, .count_max = 1};
    EXPECT_EQ(feed_borrow_run(feed, &question, &stage.worker.gather.scratch, &run), OK);
    EXPECT_SPAN(run.bytes, "11,");
    peer_finish(&first);
    peer_finish(&second);
    stage_finish(&stage);
}

/* --- framings -------------------------------------------------------------------------------- */

/* Frames even offsets alone. */
static enum error_code put_even(struct buffer *buffer, const struct message *message,
                                const struct frame_options *options) {
    size_t *count = options->context;
    *count += 1;
    return message->place.offset % 2 == 0 ? buffer_put(buffer, SPAN("-even,")) : OK;
}

TEST(a_frame_of_no_bytes_leaves_and_is_no_delivery) {
    struct stage stage;
    struct peer peer;
    size_t framed_count = 0;
    struct framing own = {
        .name = "sse", .slot = FRAMING_OWN, .put_message = put_even, .context = &framed_count};
    stage_init(&stage, 10);
    peer_init(&peer, &stage, 10, 10, ON_LAG_CATCH_UP, &own);
    stage_answer(&stage, stage_find_read(&stage, 10), 0, 0, 10, true);
    stage_turn(&stage);
    publish(&stage, 3);
    expect_sent(&peer, "#even,");
    EXPECT_EQ(peer.left_count, 3);
    EXPECT_EQ(metrics_sum(stage.broker.metrics, METRIC_DELIVERIES, METRICS_PROTOCOL_SSE), 1);
    peer_finish(&peer);
    stage_finish(&stage);
}

TEST(a_peers_own_framing_is_asked_for_what_can_leave_alone) {
    struct stage stage;
    struct peer peers[2];
    size_t framed_count = 0;
    struct framing own = {
        .name = "sse", .slot = FRAMING_OWN, .put_message = put_even, .context = &framed_count};
    stage_init(&stage, 10);
    for (size_t i = 0; i < ARRAY_COUNT(peers); i++) {
        peer_init(&peers[i], &stage, 10, 1, ON_LAG_CATCH_UP, &own);
        stage_answer(&stage, stage_find_read(&stage, 10), 0, 0, 10, true);
        stage_turn(&stage);
    }
    publish(&stage, 4);
    EXPECT_EQ(framed_count, 2); /* the first for each: nothing is shared, nothing made in vain */
    peer_finish(&peers[0]);
    peer_finish(&peers[1]);
    stage_finish(&stage);
}

TEST(a_framing_changes_between_two_runs) {
    struct stage stage;
    struct peer peer;
    size_t framed_count = 0;
    struct framing own = {
        .name = "sse", .slot = FRAMING_OWN, .put_message = put_even, .context = &framed_count};
    stage_init(&stage, 10);
    peer_init_live(&peer, &stage, 1, ON_LAG_CATCH_UP);
    peer.framing_next = &own;
    publish(&stage, 2);
    open_window(&peer, &stage, 1);
    expect_sent(&peer, "#1,#even,");
    peer_finish(&peer);
    stage_finish(&stage);
}

/* --- lag ------------------------------------------------------------------------------------- */

static void publish_bytes(struct stage *stage, struct peer *peer, uint64_t bytes) {
    struct stream_status status = {0};
    while (peer->stream != NULL && status.lag_bytes <= bytes) {
        publish(stage, 16);
        if (peer->stream != NULL) {
            stream_get_status(peer->stream, &status);
        }
    }
}

static uint64_t count_lagged(const struct stage *stage, enum on_lag on_lag) {
    return metrics_sum(stage->broker.metrics, METRIC_READERS_LAGGED, on_lag);
}

TEST(a_shut_window_is_no_lag_before_a_socket_would_be_full) {
    struct stage stage;
    struct peer peer;
    stage_init(&stage, 10);
    peer_init_live(&peer, &stage, 0, ON_LAG_DISCONNECT);
    publish_bytes(&stage, &peer, WINDOW_LAG_BYTES / 2);
    EXPECT_EQ(peer.failure, OK);
    publish_bytes(&stage, &peer, WINDOW_LAG_BYTES);
    EXPECT_EQ(peer.failure, ERR_SLOW);
    EXPECT_EQ(count_lagged(&stage, ON_LAG_DISCONNECT), 1);
    peer_finish(&peer);
    stage_finish(&stage);
}

/* What came since that was of others, or is yet to be told. */
TEST(a_page_that_left_whole_up_to_the_head_takes_a_reader_there) {
    struct stage stage;
    struct peer peer;
    stage_init(&stage, 10);
    peer_init_live(&peer, &stage, 1, ON_LAG_DISCONNECT);
    stage_miss(&stage, 20);
    stage_turn(&stage);
    peer.stream->window.behind_bytes = WINDOW_LAG_BYTES;
    struct read *read = stage_find_read(&stage, 10);
    stage_miss(&stage, 30);
    stage_answer(&stage, read, 11, 11, 20, true);
    stage_turn(&stage);
    expect_sent(&peer, "#1,");
    EXPECT_EQ(peer.failure, OK);
    peer_finish(&peer);
    stage_finish(&stage);
}

TEST(a_reader_that_drops_leaves_what_waits_for_its_window) {
    struct stage stage;
    struct peer peer;
    stage_init(&stage, 10);
    peer_init_live(&peer, &stage, 0, ON_LAG_DROP);
    for (size_t i = 0; count_lagged(&stage, ON_LAG_DROP) == 0; i++) {
        publish(&stage, 16);
    }
    EXPECT_EQ(stage_count_reads(&stage), 0);
    open_window(&peer, &stage, 4);
    EXPECT_EQ(stage_find_read(&stage, 10)->query.start, STORAGE_DROP);
    peer_finish(&peer);
    stage_finish(&stage);
}

TEST(a_reader_that_conflates_leaves_what_waits_for_its_window) {
    struct stage stage;
    struct peer peer;
    stage_init(&stage, 10);
    peer_init_live(&peer, &stage, 0, ON_LAG_CONFLATE);
    publish(&stage, 4);
    EXPECT_EQ(count_lagged(&stage, ON_LAG_CONFLATE), 0);
    for (size_t i = 0; count_lagged(&stage, ON_LAG_CONFLATE) == 0; i++) {
        publish(&stage, 16);
    }
    open_window(&peer, &stage, 4);
    EXPECT_TRUE(stage_find_read(&stage, 10)->query.is_conflated);
    peer_finish(&peer);
    stage_finish(&stage);
}

TEST(a_reader_that_catches_up_goes_to_the_log_where_the_tail_is_cut) {
    struct stage stage;
    struct peer peer;
    stage_init(&stage, 10);
    peer_init_live(&peer, &stage, 0, ON_LAG_CATCH_UP);
    publish_bytes(&stage, &peer, WINDOW_LAG_BYTES);
    EXPECT_EQ(count_lagged(&stage, ON_LAG_CATCH_UP), 1);
    stage_miss(&stage, log_position_readable(stage.log) + 10);
    stage_turn(&stage);
    EXPECT_EQ(stage_count_reads(&stage), 0);
    open_window(&peer, &stage, 4);
    EXPECT_NOT_NULL(stage_find_read(&stage, 10));
    peer_finish(&peer);
    stage_finish(&stage);
}

UNIT_TESTS(UNIT(no_more_leaves_than_the_window_has_room_for),
           UNIT(a_run_is_as_large_as_one_write_without_a_window_alone),
           UNIT(a_shut_window_asks_for_no_page), UNIT(a_page_for_little_room_is_not_read_in_vain),
           UNIT(what_is_held_back_waits_until_the_stream_is_told),
           UNIT(a_part_of_a_page_may_be_held_back), UNIT(what_the_socket_did_not_take_has_not_left),
           UNIT(the_place_of_a_shut_window_stands_before_what_did_not_leave),
           UNIT(frames_that_others_share_are_not_written_into),
           UNIT(a_frame_of_no_bytes_leaves_and_is_no_delivery),
           UNIT(a_peers_own_framing_is_asked_for_what_can_leave_alone),
           UNIT(a_framing_changes_between_two_runs),
           UNIT(a_shut_window_is_no_lag_before_a_socket_would_be_full),
           UNIT(a_page_that_left_whole_up_to_the_head_takes_a_reader_there),
           UNIT(a_reader_that_drops_leaves_what_waits_for_its_window),
           UNIT(a_reader_that_conflates_leaves_what_waits_for_its_window),
           UNIT(a_reader_that_catches_up_goes_to_the_log_where_the_tail_is_cut))
