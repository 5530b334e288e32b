/* SPDX-License-Identifier: Apache-2.0 */
/* bundle.h — the streams of one socket that have something for it: one write for all of them.
 *
 * Place:   a protocol whose sockets have several streams (protocols/websocket) has one a socket;
 *          stream.c keeps what is due of it together, and hands it here to be sent.
 * Thread:  its worker's.
 * Bounds:  a pointer a socket; one struct sheaf a worker, of about one write.
 *
 * Streams of a bundle stand side by side among the worker's due ones, in the order in which they
 * became due. What their tails have is put end to end and leaves with one system call, so that ten
 * subscriptions cost what one does. What a socket does not take of it is let go, as always.
 */
#pragma once

#include <stddef.h>

#include "broker/channels/frames.h"
#include "broker/limits.h"

struct stream;

/* Embedded by value, zeroed; all members belong to the streams. Outlives them. */
struct bundle {
    struct stream *due_last; /* of those that are due; NULL: none is */
};

/* What is put together for one write. */
struct sheaf {
    struct frames frames;
    size_t count;
    struct sheaf_part {
        struct stream *stream;
        size_t frame_count;
    } parts[BUNDLE_STREAMS_MAX]; /* `count` of them, in the order of their frames */
};

void sheaf_init(struct sheaf *sheaf, size_t bytes_kept);
void sheaf_finish(struct sheaf *sheaf);
