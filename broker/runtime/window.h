/* SPDX-License-Identifier: Apache-2.0 */
/* window.h — what stands between a run of frames and a socket whose peer acknowledges them.
 *
 * Place:   a stream has one; its calls (struct stream_window) are a protocol's.
 * Thread:  its worker's.
 * Bounds:  WINDOW_FRAMES_MAX frames in the hand; one struct hand a worker.
 *
 * A window is open, shut (its protocol has no room) or held (frames were prepared that may not
 * leave yet). Shut and held end with stream_on_writable(), and nothing is tried before it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/channels/frames.h"
#include "broker/limits.h"
#include "broker/runtime/stream.h"
#include "broker/support/buffer.h"
#include "broker/support/error.h"

/* Embedded by value; all members belong to the window, but for behind_bytes, the stream's. */
struct window {
    const struct stream_window *calls; /* NULL: there is none, and it is always open */
    void *context;
    uint32_t behind_bytes; /* sent from pages since it was shut, and not at the head yet; at most
                            * UINT32_MAX */
    bool is_held;
};

/* The run that goes through a window: a copy, for its frames may be shared. One a worker. */
struct hand {
    struct buffer bytes;
    struct stream_item items[WINDOW_FRAMES_MAX];
    uint32_t ends[WINDOW_FRAMES_MAX];
};

void hand_init(struct hand *hand);
void hand_finish(struct hand *hand);

void window_init(struct window *window, const struct stream_window *calls, void *context);

/* How many frames may go now; 0: none until window_release(). */
uint64_t window_get_room(const struct window *window);

/* Takes the run into the hand, whose items the caller has filled, and shows it to the protocol.
 * *run becomes what may leave of it, perhaps nothing: then, or where it is not all, the window is
 * held. ERR_MEMORY: as it was. */
MUST_USE enum error_code window_prepare(struct window *window, struct hand *hand, struct run *run);

/* `count` frames of what was prepared in the hand left. */
void window_on_left(const struct window *window, const struct hand *hand, size_t count);

/* What was held may be tried again. */
void window_release(struct window *window);
