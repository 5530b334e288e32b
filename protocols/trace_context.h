/* SPDX-License-Identifier: Apache-2.0 */
/* trace_context.h — the trace that a request belongs to: its headers traceparent and tracestate.
 *
 * Place:   read by message_head.h, kept with each message by protocols/rest/batch.h; log lines
 *          about a request name the trace.
 * Thread:  pure.
 * Bounds:  TRACE_PARENT_BYTES_MAX, TRACE_STATE_BYTES_MAX.
 *
 * The broker hands a trace on and begins no span of its own, so both are kept as they came. What
 * breaks the rules is as good as not there, and never an error (W3C Trace Context, sections 3.2.2
 * and 3.3.1): a tracestate counts only beside a traceparent that is valid.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/support/span.h"

struct request_header;

#define TRACE_PARENT_BYTES_MAX 128 /* version 00 has 55; a later one may add fields behind them */
#define TRACE_STATE_BYTES_MAX 512  /* what section 3.3.1.5 asks for; above it the last go first */
#define TRACE_STATE_MEMBERS_MAX 32 /* section 3.3.1 */

struct trace_context {
    struct span parent; /* the value of `traceparent`; empty: the request has no trace */
    struct span id;     /* the trace-id in it, 32 hexadecimal digits; empty likewise */
    size_t state_length;
    char state[TRACE_STATE_BYTES_MAX]; /* the members of all `tracestate`, without blanks */
};

/* False: it is no traceparent of version 00, nor one of a later version that begins like it. */
bool trace_context_parse_parent(struct span text, struct span *ret_id);

/* Reads the headers of a request. The spans point into them. */
void trace_context_read(const struct request_header *headers, size_t header_count,
                        struct trace_context *ret_trace);

/* The trace-id of the request alone, for a log line; empty: there is none. */
struct span trace_context_find_id(const struct request_header *headers, size_t header_count);
