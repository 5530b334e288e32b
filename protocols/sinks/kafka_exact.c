/* SPDX-License-Identifier: Apache-2.0 */
/* Each message once, whatever ends: records and the sink's place go to Kafka in one transaction.
 *
 * The transactional id is `tidings.<log id>.<sink>`. Whoever takes it ends the transaction of the
 * one before and shuts that one out, so of two brokers with one data directory the newer writes.
 * The place is a record in partition 0 of the topic `kafka.checkpoints`: its key is the
 * transactional id, its value the id (id.h) of the newest message of the transaction, a space and
 * the number of the sink's course: each replay begins another, in which an older place is none. The
 * topic is made where it is missing, with one partition and cleanup.policy=compact. What counts is
 * the newest place that a reader of read_committed finds; the sink's own is behind it or the same.
 *
 * Other sinks write to the same partition, and an open transaction of one hides what was committed
 * behind it. So the reader does not stop where read_committed ends for now: it asks where the
 * partition ends for everybody, and reads on until it is there.
 *
 * What waits when a transaction has ended is the next one, up to KAFKA_TRANSACTION_RECORDS: alone
 * at a low rate, many under load. A record that is refused ends its transaction: what stands before
 * it is committed, it is refused, and the sink goes down once, so that its place never passes a
 * message that is neither in Kafka nor a dead letter.
 */
#include "protocols/sinks/kafka_private.h"

#include <stdio.h>
#include <string.h>

#include "broker/channels/id.h"
#include "broker/support/clock.h"

#define TOPIC_PARTITIONS 1
#define REPLICAS_OF_THE_CLUSTER (-1)
#define CREATE_MS 5000
#define PLACE_BYTES_MAX (ID_TEXT_BYTES_MAX + 1 + SPAN_U64_DIGITS)
#define COMMIT_MS 30000 /* until a commit that nobody answers is given up */

/* Compacted soon, so that a start does not read for long. */
static const char *const checkpoint_properties[][2] = {
    {"cleanup.policy", "compact"},
    {"segment.bytes", "16777216"},
    {"min.cleanable.dirty.ratio", "0.1"},
};

/* --- on the errand's thread: taking over ----------------------------------------------------- */

static bool may_try(const struct kafka *kafka, uint64_t due_ms) {
    return !atomic_load(&kafka->errand.is_cancelled) && clock_monotonic_ms() < due_ms;
}

static void find_error(struct kafka *kafka, rd_kafka_resp_err_t error, const char *where) {
    kafka->found.error = error;
    snprintf(kafka->found.detail, sizeof(kafka->found.detail), "%.150s", where);
}

/* The error is ours to free. */
static void find_error_of(struct kafka *kafka, rd_kafka_error_t *error, const char *where) {
    kafka->found.error = rd_kafka_error_code(error);
    kafka->found.is_fatal = rd_kafka_error_is_fatal(error) != 0;
    snprintf(kafka->found.detail, sizeof(kafka->found.detail), "%.150s", where);
    rd_kafka_error_destroy(error);
}

static bool take_over(struct kafka *kafka) {
    uint64_t due_ms = clock_monotonic_ms() + KAFKA_FENCE_MS;
    rd_kafka_error_t *error;
    while ((error = rd_kafka_init_transactions(kafka->handle, 2 * KAFKA_ASK_MS)) != NULL) {
        if (rd_kafka_error_is_retriable(error) == 0 || !may_try(kafka, due_ms)) {
            find_error_of(kafka, error, "the transactional id cannot be taken");
            return false;
        }
        rd_kafka_error_destroy(error);
    }
    return true;
}

/* Whatever comes of it: that the topic is there, or is not, is seen by reading it. */
static void create_topic(struct kafka *kafka) {
    char reason[256];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(kafka->link.row->kafka_checkpoints, TOPIC_PARTITIONS,
                              REPLICAS_OF_THE_CLUSTER, reason, sizeof(reason));
    if (topic == NULL) {
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(checkpoint_properties); i++) {
        IGNORE_RESULT(rd_kafka_NewTopic_set_config(topic, checkpoint_properties[i][0],
                                                   checkpoint_properties[i][1]) != 0);
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka->handle);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(kafka->handle, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    IGNORE_RESULT(
        rd_kafka_AdminOptions_set_request_timeout(options, CREATE_MS, reason, sizeof(reason)) != 0);
    rd_kafka_CreateTopics(kafka->handle, &topic, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CREATE_MS);
    if (event != NULL) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
}

/* Where the partition begins, and ends for everybody (the producer is of read_uncommitted). Makes
 * the topic where nobody knows it. */
static bool find_ends(struct kafka *kafka, int64_t *ret_low, int64_t *ret_high) {
    const char *topic = kafka->link.row->kafka_checkpoints;
    uint64_t due_ms = clock_monotonic_ms() + KAFKA_CONNECT_MS;
    bool is_made = false;
    rd_kafka_resp_err_t error;
    while ((error = rd_kafka_query_watermark_offsets(kafka->handle, topic, 0, ret_low, ret_high,
                                                     2 * KAFKA_ASK_MS)) !=
               RD_KAFKA_RESP_ERR_NO_ERROR &&
           may_try(kafka, due_ms)) {
        if (!is_made) {
            create_topic(kafka);
            is_made = true;
        }
    }
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        find_error(kafka, error, topic);
    }
    return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* --- on the errand's thread: the place ------------------------------------------------------- */

static rd_kafka_t *new_reader(struct kafka *kafka) {
    static const char *const properties[][2] = {
        {"isolation.level", "read_committed"},
        {"enable.partition.eof", "true"},
        {"fetch.wait.max.ms", "100"},
    };
    struct error why = {0};
    char reason[256] = "";
    rd_kafka_conf_t *conf;
    enum error_code code = kafka_options_create(&kafka->access, &conf, &why);
    if (code != OK) {
        find_error(kafka, RD_KAFKA_RESP_ERR__INVALID_ARG, why.detail);
        return NULL;
    }
    for (size_t i = 0; code == OK && i < ARRAY_COUNT(properties); i++) {
        code = kafka_options_set(conf, properties[i][0], properties[i][1], &why);
    }
    rd_kafka_t *reader =
        code == OK ? rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason)) : NULL;
    if (reader == NULL) {
        rd_kafka_conf_destroy(conf);
        find_error(kafka, RD_KAFKA_RESP_ERR__INVALID_ARG, code == OK ? reason : why.detail);
    }
    return reader;
}

/* What is none is passed over. */
static void take_place(struct span value, struct kafka_finding *found) {
    struct span number = value;
    struct span id = span_split(&number, ' ');
    struct place place;
    uint64_t course;
    if (id_parse(id, &place) && span_parse_u64(number, &course)) {
        found->has_place = true;
        found->place = place;
        found->course = course;
    }
}

static struct span format_place(const struct kafka *kafka, char text[PLACE_BYTES_MAX]) {
    uint8_t digits[SPAN_U64_DIGITS];
    struct span course = span_format_u64(kafka->course, digits);
    size_t length = id_format(&kafka->place, text);
    text[length++] = ' ';
    memcpy(text + length, course.bytes, course.length);
    return span_of(text, length + course.length);
}

/* Ours, of this log, or another sink's. */
static void read_checkpoint(struct kafka *kafka, const rd_kafka_message_t *message) {
    struct span key = span_of(message->key, message->key_len);
    if (span_is_equal(key, span_of_string(kafka->transactional_id))) {
        take_place(span_of(message->payload, message->len), &kafka->found);
    }
}

/* True: all up to `high` is read. */
static bool read_some(struct kafka *kafka, rd_kafka_topic_t *topic, int64_t high,
                      uint64_t *due_ms) {
    bool is_over = false;
    rd_kafka_message_t *message = rd_kafka_consume(topic, 0, KAFKA_ASK_MS);
    if (message == NULL) {
        return false;
    }
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        read_checkpoint(kafka, message);
        is_over = message->offset + 1 >= high;
        *due_ms = clock_monotonic_ms() + KAFKA_FENCE_MS;
    } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        is_over = message->offset >= high;
    }
    rd_kafka_message_destroy(message);
    return is_over;
}

/* A transaction of others lasts KAFKA_FENCE_MS at most, and one of us is over already. */
static void read_place(struct kafka *kafka, rd_kafka_t *reader, int64_t low, int64_t high) {
    rd_kafka_topic_t *topic = rd_kafka_topic_new(reader, kafka->link.row->kafka_checkpoints, NULL);
    if (topic == NULL || rd_kafka_consume_start(topic, 0, low) != 0) {
        find_error(kafka, rd_kafka_last_error(), kafka->link.row->kafka_checkpoints);
    } else {
        uint64_t due_ms = clock_monotonic_ms() + KAFKA_FENCE_MS;
        bool is_over = false;
        while (!is_over && may_try(kafka, due_ms)) {
            is_over = read_some(kafka, topic, high, &due_ms);
        }
        if (!is_over) {
            find_error(kafka, RD_KAFKA_RESP_ERR__TIMED_OUT, kafka->link.row->kafka_checkpoints);
        }
        IGNORE_RESULT(rd_kafka_consume_stop(topic, 0) != 0); /* the reader ends with it */
    }
    if (topic != NULL) {
        rd_kafka_topic_destroy(topic);
    }
}

void kafka_exact_begin(struct kafka *kafka) {
    int64_t low = 0, high = 0;
    if (!take_over(kafka) || !find_ends(kafka, &low, &high) || low >= high) {
        return;
    }
    rd_kafka_t *reader = new_reader(kafka);
    if (reader != NULL) {
        read_place(kafka, reader, low, high);
        rd_kafka_destroy(reader);
    }
}

/* --- a transaction --------------------------------------------------------------------------- */

/* Up to its end, or the first that is refused. False: down it goes. */
static bool fill(struct kafka *kafka) {
    size_t count = 0;
    kafka->place = (struct place){0};
    kafka->failed = RD_KAFKA_RESP_ERR_NO_ERROR;
    while (count < KAFKA_TRANSACTION_RECORDS && !list_is_empty(&kafka->waiting)) {
        struct shipment *shipment = CONTAINER_OF(kafka->waiting.next, struct shipment, in_driver);
        enum error_code code = kafka_produce_first(kafka);
        if (code == ERR_BAD_CHANNEL || code == ERR_TOO_LARGE) {
            kafka->refused = shipment;
            return true;
        }
        if (code == ERR_FULL) {
            return true;
        }
        if (code != OK) {
            return false;
        }
        count++;
        if (!shipment->is_aside && shipment->messages[0]->place.position > kafka->place.position) {
            kafka->place = shipment->messages[0]->place;
            kafka->course = shipment->course;
        }
    }
    return true;
}

/* A transaction of nothing but a test or dead letters moves no place. */
static enum error_code put_checkpoint(struct kafka *kafka) {
    char text[PLACE_BYTES_MAX];
    struct kafka_topic *topic;
    if (kafka->place.position == 0) {
        return OK;
    }
    const struct kafka_message message = {.key = span_of_string(kafka->transactional_id),
                                          .value = format_place(kafka, text),
                                          .partition = 0};
    enum error_code code =
        kafka_find_topic(kafka, span_of_string(kafka->link.row->kafka_checkpoints), &topic);
    return code != OK ? code : kafka_produce(kafka, topic, &message);
}

static void abort_transaction(struct kafka *kafka, uint64_t due_ms) {
    rd_kafka_error_t *error;
    while ((error = rd_kafka_abort_transaction(kafka->handle, KAFKA_ASK_MS)) != NULL) {
        bool is_worth_it = rd_kafka_error_is_retriable(error) != 0 && may_try(kafka, due_ms);
        rd_kafka_error_destroy(error);
        if (!is_worth_it) {
            return; /* whoever takes over next aborts it */
        }
    }
}

static void commit_call(struct kafka_errand *errand) {
    struct kafka *kafka = CONTAINER_OF(errand, struct kafka, errand);
    uint64_t due_ms = clock_monotonic_ms() + COMMIT_MS;
    rd_kafka_error_t *error;
    while ((error = rd_kafka_commit_transaction(kafka->handle, KAFKA_ASK_MS)) != NULL) {
        bool is_lost = rd_kafka_error_txn_requires_abort(error) != 0;
        if (rd_kafka_error_is_retriable(error) == 0 || !may_try(kafka, due_ms)) {
            find_error_of(kafka, error, "the transaction is not committed");
            if (is_lost) {
                abort_transaction(kafka, due_ms);
            }
            return;
        }
        rd_kafka_error_destroy(error);
    }
}

static void settle_refused(struct kafka *kafka) {
    struct shipment *refused = kafka->refused;
    kafka->refused = NULL;
    if (refused != NULL) {
        kafka_settle(kafka, refused, &kafka->refusal);
    }
}

/* All of it at once. They are taken out before the first is settled, for the sink may come with
 * more meanwhile. */
static void settle_all(struct kafka *kafka) {
    const struct verdict delivered = {.outcome = OUTCOME_DELIVERED};
    struct list done;
    list_init(&done);
    list_put_all(&done, &kafka->under_way);
    while (!list_is_empty(&done)) {
        kafka_on_taken(kafka);
        kafka_settle(kafka, CONTAINER_OF(done.next, struct shipment, in_driver), &delivered);
    }
}

static void on_committed(struct kafka_errand *errand) {
    struct kafka *kafka = CONTAINER_OF(errand, struct kafka, errand);
    bool was_committed = kafka->found.error == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (was_committed) {
        settle_all(kafka);
    }
    kafka->is_committing = false;
    if (kafka_is_over(kafka)) {
        return;
    }
    if (was_committed && kafka->refused == NULL) {
        kafka_mind_swap(kafka);
        kafka_go_on(kafka);
        return;
    }
    if (!was_committed && kafka->failed == RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka_say(&kafka->trouble, kafka->found.is_fatal ? OUTCOME_FAILED : OUTCOME_UNREACHED,
                  kafka->found.error, "%s: %s", kafka->found.detail,
                  rd_kafka_err2str(kafka->found.error));
    } else if (was_committed) {
        kafka_say(&kafka->trouble, OUTCOME_REFUSED, 0, "one was refused: %.150s",
                  kafka->refusal.detail);
    }
    settle_refused(kafka);
    kafka_go_down(kafka, &kafka->trouble);
}

void kafka_exact_pump(struct kafka *kafka) {
    if (kafka->phase != KAFKA_UP || kafka->errand.is_under_way || kafka->is_committing ||
        kafka->is_swapping || list_is_empty(&kafka->waiting)) {
        return;
    }
    rd_kafka_error_t *error = rd_kafka_begin_transaction(kafka->handle);
    if (error != NULL) {
        kafka_say(&kafka->trouble, OUTCOME_FAILED, rd_kafka_error_code(error), "%s",
                  rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        kafka_go_down(kafka, &kafka->trouble);
        return;
    }
    kafka->found = (struct kafka_finding){0};
    kafka->is_committing =
        fill(kafka) && put_checkpoint(kafka) == OK &&
        kafka_errand_begin(&kafka->errand, kafka->link.loop, commit_call, on_committed);
    if (!kafka->is_committing) {
        kafka_go_down(kafka, &kafka->trouble);
    }
}

void kafka_exact_on_report(struct kafka *kafka, const rd_kafka_message_t *report) {
    if (report->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka->heard_ms = loop_now_ms(kafka->link.loop);
        return;
    }
    if (kafka->failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return; /* the first says why; the others went down with it */
    }
    kafka->failed = report->err;
    kafka_say(&kafka->trouble, OUTCOME_FAILED, report->err, "topic %.100s: %s",
              rd_kafka_topic_name(report->rkt), rd_kafka_err2str(report->err));
    if (kafka_is_refusal(report->err) && kafka->is_careful && report->_private != NULL) {
        kafka->refused = report->_private;
        kafka->refusal = kafka->trouble;
        kafka->refusal.outcome = OUTCOME_REFUSED;
    }
    kafka->is_careful = kafka->is_careful || kafka_is_refusal(report->err);
}
