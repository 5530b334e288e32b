/* SPDX-License-Identifier: Apache-2.0 */
/* frames.h — the encoded frames of a feed's newest messages, one after another, for one framing.
 *
 * Place:   filled by feed_borrow_run() when the first reader needs a frame, shared by all others.
 * Thread:  its worker's.
 * Bounds:  the ceiling given at init; what does not fit is encoded again for whoever needs it.
 *
 * Frames lie end to end, so that a reader that lacks several sends them with one write and no copy.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/channels/framing.h"
#include "broker/channels/tail.h"
#include "broker/support/buffer.h"

struct frames {
    struct buffer buffer;
    uint64_t subscription;   /* that all of them carry; 0: none */
    uint64_t sequence_first; /* of the first frame in the buffer */
    size_t count;
    uint32_t *ends; /* ends[i]: where frame i ends in the buffer; `ends_capacity` of them */
    size_t ends_capacity;
    size_t bytes_kept; /* memory up to this stays when it is cleared */
    bool has_empty;    /* one of the frames has no bytes */
};

/* Frames ready to be sent: lives until the next change of its tail or frames. */
struct run {
    struct span bytes;
    uint64_t sequence_first;
    size_t count;
    const uint32_t *ends; /* of the run's frames, counted from `ends_base` */
    uint32_t ends_base;
    bool has_empty; /* one of the frames it was borrowed from has no bytes */
};

void frames_init(struct frames *frames, size_t bytes_max, size_t bytes_kept);
void frames_finish(struct frames *frames);

/* Forgets all frames; memory above a small one is given back. The next frame is of `sequence`, for
 * readers that are `subscription` of their socket (0: that have no number). */
void frames_clear(struct frames *frames, uint64_t sequence, uint64_t subscription);

/* Appends the frame of the next message; a delete becomes the frame of a gap. ERR_TOO_LARGE: no
 * room; ERR_MEMORY. Nothing was added. */
MUST_USE enum error_code frames_put(struct frames *frames, const struct framing *framing,
                                    const struct message *message, uint64_t skipped);

/* Appends the frames of a run, which are of another subscription, as far as they fit.
 * ERR_TOO_LARGE, ERR_MEMORY: not one of them. */
MUST_USE enum error_code frames_put_renumbered(struct frames *frames, const struct framing *framing,
                                               const struct run *run);

/* Appends the frames of a run, which are of other frames. ERR_TOO_LARGE, ERR_MEMORY: nothing was
 * added. */
MUST_USE enum error_code frames_put_run(struct frames *frames, const struct run *run);

/* The frames from `sequence` on, as many as fit `bytes_max`, but one at least. The frame of
 * `sequence` is there. */
struct run frames_borrow_run(const struct frames *frames, uint64_t sequence, size_t bytes_max);

/* How many frames of the run went out whole with the first `sent` bytes, and how much of the
 * next. */
size_t run_count_sent(const struct run *run, size_t sent, struct span *ret_rest_of_cut);

/* How many of the first `count` frames of the run have bytes: the others are for nobody. */
size_t run_count_filled(const struct run *run, size_t count);
