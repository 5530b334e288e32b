/* SPDX-License-Identifier: Apache-2.0 */
/* A stream moves through three ways of getting frames, always forward from reader.place:
 *
 *     resolve   the first page answers where `since` lies, and brings what follows it
 *     log       pages from the read threads, one at a time, while the tails do not reach back
 *     live      the feeds' runs of frames, in the turn in which their messages came
 *
 * What the socket does not take of a page or a run is let go: the frame that was cut is kept by the
 * connection, everything behind it is read again when the socket takes bytes.
 *
 * A live reader lags when its socket is blocked (the send budget is used up) and a tail has more
 * for it. Then its policy decides: `catch_up` waits; `conflate` and `drop` leave the tails and ask
 * the log, for a page without what is no longer the newest, or for the head and what was passed
 * over; `disconnect` ends it. One that still reads its history is not lagging, but for `conflate`,
 * which any blocked reader does. */
#include "broker/runtime/stream.h"

#include <stdlib.h>

#include "broker/delivery/reader.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/rider.h"
#include "broker/runtime/worker_private.h"
#include "broker/support/clock.h"
#include "broker/support/logger.h"

#define STREAMS_BETWEEN_CLOCKS 16

enum lag { LAG_NONE, LAG_CONFLATES, LAG_DROPS };

struct stream {
    struct reader reader;
    struct list in_due;
    struct list in_connection;
    struct rider rider;
    struct worker *worker;
    struct connection *connection;
    const struct framing *framing;
    void (*on_started)(void *context, const struct place *place);
    void (*on_failed)(void *context, enum error_code code);
    void (*on_limit)(void *context, const struct place *place);
    void *context;
    struct storage_query *start; /* NULL once it is resolved: an idle reader is small */
    uint64_t subscription;
    uint64_t limit_left;    /* messages; UINT64_MAX: without end */
    uint64_t skipped;       /* left out since the last envelope … */
    uint64_t skipped_total; /* … and ever */
    enum metrics_protocol counted_as;
    enum error_code failure; /* not OK: told at the next flush, and nothing is sent any more */
    enum on_lag on_lag;
    enum lag lag;
    bool has_been_live; /* it has read its history, and may lag from then on */
    bool is_lagging;    /* counted, until it has caught up */
};

/* --- due ------------------------------------------------------------------------------------ */

static void become_due(struct stream *stream) {
    list_remove(&stream->in_due);
    list_put_tail(&stream->worker->due, &stream->in_due);
}

static void on_touched(struct reader *reader) {
    struct stream *stream = CONTAINER_OF(reader, struct stream, reader);
    if (!rider_is_waiting(&stream->rider) && list_is_empty(&stream->in_due)) {
        list_put_tail(&stream->worker->due, &stream->in_due);
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

/* So many messages of the run left. */
static void use_up(struct stream *stream, size_t count) {
    if (stream->limit_left != UINT64_MAX) {
        INVARIANT(count <= stream->limit_left);
        stream->limit_left -= count;
    }
}

/* The protocol is told from flush(), where nothing below touches the stream any more: it may
 * destroy it at once. */
static void fail(struct stream *stream, enum error_code code) {
    INVARIANT(code != OK);
    stream->failure = code;
    become_due(stream);
}

/* --- lagging -------------------------------------------------------------------------------- */

static void note_too_slow(const struct stream *stream) {
    uint64_t newest = log_position_readable(stream->worker->broker->log);
    uint64_t position = stream->reader.place.position;
    log_event(READER_TOO_SLOW, .peer = connection_peer(stream->connection),
              .protocol = connection_protocol_name(stream->connection),
              .channels = stream->reader.link_count,
              .positions = newest > position ? newest - position : 0);
}

static void count_lag(struct stream *stream) {
    if (!stream->is_lagging) {
        stream->is_lagging = true;
        metrics_add_at(stream->worker->metrics, METRIC_READERS_LAGGED, stream->on_lag, 1);
    }
}

/* The socket takes nothing. If something waits, for certain where a page could not be sent, the
 * policy decides how it goes on. */
static void mind_lag(struct stream *stream, bool has_page) {
    bool is_live = stream->reader.is_live;
    bool is_known = stream->on_lag == ON_LAG_CATCH_UP && stream->is_lagging;
    if (is_known || stream->failure != OK || stream->limit_left == 0 ||
        (is_live && !reader_is_due(&stream->reader))) {
        return;
    }
    if (stream->on_lag == ON_LAG_CONFLATE) {
        stream->lag = LAG_CONFLATES;
    } else if (!is_live && !(has_page && stream->has_been_live)) {
        return;
    } else if (stream->on_lag == ON_LAG_DROP) {
        stream->lag = LAG_DROPS;
    } else if (stream->on_lag == ON_LAG_DISCONNECT) {
        note_too_slow(stream);
        fail(stream, ERR_SLOW);
    }
    count_lag(stream);
    if (is_live && stream->lag != LAG_NONE) {
        reader_leave_live(&stream->reader);
    }
}

/* --- asking the log ------------------------------------------------------------------------- */

static struct feed *only_feed(const struct stream *stream) {
    return stream->reader.link_count == 1 ? stream->reader.one.feed : NULL;
}

static void ask_for_page(struct stream *stream) {
    struct storage_query query = {.start = STORAGE_AFTER_PLACE, .place = stream->reader.place};
    bool is_start = stream->start != NULL;
    if (is_start) {
        query = *stream->start;
    } else {
        query.start = stream->lag == LAG_DROPS ? STORAGE_DROP : STORAGE_AFTER_PLACE;
        query.is_conflated = stream->lag == LAG_CONFLATES;
    }
    enum error_code code = rider_ask(&stream->rider, &stream->reader, stream->worker, &query,
                                     !is_start && stream->lag == LAG_NONE);
    if (code != OK) {
        fail(stream, code);
        return;
    }
    metrics_add(stream->worker->metrics, METRIC_CATCH_UP_READS, !is_start);
}

/* --- taking a page -------------------------------------------------------------------------- */

static uint64_t skipped_before(const struct storage_page *page, size_t index) {
    return page->skipped == NULL ? 0 : page->skipped[index];
}

static void note_skipped(struct stream *stream, uint64_t count) {
    stream->skipped_total += count;
    metrics_add(stream->worker->metrics, METRIC_SKIPPED, count);
}

/* Frames all messages of a page from `index` on that fit one write, and sends them. Returns how
 * many left; 0: the socket takes nothing, or the stream failed. */
static size_t send_page_part(struct stream *stream, const struct storage_page *page, size_t index) {
    struct frames *scratch = &stream->worker->gather.scratch;
    uint64_t carried = stream->skipped;
    frames_clear(scratch, index, stream->subscription);
    size_t next = index;
    enum error_code code = OK;
    while (code == OK && next < page->count && next - index < stream->limit_left &&
           scratch->buffer.length < WRITE_BYTES_MAX) {
        code = frames_put(scratch, stream->framing, page->messages[next],
                          carried + skipped_before(page, next));
        carried = 0;
        next++;
    }
    if (scratch->count == 0) {
        fail(stream, code);
        return 0;
    }
    struct run run = frames_borrow_run(scratch, index, FRAME_BYTES_MAX);
    size_t count = send_run(stream, &run);
    use_up(stream, count);
    for (size_t i = index; i < index + count; i++) {
        note_skipped(stream, skipped_before(page, i));
    }
    if (count > 0) {
        stream->skipped = 0;
        stream->reader.place = page->messages[index + count - 1]->place;
    }
    return count;
}

static void count_gap(const struct stream *stream, const struct gap *gap) {
    struct metrics_shard *metrics = stream->worker->metrics;
    metrics_add_at(metrics, METRIC_GAPS, gap->reason, 1);
    if (gap->from > 0 && gap->to >= gap->from) {
        metrics_add_at(metrics, METRIC_GAP_MESSAGES, gap->reason, gap->to - gap->from + 1);
    }
}

static void tell_gaps(struct stream *stream, const struct read *read) {
    struct frame_options options = {.subscription = stream->subscription};
    struct storage_gap gap;
    size_t index = 0;
    while (stream->failure == OK &&
           storage_page_next_gap(&read->page, &read->query, &index, &gap)) {
        if (!reader_note_gap(&stream->reader, &gap)) {
            continue;
        }
        struct buffer *scratch = worker_borrow_scratch(stream->worker);
        if (stream->framing->put_gap(scratch, &gap, &options) != OK) {
            fail(stream, ERR_MEMORY);
            return;
        }
        count_gap(stream, &gap.gap);
        connection_write(stream->connection, buffer_borrow(scratch));
    }
}

static size_t find_after(const struct storage_page *page, uint64_t position) {
    size_t low = 0;
    size_t high = page->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (page->messages[middle]->place.position > position) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* Sends as much of the page as the socket takes. True: all of it left. */
static bool send_page(struct stream *stream, const struct read *read) {
    const struct storage_page *page = &read->page;
    tell_gaps(stream, read);
    if (page->start.position >= stream->reader.place.position) {
        stream->reader.place = page->start;
    }
    size_t index = find_after(page, stream->reader.place.position);
    while (index < page->count && stream->failure == OK && stream->limit_left > 0 &&
           !connection_is_blocked(stream->connection)) {
        index += send_page_part(stream, page, index);
    }
    if (index < page->count) {
        return false;
    }
    stream->skipped += page->skipped_behind;
    note_skipped(stream, page->skipped_behind);
    if (page->end.position >= stream->reader.place.position) {
        stream->reader.place = page->end;
    }
    return true;
}

static void note_newest(struct stream *stream, const struct storage_page *page) {
    struct feed *feed = only_feed(stream);
    /* A page that was read before commits were missed knows less than the feed's floor. */
    if (feed != NULL && !feed->is_pattern && page->at_head && feed->newest.position == 0 &&
        page->end.position >= feed->tail.floor_position) {
        feed->newest = page->end; /* what a later reader from `now` on starts at */
    }
}

static void resolve(struct stream *stream, const struct storage_page *page) {
    bool has_gap = page->has_gap || page->gap_count > 0;
    if (stream->start == NULL) {
        return;
    }
    free(stream->start);
    stream->start = NULL;
    stream->reader.place = has_gap ? (struct place){0} : page->start;
    if (stream->on_started != NULL) {
        stream->on_started(stream->context, &stream->reader.place);
    }
}

/* Whether a page that another reader asked for says what this one wants to know. */
static bool is_of_use(const struct stream *stream, const struct read *read) {
    uint64_t position = stream->reader.place.position;
    bool has_gap = read->page.has_gap || read->page.gap_count > 0;
    return stream->start != NULL || position == read->query.place.position ||
           (!has_gap && (position < read->page.end.position || read->page.at_head));
}

static void take_page(struct stream *stream, const struct read *read) {
    const struct storage_page *page = &read->page;
    if (read->result != OK) {
        fail(stream, read->result);
        return;
    }
    note_newest(stream, page);
    if (connection_is_blocked(stream->connection)) {
        /* The page is let go whole, and asked for again: its gap, if any, is told with it. */
        mind_lag(stream, true);
        connection_want_writable(stream->connection);
        return;
    }
    if (!is_of_use(stream, read)) {
        become_due(stream);
        return;
    }
    resolve(stream, page);
    if (!send_page(stream, read)) {
        mind_lag(stream, true);
        connection_want_writable(stream->connection);
    } else if (page->at_head) {
        stream->lag = LAG_NONE;
    }
    become_due(stream);
}

static void on_page(struct rider *rider, const struct read *read) {
    take_page(CONTAINER_OF(rider, struct stream, rider), read);
}

/* --- live ----------------------------------------------------------------------------------- */

/* Sends what the tails have: all of it, or one run where a socket's streams take turns. ERR_AGAIN:
 * the log has to be read. */
static enum error_code send_live(struct stream *stream) {
    struct connection *connection = stream->connection;
    struct reader *reader = &stream->reader;
    while (stream->limit_left > 0 && reader_is_due(reader) && !connection_is_blocked(connection)) {
        struct run run;
        enum error_code code = reader_borrow_run(reader, stream->framing, stream->subscription,
                                                 stream->limit_left, &stream->worker->gather, &run);
        if (code != OK) {
            return code;
        }
        size_t count = send_run(stream, &run);
        if (stream->limit_left != UINT64_MAX) {
            use_up(stream, reader_count_messages(reader, &stream->worker->gather, count));
        }
        reader_advance(reader, &stream->worker->gather, count);
        if (stream->subscription != 0 && reader_is_due(reader)) {
            become_due(stream);
            break;
        }
    }
    return OK;
}

/* Whether the tails have all that it lacks, and may be asked. */
static bool can_go_live(struct stream *stream) {
    struct reader *reader = &stream->reader;
    if (stream->start != NULL || stream->lag != LAG_NONE ||
        (!reader->is_live && !reader_join_live(reader))) {
        return false;
    }
    if (stream->skipped > 0 && reader_is_due(reader)) {
        reader_leave_live(reader); /* a shared frame cannot say what was left out before it */
        return false;
    }
    return true;
}

static void go_on(struct stream *stream) {
    if (!can_go_live(stream)) {
        ask_for_page(stream);
        return;
    }
    stream->has_been_live = true;
    enum error_code code = send_live(stream);
    if (code == ERR_AGAIN) {
        ask_for_page(stream);
    } else if (code != OK) {
        fail(stream, code);
    } else if (connection_is_blocked(stream->connection)) {
        mind_lag(stream, false);
    } else if (!reader_is_due(&stream->reader)) {
        stream->is_lagging = false;
    }
}

static void flush(struct stream *stream) {
    if (stream->failure != OK) {
        stream->on_failed(stream->context, stream->failure);
    } else if (stream->limit_left == 0) {
        stream->on_limit(stream->context, &stream->reader.place);
    } else if (rider_is_waiting(&stream->rider)) {
        return;
    } else if (connection_is_blocked(stream->connection)) {
        mind_lag(stream, false);
    } else {
        go_on(stream);
        if (stream->limit_left == 0) {
            become_due(stream);
        }
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

/* `now` on feeds whose newest message is known (or does not matter: the offset that an id carries
 * makes gaps of one channel exact) needs no disk, where the worker has seen all that is readable:
 * else what was answered a moment ago would still come. */
static void try_resolve_now(struct stream *stream) {
    const struct worker *worker = stream->worker;
    const struct feed *feed = only_feed(stream);
    const struct log *log = worker->broker->log;
    bool needs_newest = feed != NULL && !feed->is_pattern;
    if (stream->start->start != STORAGE_NOW || (needs_newest && feed->newest.position == 0) ||
        worker->feeds.position != log_position_readable(log)) {
        return;
    }
    struct storage_page page = {
        .start = {.log_id = log_id(log), .generation = log_generation(log)}};
    if (needs_newest) {
        page.start = feed->newest;
    }
    page.start.position = worker->feeds.position;
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

static enum error_code allocate(const struct stream_options *options, struct stream **ret_stream) {
    struct worker *worker = connection_worker(options->connection);
    struct stream *stream = calloc(1, sizeof(*stream));
    struct storage_query *start = malloc(sizeof(*start));
    if (stream == NULL || start == NULL ||
        reader_init(&stream->reader, &worker->feeds, options->selectors, options->selector_count,
                    on_touched) != OK) {
        free(stream);
        free(start);
        return ERR_MEMORY;
    }
    *start = (struct storage_query){.start = options->start.start,
                                    .place = options->start.place,
                                    .time_ms = options->start.time_ms,
                                    .newest = options->start.newest};
    stream->start = start;
    stream->worker = worker;
    *ret_stream = stream;
    return OK;
}

enum error_code stream_create(const struct stream_options *options, struct stream **ret_stream) {
    struct stream *stream = NULL;
    OWNER_CHECK(connection_worker(options->connection));
    INVARIANT(options->on_failed != NULL);
    INVARIANT(options->limit == 0 || options->on_limit != NULL);
    if (allocate(options, &stream) != OK) {
        return ERR_MEMORY;
    }
    struct worker *worker = stream->worker;
    stream->connection = options->connection;
    stream->framing = options->framing;
    stream->on_started = options->on_started;
    stream->on_failed = options->on_failed;
    stream->on_limit = options->on_limit;
    stream->context = options->context;
    stream->subscription = options->subscription;
    stream->limit_left = options->limit == 0 ? UINT64_MAX : options->limit;
    stream->on_lag = options->on_lag;
    list_init(&stream->in_due);
    rider_init(&stream->rider, on_page);
    list_put_tail(connection_streams(options->connection), &stream->in_connection);
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
    rider_leave(&stream->rider);
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

void stream_get_place(struct stream *stream, struct place *ret_place) {
    if (stream->start != NULL) {
        *ret_place = (struct place){0};
        return;
    }
    reader_get_place(&stream->reader, ret_place);
}

void stream_get_status(struct stream *stream, struct stream_status *ret_status) {
    *ret_status = (struct stream_status){.connection_id = connection_id(stream->connection),
                                         .subscription = stream->subscription,
                                         .selector_count = stream->reader.link_count,
                                         .on_lag = stream->on_lag,
                                         .is_live = stream->reader.is_live,
                                         .is_blocked = connection_is_blocked(stream->connection),
                                         .skipped = stream->skipped_total};
    stream_get_place(stream, &ret_status->place);
    reader_get_lag(&stream->reader, &ret_status->lag_messages, &ret_status->lag_bytes);
}

uint64_t stream_positions_behind(const struct stream_status *status, uint64_t head) {
    bool is_behind = !status->is_live || status->lag_messages > 0;
    uint64_t position = status->place.position;
    return is_behind && position > 0 && head > position ? head - position : 0;
}

void stream_get_selector(const struct stream *stream, size_t index,
                         struct storage_selector *ret_selector) {
    INVARIANT(index < stream->reader.link_count);
    *ret_selector = feed_selector(stream->reader.links[index].feed);
}

struct stream *stream_next(struct connection *connection, const struct stream *stream) {
    struct list *streams = connection_streams(connection);
    struct list *node = stream == NULL ? streams->next : stream->in_connection.next;
    return node == streams ? NULL : CONTAINER_OF(node, struct stream, in_connection);
}
