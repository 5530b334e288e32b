/* SPDX-License-Identifier: Apache-2.0 */
/* framing.h — how messages, gaps and progress look on one kind of wire: a small table of encoders.
 *
 * Place:   rows are defined by protocols/, used by feeds (shared frames) and streams.
 * Thread:  constant.
 * Bounds:  FRAMING_SLOTS kinds; a feed keeps one run of encoded frames for each in use.
 */
#pragma once

#include "broker/support/buffer.h"
#include "broker/support/message.h"
#include "storage/storage.h"

#define FRAMING_SLOTS 36
#define FRAMING_OWN FRAMING_SLOTS /* the slot of a framing whose frames no two readers share */

/* What one reader's frame says beside the message. Zero: none of it. */
struct frame_options {
    uint64_t subscription; /* "sub": of a socket with many subscriptions */
    uint64_t skipped;      /* messages that conflation left out before this one */
    void *context;         /* the framing's */
};

struct framing {
    const char *name;
    uint8_t slot;  /* 0 … FRAMING_SLOTS - 1, different for each kind; or FRAMING_OWN */
    void *context; /* NULL: it needs none. The worker's, like the framing */
    /* Appends exactly one frame. OK with nothing appended: this kind cannot carry the message. */
    enum error_code (*put_message)(struct buffer *buffer, const struct message *message,
                                   const struct frame_options *options);
    /* Appends the frame that tells what is missing and from where the reader goes on; nothing where
     * this kind does not tell it. */
    enum error_code (*put_gap)(struct buffer *buffer, const struct storage_gap *gap,
                               const struct frame_options *options);
    /* Appends the frame of one subscription as that of another. NULL: it is encoded anew. */
    enum error_code (*put_renumbered)(struct buffer *buffer, struct span frame,
                                      uint64_t subscription);
};
