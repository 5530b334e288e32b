/* SPDX-License-Identifier: Apache-2.0 */
/* deflate.h — one WebSocket message at a time, compressed and expanded (RFC 7692, section 7.2).
 *
 * Place:   compression.c packs frames with it; websocket.c expands what comes.
 * Thread:  its owner's; no socket, no clock.
 * Bounds:  about 90 KiB of zlib's, made once and set back for each message; what is expanded ends
 *          at the ceiling of the buffer handed in.
 *
 * No message knows of another one: neither side keeps its window ("no context takeover"), so that
 * one compressor does for all sockets of a thread, and one compressed frame for all readers.
 */
#pragma once

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct deflate;

/* What we send never refers further back than 2^12 bytes: it is what the Python and the smaller
 * clients offer to expand, and at the sizes of messages it costs next to nothing. Measured against
 * 2^15: 65,000 bytes of JSON become 14,758 instead of 14,296, 1,000 become 294 both ways; 16 KiB
 * instead of 128 KiB to be zeroed for each message (5.9 us instead of 8.3 us for 200 bytes). */
#define DEFLATE_WINDOW_BITS 12

/* ERR_MEMORY. */
MUST_USE enum error_code deflate_create(struct deflate **ret_codec);

/* Accepts NULL. */
void deflate_destroy(struct deflate *codec);

/* Appends `plain` compressed, without the four bytes of the empty block at its end. ERR_FULL: it
 * would not get smaller; ERR_TOO_LARGE, ERR_MEMORY: the buffer. Nothing was added. */
MUST_USE enum error_code deflate_pack(struct deflate *codec, struct span plain,
                                      struct buffer *packed);

/* Appends what `packed` (a whole message) stands for. ERR_TOO_LARGE: more than the ceiling of
 * `plain`, which is 1009; ERR_BAD_UTF8: it is no compressed data, or breaks off in a block, which
 * is 1007 as all content that is not of its kind (RFC 6455, 7.4.1); ERR_MEMORY. Nothing was
 * added. */
MUST_USE enum error_code deflate_expand(struct deflate *codec, struct span packed,
                                        struct buffer *plain, struct error *why);
