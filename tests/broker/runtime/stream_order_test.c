/* SPDX-License-Identifier: Apache-2.0 */
/* Streams under any order of commits, pages and sockets. */
#include "broker/runtime/stream.h"

#include <stdlib.h>

#include "broker/limits.h"
#include "tests/broker/runtime/stage.h"
#include "tests/unit.h"

struct client {
    struct connection connection;
    struct stream *stream; /* NULL: it has not come, or is gone */
    bool has_window;
    uint64_t room;   /* of its window, if it has one */
    size_t prepared; /* frames of the last run … */
    size_t left;     /* … and those that left, ever */
};

static void on_failed(void *context, enum error_code code) {
    (void)context;
    EXPECT_EQ(code, OK);
}

static void client_finish(struct client *client) {
    stream_destroy(client->stream);
    client->stream = NULL;
    connection_finish(&client->connection);
}

static uint64_t drawn; /* so that a day can be had again */

/* Knuth's MMIX generator; its upper half is the good one. */
static uint64_t draw(void) {
    drawn = drawn * 6364136223846793005u + 1442695040888963407u;
    return drawn >> 33;
}

#define DAY_MESSAGES 600
#define DAY_CLIENTS 8
#define DAY_CHANNELS 3

/* --- windows --------------------------------------------------------------------------------- */

static uint64_t get_room(void *context) {
    return ((struct client *)context)->room;
}

/* Each frame stands beside what it tells. Some are held back. */
static size_t prepare(void *context, uint8_t *bytes, const uint32_t *ends,
                      const struct stream_item *items, size_t count) {
    struct client *client = context;
    EXPECT_TRUE(count <= client->room);
    for (size_t i = 0; i < count; i++) {
        const char *text = (const char *)bytes + (i == 0 ? 0 : ends[i - 1]);
        const char *colon = memchr(text, ':', ends[i] - (i == 0 ? 0 : ends[i - 1]));
        EXPECT_EQ(strtoull(colon == NULL ? text : colon + 1, NULL, 10), items[i].place.position);
    }
    client->prepared = draw() % 4 == 0 ? draw() % (count + 1) : count;
    return client->prepared;
}

static void on_left(void *context, const struct stream_item *items, size_t count) {
    struct client *client = context;
    (void)items;
    EXPECT_TRUE(count <= client->prepared);
    client->left += count;
    client->room -= count;
}

static const struct stream_window window = {
    .get_room = get_room, .prepare = prepare, .on_left = on_left};

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
    size_t limit = 1 + draw() % (read->query.limit < 20 ? read->query.limit : 20);
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
    client->room = room / 4;
    if (client->connection.is_writable_wanted) {
        connection_make_room(&client->connection, room);
        stream_on_writable(client->stream);
    } else {
        client->connection.room = room;
        if (client->has_window) {
            stream_on_writable(client->stream);
        }
    }
}

static void come(struct day *day, size_t index) {
    struct client *client = &day->clients[index];
    const struct day_reader *reader = &day_readers[draw() % ARRAY_COUNT(day_readers)];
    *client = (struct client){.has_window = draw() % 2 == 0};
    day->readers[index] = reader;
    day->starts[index] = day->head == 0 ? 0 : draw() % day->head;
    connection_init(&client->connection, &day->stage, draw() % 30);
    struct stream_options options = {
        .connection = &client->connection,
        .selectors = reader->selectors,
        .selector_count = reader->selector_count,
        .framing = &stage_framing,
        .on_lag = reader->on_lag,
        .window = client->has_window ? &window : NULL,
        .context = client,
        .start = {.start = STORAGE_AFTER_PLACE,
                  .place = {.log_id = 1, .generation = 1, .position = day->starts[index]}},
        .on_failed = on_failed};
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
                struct stream_status status;
                stream_get_status(day->clients[i].stream, &status);
                is_moving |= day->clients[i].connection.is_writable_wanted || !status.is_live ||
                             status.lag_messages > 0;
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
    size_t count = 0;
    while (*text != '\0') {
        char *end = NULL;
        uint64_t skipped = text[0] == '+' ? strtoull(text + 1, &end, 10) : 0;
        uint64_t position = strtoull(end == NULL ? text : end + 1, &end, 10);
        EXPECT_EQ(*end, ',');
        text = end + 1;
        count++;
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
    EXPECT_EQ(client->has_window ? client->left : count, count);
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

UNIT_TESTS(UNIT(whatever_the_order_of_commits_pages_and_sockets_each_message_comes_once))
