/* SPDX-License-Identifier: Apache-2.0 */
/* encode.h — MQTT packets, from a struct to bytes.
 *
 * Place:   the MQTT server; clients' packets too, for tests.
 * Thread:  pure; writes to the buffer that is handed in.
 * Bounds:  packet_bytes_max of the dialect, which is what the receiver takes, and the buffer's
 *          ceiling.
 *
 * Each appends one whole packet. ERR_TOO_LARGE, ERR_MEMORY: nothing was added.
 * ERR_NOT_IMPLEMENTED: the version has no such packet, or no way to say that reason. In
 * acknowledgements, CONNACK, DISCONNECT and AUTH user properties and then the reason string are
 * left out where the packet would be too large for the receiver with them. Strings are at most
 * MQTT_STRING_BYTES_MAX, and properties those that the packet may have: anything else would be our
 * own mistake (INVARIANT).
 *
 * A PUBLISH is laid out so that most of it can be shared: header, topic, packet identifier, length
 * of the properties, then the properties that differ from subscriber to subscriber (subscription
 * identifiers, topic alias), the message expiry, and from there on what is the same for all.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "protocols/mqtt/packet.h"

MUST_USE enum error_code mqtt_encode_connect(struct buffer *buffer,
                                             const struct mqtt_dialect *dialect,
                                             const struct mqtt_connect *connect);

/* A refusal never says that a session is present [MQTT-3.2.2-6]. ERR_NOT_IMPLEMENTED: 3.1.1 has no
 * return code for the reason; close without a CONNACK [MQTT-3.2.2-6 of 3.1.1]. */
MUST_USE enum error_code mqtt_encode_connack(struct buffer *buffer,
                                             const struct mqtt_dialect *dialect,
                                             const struct mqtt_connack *connack);

MUST_USE enum error_code mqtt_encode_publish(struct buffer *buffer,
                                             const struct mqtt_dialect *dialect,
                                             const struct mqtt_publish *publish);

/* The size of the whole packet, without encoding it. Above MQTT_LENGTH_MAX + 5 it cannot be sent to
 * anyone. */
size_t mqtt_publish_size(const struct mqtt_dialect *dialect, const struct mqtt_publish *publish);

/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
MUST_USE enum error_code mqtt_encode_ack(struct buffer *buffer, const struct mqtt_dialect *dialect,
                                         enum mqtt_type type, const struct mqtt_ack *ack);

/* SUBSCRIBE and UNSUBSCRIBE; the filters are of mqtt_subscription_put(), mqtt_filter_put(). */
MUST_USE enum error_code mqtt_encode_request(struct buffer *buffer,
                                             const struct mqtt_dialect *dialect,
                                             enum mqtt_type type,
                                             const struct mqtt_request *request);

/* SUBACK and UNSUBACK. A reason that 3.1.1 does not have becomes 0x80 there. */
MUST_USE enum error_code mqtt_encode_grants(struct buffer *buffer,
                                            const struct mqtt_dialect *dialect, enum mqtt_type type,
                                            const struct mqtt_grants *grants);

/* DISCONNECT and AUTH. In 3.1.1 a server has neither: ERR_NOT_IMPLEMENTED, and it just closes. */
MUST_USE enum error_code mqtt_encode_notice(struct buffer *buffer,
                                            const struct mqtt_dialect *dialect, enum mqtt_type type,
                                            const struct mqtt_notice *notice);

/* PINGREQ and PINGRESP. */
MUST_USE enum error_code mqtt_encode_ping(struct buffer *buffer, enum mqtt_type type);

/* Any of them, by its type. */
MUST_USE enum error_code mqtt_encode(struct buffer *buffer, const struct mqtt_dialect *dialect,
                                     const struct mqtt_packet *packet);

/* Append one entry of a SUBSCRIBE (`filter` and the options are looked at), of an UNSUBSCRIBE. */
MUST_USE enum error_code mqtt_subscription_put(struct buffer *buffer,
                                               const struct mqtt_subscription *subscription);
MUST_USE enum error_code mqtt_filter_put(struct buffer *buffer, struct span filter);

/* Overwrites a number in bytes that were encoded. */
void mqtt_patch_u16(uint8_t *bytes, size_t at, uint16_t value);
