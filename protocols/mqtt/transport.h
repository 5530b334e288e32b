/* SPDX-License-Identifier: Apache-2.0 */
/* transport.h — MQTT packets on plain TCP, or in the binary frames of a WebSocket (section 6).
 *
 * Place:   between the connection and mqtt.c.
 * Thread:  its connection's worker.
 * Bounds:  a frame decoder. Frames may be of any length, and packets may span and share them: what
 *          they carry is handed on as it comes and never gathered here. What goes out is gathered
 *          for a turn, up to FRAME_BYTES_MAX, and has no memory between two.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct mqtt;

/* From now on the bytes are those of a WebSocket. ERR_MEMORY. */
MUST_USE enum error_code transport_use_frames(struct mqtt *mqtt);

/* What was put and did not go out is gone. */
void transport_finish(struct mqtt *mqtt);

/* Takes the next piece of MQTT off the front of what came in (which is unmasked in place), answers
 * pings, ends the connection at a close frame or a frame that breaks the protocol. False: no more,
 * or the end. */
bool transport_next(struct mqtt *mqtt, struct span *input, struct span *ret_piece);

/* Puts a whole packet behind what goes out. ERR_MEMORY, ERR_TOO_LARGE: it was not put. */
MUST_USE enum error_code transport_put(struct mqtt *mqtt, struct span packet);

/* The same of a WebSocket's goodbye; nothing on plain TCP. */
MUST_USE enum error_code transport_put_close(struct mqtt *mqtt, enum close_reason reason);

/* Something was put and did not go out. */
bool transport_has_output(const struct mqtt *mqtt);

/* It goes out, or is dropped. */
void transport_flush(struct mqtt *mqtt);
void transport_drop(struct mqtt *mqtt);
