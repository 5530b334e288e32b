/* SPDX-License-Identifier: Apache-2.0 */
/* What a stream does with the log: it asks for a page, and sends what its socket and its window
 * take of it. */
#include <stdlib.h>

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/stream_private.h"

/* --- taking a page -------------------------------------------------------------------------- */

static uint64_t skipped_before(const struct storage_page *page, size_t index) {
    return page->skipped == NULL ? 0 : page->skipped[index];
}

static void note_skipped(struct stream *stream, uint64_t count) {
    stream->skipped_total += count;
    metrics_add(stream->worker->metrics, METRIC_SKIPPED, count);
}

/* What a reader with a window has sent of pages since it should stand at the head. */
static void note_behind(struct stream *stream, size_t bytes) {
    if (stream->may_lag || stream->on_lag == ON_LAG_CONFLATE) {
        uint32_t *behind_bytes = &stream->window.behind_bytes;
        *behind_bytes =
            bytes < UINT32_MAX - *behind_bytes ? *behind_bytes + (uint32_t)bytes : UINT32_MAX;
    }
}

/* Frames all messages of a page from `index` on that fit one write, and sends them. Returns how
 * many left; 0: the socket takes nothing, or the stream failed. */
static size_t send_page_part(struct stream *stream, const struct storage_page *page, size_t index) {
    struct frames *scratch = &stream->worker->gather.scratch;
    uint64_t room = stream_get_room(stream);
    uint64_t carried = stream->skipped;
    frames_clear(scratch, index, stream->subscription);
    size_t next = index;
    enum error_code code = OK;
    while (code == OK && next < page->count && next - index < room &&
           scratch->buffer.length < WRITE_BYTES_MAX) {
        stream_note_item(stream, next - index,
                         (struct gathered){page->messages[next]->place, true});
        code = frames_put(scratch, stream->framing, page->messages[next],
                          carried + skipped_before(page, next));
        carried = 0;
        next++;
    }
    if (scratch->count == 0) {
        stream_fail(stream, code);
        return 0;
    }
    struct run run = frames_borrow_run(scratch, index, FRAME_BYTES_MAX);
    size_t count = stream_send_run(stream, &run);
    stream_use_up(stream, count);
    for (size_t i = index; i < index + count; i++) {
        note_skipped(stream, skipped_before(page, i));
    }
    if (count > 0) {
        stream->skipped = 0;
        stream->reader.place = page->messages[index + count - 1]->place;
        note_behind(stream, run.ends[count - 1] - run.ends_base);
    }
    window_on_left(&stream->window, &stream->worker->hand, count);
    return count;
}

static void tell_gaps(struct stream *stream, const struct read *read) {
    struct frame_options options = {.subscription = stream->subscription,
                                    .context = stream->framing->context};
    struct storage_gap gap;
    size_t index = 0;
    while (stream->failure == OK &&
           storage_page_next_gap(&read->page, &read->query, &index, &gap)) {
        if (!reader_note_gap(&stream->reader, &gap)) {
            continue;
        }
        struct buffer *scratch = worker_borrow_scratch(stream->worker);
        if (stream->framing->put_gap(scratch, &gap, &options) != OK) {
            stream_fail(stream, ERR_MEMORY);
            return;
        }
        metrics_count_gap(stream->worker->metrics, gap.gap.reason, gap.gap.from, gap.gap.to);
        if (scratch->length > 0) {
            connection_write(stream->connection, buffer_borrow(scratch));
        }
    }
}

/* Sends as much of the page as the socket takes. True: all of it left. */
static bool send_page(struct stream *stream, const struct read *read) {
    const struct storage_page *page = &read->page;
    tell_gaps(stream, read);
    if (page->start.position >= stream->reader.place.position) {
        stream->reader.place = page->start;
    }
    size_t index = storage_page_find_after(page, stream->reader.place.position);
    while (index < page->count && stream->failure == OK && stream_get_room(stream) > 0 &&
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
    struct feed *feed = stream_only_feed(stream);
    /* A page that was read before commits were missed knows less than the feed's floor. */
    if (feed != NULL && !feed->is_pattern && page->at_head && feed->newest.position == 0 &&
        page->end.position >= feed->tail.floor_position) {
        feed->newest = page->end; /* what a later reader from `now` on starts at */
    }
}

void stream_resolve(struct stream *stream, const struct storage_page *page) {
    bool has_gap = page->has_gap || page->gap_count > 0;
    if (stream->start == NULL) {
        return;
    }
    void (*on_started)(void *context, const struct place *place) = stream->start->on_started;
    free(stream->start);
    stream->start = NULL;
    stream->reader.place = has_gap ? (struct place){0} : page->start;
    if (on_started != NULL) {
        on_started(stream->window.context, &stream->reader.place);
    }
}

/* Whether a page that another reader asked for says what this one wants to know. */
static bool is_of_use(const struct stream *stream, const struct read *read) {
    uint64_t position = stream->reader.place.position;
    bool has_gap = read->page.has_gap || read->page.gap_count > 0;
    return stream->start != NULL || position == read->query.place.position ||
           (!has_gap && (position < read->page.end.position || read->page.at_head));
}

/* All of the page left. Its end may be the head, though no tail reaches back to it any more. */
static void note_head(struct stream *stream, const struct storage_page *page) {
    if (page->at_head) {
        stream->lag = LAG_NONE;
        stream->may_lag = true;
        stream->window.behind_bytes = 0;
    }
}

static void take_page(struct stream *stream, const struct read *read) {
    const struct storage_page *page = &read->page;
    if (read->result != OK) {
        stream_fail(stream, read->result);
        return;
    }
    note_newest(stream, page);
    if (connection_is_blocked(stream->connection)) {
        /* The page is let go whole, and asked for again: its gap, if any, is told with it. */
        size_t index = storage_page_find_after(page, stream->reader.place.position);
        stream_mind_lag(stream, index < page->count);
        connection_want_writable(stream->connection);
        return;
    }
    if (!is_of_use(stream, read)) {
        stream_become_due(stream);
        return;
    }
    stream_resolve(stream, page);
    if (send_page(stream, read)) {
        note_head(stream, page);
    } else if (connection_is_blocked(stream->connection)) {
        stream_mind_lag(stream, true);
        connection_want_writable(stream->connection);
    }
    stream_become_due(stream);
}

/* --- asking the log ------------------------------------------------------------------------- */

static void on_page(struct rider *rider, const struct read *read) {
    take_page(CONTAINER_OF(rider, struct stream, rider), read);
}

void stream_ask_for_page(struct stream *stream) {
    struct storage_query query = {.start = STORAGE_AFTER_PLACE, .place = stream->reader.place};
    bool is_start = stream->start != NULL;
    uint64_t room = window_get_room(&stream->window);
    if (is_start) {
        query = stream->start->query;
    } else {
        query.start = stream->lag == LAG_DROPS ? STORAGE_DROP : STORAGE_AFTER_PLACE;
        query.is_conflated = stream->lag == LAG_CONFLATES;
        query.limit = room < WINDOW_SHARES_ROOM ? (uint32_t)room : 0;
    }
    bool may_share = !is_start && stream->lag == LAG_NONE && query.limit == 0;
    enum error_code code =
        rider_ask(&stream->rider, &stream->reader, stream->worker, &query, may_share, on_page);
    if (code != OK) {
        stream_fail(stream, code);
        return;
    }
    metrics_add(stream->worker->metrics, METRIC_CATCH_UP_READS, !is_start);
}
