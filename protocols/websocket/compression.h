/* SPDX-License-Identifier: Apache-2.0 */
/* compression.h — what the sockets of one worker share to compress: zlib's state, and the framings
 * that use it.
 *
 * Place:   found by websocket.c when a socket has agreed on permessage-deflate; streams send with
 *          its framings, so that a frame is compressed once for all readers of a feed.
 * Thread:  its worker's.
 * Bounds:  one a worker, made with the first such socket: deflate.h's 90 KiB, and one frame while
 *          it is compressed.
 */
#pragma once

#include "broker/channels/framing.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "protocols/websocket/deflate.h"

struct compression;
struct worker;

/* Smaller frames go out as they are: compressed alone they lose little, and the shortest grow. */
#define COMPRESSION_BYTES_MIN 128

/* Makes the worker's own, which it keeps to its end, if it has none. ERR_MEMORY. */
MUST_USE enum error_code compression_open(struct worker *worker);

/* The worker's own, once it was opened; else NULL. */
struct compression *compression_borrow(const struct worker *worker);

/* Compresses what gets smaller by it, of channels whose rule allows it. Lives as long as the
 * worker. */
const struct framing *compression_framing(const struct compression *compression,
                                          bool has_subscriptions);

/* For what clients send. */
struct deflate *compression_codec(struct compression *compression);
