/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sources/kafka_arrival.h"
#include "protocols/sources/kafka_source_private.h"

/* What stands in a queue may be of a reading that was given up: its offset says so. */
static bool is_expected(const struct kafka_partition *partition, int64_t offset) {
    return partition != NULL && partition->state == PARTITION_READ && offset >= partition->next;
}

/* Its position is none that Kafka has. */
static void lose(struct kafka_source *kafka, struct kafka_partition *partition) {
    partition->state = PARTITION_LOST;
    partition->has_witness = false;
    if (!kafka->scout.errand.is_under_way) {
        loop_disarm(kafka->loop, &kafka->look);
        IGNORE_RESULT(kafka_measure(kafka)); /* true: it is wanted of this one */
    }
}

static void on_end(struct kafka_source *kafka, struct kafka_partition *partition, int64_t offset) {
    if (partition->state == PARTITION_READ && partition->has_witness && offset < partition->next) {
        lose(kafka, partition); /* the end is where the witness would stand */
    } else if (offset > partition->end) {
        partition->end = offset;
    }
}

static void on_consume_error(struct kafka_source *kafka, const rd_kafka_message_t *message) {
    struct kafka_topic *topic = message->rkt == NULL ? NULL : rd_kafka_topic_opaque(message->rkt);
    struct kafka_partition *partition =
        topic == NULL ? NULL : kafka_find_partition(topic, message->partition);
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (partition != NULL) {
            on_end(kafka, partition, message->offset);
        }
        return;
    }
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && partition != NULL) {
        lose(kafka, partition);
        return;
    }
    kafka_trouble(kafka, message->err, "%s/%d: %s", topic == NULL ? "" : topic->name,
                  (int)message->partition, rd_kafka_err2str(message->err));
}

static void describe(const rd_kafka_message_t *message, struct kafka_arrival *ret_record) {
    rd_kafka_timestamp_type_t type;
    rd_kafka_headers_t *headers = NULL;
    int64_t time_ms = rd_kafka_message_timestamp(message, &type);
    bool has_headers = rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR;
    *ret_record = (struct kafka_arrival){
        .key = span_of(message->key, message->key == NULL ? 0 : message->key_len),
        .value = span_of(message->payload, message->payload == NULL ? 0 : message->len),
        .has_value = message->payload != NULL,
        .headers = has_headers ? headers : NULL,
        .timestamp_ms = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : time_ms,
    };
}

/* ERR_MEMORY: nothing happened. */
static enum error_code put(struct kafka_source *kafka, struct kafka_partition *partition,
                           const rd_kafka_message_t *message) {
    char name[KAFKA_POSITION_BYTES];
    char text[KAFKA_POSITION_BYTES];
    struct kafka_arrival record;
    struct error why = {0};
    bool is_own = false;
    describe(message, &record);
    int64_t time_ms = record.timestamp_ms > 0 ? record.timestamp_ms : partition->time_ms;
    struct source_record put = {
        .topic = span_of_string(partition->topic->name),
        .key = record.key,
        .position_name = kafka_position_name(partition, name),
        .position = kafka_position_text(message->offset + 1, time_ms, text),
    };
    enum error_code code = kafka_arrival_read(&record, kafka->log_id, &kafka->headers,
                                              &kafka->scratch, &put.fields, &is_own, &why);
    if (code == OK && !is_own) {
        code = source_put(kafka->source, &put);
    } else if (code != ERR_MEMORY) {
        code = source_pass_over(kafka->source, &put, code, &why);
    }
    if (code == OK) {
        partition->next = message->offset + 1;
        partition->time_ms = time_ms;
    }
    return code;
}

/* The first record of a reading, which may be the one before the position. */
static void hear_witness(struct kafka_source *kafka, struct kafka_partition *partition,
                         const rd_kafka_message_t *message) {
    struct kafka_arrival record;
    partition->has_witness = false;
    describe(message, &record);
    if (message->offset == partition->next - 1 && record.timestamp_ms > 0 &&
        record.timestamp_ms != partition->time_ms) {
        partition->is_other = true;
        lose(kafka, partition);
    }
}

/* False: there is no memory, and it is tried again. */
static bool take(struct kafka_source *kafka, rd_kafka_message_t *message) {
    struct kafka_topic *topic = rd_kafka_topic_opaque(message->rkt);
    struct kafka_partition *partition = kafka_find_partition(topic, message->partition);
    if (partition != NULL && partition->state == PARTITION_READ && partition->has_witness) {
        hear_witness(kafka, partition, message);
    }
    if (is_expected(partition, message->offset) && put(kafka, partition, message) != OK) {
        kafka->held = message;
        loop_arm(kafka->loop, &kafka->again, loop_now_ms(kafka->loop) + KAFKA_AGAIN_MS);
        return false;
    }
    rd_kafka_message_destroy(message);
    return true;
}

static rd_kafka_message_t *next_message(struct kafka_source *kafka) {
    rd_kafka_message_t *message = kafka->held;
    kafka->held = NULL;
    return message == NULL ? rd_kafka_consume_queue(kafka->queue, 0) : message;
}

void kafka_take_all(struct kafka_source *kafka) {
    for (size_t left = KAFKA_TURN_RECORDS; left > 0; left--) {
        rd_kafka_message_t *message = source_has_room(kafka->source) ? next_message(kafka) : NULL;
        if (message == NULL) {
            return; /* on_room() or the eventfd brings the next turn */
        }
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            on_consume_error(kafka, message);
            rd_kafka_message_destroy(message);
        } else if (!take(kafka, message)) {
            return;
        }
    }
    loop_put_chore(kafka->loop, &kafka->chore);
}
