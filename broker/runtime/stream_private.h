/* SPDX-License-Identifier: Apache-2.0 */
/* stream_private.h — the inside of a stream, for the three files that are one together.
 *
 * Place:   stream.c (its life, the tails, its lag), paging.c (pages of the log) and bundle.c (the
 *          streams of one socket).
 * Thread:  its worker's.
 * Bounds:  see stream.h.
 */
#pragma once

#include "broker/delivery/reader.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/bundle.h"
#include "broker/runtime/rider.h"
#include "broker/runtime/stream.h"
#include "broker/runtime/window.h"
#include "broker/runtime/worker_private.h"

enum lag { LAG_NONE, LAG_CONFLATES, LAG_DROPS };

/* What is gone once the start is resolved: an idle reader is small. */
struct beginning {
    struct storage_query query;
    void (*on_started)(void *context, const struct place *place); /* NULL: nobody asks */
};

/* In the order of use, as its reader is: what a delivery touches comes first, up to the rider's
 * first member. */
struct stream {
    struct reader reader;
    struct list in_due;
    struct worker *worker;
    struct connection *connection;
    struct bundle *bundle; /* NULL: it is the only one of its socket */
    const struct framing *framing;
    struct beginning *start; /* NULL once it is resolved */
    uint64_t subscription;
    uint64_t limit_left;  /* messages; UINT64_MAX: without end */
    uint64_t skipped;     /* left out since the last envelope */
    uint8_t counted_as;   /* enum metrics_protocol */
    uint8_t failure;      /* enum error_code; not OK: told at the next flush, and nothing is sent */
    uint8_t on_lag;       /* enum on_lag */
    uint8_t lag;          /* enum lag */
    bool may_lag;         /* it has read its history, or wanted none: what waits is lag */
    bool is_lagging;      /* counted, until it has caught up */
    bool has_tenant;      /* whose usage is counted */
    struct window window; /* its context is that of the callbacks below, too */
    struct rider rider;
    uint64_t skipped_total; /* left out, ever */
    void (*on_failed)(void *context, enum error_code code);
    void (*on_limit)(void *context, const struct place *place);
    struct list in_connection;
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

/* The socket takes nothing. `has_page`: the log has more than was sent, for certain. */
void stream_mind_lag(struct stream *stream, bool has_page);

/* Live, and the tails have a run that may leave now. */
bool stream_has_live_run(struct stream *stream);

/* `count` frames of the run that its reader has borrowed left. */
void stream_advance(struct stream *stream, size_t count);

/* What follows from how much of the tails left. */
void stream_settle(struct stream *stream);

/* Its turn, which may destroy it. */
void stream_flush(struct stream *stream);

/* --- paging.c --- */

/* The page tells where the stream begins, if that was not known. */
void stream_resolve(struct stream *stream, const struct storage_page *page);

/* What can leave of the page is sent when it has come, unless that failed. */
void stream_ask_for_page(struct stream *stream);

/* --- bundle.c --- */

/* Puts it among the due ones: last of its bundle. It is in no list. */
void bundle_put_due(struct stream *stream);

/* Takes it out of the due ones. Harmless where it is not among them. */
void bundle_take_due(struct stream *stream);

/* Another one of its bundle is due behind it. */
bool bundle_has_more(const struct stream *stream);

/* The turn of `first`, the first of all due ones, and of those of its bundle behind it, as far as
 * one write goes. */
void bundle_flush(struct stream *first);
