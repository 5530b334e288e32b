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

#define FRAMING_SLOTS 4

struct framing {
    const char *name;
    uint8_t slot; /* 0 … FRAMING_SLOTS - 1, different for each kind */
    /* Appends exactly one frame. OK with nothing appended: this kind cannot carry the message. */
    enum error_code (*put_message)(struct buffer *buffer, const struct message *message);
    /* Appends the frame that tells what is missing and from where the reader goes on. */
    enum error_code (*put_gap)(struct buffer *buffer, struct span channel,
                               const struct storage_page *page);
};
