/* SPDX-License-Identifier: Apache-2.0 */
/* reply.h — the head of an HTTP/1.1 answer as bytes.
 *
 * Place:   called by protocols/http/server.c.
 * Thread:  pure; the time is handed in.
 * Bounds:  the reply's headers and some 300 bytes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"

struct reply;

enum reply_connection {
    REPLY_KEEPS,        /* HTTP/1.1: nothing needs to be said */
    REPLY_KEEPS_AS_1_0, /* HTTP/1.0 wants to be told */
    REPLY_CLOSES,
};

/* "Not Found"; "" for a status without a row. */
const char *reply_reason(unsigned status);

/* "Sun, 06 Nov 1994 08:49:37 GMT" and a NUL (RFC 9110, section 5.6.7). */
#define REPLY_DATE_BYTES 30
void reply_format_date(uint64_t wall_ms, char ret_text[REPLY_DATE_BYTES]);

/* Appends status line, Date, Connection, Content-Length (but for 101, 204, 304 and where the reply
 * has none) and the reply's own headers, up to the empty line (RFC 9112, section 2.1).
 * ERR_TOO_LARGE, ERR_MEMORY. */
MUST_USE enum error_code reply_put_head(struct buffer *buffer, const struct reply *reply,
                                        enum reply_connection connection, uint64_t wall_ms);
