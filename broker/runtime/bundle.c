/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/bundle.h"

#include "broker/runtime/stream_private.h"

void sheaf_init(struct sheaf *sheaf, size_t bytes_kept) {
    sheaf->count = 0;
    frames_init(&sheaf->frames, FRAME_BYTES_MAX, bytes_kept);
}

/* At once, so that a large one does not stay until the next. */
static void sheaf_clear(struct sheaf *sheaf) {
    sheaf->count = 0;
    frames_clear(&sheaf->frames, 0, 0);
}

void sheaf_finish(struct sheaf *sheaf) {
    frames_finish(&sheaf->frames);
}

/* --- who is due ----------------------------------------------------------------------------- */

static struct stream *stream_at(struct worker *worker, struct list *node) {
    return node == &worker->due ? NULL : CONTAINER_OF(node, struct stream, in_due);
}

void bundle_put_due(struct stream *stream) {
    struct list *before = stream->worker->due.previous;
    if (stream->bundle != NULL) {
        if (stream->bundle->due_last != NULL) {
            before = &stream->bundle->due_last->in_due;
        }
        stream->bundle->due_last = stream;
    }
    list_put_head(before, &stream->in_due); /* behind `before` */
}

void bundle_take_due(struct stream *stream) {
    struct bundle *bundle = stream->bundle;
    if (bundle != NULL && bundle->due_last == stream) {
        struct stream *previous = stream_at(stream->worker, stream->in_due.previous);
        bundle->due_last = previous != NULL && previous->bundle == bundle ? previous : NULL;
    }
    list_remove(&stream->in_due);
}

bool bundle_has_more(const struct stream *stream) {
    return stream->bundle != NULL && stream->bundle->due_last != stream;
}

/* --- one write ------------------------------------------------------------------------------ */

/* Adds what the tail has for a stream. What it cannot give is asked of the log, or told later. */
static void take(struct sheaf *sheaf, struct stream *stream) {
    struct run run;
    enum error_code code =
        reader_borrow_run(&stream->reader, stream->framing, stream->subscription,
                          stream_get_room(stream), &stream->worker->gather, &run);
    if (code == OK) {
        code = frames_put_run(&sheaf->frames, &run);
    }
    if (code == OK) {
        sheaf->parts[sheaf->count++] = (struct sheaf_part){stream, run.count};
    } else if (code == ERR_AGAIN) {
        stream_ask_for_page(stream);
    } else {
        stream_fail(stream, code);
    }
}

/* Sends what was taken, and moves each stream by its share of what left. */
static void send_sheaf(struct sheaf *sheaf) {
    if (sheaf->count == 0) {
        return;
    }
    struct run run = frames_borrow_run(&sheaf->frames, 0, FRAME_BYTES_MAX);
    size_t left = stream_send_run(sheaf->parts[0].stream, &run);
    for (size_t i = 0; i < sheaf->count; i++) {
        const struct sheaf_part *part = &sheaf->parts[i];
        size_t count = left < part->frame_count ? left : part->frame_count;
        stream_advance(part->stream, count);
        stream_settle(part->stream);
        left -= count;
    }
    INVARIANT(left == 0);
}

/* What one write did not hold waits behind the other sockets: the head of the ring moves, so that
 * those that are first in it become the last. */
static void put_rest_last(struct worker *worker, const struct bundle *bundle) {
    const struct stream *next = stream_at(worker, worker->due.next);
    if (next != NULL && next->bundle == bundle) {
        list_remove(&worker->due);
        list_put_head(&bundle->due_last->in_due, &worker->due);
    }
}

void bundle_flush(struct stream *first) {
    struct worker *worker = first->worker;
    struct sheaf *sheaf = &worker->sheaf;
    const struct bundle *bundle = first->bundle;
    struct stream *next = first;
    struct stream *other = NULL; /* whose turn is no run of its tail: it comes behind the write */
    while (next != NULL && next->bundle == bundle && other == NULL &&
           sheaf->count < BUNDLE_STREAMS_MAX && sheaf->frames.buffer.length < WRITE_BYTES_MAX) {
        bundle_take_due(next);
        if (stream_has_live_run(next)) {
            take(sheaf, next);
        } else {
            other = next;
        }
        next = stream_at(worker, worker->due.next);
    }
    send_sheaf(sheaf);
    sheaf_clear(sheaf);
    put_rest_last(worker, bundle);
    if (other != NULL) {
        stream_flush(other);
    }
}
