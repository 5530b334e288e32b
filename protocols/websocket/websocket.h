/* SPDX-License-Identifier: Apache-2.0 */
/* websocket.h — a WebSocket: it reads a channel, a pattern, or what it subscribes to, and
 * publishes.
 *
 * Place:   opened by protocols/http/server.c in place of a reply; streams (broker/runtime) send the
 *          frames of websocket/framing.c; this does all else that RFC 6455 and the contract ask.
 * Thread:  its worker's.
 * Bounds:  one incoming message, out of the worker's room for bodies; PUBLICATIONS_MAX publishes
 *          under way, beyond which nothing is read; answers only while the socket takes them;
 *          SUBSCRIPTIONS_MAX on /stream.
 */
#pragma once

#include "broker/runtime/connection.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"

struct request;
struct websocket;

extern const struct protocol websocket_protocol;

/* Opens the streams that `request` asks for (its reading; where it has no channel it came to
 * /stream); the frames follow from the next turn on, after the head that the caller writes.
 * ERR_MEMORY. The result is the state to be
 * set with websocket_protocol, which then frees it. */
MUST_USE enum error_code websocket_create(struct connection *connection,
                                          const struct request *request,
                                          struct websocket **ret_websocket);

/* Starts the clocks. After connection_set_protocol(). */
void websocket_start(struct websocket *websocket);
