/* SPDX-License-Identifier: Apache-2.0 */
/* Kafka is librdkafka's mock cluster, in this process; the log is real. */
#include "protocols/sources/source.h"
#include "tests/protocols/sources/sea.h"
#include "tests/unit.h"

const struct source_driver mqtt_source_driver = {.kind = "none"};

static char topic[] = SEA_TOPIC;

TEST(kafka_that_is_gone_is_told_and_read_on_when_it_is_back) {
    struct dock dock;
    struct sea sea;
    sea_prepare_read(&dock, &sea, 10);
    EXPECT_EQ(rd_kafka_mock_broker_set_down(sea.cluster, SEA_BROKER), 0);
    dock_wait_state(&dock, SINK_BROKEN);
    EXPECT_TRUE(strlen(dock_figures(&dock).detail) > 0);
    EXPECT_EQ(rd_kafka_mock_broker_set_up(sea.cluster, SEA_BROKER), 0);
    dock_wait_state(&dock, SINK_LIVE);
    sea_count(&sea, 0, 11, 20);
    dock_wait_count(&dock, SEA_CHANNEL, 20);
    sea_expect_counted(&dock, 1, 20);
    sea_finish(&dock, &sea);
}

TEST(kafka_that_is_not_there_yet_is_waited_for_and_a_stop_does_not_hang) {
    static char nowhere[] = "127.0.0.1:1";
    struct dock dock;
    dock_init(&dock, NULL);
    dock.row.kafka_brokers = nowhere;
    dock.row.kafka_topics = (struct config_list){sea_topics, 1, true};
    dock_start(&dock);
    dock_wait_state(&dock, SINK_BROKEN);
    EXPECT_TRUE(strstr(dock_figures(&dock).detail, "127.0.0.1:1") != NULL);
    dock_stop(&dock);
    dock_finish(&dock);
}

static struct config_faults faults; /* 50 KiB: on no stack */

TEST(options_that_would_take_the_position_away_are_faults) {
    static char group[] = "group.id=mine";
    static char wrong[] = "no.such.property=1";
    static char *bad[] = {group};
    static char *unknown[] = {wrong};
    static char brace[] = "in/{partition}";
    static char brokers[] = "localhost:9092";
    struct source_row row = {.kafka_brokers = brokers,
                             .channel = topic,
                             .kafka_topics = {sea_topics, 1, true},
                             .kafka_options = {bad, 1, true}};
    kafka_source_driver.check(&row, "file", "sources[0]", &faults);
    EXPECT_EQ(faults.count, 1);
    EXPECT_TRUE(strstr(faults.rows[0].reason, "group.id") != NULL);
    row.kafka_options.items = unknown;
    row.channel = brace;
    kafka_source_driver.check(&row, "file", "sources[0]", &faults);
    EXPECT_EQ(faults.count, 3);
}

UNIT_TESTS(UNIT(kafka_that_is_gone_is_told_and_read_on_when_it_is_back),
           UNIT(kafka_that_is_not_there_yet_is_waited_for_and_a_stop_does_not_hang),
           UNIT(options_that_would_take_the_position_away_are_faults))
