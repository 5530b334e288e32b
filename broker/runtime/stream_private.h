/* SPDX-License-Identifier: Apache-2.0 */
/* stream_private.h — the inside of a stream, for the two files that are one together.
 *
 * Place:   stream.c (its life, the tails, its lag) and paging.c (pages of the log).
 * Thread:  its worker's.
 * Bounds:  see stream.h.
 */
#pragma once

#include "broker/delivery/reader.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/rider.h"
#include "broker/runtime/stream.h"
#include "broker/runtime/window.h"
#include "broker/runtime/worker_private.h"

enum lag { LAG_NONE, LAG_CONFLATES, LAG_DROPS };

struct stream {
    struct reader reader;
    struct list in_due;
    struct list in_connection;
    struct rider rider;
    struct window window;
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
    uint64_t behind_bytes;  /* sent from pages since its window was shut, and not at the head yet */
    uint64_t skipped;       /* left out since the last envelope … */
    uint64_t skipped_total; /* … and ever */
    enum metrics_protocol counted_as;
    enum error_code failure; /* not OK: told at the next flush, and nothing is sent any more */
    enum on_lag on_lag;
    enum lag lag;
    bool has_been_live; /* it has read its history, and may lag from then on */
    bool is_lagging;    /* counted, until it has caught up */
};

/* --- stream.c --- */

/* It is flushed before the turn ends. */
void stream_become_due(struct stream *stream);

/* The protocol is told at the next flush, where nothing below touches the stream any more: it may
 * destroy it at once. */
void stream_fail(struct stream *stream, enum error_code code);

/* The only feed of the reader; NULL: it has several. */
struct feed *stream_only_feed(const struct stream *stream);

/* How many frames the next run may have; 0: its window is shut, or it has all it wanted. */
uint64_t stream_get_room(const struct stream *stream);

/* Tells the window's protocol what frame `index` of the run to come tells. */
void stream_note_item(struct stream *stream, size_t index, struct gathered item);

/* Sends a run of noted frames; returns how many of them left or are on their way. */
size_t stream_send_run(struct stream *stream, struct run *run);

/* So many messages of the run left. */
void stream_use_up(struct stream *stream, size_t count);

/* The socket takes nothing. `has_page`: a page could not be sent. */
void stream_mind_lag(struct stream *stream, bool has_page);

/* --- paging.c --- */

/* stream_take_page() follows, unless it failed. */
void stream_ask_for_page(struct stream *stream);

/* Sends of the page what can leave. */
void stream_take_page(struct stream *stream, const struct read *read);

/* The page tells where the stream begins, if that was not known. */
void stream_resolve(struct stream *stream, const struct storage_page *page);
