/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/stream.h"

#include <unistd.h>

#include "broker/metrics/metrics.h"
#include "broker/support/logger.h"
#include "broker/support/macros.h"
#include "tests/broker/runtime/stage.h"
#include "tests/unit.h"

struct client {
    struct connection connection;
    struct stream *stream;
    enum error_code failure;
    size_t failed_count;
    size_t limit_count;
};

static void on_failed(void *context, enum error_code code) {
    struct client *client = context;
    client->failure = code;
    client->failed_count++;
    stream_destroy(client->stream);
    client->stream = NULL;
}

static void on_limit(void *context, const struct place *place) {
    struct client *client = context;
    (void)place;
    client->limit_count++;
    stream_destroy(client->stream);
    client->stream = NULL;
}

/* A reader of `a` from there on. Its first page is asked for in the next turn. */
static void client_open(struct client *client, struct stage *stage, enum storage_start start,
                        uint64_t position, enum on_lag on_lag, uint64_t limit) {
    struct storage_selector selector = {SPAN("a"), false};
    *client = (struct client){0};
    connection_init(&client->connection, stage, SIZE_MAX / 2);
    struct stream_options options = {
        .connection = &client->connection,
        .selectors = &selector,
        .selector_count = 1,
        .framing = &stage_framing,
        .on_lag = on_lag,
        .limit = limit,
        .start = {.start = start, .place = {.log_id = 1, .generation = 1, .position = position}},
        .on_failed = on_failed,
        .on_limit = on_limit,
        .context = client};
    EXPECT_EQ(stream_create(&options, &client->stream), OK);
}

/* One behind `position`. */
static void client_init(struct client *client, struct stage *stage, uint64_t position,
                        enum on_lag on_lag, uint64_t limit) {
    client_open(client, stage, STORAGE_AFTER_PLACE, position, on_lag, limit);
}

/* One that is live at the head. */
static void client_init_live(struct client *client, struct stage *stage, enum on_lag on_lag,
                             uint64_t limit) {
    uint64_t position = log_position_readable(stage->log);
    client_init(client, stage, position, on_lag, limit);
    stage_turn(stage);
    stage_answer(stage, stage_find_read(stage, position), 0, 0, position, true);
    stage_turn(stage);
    EXPECT_EQ(stage_count_reads(stage), 0);
}

static void client_finish(struct client *client) {
    stream_destroy(client->stream);
    connection_finish(&client->connection);
}

/* What was sent since the last time. */
static void expect_sent(struct client *client, const char *expected) {
    EXPECT_SPAN(buffer_borrow(&client->connection.sent), expected);
    buffer_clear(&client->connection.sent);
}

TEST(a_stream_goes_from_its_page_to_the_tail_without_a_seam) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_init(&client, &stage, 7, ON_LAG_CATCH_UP, 0);
    stage_turn(&stage);
    stage_publish(&stage, "a"); /* 11: the page shows it, too */
    stage_publish(&stage, "a"); /* 12: it does not */
    stage_answer(&stage, stage_find_read(&stage, 7), 8, 11, 11, true);
    stage_turn(&stage);
    expect_sent(&client, "8,9,10,11,12,");
    client_finish(&client);
    stage_finish(&stage);
}

TEST(readers_of_a_feed_share_a_page) {
    struct stage stage;
    struct client early;
    struct client late;
    stage_init(&stage, 100);
    client_init(&early, &stage, 10, ON_LAG_CATCH_UP, 0);
    client_init(&late, &stage, 11, ON_LAG_CATCH_UP, 0);
    stage_turn(&stage);
    stage_answer(&stage, stage_find_read(&stage, 10), 11, 14, 14, false);
    stage_turn(&stage);
    stage_answer(&stage, stage_find_read(&stage, 11), 12, 16, 16, false);
    stage_turn(&stage);
    EXPECT_EQ(stage_count_reads(&stage), 1);
    stage_answer(&stage, stage_find_read(&stage, 14), 15, 18, 18, false);
    expect_sent(&early, "11,12,13,14,15,16,17,18,");
    expect_sent(&late, "12,13,14,15,16,17,18,");
    stage_turn(&stage);
    EXPECT_EQ(stage_count_reads(&stage), 1);
    client_finish(&early);
    client_finish(&late);
    stage_finish(&stage);
}

TEST(a_reader_near_the_head_does_not_wait_for_one_far_behind) {
    struct stage stage;
    struct client far;
    struct client near;
    stage_init(&stage, 100000);
    client_init(&far, &stage, 10, ON_LAG_CATCH_UP, 0);
    client_init(&near, &stage, 99000, ON_LAG_CATCH_UP, 0);
    stage_turn(&stage);
    stage_answer(&stage, stage_find_read(&stage, 10), 11, 12, 12, false);
    stage_turn(&stage);
    stage_answer(&stage, stage_find_read(&stage, 99000), 99001, 99002, 99002, false);
    stage_turn(&stage);
    for (uint64_t end = 99002; end < 99010; end++) { /* the page of the other stays under way */
        EXPECT_NOT_NULL(stage_find_read(&stage, end));
        stage_answer(&stage, stage_find_read(&stage, end), end + 1, end + 1, end + 1, false);
        stage_turn(&stage);
    }
    client_finish(&far);
    client_finish(&near);
    stage_finish(&stage);
}

TEST(a_delete_is_no_message_of_the_limit) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_init_live(&client, &stage, ON_LAG_CATCH_UP, 2);
    stage_publish(&stage, "a");
    stage_delete(&stage, "a", 1, 5);
    stage_publish(&stage, "a");
    stage_publish(&stage, "a");
    stage_turn(&stage);
    expect_sent(&client, "11,gap,13,");
    EXPECT_EQ(client.limit_count, 1);
    client_finish(&client);
    stage_finish(&stage);
}

TEST(a_reader_that_has_all_it_wanted_is_not_too_slow) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_init_live(&client, &stage, ON_LAG_DISCONNECT, 1);
    client.connection.room = 2; /* a part of one frame, and the socket is full */
    stage_publish(&stage, "a");
    stage_publish(&stage, "a");
    stage_turn(&stage);
    expect_sent(&client, "11,");
    EXPECT_EQ(client.failed_count, 0);
    EXPECT_EQ(client.limit_count, 1);
    client_finish(&client);
    stage_finish(&stage);
}

TEST(what_was_left_out_at_the_end_of_a_page_is_told_with_the_next_message) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_init_live(&client, &stage, ON_LAG_CONFLATE, 0);
    client.connection.room = 0;
    stage_publish(&stage, "a");
    stage_turn(&stage);
    connection_make_room(&client.connection, 1000);
    stream_on_writable(client.stream);
    stage_turn(&stage);
    stage_answer_skipped(&stage, stage_find_read(&stage, 0), 11, 1); /* its newest has expired */
    stage_turn(&stage);
    stage_publish(&stage, "a");
    stage_turn(&stage);
    stage_answer(&stage, stage_find_read(&stage, 0), 12, 12, 12, true);
    stage_publish(&stage, "a");
    stage_turn(&stage);
    expect_sent(&client, "+1:12,13,");
    EXPECT_EQ(stage_count_reads(&stage), 0);
    client_finish(&client);
    stage_finish(&stage);
}

TEST(a_reader_that_drops_goes_on_at_the_head) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_init_live(&client, &stage, ON_LAG_DROP, 0);
    client.connection.room = 0;
    stage_publish(&stage, "a");
    stage_turn(&stage);
    connection_make_room(&client.connection, 1000);
    stream_on_writable(client.stream);
    stage_turn(&stage);
    struct read *read = stage_find_read(&stage, 0);
    EXPECT_EQ(read->query.start, STORAGE_DROP);
    EXPECT_EQ(read->query.place.position, 10);
    stage_answer(&stage, read, 0, 0, 11, true);
    stage_publish(&stage, "a");
    stage_turn(&stage);
    expect_sent(&client, "12,");
    client_finish(&client);
    stage_finish(&stage);
}

/* The tail let go of what a live reader lacks, and its socket does not take the page either. */
static void throw_out(struct stage *stage, struct client *client, enum on_lag on_lag) {
    stage_init(stage, 10);
    client_init_live(client, stage, on_lag, 0);
    client->connection.room = 4;
    stage_go_on(stage, 20);
    stage_miss(stage, 20);
    stage_turn(stage);
    stage_answer(stage, stage_find_read(stage, 10), 11, 15, 15, false);
    stage_turn(stage);
}

TEST(a_reader_that_a_burst_threw_out_of_the_tail_lags_when_its_socket_is_full) {
    struct stage stage;
    struct client client;
    throw_out(&stage, &client, ON_LAG_DISCONNECT);
    EXPECT_EQ(client.failure, ERR_SLOW);
    client_finish(&client);
    stage_finish(&stage);
    throw_out(&stage, &client, ON_LAG_DROP);
    connection_make_room(&client.connection, 1000);
    stream_on_writable(client.stream);
    stage_turn(&stage);
    EXPECT_EQ(stage_find_read(&stage, 0)->query.start, STORAGE_DROP);
    client_finish(&client);
    stage_finish(&stage);
}

TEST(a_reader_that_was_thrown_out_and_has_all_does_not_lag) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_init_live(&client, &stage, ON_LAG_DISCONNECT, 0);
    client.connection.room = 4; /* the end of the last frame is kept */
    stage_go_on(&stage, 12);
    stage_miss(&stage, 12);
    stage_turn(&stage);
    stage_answer(&stage, stage_find_read(&stage, 10), 11, 12, 12, true);
    stage_turn(&stage);
    EXPECT_EQ(client.failed_count, 0);
    client_finish(&client);
    stage_finish(&stage);
}

static uint64_t count_lagged(const struct stage *stage, enum on_lag on_lag) {
    return metrics_sum(stage->broker.metrics, METRIC_READERS_LAGGED, on_lag);
}

TEST(a_reader_of_its_history_may_be_slow) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 20);
    client_init(&client, &stage, 10, ON_LAG_DISCONNECT, 0);
    client.connection.room = 4;
    stage_turn(&stage);
    stage_answer(&stage, stage_find_read(&stage, 10), 11, 20, 20, true);
    stage_turn(&stage);
    EXPECT_EQ(client.failed_count, 0);
    EXPECT_EQ(count_lagged(&stage, ON_LAG_DISCONNECT), 0);
    client_finish(&client);
    stage_finish(&stage);
}

TEST(a_reader_from_now_on_has_no_history_to_be_slow_with) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_open(&client, &stage, STORAGE_NOW, 0, ON_LAG_DISCONNECT, 0);
    client.connection.room = 4;
    stage_go_on(&stage, 20);
    stage_miss(&stage, 20);
    stage_turn(&stage);
    stage_answer(&stage, stage_find_read(&stage, 10), 11, 15, 15, false);
    stage_turn(&stage);
    EXPECT_EQ(client.failure, ERR_SLOW);
    client_finish(&client);
    stage_finish(&stage);
}

/* The page left whole, but for the end of its last frame. */
TEST(a_reader_whose_page_filled_its_socket_stands_at_the_head) {
    static const enum storage_start starts[] = {STORAGE_NOW, STORAGE_AFTER_PLACE};
    for (size_t i = 0; i < ARRAY_COUNT(starts); i++) {
        struct stage stage;
        struct client client;
        stage_init(&stage, 10);
        client_open(&client, &stage, starts[i], 10, ON_LAG_DISCONNECT, 0);
        client.connection.room = 2;
        stage_go_on(&stage, 11);
        stage_miss(&stage, 11);
        stage_turn(&stage);
        stage_answer(&stage, stage_find_read(&stage, 10), 11, 11, 11, true);
        stage_turn(&stage);
        EXPECT_EQ(client.failed_count, 0);
        stage_publish(&stage, "a");
        stage_turn(&stage);
        EXPECT_EQ(client.failure, ERR_SLOW);
        client_finish(&client);
        stage_finish(&stage);
    }
}

/* Its worker missed commits while its socket was full: they may have been of other channels. */
TEST(a_reader_that_missed_commits_lags_once_something_comes) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_init_live(&client, &stage, ON_LAG_DISCONNECT, 0);
    client.connection.room = 2;
    stage_publish(&stage, "a");
    stage_turn(&stage);
    stage_go_on(&stage, 20);
    stage_miss(&stage, 20);
    stage_turn(&stage);
    EXPECT_EQ(client.failed_count, 0);
    EXPECT_EQ(count_lagged(&stage, ON_LAG_DISCONNECT), 0);
    stage_publish(&stage, "a");
    stage_turn(&stage);
    EXPECT_EQ(client.failure, ERR_SLOW);
    client_finish(&client);
    stage_finish(&stage);
}

/* The rest of its page is in the tail, too. */
TEST(a_reader_of_its_history_may_be_slow_in_reach_of_the_tail) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_init(&client, &stage, 10, ON_LAG_DISCONNECT, 0);
    client.connection.room = 4;
    for (int i = 0; i < 3; i++) {
        stage_publish(&stage, "a");
    }
    stage_turn(&stage);
    stage_answer(&stage, stage_find_read(&stage, 10), 11, 13, 13, true);
    stage_turn(&stage);
    stage_publish(&stage, "a");
    stage_turn(&stage);
    EXPECT_EQ(client.failed_count, 0);
    EXPECT_EQ(count_lagged(&stage, ON_LAG_DISCONNECT), 0);
    connection_make_room(&client.connection, 1000);
    stream_on_writable(client.stream);
    stage_turn(&stage);
    expect_sent(&client, "11,12,13,14,");
    client_finish(&client);
    stage_finish(&stage);
}

TEST(a_reader_that_has_read_its_history_lags_with_what_came_meanwhile) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_init(&client, &stage, 9, ON_LAG_DISCONNECT, 0);
    client.connection.room = 2;
    stage_turn(&stage);
    struct read *read = stage_find_read(&stage, 9);
    stage_publish(&stage, "a");
    stage_answer(&stage, read, 10, 10, 10, true);
    stage_turn(&stage);
    EXPECT_EQ(client.failure, ERR_SLOW);
    client_finish(&client);
    stage_finish(&stage);
}

/* Its socket was filled by another stream while it asked whether there is anything. */
TEST(a_page_of_nothing_makes_no_lag) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_open(&client, &stage, STORAGE_NOW, 0, ON_LAG_DISCONNECT, 0);
    stage_go_on(&stage, 20);
    stage_miss(&stage, 20);
    stage_turn(&stage);
    client.connection.is_full = true;
    stage_answer(&stage, stage_find_read(&stage, 10), 0, 0, 20, true);
    stage_turn(&stage);
    EXPECT_EQ(client.failed_count, 0);
    client_finish(&client);
    stage_finish(&stage);
}

TEST(a_reader_lags_once_until_it_has_caught_up) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_init_live(&client, &stage, ON_LAG_CATCH_UP, 0);
    client.connection.room = 0;
    for (int i = 0; i < 3; i++) {
        stage_publish(&stage, "a");
        stage_turn(&stage);
    }
    EXPECT_EQ(count_lagged(&stage, ON_LAG_CATCH_UP), 1);
    connection_make_room(&client.connection, 1000);
    stream_on_writable(client.stream);
    stage_turn(&stage);
    expect_sent(&client, "11,12,13,");
    client.connection.room = 0;
    stage_publish(&stage, "a");
    stage_turn(&stage);
    EXPECT_EQ(count_lagged(&stage, ON_LAG_CATCH_UP), 2);
    client_finish(&client);
    stage_finish(&stage);
}

/* Its socket takes some of each page, and so it is writable again and again meanwhile. */
TEST(a_fall_is_counted_once_however_many_pages_it_takes) {
    struct stage stage;
    struct client client;
    size_t pages = 0;
    stage_init(&stage, 10);
    client_init_live(&client, &stage, ON_LAG_CATCH_UP, 0);
    client.connection.room = 0;
    stage_publish(&stage, "a");
    stage_turn(&stage);
    stage_miss(&stage, 40);
    connection_make_room(&client.connection, 20);
    stream_on_writable(client.stream);
    stage_turn(&stage);
    for (struct read *read; (read = stage_find_read(&stage, 0)) != NULL; pages++) {
        stage_answer(&stage, read, read->query.place.position + 1, 40, 40, true);
        stage_turn(&stage);
        EXPECT_EQ(count_lagged(&stage, ON_LAG_CATCH_UP), 1);
        connection_make_room(&client.connection, 20);
        stream_on_writable(client.stream);
        stage_turn(&stage);
    }
    EXPECT_TRUE(pages > 2);
    client.connection.room = 0;
    stage_publish(&stage, "a");
    stage_turn(&stage);
    EXPECT_EQ(count_lagged(&stage, ON_LAG_CATCH_UP), 2); /* it had caught up, and falls again */
    client_finish(&client);
    stage_finish(&stage);
}

TEST(a_reader_that_lags_and_must_not_is_told_once) {
    struct stage stage;
    struct client client;
    stage_init(&stage, 10);
    client_init_live(&client, &stage, ON_LAG_DISCONNECT, 0);
    client.connection.room = 0;
    stage_publish(&stage, "a");
    stage_turn(&stage);
    EXPECT_EQ(client.failure, ERR_SLOW);
    EXPECT_EQ(client.failed_count, 1);
    EXPECT_EQ(count_lagged(&stage, ON_LAG_DISCONNECT), 1);
    client_finish(&client);
    stage_finish(&stage);
}

/* How many bytes the log says when a page is refused like that. */
static ssize_t refuse_and_listen(struct stage *stage, struct read *asked, enum error_code code) {
    char text[4096];
    int ends[2];
    int kept = dup(STDERR_FILENO);
    logger_set_level(LOG_LEVEL_INFO);
    EXPECT_EQ(pipe(ends), 0);
    EXPECT_TRUE(dup2(ends[1], STDERR_FILENO) >= 0);
    stage_refuse(stage, asked, code);
    EXPECT_TRUE(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    close(ends[1]);
    ssize_t length = read(ends[0], text, sizeof(text));
    close(ends[0]);
    return length;
}

TEST(a_page_that_is_refused_because_the_broker_ends_is_no_failure_to_log) {
    static const enum error_code codes[] = {ERR_DRAINING, ERR_IO};
    for (size_t i = 0; i < ARRAY_COUNT(codes); i++) {
        struct stage stage;
        struct client client;
        stage_init(&stage, 10);
        client_init(&client, &stage, 7, ON_LAG_CATCH_UP, 0);
        stage_turn(&stage);
        ssize_t said = refuse_and_listen(&stage, stage_find_read(&stage, 7), codes[i]);
        EXPECT_EQ(said > 0, codes[i] != ERR_DRAINING);
        stage_turn(&stage);
        EXPECT_EQ(client.failure, codes[i]);
        client_finish(&client);
        stage_finish(&stage);
    }
}

UNIT_TESTS(UNIT(a_stream_goes_from_its_page_to_the_tail_without_a_seam),
           UNIT(readers_of_a_feed_share_a_page),
           UNIT(a_reader_near_the_head_does_not_wait_for_one_far_behind),
           UNIT(a_delete_is_no_message_of_the_limit),
           UNIT(a_reader_that_has_all_it_wanted_is_not_too_slow),
           UNIT(what_was_left_out_at_the_end_of_a_page_is_told_with_the_next_message),
           UNIT(a_reader_that_drops_goes_on_at_the_head),
           UNIT(a_reader_that_a_burst_threw_out_of_the_tail_lags_when_its_socket_is_full),
           UNIT(a_reader_that_was_thrown_out_and_has_all_does_not_lag),
           UNIT(a_reader_of_its_history_may_be_slow),
           UNIT(a_reader_from_now_on_has_no_history_to_be_slow_with),
           UNIT(a_reader_whose_page_filled_its_socket_stands_at_the_head),
           UNIT(a_reader_that_missed_commits_lags_once_something_comes),
           UNIT(a_reader_of_its_history_may_be_slow_in_reach_of_the_tail),
           UNIT(a_reader_that_has_read_its_history_lags_with_what_came_meanwhile),
           UNIT(a_page_of_nothing_makes_no_lag), UNIT(a_reader_lags_once_until_it_has_caught_up),
           UNIT(a_fall_is_counted_once_however_many_pages_it_takes),
           UNIT(a_reader_that_lags_and_must_not_is_told_once),
           UNIT(a_page_that_is_refused_because_the_broker_ends_is_no_failure_to_log))
