/* SPDX-License-Identifier: Apache-2.0 */
/* ask.h — the few parts of an HTTP/1.1 request that the raw server needs, without any strictness.
 *
 * Place:   raw.c, for what the load sends. Nothing that strangers reach.
 * Thread:  pure.
 * Bounds:  ASK_HEAD_BYTES_MAX for a head; a body as long as its Content-Length says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/support/span.h"

#define ASK_HEAD_BYTES_MAX 16384

struct ask {
    bool is_post;
    struct span path;
    struct span socket_key; /* of an upgrade to WebSocket; else empty */
    bool has_lines;         /* the body is a message a line */
    struct span body;
    size_t length; /* of all of it */
};

enum ask_result { ASK_WHOLE, ASK_CUT, ASK_BAD };

/* Reads the request at the front of `bytes`; its spans point into them. */
enum ask_result ask_read(struct span bytes, struct ask *ret_ask);
