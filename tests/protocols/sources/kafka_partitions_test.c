/* SPDX-License-Identifier: Apache-2.0 */
/* Kafka is librdkafka's mock cluster, in this process; the log is real. */
#include "protocols/sources/source.h"
#include "tests/protocols/sources/sea.h"
#include "tests/unit.h"

const struct source_driver mqtt_source_driver = {.kind = "none"};

static char now[] = "now";
static char topic[] = SEA_TOPIC;

TEST(a_new_start_goes_on_where_the_last_one_ended) {
    struct dock dock;
    struct sea sea;
    sea_prepare_read(&dock, &sea, 2000);
    dock_stop(&dock);
    sea_count(&sea, 0, 2001, 3000);
    dock_start(&dock);
    sea_count(&sea, 0, 3001, 3500);
    dock_wait_count(&dock, SEA_CHANNEL, 3500);
    sea_expect_counted(&dock, 1, 3500);
    EXPECT_EQ(dock_figures(&dock).messages, 1500);
    EXPECT_EQ(dock_figures(&dock).gaps, 0);
    sea_finish(&dock, &sea);
}

TEST(now_leaves_out_what_is_there_and_loses_nothing_behind_it) {
    struct dock dock;
    struct sea sea;
    sea_prepare(&dock, &sea, 2);
    dock.row.start = now;
    sea_count(&sea, 0, 1, 10);
    dock_start(&dock);
    dock_wait_state(&dock, SINK_LIVE);
    while (dock_figures(&dock).lag_messages != 0) {
        dock_wait_state(&dock, SINK_LIVE); /* its place is settled */
    }
    dock_stop(&dock);
    sea_count(&sea, 0, 11, 20); /* while nobody looks: read, for its place was kept */
    dock_start(&dock);
    dock_wait_count(&dock, SEA_CHANNEL, 10);
    sea_expect_counted(&dock, 11, 20);
    sea_finish(&dock, &sea);
}

TEST(each_partition_has_a_position_of_its_own) {
    struct dock dock;
    struct sea sea;
    sea_prepare(&dock, &sea, 4);
    for (int32_t partition = 0; partition < 4; partition++) {
        sea_count(&sea, partition, 1, 100 * (uint64_t)(partition + 1));
    }
    dock_start(&dock);
    dock_wait_count(&dock, SEA_CHANNEL, 1000);
    dock_stop(&dock);
    dock_start(&dock);
    sea_count(&sea, 3, 1, 5);
    dock_wait_count(&dock, SEA_CHANNEL, 1005);
    EXPECT_EQ(dock_figures(&dock).messages, 5);
    sea_finish(&dock, &sea);
}

TEST(a_position_that_kafka_no_longer_keeps_is_a_gap_and_it_goes_on_at_the_first) {
    static char large[100000];
    struct dock dock;
    struct sea sea;
    memset(large, 'x', sizeof(large));
    sea_prepare_read(&dock, &sea, 3);
    dock_stop(&dock);
    for (size_t bytes = 0; bytes < 2 * SEA_PARTITION_BYTES; bytes += sizeof(large)) {
        sea_put(&sea, 0, "k", large, sizeof(large));
    }
    sea_flush(&sea);
    dock_start(&dock);
    dock_wait_count(&dock, "$events/sources/lake", 1);
    sea_put(&sea, 0, "k", "last", 4);
    sea_flush(&sea);
    int64_t low;
    int64_t high;
    EXPECT_EQ(rd_kafka_query_watermark_offsets(sea.producer, SEA_TOPIC, 0, &low, &high, 10000), 0);
    EXPECT_TRUE(low > 3);
    dock_wait_count(&dock, SEA_CHANNEL, 3 + (size_t)(high - low));
    EXPECT_EQ(dock_figures(&dock).gaps, 1);
    sea_finish(&dock, &sea);
}

TEST(a_topic_that_ends_one_record_before_the_position_is_not_the_one_that_was_read) {
    struct dock dock;
    struct sea sea;
    sea_prepare_read(&dock, &sea, 10);
    dock_stop(&dock);
    sea_begin_anew(&sea, 1);
    sea_count(&sea, 0, 11, 19);
    dock_start(&dock);
    dock_wait_count(&dock, "$events/sources/lake", 1);
    EXPECT_EQ(dock_figures(&dock).gaps, 1);
    sea_finish(&dock, &sea);
}

TEST(a_topic_that_is_refused_is_told_and_the_others_are_read) {
    static char other[] = "other";
    static char *both[] = {other, topic};
    struct dock dock;
    struct sea sea;
    sea_prepare(&dock, &sea, 1);
    rd_kafka_mock_topic_set_error(sea.cluster, other, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    dock.row.kafka_topics = (struct config_list){both, 2, true};
    sea_count(&sea, 0, 1, 10);
    dock_start(&dock);
    dock_wait_count(&dock, SEA_CHANNEL, 10);
    dock_wait_state(&dock, SINK_BROKEN);
    EXPECT_TRUE(strstr(dock_figures(&dock).detail, "other: ") != NULL);
    sea_finish(&dock, &sea);
}

UNIT_TESTS(UNIT(a_new_start_goes_on_where_the_last_one_ended),
           UNIT(now_leaves_out_what_is_there_and_loses_nothing_behind_it),
           UNIT(each_partition_has_a_position_of_its_own),
           UNIT(a_position_that_kafka_no_longer_keeps_is_a_gap_and_it_goes_on_at_the_first),
           UNIT(a_topic_that_ends_one_record_before_the_position_is_not_the_one_that_was_read),
           UNIT(a_topic_that_is_refused_is_told_and_the_others_are_read))
