/* SPDX-License-Identifier: Apache-2.0 */
/* event_source.h — one reader over Server-Sent Events: a reply that does not end.
 *
 * Place:   opened by protocols/http/server.c in place of a reply; a stream (broker/runtime) sends
 *          the frames of sse/framing.c; this adds heartbeats and the farewell.
 * Thread:  its worker's.
 * Bounds:  some hundred bytes beside the stream; nothing is queued.
 *
 * The body has no chunks and ends with the connection, so that a frame is the same bytes for every
 * reader and can be shared.
 */
#pragma once

#include "broker/runtime/connection.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"

struct event_source;
struct request;

extern const struct protocol event_source_protocol;

/* Opens the stream that `request` asks for (its channel and reading); the frames follow from the
 * next turn on, after the head that the caller writes. ERR_MEMORY. The result is the state to be
 * set with event_source_protocol, which then frees it. */
MUST_USE enum error_code event_source_create(struct connection *connection,
                                             const struct request *request,
                                             struct event_source **ret_source);

/* Sends what stands between the head and the first message, and starts the heartbeat. After
 * connection_set_protocol(). */
void event_source_start(struct event_source *source);
