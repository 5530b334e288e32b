/* SPDX-License-Identifier: Apache-2.0 */
/* handshake.h — from a request for a WebSocket to the reply that opens it (RFC 6455, section 4.2).
 *
 * Place:   called by protocols/rest for a channel and for /stream, then by websocket.c.
 * Thread:  the request's.
 * Bounds:  none of its own.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct request;

#define WEBSOCKET_SUBPROTOCOL "tidings.v1"
#define WEBSOCKET_SUBPROTOCOL_MQTT "mqtt" /* MQTT 5.0, section 6; the same in 3.1.1 */

/* Makes the reply a 101 of kind REPLY_WEBSOCKET. ERR_UPGRADE_REQUIRED: another version is asked
 * for; the one that is spoken is told. ERR_BAD_REQUEST: the key is none. */
MUST_USE enum error_code handshake_accept(struct request *request, struct error *why);

/* The request is for a WebSocket that speaks MQTT, whatever its path: it offers that subprotocol,
 * and where ours is spoken too, not ours before it. */
bool handshake_is_mqtt(const struct request *request);

/* The same as handshake_accept(), for one of kind REPLY_MQTT, never compressed. */
MUST_USE enum error_code handshake_accept_mqtt(struct request *request, struct error *why);

/* Answers with it, or with the refusal. */
void handshake_handle_mqtt(struct request *request);

/* permessage-deflate was agreed on in the reply. */
bool handshake_deflates(const struct request *request);
