/* SPDX-License-Identifier: Apache-2.0 */
/* message_text.h — the texts of a message that strangers give: what they may hold, how many there
 * may be.
 *
 * Place:   asked by what makes messages of requests: headers, JSON objects, CloudEvents.
 * Thread:  pure.
 * Bounds:  MESSAGE_HEADERS_MAX and MESSAGE_HEADERS_BYTES_MAX of a message's own headers.
 */
#pragma once

#include <stddef.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

/* 1 to `bytes_max` bytes of UTF-8 without control characters (C0, DEL, C1). ERR_BAD_REQUEST,
 * ERR_BAD_UTF8. */
MUST_USE enum error_code message_text_check(struct span text, size_t bytes_max, struct error *why);

/* Appends a header to a string map (string_map.h). ERR_BAD_REQUEST: the name is there already;
 * ERR_HEADERS_TOO_LARGE: more or larger than a message may have, above the map's ceiling. */
MUST_USE enum error_code message_headers_put(struct buffer *map, struct span name,
                                             struct span value, struct error *why);
