/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt.h — an MQTT connection, 3.1.1 or 5.0: it publishes, and reads what its session asks for.
 *
 * Place:   first protocol of the MQTT port; opened by protocols/http/server.c where a WebSocket of
 *          the public port speaks `mqtt`.
 * Thread:  its worker's.
 * Bounds:  MQTT_CONNECT_BYTES_MAX until the CONNECT is there, then one packet, out of the worker's
 *          room for bodies; MQTT_PUBLICATIONS_MAX publishes under way, beyond which nothing is
 *          read (MQTT_PUBLICATIONS_LAST_MAX of one whose network has failed); acknowledgements only
 *          while the socket takes them; a session (session.h).
 *
 * Where a packet breaks the protocol, 5.0 is told by a DISCONNECT and 3.1.1 by the close. Where a
 * publish cannot be taken, 5.0 is told by its acknowledgement; 3.1.1 has no word for that: what the
 * client may not do is acknowledged and dropped; what is too large, or the broker cannot do, closes
 * the connection.
 */
#pragma once

#include "broker/runtime/connection.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"

struct mqtt;

extern const struct protocol mqtt_protocol;

/* Starts the clocks. After connection_set_protocol(). */
void mqtt_start(struct mqtt *mqtt);

/* worker_create()'s: the state of a connection that came to the MQTT port. NULL: out of memory. */
void *mqtt_on_accepted(struct connection *connection);

/* Of a WebSocket whose handshake is about to be answered. The result is the state to be set with
 * mqtt_protocol, which then frees it. ERR_MEMORY. */
MUST_USE enum error_code mqtt_create_websocket(struct connection *connection,
                                               struct mqtt **ret_mqtt);
