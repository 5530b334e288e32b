/* SPDX-License-Identifier: Apache-2.0 */
/* mapping.h — an MQTT PUBLISH as a message, and a message as a PUBLISH.
 *
 * Place:   intake.c and will.c on the way in, framing.c on the way out.
 * Thread:  pure; what does not stand in the packet (or message) is written to the caller's buffer.
 * Bounds:  the limits of a message's fields in broker/limits.h; one pass over the payload.
 *
 *     PUBLISH                         message
 *     topic                           channel, without its scope
 *     content type                    type, unaltered; none stays none
 *     payload format indicator 1      the payload must be UTF-8; MESSAGE_UTF8
 *     message expiry interval         ttl_ms; on the way out what is left of it
 *     response topic, correlation     response_topic, correlation
 *     user properties                 headers, in order, repeats kept; but for
 *       tidings-event, tidings-key      event, key (which go out as these again)
 *       idempotency-key                 the idempotency key
 *     RETAIN, QoS                     MESSAGE_RETAIN; qos and MESSAGE_MQTT
 *
 * The payload is JSON where its content type says so, and then has to parse, or where there is no
 * type and it parses; an empty one is text.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "protocols/mqtt/packet.h"

#define MAPPING_EVENT "tidings-event"
#define MAPPING_KEY "tidings-key"
#define MAPPING_IDEMPOTENCY_KEY "idempotency-key"

/* All but `publisher` and what admission adds (message_admission.h). `topic`: the packet's, or what
 * its alias stands for. Spans point into the packet or into `headers`, which is cleared first.
 * `ret_idempotency_key` is empty where there is none. ERR_BAD_JSON with the position of the fault;
 * ERR_BAD_UTF8, ERR_BAD_REQUEST, ERR_HEADERS_TOO_LARGE, ERR_MEMORY, with the property in
 * why->field. */
MUST_USE enum error_code mapping_take(const struct mqtt_publish *publish, struct span topic,
                                      struct buffer *headers, struct message_fields *ret_fields,
                                      struct span *ret_idempotency_key, struct error *why);

/* Appends `offset` and `id` as user properties: on acknowledgements too. */
MUST_USE enum error_code mapping_put_place(struct buffer *properties, const struct place *place);

/* What this subscriber is told of a message beside what its publisher said. */
struct mapping_extras {
    bool has_place;   /* `offset` and `id` */
    uint64_t skipped; /* messages left out before it; 0: nothing is said */
};

/* Topic, payload and all properties but those that differ from subscriber to subscriber; QoS, flags
 * and packet identifier are the caller's. User properties are appended to `properties`, which must
 * not move while the result is used: the publisher's, without those of the names that the broker
 * itself says here, then `extras`. `now_ms` is the time of the day. ERR_TOO_LARGE, ERR_MEMORY. */
MUST_USE enum error_code mapping_give(const struct message *message, uint64_t now_ms,
                                      const struct mapping_extras *extras,
                                      struct buffer *properties, struct mqtt_publish *ret_publish);
