/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_scene.h — a Kafka sink's driver, a sink that only notes what it is told, and a cluster of
 * librdkafka's that fails as it is asked to.
 *
 * Place:   of the tests of kafka*.c; its sink_on_…() stand before those of the library.
 * Thread:  the test's, which the loop runs on.
 * Bounds:  SCENE_SHIPMENTS_MAX.
 */
#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "protocols/sinks/driver.h"
#include "protocols/sinks/loop.h"
#include "tests/unit.h"

#define SCENE_SHIPMENTS_MAX 256
#define SCENE_TOPIC "orders"

struct scene_shipment {
    struct shipment shipment;
    struct message *message;
    bool is_settled;
    enum outcome outcome;
};

struct kafka_scene {
    struct metrics *metrics;
    struct loop *loop;
    rd_kafka_t *host; /* of the mock */
    rd_kafka_mock_cluster_t *mock;
    struct broker broker;
    struct sink_row row;
    char *options[4];
    void *driver;
    struct scene_shipment shipments[SCENE_SHIPMENTS_MAX];
    size_t shipment_count;
    size_t settled_count;
    size_t outcomes[OUTCOME_COUNT];
    struct verdict verdict; /* the last of a shipment … */
    struct verdict down;    /* … and of the driver */
    size_t up_count, down_count, stopped_count;
    struct place place; /* of the last on_up; position 0: none … */
    uint64_t course;    /* … and what it is of */
    struct loop_timer deadline;
    bool (*is_reached)(const struct kafka_scene *scene);
};

extern struct kafka_scene kafka_scene;

int kafka_scene_begin(void **state);
int kafka_scene_end(void **state); /* stops and closes the driver, if it is open */

void kafka_scene_open(void);
void kafka_scene_start(void); /* until it is up or down */
void kafka_scene_stop(void);  /* until it is stopped */

/* Hands over messages of a channel, then flushes. */
void kafka_scene_ship(const char *channel, const char *payload, size_t count);

/* Likewise, of a later course, or aside. */
void kafka_scene_ship_of(uint64_t course, bool is_aside, const char *channel, const char *payload,
                         size_t count);
void kafka_scene_run(bool (*is_reached)(const struct kafka_scene *scene));

bool scene_is_settled(const struct kafka_scene *scene); /* all that was shipped */
bool scene_is_down(const struct kafka_scene *scene);

/* How many records stand in partition 0 of the topic, of any transaction; keeps the last value. */
size_t kafka_scene_read(const char *topic, char *ret_value, size_t size);
