/* SPDX-License-Identifier: Apache-2.0 */
/* What is under way: from a shipment to a record, and back from its report.
 *
 * A producer that has written nothing of a key has one record of it under way (kafka_gate.h).
 *
 * A batch that is refused for one record's size says not which, and the library gives up all of
 * it, and stops (enable.gapless.guarantee). So the sink goes down, and comes up careful: with one
 * record a batch. Then what is refused is known, and the others pass. Behind KAFKA_CAREFUL_RECORDS
 * that were taken it is as fast as before.
 */
#include "protocols/sinks/kafka_private.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/support/invariant.h"

/* --- topics ---------------------------------------------------------------------------------- */

void kafka_forget_topics(struct kafka *kafka) {
    if (kafka->topics.buckets == NULL) {
        return;
    }
    struct map_node *node = map_first(&kafka->topics);
    while (node != NULL) {
        struct kafka_topic *topic = CONTAINER_OF(node, struct kafka_topic, node);
        node = map_next(&kafka->topics, node);
        rd_kafka_topic_destroy(topic->topic);
        free(topic);
    }
    map_finish(&kafka->topics);
    kafka->topics = (struct map){0};
}

static struct kafka_topic *make_topic(struct kafka *kafka, struct span name) {
    struct kafka_topic *topic = malloc(sizeof(*topic) + name.length + 1);
    if (topic == NULL) {
        return NULL;
    }
    memcpy(topic->name, name.bytes, name.length);
    topic->name[name.length] = 0;
    topic->topic = rd_kafka_topic_new(kafka->handle, topic->name, NULL);
    if (topic->topic == NULL) {
        free(topic);
        return NULL;
    }
    map_put(&kafka->topics, &topic->node, span_of(topic->name, name.length));
    return topic;
}

enum error_code kafka_find_topic(struct kafka *kafka, struct span name,
                                 struct kafka_topic **ret_topic) {
    struct map_node *node = map_find(&kafka->topics, name);
    if (node != NULL) {
        *ret_topic = CONTAINER_OF(node, struct kafka_topic, node);
        return OK;
    }
    if (map_count(&kafka->topics) >= KAFKA_TOPICS_MAX) {
        kafka->is_swapping = true;
        return ERR_FULL;
    }
    *ret_topic = make_topic(kafka, name);
    if (*ret_topic == NULL) {
        kafka_say(&kafka->trouble, OUTCOME_FAILED, 0, "no memory for a topic");
        return ERR_MEMORY;
    }
    return OK;
}

/* --- to the library -------------------------------------------------------------------------- */

static enum error_code say_error(struct kafka *kafka, rd_kafka_resp_err_t error,
                                 const struct kafka_topic *topic) {
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        return ERR_FULL;
    }
    if (error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        kafka_say(&kafka->refusal, OUTCOME_REFUSED, error,
                  "topic %.100s: the record is larger than message.max.bytes", topic->name);
        return ERR_TOO_LARGE;
    }
    kafka_say(&kafka->trouble, OUTCOME_FAILED, error, "topic %.100s: %s", topic->name,
              rd_kafka_err2str(error));
    return ERR_IO;
}

/* A record without a value would be a tombstone, so an empty payload is an empty value. */
static void *bytes_of(struct span span) {
    return (void *)(span.length == 0 ? (const void *)"" : span.bytes);
}

enum error_code kafka_produce(struct kafka *kafka, struct kafka_topic *topic,
                              const struct kafka_message *message) {
    struct kafka_record *record = message->record;
    rd_kafka_vu_t words[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic->topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = message->partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {.ptr = bytes_of(message->value), .size = message->value.length}},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {.ptr = bytes_of(message->key), .size = message->key.length}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = (int64_t)message->time_ms},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = message->shipment},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = record == NULL ? NULL : record->headers},
    };
    size_t count = record == NULL ? ARRAY_COUNT(words) - 1 : ARRAY_COUNT(words);
    rd_kafka_error_t *error = rd_kafka_produceva(kafka->handle, words, count);
    if (error == NULL) {
        if (record != NULL) {
            record->headers = NULL; /* the library's now */
        }
        return OK;
    }
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    return say_error(kafka, code, topic);
}

static void note_under_way(struct kafka *kafka, struct shipment *shipment,
                           struct kafka_topic *topic) {
    list_remove(&shipment->in_driver);
    list_put_tail(&kafka->under_way, &shipment->in_driver);
    shipment->state = topic;
    if (kafka->under_way_count++ == 0) {
        kafka->heard_ms = loop_now_ms(kafka->link.loop);
        loop_arm(kafka->link.loop, &kafka->stall, kafka->heard_ms + kafka->stall_ms);
    }
}

enum error_code kafka_produce_first(struct kafka *kafka) {
    struct shipment *shipment = CONTAINER_OF(kafka->waiting.next, struct shipment, in_driver);
    struct message *message = shipment->messages[0];
    struct kafka_record *record = &kafka->record;
    struct kafka_topic *topic;
    struct error why = {0};
    enum error_code code = kafka_record_make(record, kafka->link.row, message, &why);
    if (code == ERR_BAD_CHANNEL || code == ERR_TOO_LARGE) {
        kafka_say(&kafka->refusal, OUTCOME_REFUSED, 0, "%s", why.detail);
        return code;
    }
    if (code != OK) {
        kafka_say(&kafka->trouble, OUTCOME_FAILED, 0, "%s", why.detail);
        return code;
    }
    uint64_t name = 0;
    if (kafka->gate != NULL) {
        name = kafka_gate_name(kafka->gate, record->topic_name, record->key);
        if (!kafka_gate_is_open(kafka->gate, name)) {
            return ERR_FULL;
        }
    }
    code = kafka_find_topic(kafka, record->topic_name, &topic);
    if (code == OK) {
        const struct kafka_message produced = {.record = record,
                                               .key = record->key,
                                               .value = record->value,
                                               .partition = RD_KAFKA_PARTITION_UA,
                                               .time_ms = message->time_ms,
                                               .shipment = shipment};
        code = kafka_produce(kafka, topic, &produced);
    }
    if (code == OK) {
        note_under_way(kafka, shipment, topic);
        if (kafka->gate != NULL) {
            kafka_gate_note_sent(kafka->gate, name);
        }
    }
    return code;
}

static bool may_produce(const struct kafka *kafka) {
    return kafka->phase == KAFKA_UP && kafka->handle != NULL && !kafka->is_swapping &&
           !list_is_empty(&kafka->waiting);
}

void kafka_pump(struct kafka *kafka) {
    while (may_produce(kafka)) {
        struct shipment *shipment = CONTAINER_OF(kafka->waiting.next, struct shipment, in_driver);
        enum error_code code = kafka_produce_first(kafka);
        if (code == ERR_BAD_CHANNEL || code == ERR_TOO_LARGE) {
            kafka_settle(kafka, shipment, &kafka->refusal);
        } else if (code == ERR_FULL) {
            kafka_mind_swap(kafka);
            return; /* until a report says that there is room */
        } else if (code != OK) {
            kafka_go_down(kafka, &kafka->trouble);
            return;
        }
    }
}

/* --- back to the sink ------------------------------------------------------------------------ */

void kafka_settle(struct kafka *kafka, struct shipment *shipment, const struct verdict *verdict) {
    struct verdict told = *verdict;
    list_remove(&shipment->in_driver);
    if (shipment->state != NULL) {
        INVARIANT(kafka->under_way_count > 0);
        kafka->under_way_count--;
        shipment->state = NULL;
    }
    sink_on_settled(shipment, &told);
}

/* With the reason, which is the answer to a test that was among them. */
static void abandon(struct kafka *kafka, struct list *shipments) {
    struct verdict verdict = {0};
    if (!kafka->is_stopping) {
        verdict = kafka->fall;
    }
    verdict.outcome = OUTCOME_ABANDONED;
    while (!list_is_empty(shipments)) {
        kafka_settle(kafka, CONTAINER_OF(shipments->next, struct shipment, in_driver), &verdict);
    }
}

void kafka_abandon_all(struct kafka *kafka) {
    kafka->refused = NULL;
    abandon(kafka, &kafka->under_way);
    abandon(kafka, &kafka->waiting);
}

void kafka_on_taken(struct kafka *kafka) {
    kafka->heard_ms = loop_now_ms(kafka->link.loop);
    if (kafka->is_careful && kafka->careful_left > 0 && --kafka->careful_left == 0) {
        kafka->is_careful = false;
        kafka->is_swapping = true;
    }
}

void kafka_mind_swap(struct kafka *kafka) {
    if (kafka->is_swapping) {
        kafka_swap(kafka);
    }
}

/* --- what the library tells ------------------------------------------------------------------ */

bool kafka_is_refusal(rd_kafka_resp_err_t error) {
    return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
           error == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE ||
           error == RD_KAFKA_RESP_ERR_INVALID_RECORD ||
           error == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP;
}

/* True: nothing can go on as it is, and `trouble` says why. */
static bool on_failed(struct kafka *kafka, const rd_kafka_message_t *report,
                      struct shipment *shipment) {
    const char *topic = rd_kafka_topic_name(report->rkt);
    if (kafka_is_refusal(report->err) && kafka->is_careful) {
        kafka_say(&kafka->refusal, OUTCOME_REFUSED, report->err, "topic %.100s: %s", topic,
                  rd_kafka_err2str(report->err));
        kafka_settle(kafka, shipment, &kafka->refusal);
        return false;
    }
    kafka->is_careful = kafka->is_careful || kafka_is_refusal(report->err);
    kafka_say(&kafka->trouble, OUTCOME_FAILED, report->err, "topic %.100s: %s", topic,
              rd_kafka_err2str(report->err));
    return true;
}

static void note_arrived(struct kafka *kafka, const rd_kafka_message_t *report) {
    if (kafka->gate != NULL && kafka_gate_is_waiting(kafka->gate)) {
        struct span topic = span_of_string(rd_kafka_topic_name(report->rkt));
        struct span key = span_of(report->key, report->key_len);
        kafka_gate_note_taken(kafka->gate, kafka_gate_name(kafka->gate, topic, key));
    }
}

/* Of records that the producer had; false: down it goes. */
static bool on_reports(struct kafka *kafka, rd_kafka_event_t *event) {
    const struct verdict delivered = {.outcome = OUTCOME_DELIVERED};
    const rd_kafka_message_t *report;
    bool has_failed = false;
    while (kafka->phase == KAFKA_UP && (report = rd_kafka_event_message_next(event)) != NULL) {
        struct shipment *shipment = report->_private;
        if (kafka->is_exact) {
            kafka_exact_on_report(kafka, report);
        } else if (report->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            note_arrived(kafka, report);
            kafka_on_taken(kafka);
            kafka_settle(kafka, shipment, &delivered);
        } else if (!has_failed) { /* those behind it are abandoned with the rest */
            has_failed = on_failed(kafka, report, shipment);
        }
    }
    return !has_failed;
}

static bool on_error(struct kafka *kafka, rd_kafka_event_t *event) {
    char text[SINK_DETAIL_BYTES];
    rd_kafka_resp_err_t error = rd_kafka_event_error(event);
    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        if (kafka->trouble.detail[0] == 0) {
            kafka_say(&kafka->trouble, OUTCOME_UNREACHED, 0, "%s",
                      rd_kafka_event_error_string(event));
        }
        if (kafka->phase == KAFKA_CONNECTING) {
            kafka_errand_cancel(&kafka->errand);
        }
        return true;
    }
    if (error == RD_KAFKA_RESP_ERR__FATAL) {
        error = rd_kafka_fatal_error(kafka->handle, text, sizeof(text));
        kafka_say(&kafka->trouble, OUTCOME_FAILED, error, "%s", text);
        /* A batch was refused, and its report may stand behind this. */
        kafka->is_careful = kafka->is_careful || error == RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE;
        return false;
    }
    kafka_say(&kafka->trouble, OUTCOME_UNREACHED, error, "%s", rd_kafka_event_error_string(event));
    return true;
}

static bool on_event(struct kafka *kafka, rd_kafka_event_t *event) {
    bool goes_on = true;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
        goes_on = on_reports(kafka, event);
    } else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR) {
        goes_on = on_error(kafka, event);
    }
    rd_kafka_event_destroy(event);
    return goes_on;
}

/* The count is taken before the queue is read, so that what comes meanwhile is heard again. */
void kafka_on_ready(struct loop_watch *watch, uint32_t events) {
    struct kafka *kafka = CONTAINER_OF(watch, struct kafka, watch);
    (void)events;
    uint64_t count;
    IGNORE_RESULT(read(kafka->event_fd, &count, sizeof(count)) < 0); /* nothing there: no harm */
    rd_kafka_event_t *event = NULL;
    bool goes_on = true;
    kafka->is_reading = true; /* nobody ends the producer while an event of it is in hand */
    for (size_t left = KAFKA_EVENTS_MAX; goes_on && kafka->phase != KAFKA_FALLING && left > 0;
         left--) {
        event = rd_kafka_queue_poll(kafka->queue, 0);
        if (event == NULL) {
            break;
        }
        goes_on = on_event(kafka, event);
    }
    kafka->is_reading = false;
    if (kafka_is_over(kafka)) {
        return;
    }
    if (!goes_on) {
        kafka_go_down(kafka, &kafka->trouble);
        return;
    }
    if (event != NULL) { /* there may be more: the next turn looks */
        count = 1;
        IGNORE_RESULT(write(kafka->event_fd, &count, sizeof(count)) < 0); /* it counts already */
    }
    kafka_mind_swap(kafka);
    kafka_go_on(kafka);
}

void kafka_go_on(struct kafka *kafka) {
    if (kafka->is_exact) {
        kafka_exact_pump(kafka);
    } else {
        kafka_pump(kafka);
    }
}

/* --- nothing is taken ------------------------------------------------------------------------ */

/* What is wrong with the topic of the oldest record under way. */
static void explain_call(struct kafka_errand *errand) {
    struct kafka *kafka = CONTAINER_OF(errand, struct kafka, errand);
    struct kafka_finding *found = &kafka->found;
    const struct rd_kafka_metadata *metadata = NULL;
    found->error =
        rd_kafka_metadata(kafka->handle, 0, kafka->asked->topic, &metadata, 2 * KAFKA_ASK_MS);
    if (found->error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return; /* nobody answers: what the library told last says why */
    }
    struct verdict said;
    kafka_say(&said, OUTCOME_UNREACHED, 0, "topic %.100s: records are not taken",
              kafka->asked->name);
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *topic = &metadata->topics[i];
        if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            kafka_say(&said, OUTCOME_UNREACHED, topic->err, "topic %.100s: %s", topic->topic,
                      rd_kafka_err2str(topic->err));
        }
        for (int j = 0; j < topic->partition_cnt; j++) {
            if (topic->partitions[j].leader < 0) {
                kafka_say(&said, OUTCOME_UNREACHED, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
                          "topic %.100s: partition %d has no leader", topic->topic,
                          (int)topic->partitions[j].id);
            }
        }
    }
    rd_kafka_metadata_destroy(metadata);
    found->error = (rd_kafka_resp_err_t)said.status;
    memcpy(found->detail, said.detail, sizeof(found->detail));
}

static void on_explained(struct kafka_errand *errand) {
    struct kafka *kafka = CONTAINER_OF(errand, struct kafka, errand);
    uint64_t now_ms = loop_now_ms(kafka->link.loop);
    if (kafka_is_over(kafka)) {
        return;
    }
    if (kafka->under_way_count == 0 || now_ms < kafka->heard_ms + kafka->stall_ms) {
        kafka_on_stall(&kafka->stall);
        kafka_mind_swap(kafka);
        return;
    }
    if (kafka->found.detail[0] != 0) {
        kafka_say(&kafka->trouble, OUTCOME_UNREACHED, kafka->found.error, "%s",
                  kafka->found.detail);
    } else if (kafka->trouble.detail[0] == 0) {
        kafka_say(&kafka->trouble, OUTCOME_UNREACHED, kafka->found.error, "no broker answers: %s",
                  rd_kafka_err2str(kafka->found.error));
    }
    kafka_go_down(kafka, &kafka->trouble);
}

void kafka_on_stall(struct loop_timer *timer) {
    struct kafka *kafka = CONTAINER_OF(timer, struct kafka, stall);
    uint64_t now_ms = loop_now_ms(kafka->link.loop);
    if (kafka->under_way_count == 0) {
        return;
    }
    uint64_t due_ms = kafka->heard_ms + kafka->stall_ms;
    if (now_ms < due_ms || kafka->errand.is_under_way) {
        loop_arm(kafka->link.loop, timer, now_ms < due_ms ? due_ms : now_ms + kafka->stall_ms);
        return;
    }
    struct shipment *oldest = CONTAINER_OF(kafka->under_way.next, struct shipment, in_driver);
    kafka->asked = oldest->state;
    kafka->found = (struct kafka_finding){0};
    if (!kafka_errand_begin(&kafka->errand, kafka->link.loop, explain_call, on_explained)) {
        loop_arm(kafka->link.loop, timer, now_ms + kafka->stall_ms);
    }
}
