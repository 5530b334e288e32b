/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sources/kafka_scout.h"

/* A question to a cluster that is not there ends early when the source is stopped. */
static void look(struct kafka_scout *scout) {
    scout->code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    for (int waited_ms = 0;
         waited_ms < KAFKA_SCOUT_MS && scout->code != RD_KAFKA_RESP_ERR_NO_ERROR &&
         !atomic_load(&scout->errand.is_cancelled);
         waited_ms += KAFKA_SCOUT_STEP_MS) {
        scout->code =
            rd_kafka_metadata(scout->client, 0, NULL, &scout->metadata, KAFKA_SCOUT_STEP_MS);
    }
}

/* The first record behind a time. */
static void find_behind(rd_kafka_t *client, const char *topic, struct kafka_reach *reach) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *row =
        rd_kafka_topic_partition_list_add(list, topic, reach->partition);
    row->offset = reach->after_ms + 1;
    reach->code = rd_kafka_offsets_for_times(client, list, KAFKA_SCOUT_MS);
    if (reach->code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        reach->code = row->err;
        reach->behind = row->offset >= 0 ? row->offset : reach->high;
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void stop_reading(struct kafka_reach *reach) {
    /* Fails only where nothing is read. */
    IGNORE_RESULT(rd_kafka_consume_stop(reach->topic, reach->partition) != 0);
}

static void measure_one(rd_kafka_t *client, struct kafka_reach *reach) {
    const char *topic = rd_kafka_topic_name(reach->topic);
    if (reach->is_to_stop) {
        stop_reading(reach);
    }
    reach->code = rd_kafka_query_watermark_offsets(client, topic, reach->partition, &reach->low,
                                                   &reach->high, KAFKA_SCOUT_MS);
    reach->behind = reach->low;
    if (reach->code == RD_KAFKA_RESP_ERR_NO_ERROR && reach->after_ms > 0) {
        find_behind(client, topic, reach);
    }
}

static void measure(struct kafka_scout *scout) {
    for (size_t i = 0; i < scout->reach_count; i++) {
        scout->reaches[i].code = RD_KAFKA_RESP_ERR__TIMED_OUT;
        if (!atomic_load(&scout->errand.is_cancelled)) {
            measure_one(scout->client, &scout->reaches[i]);
        }
    }
}

static void end(struct kafka_scout *scout) {
    for (size_t i = 0; i < scout->reach_count; i++) {
        stop_reading(&scout->reaches[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(scout->queues); i++) {
        rd_kafka_queue_io_event_enable(scout->queues[i], -1, NULL, 0);
        rd_kafka_queue_destroy(scout->queues[i]);
    }
    for (size_t i = 0; i < scout->topic_count; i++) {
        rd_kafka_topic_destroy(scout->topics[i]);
    }
    rd_kafka_destroy(scout->client);
}

static void call(struct kafka_errand *errand) {
    static void (*const calls[])(struct kafka_scout * scout) = {
        [KAFKA_LOOK] = look, [KAFKA_MEASURE] = measure, [KAFKA_END] = end};
    struct kafka_scout *scout = CONTAINER_OF(errand, struct kafka_scout, errand);
    calls[scout->kind](scout);
}

static void on_home(struct kafka_errand *errand) {
    struct kafka_scout *scout = CONTAINER_OF(errand, struct kafka_scout, errand);
    scout->on_done(scout);
}

bool kafka_scout_send(struct kafka_scout *scout, struct loop *loop, enum kafka_scout_kind kind) {
    scout->kind = kind;
    return kafka_errand_begin(&scout->errand, loop, call, on_home);
}
