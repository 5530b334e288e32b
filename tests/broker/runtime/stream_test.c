/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/stream.h"

#include <stdlib.h>

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
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

/* A reader of `a` behind `position`. Its first page is asked for in the next turn. */
static void client_init(struct client *client, struct stage *stage, uint64_t position,
                        enum on_lag on_lag, uint64_t limit) {
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
        .start = {.start = STORAGE_AFTER_PLACE,
                  .place = {.log_id = 1, .generation = 1, .position = position}},
        .on_failed = on_failed,
        .on_limit = on_limit,
        .context = client};
    EXPECT_EQ(stream_create(&options, &client->stream), OK);
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

TEST(a_reader_lags_once_until_its_socket_takes_bytes_again) {
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

/* --- any order of commits, pages and sockets ------------------------------------------------- */

static uint64_t drawn; /* so that a day can be had again */

/* Knuth's MMIX generator; its upper half is the good one. */
static uint64_t draw(void) {
    drawn = drawn * 6364136223846793005u + 1442695040888963407u;
    return drawn >> 33;
}

#define DAY_MESSAGES 600
#define DAY_CLIENTS 8
#define DAY_CHANNELS 3

/* A log, a worker that sees it late, or not at all, and clients of all kinds on it. */
struct day {
    struct stage stage;
    const char *channels[DAY_MESSAGES + 1]; /* by position */
    uint64_t head;
    struct client clients[DAY_CLIENTS];
    const struct day_reader *readers[DAY_CLIENTS];
    uint64_t starts[DAY_CLIENTS];
};

struct day_reader {
    struct storage_selector selectors[3];
    size_t selector_count;
    enum on_lag on_lag;
};

static const struct day_reader day_readers[] = {
    {{{{(const uint8_t *)"a", 1}, false}}, 1, ON_LAG_CATCH_UP},
    {{{{(const uint8_t *)"*", 1}, true}}, 1, ON_LAG_CATCH_UP},
    {{{{(const uint8_t *)"a", 1}, false}, {{(const uint8_t *)"b", 1}, false}}, 2, ON_LAG_CATCH_UP},
    {{{{(const uint8_t *)"b", 1}, false}, {{(const uint8_t *)"*", 1}, true}}, 2, ON_LAG_CATCH_UP},
    {{{{(const uint8_t *)"a", 1}, false}}, 1, ON_LAG_CONFLATE},
    {{{{(const uint8_t *)"c", 1}, false}, {{(const uint8_t *)"*", 1}, true}}, 2, ON_LAG_CONFLATE},
};

static bool does_select(const struct storage_selector *selectors, size_t count,
                        const char *channel) {
    for (size_t i = 0; i < count; i++) {
        if (selectors[i].is_pattern || span_is_equal(selectors[i].text, span_of_string(channel))) {
            return true;
        }
    }
    return false;
}

static bool is_asked_for(const struct day *day, const struct read *read, uint64_t position) {
    const struct storage_query *query = &read->query;
    struct storage_selector only = {query->channel, false};
    return query->selector_count == 0
               ? does_select(&only, 1, day->channels[position])
               : does_select(query->selectors, query->selector_count, day->channels[position]);
}

/* Something newer on the same channel: nothing has a key. */
static bool is_outdated(const struct day *day, uint64_t position, uint64_t head) {
    for (uint64_t next = position + 1; next <= head; next++) {
        if (day->channels[next] == day->channels[position]) {
            return true;
        }
    }
    return false;
}

/* A page of some messages, as storage_read() found it at some time since it was asked for. */
static void answer_page(struct day *day, struct read *read) {
    struct storage_page *page = &read->page;
    size_t limit = 1 + draw() % 20;
    uint64_t position = read->query.place.position;
    uint64_t head = read->held_bytes + draw() % (day->head - read->held_bytes + 1);
    uint32_t skipped = 0;
    page->messages = calloc(limit, sizeof(struct message *));
    page->skipped = calloc(limit, sizeof(*page->skipped));
    while (position < head && page->count < limit) {
        position++;
        if (!is_asked_for(day, read, position)) {
            continue;
        }
        if (read->query.is_conflated && is_outdated(day, position, head)) {
            skipped++;
            continue;
        }
        page->skipped[page->count] = skipped;
        page->messages[page->count++] =
            stage_create_message(day->channels[position], position, (struct span){0}, 0);
        skipped = 0;
    }
    page->skipped_behind = skipped;
    page->at_head = position >= head;
    page->end = (struct place){.log_id = 1, .generation = 1, .position = position};
    stage_answer_filled(&day->stage, read);
}

static void publish_some(struct day *day) {
    static const char *const names[DAY_CHANNELS] = {"a", "b", "c"};
    for (uint64_t left = draw() % 4; left > 0 && day->head < DAY_MESSAGES; left--) {
        day->channels[++day->head] = names[(draw() % 8) / 3];
    }
    stage_go_on(&day->stage, day->head);
}

/* Some fill a tail, some expire there: the reader has to ask the log. */
static struct message *create_any(const struct day *day, uint64_t position) {
    static const uint8_t large[TAIL_BYTES_MAX / 2];
    bool is_large = draw() % 16 == 0;
    bool is_mortal = draw() % 16 == 0;
    return stage_create_message(day->channels[position], position,
                                span_of(large, is_large ? sizeof(large) : 0), is_mortal ? 1 : 0);
}

/* The worker takes a commit, if there is one; or misses all. */
static void commit_some(struct day *day) {
    struct feeds *feeds = &day->stage.worker.feeds;
    struct message *messages[4];
    size_t count = 0;
    if (draw() % 40 == 0) {
        stage_miss(&day->stage, day->head);
    }
    while (feeds->position + count < day->head && count < 1 + draw() % 4) {
        uint64_t position = feeds->position + count + 1;
        messages[count++] = create_any(day, position);
    }
    if (count > 0) {
        feeds_put(feeds, messages, count, feeds->position + count, 1 + draw() % 2);
    }
    for (size_t i = 0; i < count; i++) {
        message_unref(messages[i]);
    }
}

static void let_socket_take(struct client *client, size_t room) {
    if (client->connection.is_writable_wanted) {
        connection_make_room(&client->connection, room);
        stream_on_writable(client->stream);
    } else {
        client->connection.room = room;
    }
}

static void come(struct day *day, size_t index) {
    struct client *client = &day->clients[index];
    const struct day_reader *reader =
        &day_readers[draw() % (sizeof(day_readers) / sizeof(*day_readers))];
    *client = (struct client){0};
    day->readers[index] = reader;
    day->starts[index] = day->head == 0 ? 0 : draw() % day->head;
    connection_init(&client->connection, &day->stage, draw() % 30);
    struct stream_options options = {
        .connection = &client->connection,
        .selectors = reader->selectors,
        .selector_count = reader->selector_count,
        .framing = &stage_framing,
        .on_lag = reader->on_lag,
        .start = {.start = STORAGE_AFTER_PLACE,
                  .place = {.log_id = 1, .generation = 1, .position = day->starts[index]}},
        .on_failed = on_failed,
        .context = client};
    EXPECT_EQ(stream_create(&options, &client->stream), OK);
}

static void act(struct day *day) {
    struct read *read = NULL;
    size_t index = draw() % DAY_CLIENTS;
    switch (draw() % 6) {
    case 0:
        publish_some(day);
        break;
    case 1:
        commit_some(day);
        break;
    case 2:
        read = stage_find_read(&day->stage, draw() % (day->head + 1));
        if (read != NULL) {
            answer_page(day, read);
        }
        break;
    case 3:
        if (day->clients[index].stream != NULL) {
            let_socket_take(&day->clients[index], draw() % 30);
        }
        break;
    case 4:
        if (day->clients[index].stream == NULL) {
            come(day, index);
        } else if (draw() % 64 == 0) {
            client_finish(&day->clients[index]);
            day->clients[index].stream = NULL;
        }
        break;
    default:
        stage_turn(&day->stage);
        break;
    }
}

/* Everything comes that is under way. */
static void come_to_rest(struct day *day) {
    struct read *read;
    bool is_moving = true;
    while (is_moving) {
        is_moving = day->stage.worker.feeds.position < day->head;
        commit_some(day);
        for (size_t i = 0; i < DAY_CLIENTS; i++) {
            if (day->clients[i].stream != NULL) {
                is_moving |= day->clients[i].connection.is_writable_wanted;
                let_socket_take(&day->clients[i], 1 << 20);
            }
        }
        stage_turn(&day->stage);
        while ((read = stage_find_read(&day->stage, 0)) != NULL) {
            is_moving = true;
            answer_page(day, read);
            stage_turn(&day->stage);
        }
    }
}

static void check_client(struct day *day, size_t index) {
    struct client *client = &day->clients[index];
    const struct day_reader *reader = day->readers[index];
    EXPECT_EQ(buffer_put_byte(&client->connection.sent, 0), OK);
    const char *text = (const char *)client->connection.sent.bytes;
    uint64_t last = day->starts[index];
    while (*text != '\0') {
        char *end = NULL;
        uint64_t skipped = text[0] == '+' ? strtoull(text + 1, &end, 10) : 0;
        uint64_t position = strtoull(end == NULL ? text : end + 1, &end, 10);
        EXPECT_EQ(*end, ',');
        text = end + 1;
        EXPECT_TRUE(position > last);
        while (++last < position) { /* each in between was left out, and counted */
            if (does_select(reader->selectors, reader->selector_count, day->channels[last])) {
                EXPECT_TRUE(skipped > 0);
                skipped--;
            }
        }
        EXPECT_EQ(skipped, 0);
        EXPECT_TRUE(
            does_select(reader->selectors, reader->selector_count, day->channels[position]));
    }
    while (++last <= day->head) {
        EXPECT_FALSE(does_select(reader->selectors, reader->selector_count, day->channels[last]));
    }
}

TEST(whatever_the_order_of_commits_pages_and_sockets_each_message_comes_once) {
    static struct day day;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        drawn = seed;
        day = (struct day){0};
        stage_init(&day.stage, 0);
        while (day.head < DAY_MESSAGES) {
            act(&day);
        }
        come_to_rest(&day);
        for (size_t i = 0; i < DAY_CLIENTS; i++) {
            if (day.clients[i].stream != NULL) {
                check_client(&day, i);
                client_finish(&day.clients[i]);
            }
        }
        stage_finish(&day.stage);
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
           UNIT(a_reader_lags_once_until_its_socket_takes_bytes_again),
           UNIT(a_reader_that_lags_and_must_not_is_told_once),
           UNIT(whatever_the_order_of_commits_pages_and_sockets_each_message_comes_once))
