/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/bundle.h"

#include <stdio.h>

#include "broker/limits.h"
#include "broker/runtime/stream_private.h"
#include "tests/broker/runtime/stage.h"
#include "tests/unit.h"

#define STREAMS_MAX (BUNDLE_STREAMS_MAX + 1)
#define CHANNEL_BYTES 16

/* A socket with streams of the channels c1, c2, …, all live. */
struct client {
    struct connection connection;
    struct bundle bundle;
    struct stream *streams[STREAMS_MAX];
    size_t count;
    size_t limit_count;
};

static void on_failed(void *context, enum error_code code) {
    (void)context;
    EXPECT_EQ(code, OK); /* none of them does */
}

/* The last stream is the one with a limit. */
static void on_limit(void *context, const struct place *place) {
    struct client *client = context;
    (void)place;
    client->limit_count++;
    stream_destroy(client->streams[--client->count]);
}

static void name_channel(size_t index, char ret_channel[CHANNEL_BYTES]) {
    snprintf(ret_channel, CHANNEL_BYTES, "c%zu", index + 1);
}

static void add_stream(struct client *client, struct stage *stage, uint64_t limit) {
    char channel[CHANNEL_BYTES];
    name_channel(client->count, channel);
    struct storage_selector selector = {span_of_string(channel), false};
    uint64_t position = log_position_readable(stage->log);
    struct stream_options options = {
        .connection = &client->connection,
        .selectors = &selector,
        .selector_count = 1,
        .framing = &stage_framing,
        .subscription = 1,
        .bundle = &client->bundle,
        .limit = limit,
        .start = {.start = STORAGE_AFTER_PLACE,
                  .place = {.log_id = 1, .generation = 1, .position = position}},
        .on_failed = on_failed,
        .on_limit = on_limit,
        .context = client};
    EXPECT_EQ(stream_create(&options, &client->streams[client->count]), OK);
    client->count++;
    stage_turn(stage);
    stage_answer(stage, stage_find_read(stage, position), 0, 0, position, true);
    stage_turn(stage);
}

static void client_init(struct client *client, struct stage *stage, size_t count) {
    *client = (struct client){0};
    connection_init(&client->connection, stage, SIZE_MAX / 2);
    for (size_t i = 0; i < count; i++) {
        add_stream(client, stage, 0);
    }
    EXPECT_EQ(client->connection.send_count, 0);
}

static void client_finish(struct client *client) {
    while (client->count > 0) {
        stream_destroy(client->streams[--client->count]);
    }
    EXPECT_NULL(client->bundle.due_last);
    connection_finish(&client->connection);
}

static void expect_sent(struct client *client, const char *expected, size_t send_count) {
    EXPECT_SPAN(buffer_borrow(&client->connection.sent), expected);
    EXPECT_EQ(client->connection.send_count, send_count);
    buffer_clear(&client->connection.sent);
    client->connection.send_count = 0;
}

TEST(what_several_streams_of_a_socket_have_leaves_with_one_write) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_init(&client, &stage, 3);
    stage_publish(&stage, "c2"); /* 11 */
    stage_publish(&stage, "c1"); /* 12 */
    stage_publish(&stage, "c2"); /* 13 */
    stage_publish(&stage, "c3"); /* 14 */
    stage_turn(&stage);
    expect_sent(&client, "11,13,12,14,", 1);
    stage_publish(&stage, "c3");
    stage_turn(&stage);
    expect_sent(&client, "15,", 1);
    client_finish(&client);
    stage_finish(&stage);
}

TEST(sockets_whose_streams_became_due_in_turn_have_a_write_each) {
    struct stage stage;
    struct client one;
    struct client other;
    stage_init(&stage, 10);
    client_init(&one, &stage, 3);
    client_init(&other, &stage, 3);
    for (size_t i = 0; i < 3; i++) {
        char channel[CHANNEL_BYTES];
        name_channel(i, channel);
        stage_publish(&stage, channel);
    }
    stage_turn(&stage);
    expect_sent(&one, "11,12,13,", 1);
    expect_sent(&other, "11,12,13,", 1);
    client_finish(&one);
    client_finish(&other);
    stage_finish(&stage);
}

TEST(what_the_socket_does_not_take_comes_when_it_takes_bytes_again_and_once) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_init(&client, &stage, 3);
    connection_make_room(&client.connection, 7); /* "11,12,1" of what is to come */
    for (size_t round = 0; round < 2; round++) {
        stage_publish(&stage, "c1");
        stage_publish(&stage, "c2");
        stage_publish(&stage, "c3");
    }
    stage_turn(&stage);
    expect_sent(&client, "11,14,12,", 1); /* the frame that was cut is kept, and leaves whole */
    connection_make_room(&client.connection, SIZE_MAX / 2);
    for (size_t i = 0; i < client.count; i++) {
        stream_on_writable(client.streams[i]);
    }
    stage_turn(&stage);
    expect_sent(&client, "15,13,16,", 1);
    client_finish(&client);
    stage_finish(&stage);
}

TEST(a_stream_that_has_all_it_wanted_ends_behind_the_write_of_the_others) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_init(&client, &stage, 2);
    add_stream(&client, &stage, 1);
    stage_publish(&stage, "c3"); /* 11 */
    stage_publish(&stage, "c3");
    stage_publish(&stage, "c1"); /* 13 */
    stage_publish(&stage, "c2"); /* 14 */
    stage_turn(&stage);
    expect_sent(&client, "11,13,14,", 1);
    EXPECT_EQ(client.limit_count, 1);
    stage_publish(&stage, "c1");
    stage_publish(&stage, "c2");
    stage_turn(&stage);
    expect_sent(&client, "15,16,", 1);
    client_finish(&client);
    stage_finish(&stage);
}

TEST(a_stream_that_goes_while_it_is_due_leaves_the_others_together) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_init(&client, &stage, 3);
    stage_publish(&stage, "c1");
    stage_publish(&stage, "c2");
    stage_publish(&stage, "c3");
    readers_touch(&stage.worker.feeds);
    stream_destroy(client.streams[--client.count]);
    stage_publish(&stage, "c2"); /* 14 */
    stage_turn(&stage);
    expect_sent(&client, "11,12,14,", 1);
    client_finish(&client);
    stage_finish(&stage);
}

TEST(more_streams_than_one_write_holds_take_a_second_one) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_init(&client, &stage, STREAMS_MAX);
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        char channel[CHANNEL_BYTES];
        name_channel(i, channel);
        stage_publish(&stage, channel);
    }
    stage_turn(&stage);
    EXPECT_EQ(client.connection.send_count, 2);
    client_finish(&client);
    stage_finish(&stage);
}

TEST(what_one_write_does_not_hold_waits_behind_the_other_sockets) {
    struct stage stage;
    struct client many;
    struct client one;
    stage_init(&stage, 10);
    client_init(&many, &stage, STREAMS_MAX);
    client_init(&one, &stage, 1);
    for (size_t i = STREAMS_MAX; i-- > 0;) { /* the only stream of `one` is the last to be due */
        char channel[CHANNEL_BYTES];
        name_channel(i, channel);
        stage_publish(&stage, channel);
    }
    readers_touch(&stage.worker.feeds);
    bundle_flush(many.streams[STREAMS_MAX - 1]);
    EXPECT_EQ(many.connection.send_count, 1);
    EXPECT_TRUE(stage.worker.due.next == &one.streams[0]->in_due);
    EXPECT_TRUE(stage.worker.due.previous == &many.streams[0]->in_due);
    stage_turn(&stage);
    EXPECT_EQ(many.connection.send_count, 2);
    expect_sent(&one, "75,", 1);
    client_finish(&many);
    client_finish(&one);
    stage_finish(&stage);
}

TEST(nothing_of_a_write_stays_behind_it) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_init(&client, &stage, 2);
    for (size_t i = 0; i < 4000; i++) {
        stage_publish(&stage, i % 2 == 0 ? "c1" : "c2");
    }
    stage_turn(&stage);
    EXPECT_TRUE(client.connection.sent.length > stage.worker.sheaf.frames.bytes_kept);
    EXPECT_TRUE(stage.worker.sheaf.frames.buffer.capacity <= stage.worker.sheaf.frames.bytes_kept);
    client_finish(&client);
    stage_finish(&stage);
}

UNIT_TESTS(UNIT(what_several_streams_of_a_socket_have_leaves_with_one_write),
           UNIT(sockets_whose_streams_became_due_in_turn_have_a_write_each),
           UNIT(what_the_socket_does_not_take_comes_when_it_takes_bytes_again_and_once),
           UNIT(a_stream_that_has_all_it_wanted_ends_behind_the_write_of_the_others),
           UNIT(a_stream_that_goes_while_it_is_due_leaves_the_others_together),
           UNIT(what_one_write_does_not_hold_waits_behind_the_other_sockets),
           UNIT(nothing_of_a_write_stays_behind_it),
           UNIT(more_streams_than_one_write_holds_take_a_second_one))
