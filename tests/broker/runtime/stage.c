/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/broker/runtime/stage.h"

#include <stdlib.h>

#include "broker/delivery/reader.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "tests/unit.h"

struct log {
    uint64_t position_readable;
};

struct reads {
    struct list asked;
    const struct log *log;
};

/* --- the log and the read threads ------------------------------------------------------------ */

uint64_t log_position_readable(const struct log *log) {
    return log->position_readable;
}

uint64_t log_id(const struct log *log) {
    (void)log;
    return 1;
}

uint32_t log_generation(const struct log *log) {
    (void)log;
    return 1;
}

void reads_submit(struct reads *reads, struct read *read) {
    read->page = (struct storage_page){0};
    read->result = OK;
    read->held_bytes = reads->log->position_readable;
    list_init(&read->in_queue);
    list_put_tail(&reads->asked, &read->in_queue);
}

void reads_release(struct reads *reads, struct read *read) {
    (void)reads;
    storage_page_finish(&read->page);
}

/* --- the socket ------------------------------------------------------------------------------ */

void connection_init(struct connection *connection, struct stage *stage, size_t room) {
    uint64_t id = atomic_fetch_add(&stage->broker.connection_id_next, 1);
    *connection = (struct connection){.worker = &stage->worker, .id = id, .room = room};
    list_put_tail(&stage->worker.connections, &connection->in_worker);
    list_init(&connection->streams);
    buffer_init(&connection->sent, FRAME_BYTES_MAX);
}

void connection_finish(struct connection *connection) {
    EXPECT_TRUE(list_is_empty(&connection->streams));
    list_remove(&connection->in_worker);
    buffer_finish(&connection->sent);
}

struct worker *connection_worker(const struct connection *connection) {
    return connection->worker;
}

struct list *connection_streams(struct connection *connection) {
    return &connection->streams;
}

struct identity *connection_identity(const struct connection *connection) {
    (void)connection;
    return NULL;
}

const char *connection_peer(const struct connection *connection) {
    (void)connection;
    return "peer";
}

void connection_get_client(const struct connection *connection,
                           struct connection_client *ret_client) {
    (void)connection;
    *ret_client = (struct connection_client){0};
}

const char *connection_protocol_name(const struct connection *connection) {
    (void)connection;
    return "stage";
}

uint64_t connection_id(const struct connection *connection) {
    return connection->id;
}

struct connection *connections_next(struct worker *worker, const struct connection *connection) {
    struct list *node = connection == NULL ? worker->connections.next : connection->in_worker.next;
    return node == &worker->connections ? NULL : CONTAINER_OF(node, struct connection, in_worker);
}

bool connection_is_blocked(const struct connection *connection) {
    return connection->is_full || connection->is_kept;
}

void connection_want_writable(struct connection *connection) {
    connection->is_writable_wanted = true;
}

size_t connection_send(struct connection *connection, struct span bytes) {
    if (connection_is_blocked(connection) || bytes.length == 0) {
        return 0;
    }
    size_t length = bytes.length < connection->room ? bytes.length : connection->room;
    EXPECT_EQ(buffer_put(&connection->sent, span_of(bytes.bytes, length)), OK);
    connection->room -= length;
    connection->send_count += length > 0;
    if (length < bytes.length) {
        connection->is_full = true;
        connection->is_writable_wanted = true;
    }
    return length;
}

void connection_make_room(struct connection *connection, size_t room) {
    connection->room = room;
    connection->is_full = false;
    connection->is_kept = false;
    connection->is_writable_wanted = false;
}

void connection_keep(struct connection *connection, struct span rest) {
    EXPECT_EQ(buffer_put(&connection->sent, rest), OK);
    connection->is_kept = true;
    connection->is_writable_wanted = true;
}

void connection_write(struct connection *connection, struct span bytes) {
    EXPECT_EQ(buffer_put(&connection->sent, bytes), OK);
}

struct buffer *worker_borrow_scratch(struct worker *worker) {
    buffer_clear(&worker->borrowed);
    return &worker->borrowed;
}

struct mailbox *worker_mailbox(struct worker *worker) {
    return &worker->mailbox;
}

/* --- the stage ------------------------------------------------------------------------------- */

void stage_init(struct stage *stage, uint64_t position) {
    *stage = (struct stage){.log = calloc(1, sizeof(struct log)),
                            .reads = calloc(1, sizeof(struct reads))};
    struct worker *worker = &stage->worker;
    stage->log->position_readable = position;
    list_init(&stage->reads->asked);
    stage->reads->log = stage->log;
    stage->broker.log = stage->log;
    stage->broker.reads = stage->reads;
    worker->broker = &stage->broker;
    owner_claim(&worker->owner);
    EXPECT_EQ(metrics_create(1, &stage->broker.metrics), OK);
    worker->metrics = metrics_shard(stage->broker.metrics, METRICS_WORKERS);
    EXPECT_EQ(mailbox_init(&worker->mailbox, MAILBOX_NODES_MAX), OK);
    EXPECT_EQ(feeds_init(&worker->feeds, position), OK);
    wheel_init(&worker->wheel, 0);
    list_init(&worker->due);
    list_init(&worker->connections);
    list_init(&worker->watches);
    gather_init(&worker->gather, 4096);
    sheaf_init(&worker->sheaf, 4096);
    buffer_init(&worker->borrowed, FRAME_BYTES_MAX);
    hand_init(&worker->hand);
}

void stage_finish(struct stage *stage) {
    struct worker *worker = &stage->worker;
    struct read *read;
    while ((read = stage_find_read(stage, 0)) != NULL) {
        stage_answer(stage, read, 0, 0, 0, true);
    }
    while (mailbox_deliver_all(&worker->mailbox, worker) > 0) {
        /* what they lead to */
    }
    feeds_finish(&worker->feeds);
    wheel_finish(&worker->wheel);
    gather_finish(&worker->gather);
    sheaf_finish(&worker->sheaf);
    buffer_finish(&worker->borrowed);
    hand_finish(&worker->hand);
    mailbox_finish(&worker->mailbox);
    metrics_destroy(stage->broker.metrics);
    free(stage->reads);
    free(stage->log);
}

static struct message *create(const struct message_fields *fields, uint64_t position) {
    struct message *message = message_create(fields);
    struct place place = {
        .log_id = 1, .generation = 1, .position = position, .channel_id = 1, .offset = position};
    message_order(message, &place, 1);
    return message;
}

struct message *stage_create_message(const char *channel, uint64_t position, struct span payload,
                                     uint64_t ttl_ms) {
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .channel = span_of_string(channel),
                                    .payload = payload,
                                    .ttl_ms = ttl_ms};
    return create(&fields, position);
}

static void commit(struct stage *stage, const char *channel, enum message_kind kind,
                   struct span payload) {
    uint64_t position = ++stage->log->position_readable;
    struct message_fields fields = {
        .kind = kind, .channel = span_of_string(channel), .payload = payload};
    struct message *message = create(&fields, position);
    feeds_put(&stage->worker.feeds, &message, 1, position, 1);
    message_unref(message);
}

void stage_publish(struct stage *stage, const char *channel) {
    commit(stage, channel, MESSAGE_DATA, (struct span){0});
}

void stage_delete(struct stage *stage, const char *channel, uint64_t from, uint64_t to) {
    uint8_t payload[MESSAGE_DELETE_BYTES];
    message_put_deleted(from, to, payload);
    commit(stage, channel, MESSAGE_DELETE, span_of(payload, sizeof(payload)));
}

void stage_go_on(struct stage *stage, uint64_t position) {
    stage->log->position_readable = position;
}

void stage_miss(struct stage *stage, uint64_t position) {
    stage->log->position_readable = position;
    readers_cut(&stage->worker.feeds, position);
}

void stage_turn(struct stage *stage) {
    struct worker *worker = &stage->worker;
    mailbox_deliver_all(&worker->mailbox, worker);
    readers_touch(&worker->feeds);
    while (!streams_flush_due(worker)) {
        /* a slice */
    }
}

/* --- pages ----------------------------------------------------------------------------------- */

size_t stage_count_reads(const struct stage *stage) {
    size_t count = 0;
    LIST_EACH(&stage->reads->asked, node) {
        count++;
    }
    return count;
}

struct read *stage_find_read(const struct stage *stage, uint64_t position) {
    LIST_EACH(&stage->reads->asked, node) {
        struct read *read = CONTAINER_OF(node, struct read, in_queue);
        if (read->query.place.position >= position) {
            return read;
        }
    }
    return NULL;
}

static void fill_page(struct storage_page *page, uint64_t first, uint64_t last) {
    page->messages = calloc(last - first + 1, sizeof(struct message *));
    for (uint64_t position = first; position <= last; position++) {
        page->messages[page->count++] = stage_create_message("a", position, (struct span){0}, 0);
    }
}

void stage_answer(struct stage *stage, struct read *read, uint64_t first, uint64_t last,
                  uint64_t end, bool at_head) {
    (void)stage;
    struct storage_page *page = &read->page;
    list_remove(&read->in_queue);
    if (first > 0) {
        fill_page(page, first, last);
    }
    page->start = read->query.place;
    page->end = (struct place){
        .log_id = 1, .generation = 1, .position = end, .channel_id = 1, .offset = last};
    page->at_head = at_head;
    read->on_read(read);
}

void stage_answer_filled(struct stage *stage, struct read *read) {
    (void)stage;
    list_remove(&read->in_queue);
    read->page.start = read->query.place;
    read->on_read(read);
}

void stage_answer_skipped(struct stage *stage, struct read *read, uint64_t end, uint32_t skipped) {
    read->page.skipped_behind = skipped;
    stage_answer(stage, read, 0, 0, end, true);
}

void stage_refuse(struct stage *stage, struct read *read, enum error_code code) {
    (void)stage;
    list_remove(&read->in_queue);
    read->result = code;
    read->on_read(read);
}

/* --- frames ---------------------------------------------------------------------------------- */

static enum error_code put_offset(struct buffer *buffer, const struct message *message,
                                  const struct frame_options *options) {
    if (options->skipped > 0) {
        return buffer_printf(buffer, "+%llu:%llu,", (unsigned long long)options->skipped,
                             (unsigned long long)message->place.offset);
    }
    return buffer_printf(buffer, "%llu,", (unsigned long long)message->place.offset);
}

static enum error_code put_gap(struct buffer *buffer, const struct storage_gap *gap,
                               const struct frame_options *options) {
    (void)gap;
    (void)options;
    return buffer_put(buffer, SPAN("gap,"));
}

const struct framing stage_framing = {
    .name = "sse", .slot = 0, .put_message = put_offset, .put_gap = put_gap};
