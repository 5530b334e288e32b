/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/broker/runtime/crowd.h"

#include <stdlib.h>

#define TURNS_MAX 100000

struct crowd crowd;

/* --- in front of broker/runtime and broker/channels ------------------------------------------- */

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size) {
    return crowd.allocation_failing-- == 0 ? NULL : __real_calloc(count, size);
}

struct connection *connections_next(struct worker *worker, const struct connection *connection) {
    struct connection *all = crowd.connections[worker->index];
    size_t index = connection == NULL ? 0 : (size_t)(connection - all) + 1;
    while (index < worker->connection_count && all[index].is_gone) {
        index++;
    }
    return index < worker->connection_count ? &all[index] : NULL;
}

uint64_t connection_id(const struct connection *connection) {
    EXPECT_FALSE(connection->is_gone);
    return connection->id;
}

struct identity *connection_identity(const struct connection *connection) {
    EXPECT_FALSE(connection->is_gone);
    return (struct identity *)connection->identity;
}

void connection_get_client(const struct connection *connection,
                           struct connection_client *ret_client) {
    *ret_client = (struct connection_client){.client_id = connection->client_id,
                                             .unacknowledged = 3,
                                             .unacknowledged_ms = 40,
                                             .is_window_full = true};
}

const char *connection_peer(const struct connection *connection) {
    (void)connection;
    return "192.0.2.1:1000";
}

const char *connection_protocol_name(const struct connection *connection) {
    (void)connection;
    return "mqtt";
}

uint64_t connection_opened_ms(const struct connection *connection) {
    return 5000 + connection->id;
}

uint64_t connection_bytes_sent(const struct connection *connection) {
    return connection->bytes_sent;
}

size_t connection_unsent_bytes(const struct connection *connection) {
    (void)connection;
    return 77;
}

bool connection_is_blocked(const struct connection *connection) {
    (void)connection;
    return true;
}

bool connection_is_closing(const struct connection *connection) {
    return connection->is_closing;
}

void connection_dismiss(struct connection *connection, enum close_reason reason) {
    EXPECT_FALSE(connection->is_closing);
    connection->dismissed = reason;
    connection->is_closing = true;
}

struct stream *stream_next(struct connection *connection, const struct stream *stream) {
    size_t index = stream == NULL ? 0 : (size_t)(stream - connection->streams) + 1;
    return index < connection->stream_count ? &connection->streams[index] : NULL;
}

void stream_get_status(struct stream *stream, struct stream_status *ret_status) {
    *ret_status = (struct stream_status){.subscription = stream->subscription,
                                         .selector_count = stream->selector_count,
                                         .on_lag = ON_LAG_CONFLATE,
                                         .place = {.position = HEAD - stream->behind},
                                         .is_live = stream->is_live,
                                         .lag_messages = 5,
                                         .lag_bytes = 600,
                                         .skipped = 7};
}

uint64_t stream_positions_behind(const struct stream_status *status, uint64_t head) {
    return head - status->place.position;
}

void stream_get_selector(const struct stream *stream, size_t index,
                         struct storage_selector *ret_selector) {
    EXPECT_TRUE(index < stream->selector_count);
    *ret_selector = stream->selectors[index];
}

uint64_t log_position_readable(const struct log *log) {
    (void)log;
    return HEAD;
}

size_t crowd_count_readers(size_t worker, struct span channel) {
    size_t sum = worker;
    for (size_t i = 0; i < channel.length; i++) {
        sum += channel.bytes[i];
    }
    return sum;
}

size_t feeds_count_readers(const struct feeds *feeds, struct span channel) {
    const struct worker *worker = CONTAINER_OF(feeds, struct worker, feeds);
    return crowd_count_readers(worker->index, channel);
}

/* --- what a test does ------------------------------------------------------------------------- */

int crowd_begin(void **state) {
    (void)state;
    memset(&crowd, 0, sizeof(crowd));
    crowd.allocation_failing = SIZE_MAX;
    crowd.broker.workers = crowd.pointers;
    crowd.broker.worker_count = WORKERS;
    crowd.broker.started_ms = 1000000;
    crowd.broker.started_monotonic_ms = 4000;
    atomic_store(&crowd.broker.connection_id_next, 1);
    EXPECT_EQ(mailbox_init(&crowd.mailbox, 2), OK);
    for (size_t i = 0; i < WORKERS; i++) {
        struct worker *worker = &crowd.workers[i];
        crowd.pointers[i] = worker;
        worker->broker = &crowd.broker;
        worker->index = i;
        list_init(&worker->surveys);
        EXPECT_EQ(mailbox_init(&worker->mailbox, SURVEYS_MAX), OK);
    }
    return 0;
}

int crowd_end(void **state) {
    (void)state;
    survey_destroy(crowd.survey);
    EXPECT_EQ(crowd.broker.survey_count, 0);
    for (size_t i = 0; i < WORKERS; i++) {
        EXPECT_TRUE(list_is_empty(&crowd.workers[i].surveys));
        mailbox_finish(&crowd.workers[i].mailbox);
    }
    mailbox_finish(&crowd.mailbox);
    return 0;
}

struct connection *crowd_come(size_t index) {
    struct worker *worker = &crowd.workers[index];
    EXPECT_TRUE(worker->connection_count < CROWD_MAX);
    struct connection *connection = &crowd.connections[index][worker->connection_count++];
    connection->worker = worker;
    connection->id = atomic_fetch_add(&crowd.broker.connection_id_next, 1);
    return connection;
}

void crowd_go(struct connection *connection) {
    surveys_on_gone(connection->worker, connection);
    connection->is_gone = true;
}

struct stream *connection_read(struct connection *connection,
                               const struct storage_selector *selectors, size_t selector_count,
                               uint64_t behind) {
    EXPECT_TRUE(connection->stream_count < STREAMS_MAX);
    struct stream *stream = &connection->streams[connection->stream_count++];
    *stream = (struct stream){.selectors = selectors,
                              .selector_count = selector_count,
                              .subscription = connection->stream_count,
                              .behind = behind};
    return stream;
}

struct stream *connection_read_channel(struct connection *connection, const char *channel,
                                       uint64_t behind) {
    struct stream *stream = connection_read(connection, NULL, 1, behind);
    stream->own = (struct storage_selector){span_of_string(channel), false};
    stream->selectors = &stream->own;
    return stream;
}

static void on_answered(void *context, struct survey *survey) {
    EXPECT_TRUE(context == &crowd);
    EXPECT_NULL(crowd.survey);
    crowd.answered_count++;
    crowd.survey = survey;
}

enum error_code crowd_begin_asking(const struct survey_question *question) {
    return survey_ask(&crowd.broker, question, &crowd.mailbox, on_answered, &crowd);
}

void crowd_turn(size_t index) {
    mailbox_deliver_all(&crowd.workers[index].mailbox, &crowd.workers[index]);
}

void crowd_turn_all(void) {
    size_t turns = 0;
    for (size_t i = 0; i < WORKERS; i++) {
        for (; !mailbox_is_empty(&crowd.workers[i].mailbox); turns++) {
            EXPECT_TRUE(turns < TURNS_MAX);
            crowd_turn(i);
        }
    }
    mailbox_deliver_all(&crowd.mailbox, NULL);
}

const struct survey_answer *crowd_ask(const struct survey_question *question) {
    survey_destroy(crowd.survey);
    crowd.survey = NULL;
    EXPECT_EQ(crowd_begin_asking(question), OK);
    crowd_turn_all();
    EXPECT_NOT_NULL(crowd.survey);
    return survey_answer(crowd.survey);
}
