/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_record.h — a message as a record of Kafka: topic, key, value, headers.
 *
 * Place:   of kafka.c's shipping.
 * Thread:  pure.
 * Bounds:  KAFKA_TOPIC_BYTES_MAX, the key's and the value's ceilings below.
 *
 * | `format`    | value                        | headers                                          |
 * | envelope    | the envelope                 | content-type, tidings-channel, tidings-offset,   |
 * |             |                              | tidings-id, and the publisher's                  |
 * | data        | the payload, byte for byte   | the same, and tidings-event                      |
 * | cloudevents | the payload, byte for byte   | content-type, ce_id, ce_source, ce_type and so   |
 * |             |                              | on: the Kafka binding 1.0.2 of CloudEvents, in   |
 * |             |                              | binary mode; and the publisher's other ones      |
 *
 * A topic is at most 249 letters, digits, `.`, `_` and `-`. Of a channel that gives another one
 * there is no topic, and no substitute is made up: two channels might share it, and nobody would
 * find it. Such a message is refused.
 */
#pragma once

#include <librdkafka/rdkafka.h>

#include "broker/config/config.h"
#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"

#define KAFKA_TOPIC_BYTES_MAX 249
#define KAFKA_KEY_BYTES_MAX 4096
/* An envelope of the largest message, whose text may grow sixfold. */
#define KAFKA_VALUE_BYTES_MAX (2 * FRAME_BYTES_MAX)

/* Memory that is used again for each record. */
struct kafka_record {
    struct buffer topic; /* terminated, which is not counted in `topic_name` */
    struct buffer key_bytes;
    struct buffer value_bytes;
    struct span topic_name;
    struct span key;
    struct span value;           /* lives as long as the message, or until the next record */
    rd_kafka_headers_t *headers; /* to be taken, or left for the next record to free */
};

void kafka_record_init(struct kafka_record *record);
void kafka_record_finish(struct kafka_record *record);

/* ERR_CONFIG: a word in braces that is not known to a topic; to a key. */
MUST_USE enum error_code kafka_record_check_topic(struct span text, struct error *why);
MUST_USE enum error_code kafka_record_check_key(struct span text, struct error *why);

/* Could a topic be called so? */
bool kafka_record_is_topic(struct span name);

/* ERR_BAD_CHANNEL: no topic has that name. ERR_TOO_LARGE, ERR_MEMORY. */
MUST_USE enum error_code kafka_record_make(struct kafka_record *record, const struct sink_row *row,
                                           struct message *message, struct error *why);
