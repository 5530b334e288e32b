/* SPDX-License-Identifier: Apache-2.0 */
/* A stream moves through three ways of getting frames, always forward from reader.place:
 *
 *     resolve   the first page answers where `since` lies, and brings what follows it
 *     log       pages from the read threads, one at a time, while the tail does not reach back
 *     live      the feed's run of frames, in the turn in which its messages came
 *
 * What the socket does not take of a page or a run is let go: the frame that was cut is kept by the
 * connection, everything behind it is read again when the socket takes bytes. */
#include "broker/runtime/stream.h"

#include <stdlib.h>

#include "broker/delivery/reader.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/reads.h"
#include "broker/runtime/worker_private.h"
#include "broker/support/clock.h"
#include "broker/support/logger.h"

#define STREAMS_BETWEEN_CLOCKS 16

/* A page that is asked for; outlives a stream that ends meanwhile. */
struct page_read {
    struct read read;
    struct stream *stream; /* NULL: ended */
    struct reads *reads;
    uint8_t channel[CHANNEL_NAME_BYTES_MAX];
};

struct stream {
    struct reader reader;
    struct list in_due;
    struct list in_connection;
    struct worker *worker;
    struct connection *connection;
    const struct framing *framing;
    void (*on_started)(void *context, const struct place *place);
    void (*on_failed)(void *context, enum error_code code);
    void *context;
    struct storage_query *start; /* NULL once it is resolved: an idle reader is small */
    struct page_read *page_read; /* NULL: none is under way */
    enum metrics_protocol counted_as;
    enum error_code failure; /* not OK: told at the next flush, and nothing is sent any more */
};

static void on_page(struct read *read);

/* --- due ------------------------------------------------------------------------------------ */

static void become_due(struct stream *stream) {
    list_remove(&stream->in_due);
    list_put_tail(&stream->worker->due, &stream->in_due);
}

void streams_on_touched(struct worker *worker) {
    struct list *node;
    while ((node = list_take_head(&worker->feeds.touched)) != NULL) {
        struct feed *feed = CONTAINER_OF(node, struct feed, in_touched);
        LIST_EACH(&feed->readers, member) {
            struct reader *reader = CONTAINER_OF(member, struct reader, in_feed);
            struct stream *stream = CONTAINER_OF(reader, struct stream, reader);
            if (stream->page_read == NULL && list_is_empty(&stream->in_due)) {
                list_put_tail(&worker->due, &stream->in_due);
            }
        }
    }
}

/* --- sending -------------------------------------------------------------------------------- */

/* Sends a run; returns how many frames left or are on their way. */
static size_t send_run(struct stream *stream, const struct run *run) {
    struct connection *connection = stream->connection;
    struct metrics_shard *metrics = stream->worker->metrics;
    size_t sent = connection_send(connection, run->bytes);
    struct span rest;
    size_t count = run_count_sent(run, sent, &rest);
    if (rest.length > 0) {
        connection_keep(connection, rest);
        count++;
    }
    metrics_add_at(metrics, METRIC_DELIVERIES, stream->counted_as, count);
    metrics_add_at(metrics, METRIC_DELIVERED_BYTES, stream->counted_as, sent + rest.length);
    return count;
}

/* The protocol is told from flush(), where nothing below touches the stream any more: it may
 * destroy it at once. */
static void fail(struct stream *stream, enum error_code code) {
    INVARIANT(code != OK);
    stream->failure = code;
    become_due(stream);
}

/* --- the log -------------------------------------------------------------------------------- */

static void ask_for_page(struct stream *stream) {
    if (stream->page_read != NULL || stream->failure != OK) {
        return;
    }
    struct page_read *page_read = malloc(sizeof(*page_read));
    if (page_read == NULL) {
        fail(stream, ERR_MEMORY);
        return;
    }
    struct span channel = feed_channel(stream->reader.feed);
    INVARIANT(channel.length <= sizeof(page_read->channel));
    memcpy(page_read->channel, channel.bytes, channel.length);
    page_read->stream = stream;
    page_read->reads = stream->worker->broker->reads;
    page_read->read = (struct read){
        .reply_to = worker_mailbox(stream->worker), .on_read = on_page, .context = page_read};
    struct storage_query *query = &page_read->read.query;
    if (stream->start != NULL) {
        *query = *stream->start;
    } else {
        query->start = STORAGE_AFTER_PLACE;
        query->place = stream->reader.place;
        metrics_add(stream->worker->metrics, METRIC_CATCH_UP_READS, 1);
    }
    query->channel = span_of(page_read->channel, channel.length);
    query->limit = CATCH_UP_PAGE_MESSAGES_MAX;
    query->bytes_max = CATCH_UP_PAGE_BYTES_MAX;
    stream->page_read = page_read;
    reads_submit(stream->worker->broker->reads, &page_read->read);
}

/* Frames all messages of a page from `index` on that fit one write, and sends them. Returns how
 * many left; 0: the socket takes nothing, or the stream failed. */
static size_t send_page_part(struct stream *stream, const struct storage_page *page, size_t index) {
    struct frames *scratch = &stream->worker->scratch;
    frames_clear(scratch, index, 0);
    size_t next = index;
    enum error_code code = OK;
    while (code == OK && next < page->count && scratch->buffer.length < WRITE_BYTES_MAX) {
        code = frames_put(scratch, stream->framing, page->messages[next++], 0);
    }
    if (scratch->count == 0) {
        fail(stream, code);
        return 0;
    }
    struct run run = frames_borrow_run(scratch, index, FRAME_BYTES_MAX);
    size_t count = send_run(stream, &run);
    if (count > 0) {
        stream->reader.place = page->messages[index + count - 1]->place;
    }
    return count;
}

static void tell_gap(struct stream *stream, const struct storage_page *page) {
    struct buffer *scratch = worker_borrow_scratch(stream->worker);
    struct storage_query query = {.channel = feed_channel(stream->reader.feed)};
    struct frame_options options = {0};
    struct storage_gap gap;
    size_t index = 0;
    if (storage_page_next_gap(page, &query, &index, &gap) &&
        stream->framing->put_gap(scratch, &gap, &options) != OK) {
        fail(stream, ERR_MEMORY);
        return;
    }
    metrics_add_at(stream->worker->metrics, METRIC_GAPS, page->gap.reason, 1);
    connection_write(stream->connection, buffer_borrow(scratch));
}

/* Sends as much of the page as the socket takes. True: all of it left. */
static bool send_page(struct stream *stream, const struct storage_page *page) {
    if (page->has_gap) {
        tell_gap(stream, page);
    }
    stream->reader.place = page->start;
    size_t index = 0;
    while (index < page->count && stream->failure == OK &&
           !connection_is_blocked(stream->connection)) {
        index += send_page_part(stream, page, index);
    }
    if (index < page->count) {
        return false;
    }
    stream->reader.place = page->end;
    return true;
}

static void note_newest(struct stream *stream, const struct storage_page *page) {
    struct feed *feed = stream->reader.feed;
    /* A page that was read before commits were missed knows less than the feed's floor. */
    if (page->at_head && feed->newest.position == 0 &&
        page->end.position >= feed->tail.floor_position) {
        feed->newest = page->end; /* what a later reader from `now` on starts at */
    }
}

static void resolve(struct stream *stream, const struct storage_page *page) {
    if (stream->start == NULL) {
        return;
    }
    free(stream->start);
    stream->start = NULL;
    stream->reader.place = page->start;
    if (stream->on_started != NULL && !page->has_gap) {
        stream->on_started(stream->context, &page->start);
    }
}

static void take_page(struct stream *stream, const struct read *read) {
    if (read->result != OK) {
        log_warning("READ_FAILED", "code=%s detail=\"%s\"", error_row(read->result)->slug,
                    read->why.detail);
        fail(stream, read->result);
        return;
    }
    metrics_add(stream->worker->metrics, METRIC_PAGES_READ, 1);
    note_newest(stream, &read->page);
    if (connection_is_blocked(stream->connection)) {
        /* The page is let go whole, and asked for again: its gap, if any, is told with it. */
        connection_want_writable(stream->connection);
        return;
    }
    resolve(stream, &read->page);
    if (send_page(stream, &read->page)) {
        become_due(stream);
    } else {
        connection_want_writable(stream->connection);
    }
}

static void on_page(struct read *read) {
    struct page_read *page_read = CONTAINER_OF(read, struct page_read, read);
    if (page_read->stream != NULL) {
        page_read->stream->page_read = NULL;
        take_page(page_read->stream, read);
    }
    reads_release(page_read->reads, read);
    free(page_read);
}

/* --- live ----------------------------------------------------------------------------------- */

/* Sends what the tail has. ERR_AGAIN: the log has to be read. */
static enum error_code send_live(struct stream *stream) {
    struct connection *connection = stream->connection;
    while (reader_is_due(&stream->reader) && !connection_is_blocked(connection)) {
        struct run run;
        enum error_code code =
            reader_borrow_run(&stream->reader, stream->framing, &stream->worker->scratch, &run);
        if (code != OK) {
            return code;
        }
        reader_advance(&stream->reader, send_run(stream, &run));
    }
    return OK;
}

static void flush(struct stream *stream) {
    if (stream->failure != OK) {
        stream->on_failed(stream->context, stream->failure);
        return;
    }
    if (stream->page_read != NULL || connection_is_blocked(stream->connection)) {
        return;
    }
    if (stream->start != NULL || (!stream->reader.is_live && !reader_join_live(&stream->reader))) {
        ask_for_page(stream);
        return;
    }
    enum error_code code = send_live(stream);
    if (code == ERR_AGAIN) {
        ask_for_page(stream);
    } else if (code != OK) {
        fail(stream, code);
    }
}

bool streams_flush_due(struct worker *worker) {
    uint64_t until_us = clock_monotonic_us() + FAN_OUT_SLICE_US;
    size_t count = 0;
    struct list *node;
    while ((node = list_take_head(&worker->due)) != NULL) {
        flush(CONTAINER_OF(node, struct stream, in_due));
        if (++count % STREAMS_BETWEEN_CLOCKS == 0 && clock_monotonic_us() >= until_us) {
            break;
        }
    }
    return list_is_empty(&worker->due);
}

/* --- the calls ------------------------------------------------------------------------------ */

/* `now` on a feed whose channel is known needs no disk, where the worker has seen all that is
 * readable: else what was answered a moment ago would still come. */
static void try_resolve_now(struct stream *stream) {
    const struct feed *feed = stream->reader.feed;
    uint64_t position = feed->feeds->position;
    if (stream->start->start != STORAGE_NOW || feed->newest.position == 0 ||
        position != log_position_readable(stream->worker->broker->log)) {
        return;
    }
    struct storage_page page = {.start = feed->newest};
    page.start.position = position;
    resolve(stream, &page);
}

/* `now` is when the reader was let in, not when a read thread gets to it: what is published after
 * the client saw its handshake answered is for it. */
static void pin_now(struct stream *stream) {
    struct storage_query *start = stream->start;
    const struct log *log = stream->worker->broker->log;
    if (start != NULL && start->start == STORAGE_NOW) {
        start->start = STORAGE_AFTER_PLACE;
        start->place = (struct place){.log_id = log_id(log),
                                      .generation = log_generation(log),
                                      .position = log_position_readable(log)};
    }
}

static enum error_code allocate(const struct stream_options *options, struct stream **ret_stream,
                                struct feed **ret_feed) {
    struct worker *worker = connection_worker(options->connection);
    struct stream *stream = calloc(1, sizeof(*stream));
    struct storage_query *start = malloc(sizeof(*start));
    struct feed *feed = feeds_get(&worker->feeds, options->selectors[0].text);
    if (stream == NULL || start == NULL || feed == NULL) {
        free(stream);
        free(start);
        if (feed != NULL) {
            feed_release(feed);
        }
        return ERR_MEMORY;
    }
    *start = options->start;
    stream->start = start;
    *ret_stream = stream;
    *ret_feed = feed;
    return OK;
}

enum error_code stream_create(const struct stream_options *options, struct stream **ret_stream) {
    struct worker *worker = connection_worker(options->connection);
    struct stream *stream = NULL;
    struct feed *feed = NULL;
    OWNER_CHECK(worker);
    INVARIANT(options->on_failed != NULL);
    if (allocate(options, &stream, &feed) != OK) {
        return ERR_MEMORY;
    }
    stream->worker = worker;
    stream->connection = options->connection;
    stream->framing = options->framing;
    stream->on_started = options->on_started;
    stream->on_failed = options->on_failed;
    stream->context = options->context;
    list_init(&stream->in_due);
    list_put_tail(connection_streams(options->connection), &stream->in_connection);
    reader_init(&stream->reader, feed);
    stream->counted_as = metrics_find_protocol(options->framing->name);
    metrics_add_at(worker->metrics, METRIC_READERS_OPEN, stream->counted_as, 1);
    metrics_add_at(worker->metrics, METRIC_READERS_OPENED, stream->counted_as, 1);
    *ret_stream = stream;
    try_resolve_now(stream);
    pin_now(stream);
    become_due(stream);
    return OK;
}

void stream_destroy(struct stream *stream) {
    if (stream == NULL) {
        return;
    }
    OWNER_CHECK(stream->worker);
    if (stream->page_read != NULL) {
        stream->page_read->stream = NULL;
    }
    metrics_sub_at(stream->worker->metrics, METRIC_READERS_OPEN, stream->counted_as, 1);
    list_remove(&stream->in_due);
    list_remove(&stream->in_connection);
    reader_finish(&stream->reader);
    free(stream->start);
    free(stream);
}

void stream_on_writable(struct stream *stream) {
    become_due(stream);
}

void stream_get_place(const struct stream *stream, struct place *ret_place) {
    if (stream->start != NULL) {
        *ret_place = (struct place){0};
        return;
    }
    reader_get_place(&stream->reader, ret_place);
}

void stream_get_status(const struct stream *stream, struct stream_status *ret_status) {
    (void)stream;
    *ret_status = (struct stream_status){0};
}

struct stream *stream_next(struct connection *connection, const struct stream *stream) {
    struct list *streams = connection_streams(connection);
    struct list *node = stream == NULL ? streams->next : stream->in_connection.next;
    return node == streams ? NULL : CONTAINER_OF(node, struct stream, in_connection);
}
