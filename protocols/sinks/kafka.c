/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a Kafka sink. What becomes of trouble:
 *
 * | trouble                                | what follows                                         |
 * | no broker, TLS or SASL refused         | down; the detail is the library's last word          |
 * | no leader, or nothing taken for 10 s   | down; the detail names the topic and partition       |
 * | no such topic (5 s behind its making)  | down, as long as it is missing: it may yet be made   |
 * | not allowed to write                   | down                                                 |
 * | a record that is too large, or invalid | refused: a dead letter, and the others go on         |
 * | a name that no topic can have          | refused                                              |
 * | a fatal error of the library           | down; a fresh producer goes on from the cursor       |
 *
 * Down is for the sink to end: it starts the driver again after a while, from its own place (or of
 * exactly_once from the one in Kafka), so nothing is lost, no attempt is burnt, and what was under
 * way and had arrived may come twice.
 */
#include "protocols/sinks/kafka_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "protocols/sinks/answer.h"

/* --- what is wrong --------------------------------------------------------------------------- */

void kafka_say(struct verdict *verdict, enum outcome outcome, rd_kafka_resp_err_t error,
               const char *format, ...) {
    char text[SINK_DETAIL_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    answer_put_detail(verdict->detail, span_of_string(text)); /* Kafka's words may be in it */
    verdict->outcome = outcome;
    verdict->status =
        error > 0 ? (unsigned)error : 0; /* of the library's own, below 0, no number */
    verdict->retry_after_ms = 0;
}

static struct kafka_access access_of(const struct sink_row *row) {
    return (struct kafka_access){.is_consumer = false,
                                 .place = row->place,
                                 .brokers = row->kafka_brokers,
                                 .username = row->kafka_username,
                                 .password = row->kafka_password,
                                 .options = &row->kafka_options};
}

static void check_text(const struct sink_row *row, const char *source, const char *key,
                       const char *name, const struct error *why, struct config_faults *faults) {
    char path[128];
    snprintf(path, sizeof(path), "%s%skafka.%s", key, *key == 0 ? "" : ".", name);
    config_faults_add(faults, source, row->place.line, row->place.column, path, "%s", why->detail);
}

static void check(const struct sink_row *row, const char *source, const char *key,
                  struct config_faults *faults) {
    struct error why = {0};
    struct kafka_access access = access_of(row);
    kafka_options_check(&access, source, key, faults);
    if (kafka_record_check_topic(span_of_string(row->kafka_topic), &why) != OK) {
        check_text(row, source, key, "topic", &why, faults);
    }
    if (kafka_record_check_key(span_of_string(row->kafka_key), &why) != OK) {
        check_text(row, source, key, "key", &why, faults);
    }
    if (row->kafka_delivery == SINK_DELIVERY_EXACTLY_ONCE &&
        !kafka_record_is_topic(span_of_string(row->kafka_checkpoints))) {
        IGNORE_RESULT(error_set(&why, ERR_CONFIG, "is no name of a topic")); /* filled in alone */
        check_text(row, source, key, "checkpoints", &why, faults);
    }
}

static void connect_producer(struct kafka_berth *berth);

/* --- opening and closing --------------------------------------------------------------------- */

static enum error_code open_sink(const struct sink_link *link, void **ret_state,
                                 struct error *why) {
    struct kafka *kafka = calloc(1, sizeof(*kafka));
    if (kafka == NULL || kafka_berths_open(link->loop, &kafka->berths) != OK) {
        free(kafka);
        return error_set(why, ERR_MEMORY, "no memory for a Kafka sink");
    }
    const struct sink_row *row = link->row;
    kafka->link = *link;
    kafka->access = access_of(row);
    kafka->is_exact = row->kafka_delivery == SINK_DELIVERY_EXACTLY_ONCE;
    kafka->event_fd = -1;
    kafka->stall_ms = KAFKA_STALL_MS;
    kafka->watch.on_ready = kafka_on_ready;
    kafka->stall.on_due = kafka_on_stall;
    list_init(&kafka->waiting);
    list_init(&kafka->under_way);
    kafka_record_init(&kafka->record);
    kafka_berth_init(&kafka->berth, connect_producer);
    if (kafka->is_exact) {
        snprintf(kafka->transactional_id, sizeof(kafka->transactional_id), "tidings.%016llx.%s",
                 (unsigned long long)log_id(link->broker->log), row->name);
    }
    *ret_state = kafka;
    return OK;
}

static void get_terms(const void *state, struct terms *ret_terms) {
    const struct kafka *kafka = state;
    *ret_terms = (struct terms){.messages_max = 1,
                                .bytes_max = SINK_WINDOW_BYTES_MAX,
                                .shipments_max = SINK_PIPELINE_MAX,
                                .is_pipelined = true,
                                .has_own_place = kafka->is_exact};
}

static void close_sink(void *state) {
    struct kafka *kafka = state;
    if (kafka == NULL) {
        return;
    }
    INVARIANT(kafka->handle == NULL);
    INVARIANT(!kafka->errand.is_under_way);
    kafka_berths_close(kafka->berths);
    kafka_record_finish(&kafka->record);
    free(kafka);
}

/* --- the producer's end ---------------------------------------------------------------------- */

static void make_producer(struct kafka *kafka);

/* Records that the library still has are nobody's any more. */
static void end_call(struct kafka_errand *errand) {
    struct kafka *kafka = CONTAINER_OF(errand, struct kafka, errand);
    IGNORE_RESULT(
        rd_kafka_purge(kafka->handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT) != 0);
    rd_kafka_queue_io_event_enable(kafka->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(kafka->queue);
    rd_kafka_destroy(kafka->handle);
    close(kafka->event_fd);
}

/* Only now: who was told that it is down or stopped may close it. */
static void tell_end(struct kafka *kafka) {
    kafka_abandon_all(kafka);
    kafka_record_finish(&kafka->record);
    kafka->phase = KAFKA_IDLE;
    kafka->is_committing = false;
    kafka_berth_leave(kafka->berths, &kafka->berth);
    if (kafka->is_stopping) {
        kafka->is_stopping = false;
        sink_on_stopped(kafka->link.sink);
    } else {
        sink_on_down(kafka->link.sink, &kafka->fall);
    }
}

static void on_ended(struct kafka_errand *errand) {
    struct kafka *kafka = CONTAINER_OF(errand, struct kafka, errand);
    kafka->handle = NULL;
    kafka->queue = NULL;
    kafka->event_fd = -1;
    kafka->is_swapping = false;
    if (kafka->phase != KAFKA_UP) {
        tell_end(kafka);
        return;
    }
    make_producer(kafka);
    kafka_pump(kafka);
}

/* What was asked for, once nothing uses the producer: neither an errand nor a call above us. */
static void end_producer(struct kafka *kafka) {
    if (kafka->errand.is_under_way) {
        kafka_errand_cancel(&kafka->errand);
        return;
    }
    if (kafka->is_reading) {
        return;
    }
    loop_disarm(kafka->link.loop, &kafka->stall);
    kafka_forget_topics(kafka);
    kafka_gate_destroy(kafka->gate);
    kafka->gate = NULL;
    if (kafka->handle == NULL) {
        on_ended(&kafka->errand);
        return;
    }
    loop_unwatch(kafka->link.loop, &kafka->watch);
    if (!kafka_errand_begin(&kafka->errand, kafka->link.loop, end_call, on_ended)) {
        end_call(&kafka->errand); /* the others wait for it rather than that it stays for ever */
        on_ended(&kafka->errand);
    }
}

bool kafka_is_over(struct kafka *kafka) {
    if (kafka->phase == KAFKA_FALLING) {
        end_producer(kafka);
        return true;
    }
    return false;
}

void kafka_go_down(struct kafka *kafka, const struct verdict *verdict) {
    INVARIANT(kafka->phase == KAFKA_CONNECTING || kafka->phase == KAFKA_UP);
    kafka->phase = KAFKA_FALLING;
    kafka->fall = *verdict;
    end_producer(kafka);
}

void kafka_swap(struct kafka *kafka) {
    if (kafka->phase != KAFKA_UP || kafka->under_way_count > 0 || kafka->errand.is_under_way) {
        return;
    }
    if (kafka->is_exact) {
        kafka_say(&kafka->trouble, OUTCOME_ABANDONED, 0, "the producer begins anew");
        kafka_go_down(kafka, &kafka->trouble);
        return;
    }
    end_producer(kafka);
}

/* --- its beginning --------------------------------------------------------------------------- */

static enum error_code put_properties(const struct kafka *kafka, rd_kafka_conf_t *conf,
                                      struct error *why) {
    enum error_code code = kafka_options_promise(conf, why);
    if (code == OK && kafka->is_careful) {
        code = kafka_options_set(conf, "batch.num.messages", "1", why);
    }
    if (code == OK && !kafka->is_exact && !kafka->is_careful) {
        /* Behind a batch that is refused nothing goes: it would come before what is sent again. */
        code = kafka_options_set(conf, "enable.gapless.guarantee", "true", why);
    }
    if (code != OK || !kafka->is_exact) {
        /* For ever: a record that the library gives up would leave a hole, for it goes on with
         * those behind. Of a transaction it is as long as that may last, which is the library's
         * own choice unless told. */
        return code != OK ? code : kafka_options_set(conf, "message.timeout.ms", "0", why);
    }
    code = kafka_options_set(conf, "transactional.id", kafka->transactional_id, why);
    /* A question for the end of the checkpoints is one for all of them, see kafka_exact.c. */
    return code != OK ? code : kafka_options_set(conf, "isolation.level", "read_uncommitted", why);
}

static rd_kafka_t *new_producer(struct kafka *kafka, struct error *why) {
    char reason[256] = "";
    rd_kafka_conf_t *conf;
    enum error_code code = kafka_options_create(&kafka->access, &conf, why);
    if (code != OK) {
        return NULL;
    }
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    code = put_properties(kafka, conf, why);
    rd_kafka_t *handle =
        code == OK ? rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason)) : NULL;
    if (handle == NULL) {
        rd_kafka_conf_destroy(conf);
        if (code == OK) {
            IGNORE_RESULT(error_set(why, ERR_CONFIG, "%s", reason)); /* NULL says it failed */
        }
    }
    return handle;
}

static bool watch_queue(struct kafka *kafka) {
    const uint64_t one = 1;
    kafka->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (kafka->event_fd < 0 ||
        loop_watch(kafka->link.loop, &kafka->watch, kafka->event_fd, EPOLLIN) != OK) {
        return false;
    }
    rd_kafka_queue_io_event_enable(kafka->queue, kafka->event_fd, &one, sizeof(one));
    /* What came before that wrote nothing. */
    return write(kafka->event_fd, &one, sizeof(one)) == (ssize_t)sizeof(one);
}

/* Goes down where it fails. */
static void make_producer(struct kafka *kafka) {
    struct error why = {0};
    kafka->trouble = (struct verdict){0};
    kafka->careful_left = KAFKA_CAREFUL_RECORDS;
    bool has_gate = !kafka->is_exact && !kafka->is_careful;
    if (map_init(&kafka->topics) == OK && (!has_gate || kafka_gate_create(&kafka->gate) == OK)) {
        kafka->handle = new_producer(kafka, &why);
    }
    if (kafka->handle == NULL) {
        kafka_say(&kafka->trouble, OUTCOME_FAILED, 0, "no producer: %s", why.detail);
        kafka_go_down(kafka, &kafka->trouble);
        return;
    }
    kafka->queue = rd_kafka_queue_get_main(kafka->handle);
    if (!watch_queue(kafka)) {
        kafka_say(&kafka->trouble, OUTCOME_FAILED, 0, "no eventfd for a producer");
        kafka_go_down(kafka, &kafka->trouble);
    }
}

/* The name of the cluster is the first word of one that is there and lets us in, and costs it
 * least: other questions bring all of its topics. */
static void connect_call(struct kafka_errand *errand) {
    struct kafka *kafka = CONTAINER_OF(errand, struct kafka, errand);
    uint64_t due_ms = clock_monotonic_ms() + KAFKA_CONNECT_MS;
    char *name;
    do {
        name = rd_kafka_clusterid(kafka->handle, KAFKA_NAME_MS);
    } while (name == NULL && !atomic_load(&errand->is_cancelled) && clock_monotonic_ms() < due_ms);
    if (name == NULL) {
        kafka->found.error = RD_KAFKA_RESP_ERR__TIMED_OUT;
        return;
    }
    rd_kafka_mem_free(kafka->handle, name);
    if (kafka->is_exact) {
        kafka_exact_begin(kafka);
    }
}

static void on_connected(struct kafka_errand *errand) {
    struct kafka *kafka = CONTAINER_OF(errand, struct kafka, errand);
    if (kafka_is_over(kafka)) {
        return;
    }
    const struct kafka_finding *found = &kafka->found;
    if (found->error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (kafka->trouble.detail[0] == 0 || found->detail[0] != 0) {
            kafka_say(&kafka->trouble, OUTCOME_UNREACHED, found->error, "%s%s%s", found->detail,
                      found->detail[0] == 0 ? "" : ": ", rd_kafka_err2str(found->error));
        }
        kafka_go_down(kafka, &kafka->trouble);
        return;
    }
    kafka->phase = KAFKA_UP;
    kafka->trouble = (struct verdict){0};
    kafka_berth_leave(kafka->berths, &kafka->berth);
    sink_on_up(kafka->link.sink, found->has_place ? &found->place : NULL, found->course);
}

static void connect_producer(struct kafka_berth *berth) {
    struct kafka *kafka = CONTAINER_OF(berth, struct kafka, berth);
    kafka->found = (struct kafka_finding){0};
    make_producer(kafka);
    if (kafka->phase == KAFKA_CONNECTING &&
        !kafka_errand_begin(&kafka->errand, kafka->link.loop, connect_call, on_connected)) {
        kafka_say(&kafka->trouble, OUTCOME_FAILED, 0, "no thread for a producer");
        kafka_go_down(kafka, &kafka->trouble);
    }
}

/* --- what the sink asks for ------------------------------------------------------------------ */

static void start(void *state) {
    struct kafka *kafka = state;
    INVARIANT(kafka->phase == KAFKA_IDLE);
    INVARIANT(kafka->handle == NULL);
    kafka->phase = KAFKA_CONNECTING;
    kafka_berth_ask(kafka->berths, &kafka->berth);
}

static void stop(void *state) {
    struct kafka *kafka = state;
    INVARIANT(!kafka->is_stopping);
    kafka->is_stopping = true;
    kafka->phase = KAFKA_FALLING;
    end_producer(kafka);
}

static void ship(void *state, struct shipment *shipment) {
    struct kafka *kafka = state;
    INVARIANT(shipment->count == 1);
    shipment->state = NULL;
    list_init(&shipment->in_driver);
    list_put_tail(&kafka->waiting, &shipment->in_driver);
}

static void flush(void *state) {
    kafka_go_on(state);
}

const struct driver kafka_driver = {
    .kind = "kafka",
    .check = check,
    .open = open_sink,
    .get_terms = get_terms,
    .start = start,
    .ship = ship,
    .flush = flush,
    .stop = stop,
    .close = close_sink,
};
