/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/trace_context.h"

#include "protocols/rest/request.h"
#include "tests/fuzz/fuzz.h"

static struct trace_context read_as(struct span parent, struct span state) {
    const struct request_header headers[] = {{SPAN("traceparent"), parent},
                                             {SPAN("tracestate"), state}};
    struct trace_context trace;
    trace_context_read(headers, ARRAY_COUNT(headers), &trace);
    return trace;
}

/* A line each: the traceparent, then a tracestate. What is kept means the same when it is read
 * again by the next one who is handed it. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span state = span_of(bytes, length);
    struct span parent = span_split(&state, '\n');
    struct trace_context trace = read_as(parent, state);
    if (trace.parent.length == 0) {
        CLAIM(trace.id.length == 0 && trace.state_length == 0);
        trace = read_as(SPAN("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), state);
    }
    CLAIM(trace.id.length == 32 && trace.parent.length <= TRACE_PARENT_BYTES_MAX);
    CLAIM(trace.state_length <= TRACE_STATE_BYTES_MAX);
    struct trace_context again = read_as(trace.parent, span_of(trace.state, trace.state_length));
    CLAIM(span_is_equal(again.id, trace.id) && again.state_length == trace.state_length);
    CLAIM(memcmp(again.state, trace.state, trace.state_length) == 0);
    for (size_t i = 0; i < trace.state_length; i++) {
        CLAIM(trace.state[i] >= ' ' && trace.state[i] <= '~');
    }
    return 0;
}
