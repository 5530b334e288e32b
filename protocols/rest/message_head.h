/* SPDX-License-Identifier: Apache-2.0 */
/* message_head.h — what the headers of a request say of the messages in its body.
 *
 * Place:   read by protocols/rest/publish.c before the body comes.
 * Thread:  pure.
 * Bounds:  the limits of each field; a request's head.
 *
 * Content-Type, Content-Encoding, Idempotency-Key, Tidings-Event, -Key, -TTL, -Retain, -Header-*,
 * the `ce-*` of a CloudEvent in binary mode (cloudevents.h), and the trace that the request belongs
 * to (trace_context.h). Another header that begins with `Tidings-` is refused: a misspelt one must
 * not pass silently.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/limits.h"
#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"
#include "protocols/cloudevents.h"
#include "protocols/trace_context.h"

struct request_header;

/* Spans point into the request's headers, or into the buffers here. */
struct message_head {
    struct message_fields fields;  /* event, key, ttl_ms, flags; of each message in the body */
    struct buffer headers;         /* a string map: of Tidings-Header-*, and of ce-* */
    struct span content_type;      /* as it came; empty: it did not */
    struct span describing;        /* name of a header that describes a message, or is of an event;
                                     empty: none came. Where there is no place for one, it is to
                                     blame */
    struct trace_context *trace;   /* of the request, which is not what the messages say; NULL: it
                                     has none */
    bool is_event;                 /* a CloudEvent in binary mode; its attributes are complete */
    bool passes_over_events;       /* `ce-*` only repeat what the body says (section 3.2.3) */
    bool passes_over_tenant;       /* `Tidings-Tenant`, which the operator's port alone takes */
    struct buffer idempotency_key; /* empty: none came */

    /* message_head.c's */
    struct cloudevent event;
    struct buffer scratch; /* decoded attributes */
    uint32_t seen;
};

void message_head_init(struct message_head *head);
void message_head_finish(struct message_head *head);

/* Reads all headers of a request, once. ERR_BAD_REQUEST, ERR_BAD_UTF8, ERR_MEDIA_TYPE,
 * ERR_HEADERS_TOO_LARGE name the header; ERR_MEMORY. */
MUST_USE enum error_code message_head_read(struct message_head *head,
                                           const struct request_header *headers,
                                           size_t header_count, struct error *why);
