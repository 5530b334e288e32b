/* SPDX-License-Identifier: Apache-2.0 */
/* batch.h — the messages of one publish while its body is read: all are taken, or none.
 *
 * Place:   filled by protocols/rest/publish.c; its array goes to the log.
 * Thread:  the request's.
 * Bounds:  PUBLISH_MESSAGES_MAX messages of PUBLISH_MEMORY_BYTES_MAX in all; each by the
 *          message_bytes_max of its channel's rule.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

struct rules;
struct trace_context;

struct batch {
    struct message **messages; /* each a reference of the batch's */
    size_t count;
    struct span idempotency_hash;      /* for the first message; empty: none. Borrowed. */
    const struct trace_context *trace; /* of the request; NULL: none. Borrowed. */
    struct span tenant;                /* whose channels are meant; empty: nobody's. Borrowed. */

    /* batch.c's */
    size_t capacity;
    size_t bytes;
    bool is_fsync;
    struct buffer headers; /* of one message, with the trace */
    struct buffer channel; /* of one message, with the scope */
};

/* Lets the messages go; the batch is empty and usable again. A zeroed batch is an empty one. */
void batch_finish(struct batch *batch);

/* Whether somebody may publish to that channel. ERR_BAD_CHANNEL, ERR_FORBIDDEN; the field is
 * "channel". */
MUST_USE enum error_code batch_check_channel(struct span channel, bool may_have_empty_segments,
                                             struct error *why);

/* Copies the fields into one more message, for a channel that was checked, puts it into the scope
 * of its tenant, and adds the trace to
 * its headers (`traceparent`, `tracestate`) unless it has one of its own or no room: a trace is
 * worth no publish. ERR_TOO_LARGE: the payload, the number or the sum is above its bound;
 * ERR_MEMORY. */
MUST_USE enum error_code batch_add(struct batch *batch, const struct rules *rules,
                                   const struct message_fields *fields, struct error *why);

/* All messages are there: a publish is as durable as the strictest of its channels asks for.
 * ERR_BAD_REQUEST: there is none. */
MUST_USE enum error_code batch_close(struct batch *batch, struct error *why);
