/* SPDX-License-Identifier: Apache-2.0 */
/* event.h — messages and the broker's own events as Server-Sent Events.
 *
 * Place:   the framing of SSE readers; heartbeats and the farewell of event_source.c.
 * Thread:  pure.
 * Bounds:  as the envelope's, plus seven bytes a line of the payload.
 *
 * HTML standard, section 9.2. A payload that holds line ends (CR, LF, CRLF) becomes several `data:`
 * lines, which the client joins by LF: the one change that text suffers here, also inside JSON,
 * where a line end between two tokens means the same in either form.
 * Each call adds all or nothing: ERR_TOO_LARGE and ERR_MEMORY leave the buffer as it was.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"
#include "protocols/envelope.h"

/* `id:` and the envelope as `data:`. `skipped`: see envelope.h. */
MUST_USE enum error_code event_put_message(struct buffer *buffer, const struct message *message,
                                           uint64_t skipped);

/* envelope=none: `id:`, the message's `event:` and the bare payload. ERR_NOT_ACCEPTABLE: binary. */
MUST_USE enum error_code event_put_bare(struct buffer *buffer, const struct message *message);

/* `event: gap`, with the id to go on from and the gap as `data:`. */
MUST_USE enum error_code event_put_gap(struct buffer *buffer, const struct storage_gap *gap);

/* `event: close` with {"code":…,"reconnect":…}; `code_text` is a slug or a close reason's text. */
MUST_USE enum error_code event_put_close(struct buffer *buffer, const char *code_text,
                                         bool may_reconnect);

/* An `id:` alone, which tells progress: no event, but the client's next Last-Event-ID. */
MUST_USE enum error_code event_put_progress(struct buffer *buffer, const struct place *place);

/* A comment, which only keeps the connection warm. */
MUST_USE enum error_code event_put_comment(struct buffer *buffer);
