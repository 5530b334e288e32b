/* SPDX-License-Identifier: Apache-2.0 */
/* Read with librdkafka's simple consumer: partitions are started at offsets of ours, there is no
 * consumer group, nothing is committed to Kafka, and all partitions feed one queue, which writes to
 * an eventfd when it gets something. What blocks is the scout's. Partitions are never paused: a
 * queue that nobody takes from stops the fetching. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/support/invariant.h"
#include "protocols/sinks/answer.h"
#include "protocols/sinks/kafka_options.h"
#include "protocols/sources/kafka_arrival.h"
#include "protocols/sources/kafka_source_private.h"

#define TOPIC_BYTES_MAX 249 /* Kafka's own */
#define PATH_BYTES 96       /* of a fault: it has no more room for its key */

/* --- options --------------------------------------------------------------------------------- */

static struct kafka_access access_of(const struct source_row *row) {
    return (struct kafka_access){.is_consumer = true,
                                 .place = row->place,
                                 .brokers = row->kafka_brokers,
                                 .username = row->kafka_username,
                                 .password = row->kafka_password,
                                 .options = &row->kafka_options};
}

static bool is_topic(const char *name) {
    size_t length = strlen(name);
    return length > 0 && length <= TOPIC_BYTES_MAX;
}

static bool is_named_before(const struct config_list *names, size_t index) {
    for (size_t i = 0; i < index; i++) {
        if (strcmp(names->items[i], names->items[index]) == 0) {
            return true;
        }
    }
    return false;
}

static void check_topics(const struct source_row *row, const char *source, const char *key,
                         struct config_faults *faults) {
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s%skafka.topics", key, *key == 0 ? "" : ".");
    for (size_t i = 0; i < row->kafka_topics.count; i++) {
        if (!is_topic(row->kafka_topics.items[i]) || is_named_before(&row->kafka_topics, i)) {
            config_faults_add(faults, source, row->place.line, row->place.column, path,
                              "a topic has 1 to %d characters, and is named once", TOPIC_BYTES_MAX);
        }
    }
}

static void check(const struct source_row *row, const char *source, const char *key,
                  struct config_faults *faults) {
    const struct kafka_access access = access_of(row);
    kafka_options_check(&access, source, key, faults);
    check_topics(row, source, key, faults);
    source_check_channel(row, source, key, faults);
}

/* --- what librdkafka tells ------------------------------------------------------------------- */

void kafka_trouble(struct kafka_source *kafka, rd_kafka_resp_err_t code, const char *format, ...) {
    char text[SINK_DETAIL_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    kafka->verdict =
        (struct verdict){.outcome = OUTCOME_UNREACHED, .status = code > 0 ? (unsigned)code : 0};
    answer_put_detail(kafka->verdict.detail, span_of_string(text)); /* Kafka's words may be in it */
    if (kafka->end == KAFKA_GOES_ON) {
        source_on_trouble(kafka->source, &kafka->verdict);
        loop_arm(kafka->loop, &kafka->look, loop_now_ms(kafka->loop) + KAFKA_LOOK_SOON_MS);
    }
}

/* Up to what differs from attempt to attempt: "… (after 0ms in state CONNECT)". */
static void note_reason(struct kafka_source *kafka, const char *reason) {
    const char *end = strstr(reason, " (after ");
    int length = end == NULL ? (int)strlen(reason) : (int)(end - reason);
    snprintf(kafka->reason, sizeof(kafka->reason), "%.*s", length, reason);
}

/* Errors of one broker are only noted: the client may have others. */
static void on_error(rd_kafka_t *client, int error, const char *reason, void *context) {
    struct kafka_source *kafka = context;
    rd_kafka_resp_err_t code = error;
    bool is_refused = code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL;
    (void)client;
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        kafka->is_fatal = true;
        kafka_trouble(kafka, code, "%s", reason);
        return;
    }
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || kafka->reason[0] == '\0') {
        note_reason(kafka, reason);
    }
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || is_refused) {
        kafka_trouble(kafka, code, "%s", kafka->reason);
    }
}

/* --- the end --------------------------------------------------------------------------------- */

static void free_topics(struct kafka_source *kafka) {
    for (size_t i = 0; i < kafka->topic_count; i++) {
        free(kafka->topics[i].partitions);
    }
    free(kafka->topics);
    kafka->topics = NULL;
    kafka->topic_count = 0;
}

static void free_scout(struct kafka_source *kafka) {
    free(kafka->scout.reaches);
    free(kafka->scout.topics);
    kafka->scout.reaches = NULL;
    kafka->scout.topics = NULL;
    kafka->scout.reach_count = 0;
}

static void on_ended(struct kafka_source *kafka) {
    enum kafka_end end = kafka->end;
    kafka->client = NULL;
    kafka->end = KAFKA_GOES_ON;
    kafka->is_fatal = false;
    free_scout(kafka);
    free_topics(kafka);
    if (end == KAFKA_STOPS) {
        source_on_stopped(kafka->source);
    } else {
        source_on_down(kafka->source, &kafka->verdict);
    }
}

/* The scout takes it all away. Without memory for the list of what is to be stopped, the end of
 * the client stops it. */
static void send_end(struct kafka_source *kafka) {
    free_scout(kafka);
    rd_kafka_topic_t **topics = calloc(kafka->topic_count + 1, sizeof(rd_kafka_topic_t *));
    IGNORE_RESULT(kafka_list_read(kafka) != OK);
    if (topics == NULL) {
        loop_arm(kafka->loop, &kafka->again, loop_now_ms(kafka->loop) + KAFKA_AGAIN_MS);
        return;
    }
    for (size_t i = 0; i < kafka->topic_count; i++) {
        topics[i] = kafka->topics[i].handle;
    }
    kafka->scout.topics = topics;
    kafka->scout.topic_count = kafka->topic_count;
    kafka->scout.queues[0] = kafka->main_queue;
    kafka->scout.queues[1] = kafka->queue;
    kafka_send_scout(kafka, KAFKA_END);
}

static void begin_end(struct kafka_source *kafka, enum kafka_end end) {
    bool is_ending = kafka->end != KAFKA_GOES_ON;
    kafka->end = end; /* a stop wins over giving up */
    if (is_ending) {
        return;
    }
    loop_unwatch(kafka->loop, &kafka->watch);
    loop_take_chore_back(&kafka->chore);
    loop_disarm(kafka->loop, &kafka->look);
    loop_disarm(kafka->loop, &kafka->again);
    if (kafka->held != NULL) {
        rd_kafka_message_destroy(kafka->held);
        kafka->held = NULL;
    }
    if (kafka->scout.errand.is_under_way) {
        kafka_errand_cancel(&kafka->scout.errand);
    } else {
        send_end(kafka);
    }
}

/* --- the scout ------------------------------------------------------------------------------- */

static void look_later(struct kafka_source *kafka) {
    if (!loop_is_armed(&kafka->look)) {
        loop_arm(kafka->loop, &kafka->look, loop_now_ms(kafka->loop) + KAFKA_LOOK_MS);
    }
}

static void on_scout(struct kafka_scout *scout) {
    struct kafka_source *kafka = CONTAINER_OF(scout, struct kafka_source, scout);
    if (scout->kind == KAFKA_END) {
        on_ended(kafka);
        return;
    }
    if (kafka->end == KAFKA_GOES_ON) {
        loop_disarm(kafka->loop, &kafka->look);
        (scout->kind == KAFKA_LOOK ? kafka_on_looked : kafka_on_measured)(kafka);
    }
    if (scout->metadata != NULL) {
        rd_kafka_metadata_destroy(scout->metadata);
        scout->metadata = NULL;
    }
    if (kafka->end != KAFKA_GOES_ON) {
        send_end(kafka);
    } else if (!kafka_measure(kafka)) {
        look_later(kafka);
    }
}

void kafka_send_scout(struct kafka_source *kafka, enum kafka_scout_kind kind) {
    kafka->scout.client = kafka->client;
    kafka->scout.on_done = on_scout;
    if (!kafka_scout_send(&kafka->scout, kafka->loop, kind)) {
        struct loop_timer *timer = kind == KAFKA_END ? &kafka->again : &kafka->look;
        loop_arm(kafka->loop, timer, loop_now_ms(kafka->loop) + KAFKA_AGAIN_MS);
    }
}

/* --- turns ----------------------------------------------------------------------------------- */

static void turn(struct kafka_source *kafka) {
    rd_kafka_poll(kafka->client, 0);
    if (kafka->is_fatal) {
        begin_end(kafka, KAFKA_GIVES_UP);
        return;
    }
    kafka_take_all(kafka);
}

static void on_ready(struct loop_watch *watch, uint32_t events) {
    struct kafka_source *kafka = CONTAINER_OF(watch, struct kafka_source, watch);
    uint64_t count;
    (void)events;
    ssize_t taken = read(kafka->event_fd, &count, sizeof(count));
    IGNORE_RESULT(taken < 0); /* it only wakes */
    turn(kafka);
}

static void on_chore(struct loop_chore *chore) {
    turn(CONTAINER_OF(chore, struct kafka_source, chore));
}

static void on_room(void *state) {
    struct kafka_source *kafka = state;
    if (kafka->client != NULL && kafka->end == KAFKA_GOES_ON) {
        loop_put_chore(kafka->loop, &kafka->chore);
    }
}

static void on_look(struct loop_timer *timer) {
    struct kafka_source *kafka = CONTAINER_OF(timer, struct kafka_source, look);
    if (!kafka->scout.errand.is_under_way) {
        kafka_send_scout(kafka, KAFKA_LOOK);
    }
}

static void on_again(struct loop_timer *timer) {
    struct kafka_source *kafka = CONTAINER_OF(timer, struct kafka_source, again);
    if (kafka->end == KAFKA_GOES_ON) {
        turn(kafka);
    } else {
        send_end(kafka);
    }
}

/* --- the beginning --------------------------------------------------------------------------- */

static void give_up_at_once(struct kafka_source *kafka, const char *detail) {
    struct verdict verdict = {.outcome = OUTCOME_FAILED};
    snprintf(verdict.detail, sizeof(verdict.detail), "%.*s", SINK_DETAIL_BYTES - 1, detail);
    free_topics(kafka);
    source_on_down(kafka->source, &verdict);
}

static enum error_code make_client(struct kafka_source *kafka, struct error *why) {
    char fault[200];
    rd_kafka_conf_t *conf;
    const struct kafka_access access = access_of(kafka->row);
    enum error_code code = kafka_options_create(&access, &conf, why);
    if (code != OK) {
        return code;
    }
    rd_kafka_conf_set_opaque(conf, kafka);
    rd_kafka_conf_set_error_cb(conf, on_error);
    kafka->client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, fault, sizeof(fault));
    if (kafka->client == NULL) {
        rd_kafka_conf_destroy(conf);
        return error_set(why, ERR_CONFIG, "%s", fault);
    }
    return OK;
}

/* The row's topics, each once; a name that librdkafka takes. */
static bool list_topics(struct kafka_source *kafka) {
    const struct config_list *names = &kafka->row->kafka_topics;
    kafka->topics = calloc(names->count, sizeof(*kafka->topics));
    for (size_t i = 0; kafka->topics != NULL && i < names->count; i++) {
        if (is_topic(names->items[i]) && !is_named_before(names, i)) {
            kafka->topics[kafka->topic_count++].name = names->items[i];
        }
    }
    return kafka->topics != NULL;
}

static void make_topics(struct kafka_source *kafka) {
    for (size_t i = 0; i < kafka->topic_count; i++) {
        struct kafka_topic *topic = &kafka->topics[i];
        /* With what was set for all topics: a new one would begin with librdkafka's defaults, and
         * `auto.offset.reset` would silently pass over what is lost. */
        rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(kafka->client);
        rd_kafka_topic_conf_set_opaque(conf, topic);
        topic->handle = rd_kafka_topic_new(kafka->client, topic->name, conf);
        INVARIANT(topic->handle != NULL);
    }
}

static void open_queues(struct kafka_source *kafka) {
    static const uint64_t one = 1; /* what an eventfd takes */
    kafka->main_queue = rd_kafka_queue_get_main(kafka->client);
    kafka->queue = rd_kafka_queue_new(kafka->client);
    rd_kafka_queue_io_event_enable(kafka->main_queue, kafka->event_fd, &one, sizeof(one));
    rd_kafka_queue_io_event_enable(kafka->queue, kafka->event_fd, &one, sizeof(one));
}

static void start(void *state) {
    struct kafka_source *kafka = state;
    struct error why = {0};
    INVARIANT(kafka->client == NULL);
    kafka->reason[0] = '\0';
    if (!list_topics(kafka)) {
        give_up_at_once(kafka, "no memory");
        return;
    }
    if (make_client(kafka, &why) != OK) {
        give_up_at_once(kafka, why.detail);
        return;
    }
    make_topics(kafka);
    open_queues(kafka);
    kafka_begin_topics(kafka);
    if (loop_watch(kafka->loop, &kafka->watch, kafka->event_fd, EPOLLIN) != OK) {
        kafka_trouble(kafka, RD_KAFKA_RESP_ERR_NO_ERROR, "no room in the loop");
        begin_end(kafka, KAFKA_GIVES_UP);
        return;
    }
    kafka_send_scout(kafka, KAFKA_LOOK);
    loop_put_chore(kafka->loop, &kafka->chore); /* what was said before somebody listened */
}

static void stop(void *state) {
    struct kafka_source *kafka = state;
    if (kafka->client == NULL) {
        source_on_stopped(kafka->source);
    } else {
        begin_end(kafka, KAFKA_STOPS);
    }
}

static void close_source(void *state) {
    struct kafka_source *kafka = state;
    if (kafka == NULL) {
        return;
    }
    INVARIANT(kafka->client == NULL);
    buffer_finish(&kafka->headers);
    buffer_finish(&kafka->scratch);
    close(kafka->event_fd);
    free(kafka);
}

static enum error_code open_source(struct source *source, const struct source_row *row,
                                   struct broker *broker, struct loop *loop, void **ret_state,
                                   struct error *why) {
    struct kafka_source *kafka = calloc(1, sizeof(*kafka));
    int event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (kafka == NULL || event_fd < 0) {
        free(kafka);
        close(event_fd);
        return error_set(why, ERR_MEMORY, "no memory or no descriptor for a source");
    }
    kafka->source = source;
    kafka->row = row;
    kafka->loop = loop;
    kafka->log_id = log_id(broker->log);
    kafka->event_fd = event_fd;
    kafka->watch.on_ready = on_ready;
    kafka->look.on_due = on_look;
    kafka->again.on_due = on_again;
    loop_chore_init(&kafka->chore, on_chore);
    buffer_init(&kafka->headers, MESSAGE_HEADERS_BYTES_MAX);
    buffer_init(&kafka->scratch, KAFKA_SCRATCH_BYTES_MAX);
    *ret_state = kafka;
    return OK;
}

/* --- figures --------------------------------------------------------------------------------- */

static uint64_t get_lag(const void *state) {
    const struct kafka_source *kafka = state;
    uint64_t lag = 0;
    if (kafka->client == NULL || kafka->end != KAFKA_GOES_ON) {
        return UINT64_MAX;
    }
    for (size_t i = 0; i < kafka->topic_count; i++) {
        const struct kafka_topic *topic = &kafka->topics[i];
        for (size_t k = 0; k < topic->count; k++) {
            const struct kafka_partition *partition = &topic->partitions[k];
            int64_t low = 0;
            int64_t high = 0;
            int64_t at = partition->next > partition->end ? partition->next : partition->end;
            if (partition->state != PARTITION_READ ||
                rd_kafka_get_watermark_offsets(kafka->client, topic->name, partition->number, &low,
                                               &high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
                high < 0) {
                return UINT64_MAX;
            }
            at = at > low ? at : low;
            lag += high > at ? (uint64_t)(high - at) : 0;
        }
    }
    return lag;
}

const struct source_driver kafka_source_driver = {
    .kind = "kafka",
    .check = check,
    .open = open_source,
    .start = start,
    .on_room = on_room,
    .stop = stop,
    .close = close_source,
    .get_lag = get_lag,
};
