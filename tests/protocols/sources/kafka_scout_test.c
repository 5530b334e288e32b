/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sources/kafka_scout.h"

#include "protocols/sinks/loop.h"
#include "protocols/sources/source.h"
#include "tests/protocols/sources/sea.h"
#include "tests/unit.h"

const struct source_driver mqtt_source_driver = {.kind = "none"};

/* A scout on the dock's loop, and whether it is back. */
struct journey {
    struct kafka_scout scout;
    struct dock *dock;
    enum kafka_scout_kind kind;
    bool is_home;
};

static void on_done(struct kafka_scout *scout) {
    struct journey *journey = CONTAINER_OF(scout, struct journey, scout);
    house_lock(&journey->dock->house);
    journey->is_home = true;
    house_unlock(&journey->dock->house);
}

static void send_it(void *context) {
    struct journey *journey = context;
    EXPECT_TRUE(kafka_scout_send(&journey->scout, journey->dock->loop, journey->kind));
}

static bool is_home(void *context) {
    return ((struct journey *)context)->is_home;
}

static void go(struct journey *journey, enum kafka_scout_kind kind) {
    journey->kind = kind;
    journey->is_home = false;
    journey->scout.on_done = on_done;
    dock_call(journey->dock, send_it, journey);
    house_wait(&journey->dock->house, is_home, journey);
}

TEST(partitions_are_seen_and_measured) {
    struct dock dock;
    struct sea sea;
    sea_prepare(&dock, &sea, 3);
    dock_start(&dock);
    sea_count(&sea, 1, 1, 20);
    struct journey journey = {.dock = &dock, .scout.client = sea.producer};
    go(&journey, KAFKA_LOOK);
    EXPECT_EQ(journey.scout.code, RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(journey.scout.metadata->topics[0].partition_cnt, 3);
    rd_kafka_metadata_destroy(journey.scout.metadata);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(sea.producer, SEA_TOPIC, NULL);
    struct kafka_reach reaches[] = {{.topic = topic, .partition = 0},
                                    {.topic = topic, .partition = 1}};
    journey.scout.reaches = reaches;
    journey.scout.reach_count = 2;
    go(&journey, KAFKA_MEASURE);
    EXPECT_EQ(reaches[0].code, RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(reaches[0].high, 0);
    EXPECT_EQ(reaches[1].low, 0);
    EXPECT_EQ(reaches[1].high, 20);
    rd_kafka_topic_destroy(topic);
    sea_finish(&dock, &sea);
}

UNIT_TESTS(UNIT(partitions_are_seen_and_measured))
