/* SPDX-License-Identifier: Apache-2.0 */
/* string_map.h — a small map of strings as bytes: what a message's `headers` span holds.
 *
 * Place:   written by protocols/ from headers and user properties, read when a message goes out.
 * Thread:  pure.
 * Bounds:  the span it is read from, the buffer it is written to; a name or value of 64 KiB - 1.
 *
 * Layout:  for each pair u16 name length, name, u16 value length, value; lengths little-endian.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/span.h"

/* Appends a pair. ERR_TOO_LARGE: a string above 64 KiB - 1, or the buffer's ceiling. */
MUST_USE enum error_code string_map_put(struct buffer *map, struct span name, struct span value);

/* The next pair of `rest`, which moves on behind it. False at the end, or where the bytes break the
 * layout (then `rest` keeps what it could not read). */
bool string_map_next(struct span *rest, struct span *ret_name, struct span *ret_value);

/* The index of the first pair of that name, from 0. False: there is none, and `ret_index` is how
 * many pairs there are. */
bool string_map_find(struct span map, struct span name, size_t *ret_index);
