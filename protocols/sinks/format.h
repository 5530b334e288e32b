/* SPDX-License-Identifier: Apache-2.0 */
/* format.h — messages as the body that a sink sends, and what is said beside it.
 *
 * Place:   of the drivers.
 * Thread:  pure.
 * Bounds:  the buffer's ceiling.
 *
 *     `format`     one message                      a list, as an array or a line each
 *     envelope     envelope.h's JSON object         of them
 *     data         the payload byte for byte, its   JSON values: JSON as it is, text as a string,
 *                  type                             bytes as a string of base64
 *     cloudevents  CloudEvents 1.0, JSON format     of them (the array is its batch format)
 *
 * In lines the line ends of JSON that came from publishers are blanks. Names are told without the
 * tenant (scope.h). cloudevents.h says how a message is an event.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/config/config.h"
#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

struct format {
    enum sink_format format;
    enum sink_batch form;
    bool is_list; /* also of one message: where the sink's batch.count is above 1 */
};

/* Appends the body. All or nothing: ERR_MEMORY, ERR_TOO_LARGE. */
MUST_USE enum error_code format_put(struct buffer *buffer, const struct format *format,
                                    struct message *const *messages, size_t count);

/* The body's media type. Of one message of `data` its own. Lives as long as the message. */
struct span format_media_type(const struct format *format, const struct message *message);
