/* SPDX-License-Identifier: Apache-2.0 */
/* outbound.h — what an MQTT client is sent: its session as one stream, with packet ids and QoS.
 *
 * Place:   mqtt.c and connect.c call it; it opens a stream (broker/runtime/stream.h) and stands in
 *          its window.
 * Thread:  its worker's.
 * Bounds:  no message is kept: what the socket or the window does not take is read again. A struct,
 *          a stream, the session's table of what is in flight, and one page while it is being sent.
 *
 * A session is one place in the log and several filters. It is sent in this order: first what was
 * in flight when the client went (resend.c), then the retained messages of new subscriptions
 * (retained.c), then what stands behind the place.
 */
#pragma once

#include <stdint.h>

#include "broker/support/macros.h"
#include "protocols/mqtt/packet.h"

struct connection_client;
struct mqtt;

/* What the client was sent with QoS 1 and 2 on this connection and has not acknowledged. */
void outbound_get_unacknowledged(const struct mqtt *mqtt, struct connection_client *ret_client);

/* The session was granted and the CONNACK written: begins to send. May end the connection. */
void outbound_start(struct mqtt *mqtt);

/* Ends its streams and frees mqtt->outbound; mqtt->session stays, and says all. Harmless twice. */
void outbound_stop(struct mqtt *mqtt);

/* The protocol's on_writable hands on to this. */
void outbound_on_writable(struct mqtt *mqtt);

/* When it has something to do, which it does in outbound_on_deadline(); 0: it waits for nothing.
 * deadlines_arm() is called when that comes nearer. */
uint64_t outbound_due_ms(const struct mqtt *mqtt);
void outbound_on_deadline(struct mqtt *mqtt);

/* Acknowledgements. SUCCESS, or what to end the connection with. */
MUST_USE enum mqtt_reason outbound_on_puback(struct mqtt *mqtt, uint16_t packet_id,
                                             enum mqtt_reason reason);
MUST_USE enum mqtt_reason outbound_on_pubrec(struct mqtt *mqtt, uint16_t packet_id,
                                             enum mqtt_reason reason);
MUST_USE enum mqtt_reason outbound_on_pubcomp(struct mqtt *mqtt, uint16_t packet_id,
                                              enum mqtt_reason reason);

/* Decoded packets: every filter's syntax is checked. The answer is written once it is as durable as
 * the session; until then no further packet is taken (mqtt_hold). */
void outbound_on_subscribe(struct mqtt *mqtt, const struct mqtt_request *request);
void outbound_on_unsubscribe(struct mqtt *mqtt, const struct mqtt_request *request);

/* A step that a snapshot counted on was refused: the session is stored anew. */
void outbound_store(struct mqtt *mqtt);

/* Steps of the session were submitted or noted by others (received ids): a snapshot is due sooner
 * or later. */
void outbound_note_step(struct mqtt *mqtt);
