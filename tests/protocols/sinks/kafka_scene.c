/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/sinks/kafka_scene.h"

#include "broker/runtime/log.h"
#include "broker/support/clock.h"

#define DEADLINE_MS 60000
#define READ_MS 60000
#define LOG_ID 0x1234

struct kafka_scene kafka_scene;

/* --- what the library would have ------------------------------------------------------------- */

uint64_t log_id(const struct log *log) {
    (void)log;
    return LOG_ID;
}

static void look(void) {
    if (kafka_scene.is_reached != NULL && kafka_scene.is_reached(&kafka_scene)) {
        loop_end(kafka_scene.loop);
    }
}

void sink_on_up(struct sink *sink, const struct place *place, uint64_t course) {
    (void)sink;
    kafka_scene.up_count++;
    kafka_scene.course = course;
    kafka_scene.place = place == NULL ? (struct place){0} : *place;
    look();
}

void sink_on_down(struct sink *sink, const struct verdict *verdict) {
    (void)sink;
    kafka_scene.down_count++;
    kafka_scene.down = *verdict;
    EXPECT_EQ(kafka_scene.settled_count, kafka_scene.shipment_count);
    look();
}

void sink_on_settled(struct shipment *shipment, const struct verdict *verdict) {
    struct scene_shipment *own = CONTAINER_OF(shipment, struct scene_shipment, shipment);
    EXPECT_FALSE(own->is_settled);
    own->is_settled = true;
    own->outcome = verdict->outcome;
    kafka_scene.settled_count++;
    kafka_scene.outcomes[verdict->outcome]++;
    kafka_scene.verdict = *verdict;
    look();
}

void sink_on_stopped(struct sink *sink) {
    (void)sink;
    kafka_scene.stopped_count++;
    look();
}

/* --- the scene ------------------------------------------------------------------------------- */

static void on_deadline(struct loop_timer *timer) {
    (void)timer;
    loop_end(kafka_scene.loop);
}

int kafka_scene_begin(void **state) {
    (void)state;
    char why[256];
    struct kafka_scene *scene = &kafka_scene;
    *scene = (struct kafka_scene){.deadline = {.on_due = on_deadline}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, NULL);
    scene->host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    scene->mock = rd_kafka_mock_cluster_new(scene->host, 3);
    scene->row =
        (struct sink_row){.name = (char *)"shop",
                          .format = SINK_FORMAT_DATA,
                          .kafka_brokers = (char *)rd_kafka_mock_cluster_bootstraps(scene->mock),
                          .kafka_topic = (char *)"{channel}",
                          .kafka_key = (char *)"{key}",
                          .kafka_checkpoints = (char *)"places",
                          .kafka_options = {.items = scene->options}};
    return metrics_create(1, &scene->metrics) != OK ||
           loop_create(metrics_shard(scene->metrics, METRICS_MAIN), &scene->loop, NULL) != OK ||
           rd_kafka_mock_topic_create(scene->mock, SCENE_TOPIC, 1, 1) != 0;
}

int kafka_scene_end(void **state) {
    (void)state;
    struct kafka_scene *scene = &kafka_scene;
    if (scene->driver != NULL) {
        kafka_scene_stop();
        kafka_driver.close(scene->driver);
    }
    for (size_t i = 0; i < scene->shipment_count; i++) {
        message_unref(scene->shipments[i].message);
    }
    loop_destroy(scene->loop);
    metrics_destroy(scene->metrics);
    rd_kafka_mock_cluster_destroy(scene->mock);
    rd_kafka_destroy(scene->host);
    return 0;
}

void kafka_scene_run(bool (*is_reached)(const struct kafka_scene *scene)) {
    struct kafka_scene *scene = &kafka_scene;
    if (is_reached(scene)) {
        return;
    }
    scene->is_reached = is_reached;
    loop_arm(scene->loop, &scene->deadline, clock_monotonic_ms() + DEADLINE_MS);
    loop_run(scene->loop);
    loop_disarm(scene->loop, &scene->deadline);
    scene->is_reached = NULL;
    EXPECT_TRUE(is_reached(scene));
}

void kafka_scene_open(void) {
    struct kafka_scene *scene = &kafka_scene;
    const struct sink_link link = {
        .sink = NULL, .broker = &scene->broker, .loop = scene->loop, .row = &scene->row};
    EXPECT_EQ(kafka_driver.open(&link, &scene->driver, NULL), OK);
}

static bool is_up_or_down(const struct kafka_scene *scene) {
    return scene->up_count + scene->down_count > 0;
}

void kafka_scene_start(void) {
    kafka_scene.up_count = kafka_scene.down_count = 0;
    kafka_scene.down = (struct verdict){0};
    kafka_driver.start(kafka_scene.driver);
    kafka_scene_run(is_up_or_down);
}

static bool is_stopped(const struct kafka_scene *scene) {
    return scene->stopped_count > 0;
}

void kafka_scene_stop(void) {
    kafka_scene.stopped_count = 0;
    kafka_driver.stop(kafka_scene.driver);
    kafka_scene_run(is_stopped);
    EXPECT_EQ(kafka_scene.settled_count, kafka_scene.shipment_count);
}

void kafka_scene_ship(const char *channel, const char *payload, size_t count) {
    kafka_scene_ship_of(0, false, channel, payload, count);
}

void kafka_scene_ship_of(uint64_t course, bool is_aside, const char *channel, const char *payload,
                         size_t count) {
    struct kafka_scene *scene = &kafka_scene;
    for (size_t i = 0; i < count; i++) {
        assert_true(scene->shipment_count < SCENE_SHIPMENTS_MAX);
        uint64_t position = scene->shipment_count + 1;
        struct scene_shipment *own = &scene->shipments[scene->shipment_count++];
        const struct message_fields fields = {.kind = MESSAGE_DATA,
                                              .channel = span_of_string(channel),
                                              .payload = span_of_string(payload)};
        const struct place place = {.log_id = LOG_ID,
                                    .generation = 1,
                                    .position = position,
                                    .channel_id = 1,
                                    .offset = position};
        own->message = message_create(&fields);
        message_order(own->message, &place, clock_wall_ms());
        own->shipment = (struct shipment){.messages = &own->message,
                                          .count = 1,
                                          .attempt = 1,
                                          .is_aside = is_aside,
                                          .course = course};
        kafka_driver.ship(scene->driver, &own->shipment);
    }
    kafka_driver.flush(scene->driver);
}

bool scene_is_settled(const struct kafka_scene *scene) {
    return scene->settled_count == scene->shipment_count;
}

bool scene_is_down(const struct kafka_scene *scene) {
    return scene->down_count > 0;
}

size_t kafka_scene_read(const char *topic, char *ret_value, size_t size) {
    char why[256];
    size_t count = 0;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, NULL);
    rd_kafka_conf_set(conf, "bootstrap.servers", kafka_scene.row.kafka_brokers, NULL, 0);
    rd_kafka_conf_set(conf, "enable.partition.eof", "true", NULL, 0);
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", NULL, 0);
    rd_kafka_t *reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    rd_kafka_topic_t *handle = rd_kafka_topic_new(reader, topic, NULL);
    EXPECT_EQ(rd_kafka_consume_start(handle, 0, RD_KAFKA_OFFSET_BEGINNING), 0);
    bool is_over = false;
    while (!is_over) {
        rd_kafka_message_t *message = rd_kafka_consume(handle, 0, READ_MS);
        assert_non_null(message);
        is_over = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            snprintf(ret_value, size, "%.*s", (int)message->len, (const char *)message->payload);
            count++;
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consume_stop(handle, 0);
    rd_kafka_topic_destroy(handle);
    rd_kafka_destroy(reader);
    return count;
}
