/* SPDX-License-Identifier: Apache-2.0 */
/* decode.h — the body of an MQTT packet, from bytes to a struct. Strict: sections 2 and 3 of both
 * versions.
 *
 * Place:   the MQTT connection, once frame.h has a whole packet.
 * Thread:  pure; one pass, nothing is copied or allocated, spans point into the frame.
 * Bounds:  the frame's; MQTT_USER_PROPERTIES_MAX.
 *
 * What needs the state of a connection is for the server: a second CONNECT, packet identifiers in
 * use, a topic alias above the agreed maximum, channel names, a DISCONNECT that wants a session to
 * outlive what CONNECT said, a payload that is not the UTF-8 it is said to be.
 *
 * Each returns OK, or ERR_PROTOCOL, ERR_BAD_UTF8, ERR_BAD_CHANNEL, ERR_FULL; then the result is in
 * no defined state, and `ret_refusal` (nullable) says how to refuse the packet.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "protocols/mqtt/fault.h"
#include "protocols/mqtt/frame.h"
#include "protocols/mqtt/packet.h"

/* A refusal says whether, and in which version's form, a CONNACK answers it. */
MUST_USE enum error_code mqtt_decode_connect(const struct mqtt_frame *frame,
                                             struct mqtt_connect *ret_connect,
                                             struct mqtt_refusal *ret_refusal, struct error *why);
MUST_USE enum error_code mqtt_decode_connack(const struct mqtt_frame *frame,
                                             const struct mqtt_dialect *dialect,
                                             struct mqtt_connack *ret_connack,
                                             struct mqtt_refusal *ret_refusal, struct error *why);
MUST_USE enum error_code mqtt_decode_publish(const struct mqtt_frame *frame,
                                             const struct mqtt_dialect *dialect,
                                             struct mqtt_publish *ret_publish,
                                             struct mqtt_refusal *ret_refusal, struct error *why);

/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
MUST_USE enum error_code mqtt_decode_ack(const struct mqtt_frame *frame,
                                         const struct mqtt_dialect *dialect,
                                         struct mqtt_ack *ret_ack, struct mqtt_refusal *ret_refusal,
                                         struct error *why);

/* SUBSCRIBE and UNSUBSCRIBE: every filter of it has been checked. */
MUST_USE enum error_code mqtt_decode_request(const struct mqtt_frame *frame,
                                             const struct mqtt_dialect *dialect,
                                             struct mqtt_request *ret_request,
                                             struct mqtt_refusal *ret_refusal, struct error *why);

/* SUBACK and UNSUBACK. */
MUST_USE enum error_code mqtt_decode_grants(const struct mqtt_frame *frame,
                                            const struct mqtt_dialect *dialect,
                                            struct mqtt_grants *ret_grants,
                                            struct mqtt_refusal *ret_refusal, struct error *why);

/* DISCONNECT and AUTH. */
MUST_USE enum error_code mqtt_decode_notice(const struct mqtt_frame *frame,
                                            const struct mqtt_dialect *dialect,
                                            struct mqtt_notice *ret_notice,
                                            struct mqtt_refusal *ret_refusal, struct error *why);

/* Any of them, by its type. */
MUST_USE enum error_code mqtt_decode(const struct mqtt_frame *frame,
                                     const struct mqtt_dialect *dialect,
                                     struct mqtt_packet *ret_packet,
                                     struct mqtt_refusal *ret_refusal, struct error *why);

/* The next entry of a SUBSCRIBE, or of an UNSUBSCRIBE; `rest` starts as the request's `filters`.
 * False: no more. */
bool mqtt_subscription_next(struct span *rest, struct mqtt_subscription *ret_subscription);
bool mqtt_filter_next(struct span *rest, struct span *ret_filter);
