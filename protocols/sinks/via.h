/* SPDX-License-Identifier: Apache-2.0 */
/* via.h — which logs a message has passed on its way over bridges: the header `tidings-via`.
 *
 * Place:   mqtt_sink.c adds its log to what a message carries; mqtt_source.c drops what has been
 *          through its own log, so that two bridges that face each other are no loop.
 * Thread:  pure.
 *          A broker of 3.1.1 hands on no headers: there mqtt_source.c writes down by itself whom it
 *          has a message from (mqtt_row.h), and mqtt_sink.c sends nothing back there.
 * Bounds:  VIA_LOGS_MAX logs: a longer way is refused rather than walked on without protection.
 *
 * The value is log ids of 16 hexadecimal digits, oldest first, with a comma between.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

#define VIA_HEADER "tidings-via"
#define VIA_LOGS_MAX 16
#define VIA_ID_BYTES 16

void via_format(uint64_t log_id, char ret_text[VIA_ID_BYTES]);

/* The value in a message's headers (string_map.h); empty: none. */
struct span via_find(struct span headers);

bool via_has(struct span value, uint64_t log_id);

/* Appends `value` with that log behind it. ERR_FULL: it has passed VIA_LOGS_MAX already.
 * ERR_TOO_LARGE, ERR_MEMORY: the buffer's. */
MUST_USE enum error_code via_put(struct buffer *buffer, struct span value, uint64_t log_id);
