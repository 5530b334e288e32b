/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_arrival.h — a record of Kafka as a message.
 *
 * Place:   of kafka_source.c.
 * Thread:  pure; what does not stand in the record is written to the caller's buffers.
 * Bounds:  the limits of a message's fields in broker/limits.h; one pass over the value.
 *
 *     record                             message
 *     value                              payload: JSON if it parses, else text if UTF-8, else bytes
 *     no value (a tombstone)             JSON null
 *     key                                key, where it is text of at most KEY_BYTES_MAX bytes
 *     timestamp                          header kafka-timestamp, RFC 3339
 *     header content-type                type; where the value is not that, the value decides
 *     headers ce_… and content-type      as cloudevents.h, of an event that is whole (Kafka
 *                                          protocol binding 1.0.2, binary mode; structured too)
 *     headers tidings-event, tidings-key event, key; the record's own key may be the channel then
 *     headers tidings-id, tidings-origin header tidings-origin: the id in the first log it was in
 *     header tidings-channel, -offset    left out: they are another log's
 *     all others                         headers; of one name the last; no text: left out
 */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

#define KAFKA_ORIGIN "tidings-origin"
#define KAFKA_TIMESTAMP "kafka-timestamp"
#define KAFKA_SCRATCH_BYTES_MAX (2 * MESSAGE_BYTES_CEILING + 64) /* texts of an event, decoded */

struct kafka_arrival {
    struct span key;
    struct span value;
    bool has_value;
    const rd_kafka_headers_t *headers; /* NULL: none */
    int64_t timestamp_ms;              /* negative: none */
};

/* Fills all but the channel. Spans point into the record, its headers and the buffers, which are
 * cleared first. `ret_is_own`: it came out of the log `log_id`. ERR_HEADERS_TOO_LARGE: more than a
 * message may have; ERR_MEMORY. */
MUST_USE enum error_code kafka_arrival_read(const struct kafka_arrival *record, uint64_t log_id,
                                            struct buffer *headers, struct buffer *scratch,
                                            struct message_fields *ret_fields, bool *ret_is_own,
                                            struct error *why);
