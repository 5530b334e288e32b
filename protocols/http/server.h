/* SPDX-License-Identifier: Apache-2.0 */
/* server.h — HTTP/1.1 on a connection of the public port: publishes overlap, replies in order.
 *
 * Place:   what main hands to worker_create(): each accepted connection begins here. Calls the
 *          codecs of protocols/http, the routes, and hands over to SSE and WebSocket.
 * Thread:  its worker's.
 * Bounds:  a head of HTTP_HEAD_BYTES_MAX; a body of what the resource takes, out of the worker's
 *          room for bodies; HTTP_REQUESTS_MAX and HTTP_REQUESTS_BYTES_MAX of requests without an
 *          answer, while the worker and the log have room for more than one of a connection; of
 *          further ones only what one read from the socket brought. Idle, a connection keeps no
 *          buffer.
 */
#pragma once

#include "broker/runtime/connection.h"

/* The protocol that every connection begins with. */
const struct protocol *http_protocol(void);

/* What is said to who is turned away because memory is short, without hearing what he wants. */
struct span http_refusal(void);

/* Its state for a new connection; NULL: out of memory. */
void *http_on_accepted(struct connection *connection);
