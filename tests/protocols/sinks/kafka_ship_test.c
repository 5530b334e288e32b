/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/kafka_private.h"
#include "tests/protocols/sinks/kafka_scene.h"

#define PRODUCE 0 /* API keys of Kafka's protocol */
#define LARGE_BYTES 3000
#define STALL_MS 300

static void put_option(const char *option) {
    kafka_scene.options[kafka_scene.row.kafka_options.count++] = (char *)option;
}

static void begin_up(void) {
    kafka_scene_open();
    kafka_scene_start();
    EXPECT_EQ(kafka_scene.up_count, 1);
}

static void expect_records(size_t expected) {
    char value[64];
    EXPECT_EQ(kafka_scene_read(SCENE_TOPIC, value, sizeof(value)), expected);
}

TEST(what_kafka_took_is_delivered) {
    begin_up();
    kafka_scene_ship(SCENE_TOPIC, "{\"a\":1}", 100);
    kafka_scene_run(scene_is_settled);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_DELIVERED], 100);
    expect_records(100);
}

TEST(a_change_of_leader_loses_and_repeats_nothing) {
    begin_up();
    kafka_scene_ship(SCENE_TOPIC, "1", 20);
    rd_kafka_mock_partition_set_leader(kafka_scene.mock, SCENE_TOPIC, 0, 2);
    kafka_scene_ship(SCENE_TOPIC, "2", 20);
    rd_kafka_mock_partition_set_leader(kafka_scene.mock, SCENE_TOPIC, 0, 3);
    kafka_scene_ship(SCENE_TOPIC, "3", 20);
    kafka_scene_run(scene_is_settled);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_DELIVERED], 60);
    expect_records(60);
}

TEST(errors_that_pass_are_not_told) {
    begin_up();
    rd_kafka_mock_push_request_errors(
        kafka_scene.mock, PRODUCE, 4, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR__TRANSPORT,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
    kafka_scene_ship(SCENE_TOPIC, "{}", 30);
    kafka_scene_run(scene_is_settled);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_DELIVERED], 30);
    expect_records(30);
}

TEST(one_that_is_too_large_for_the_library_is_refused_and_the_others_go_on) {
    char large[LARGE_BYTES + 1];
    memset(large, '1', LARGE_BYTES);
    large[LARGE_BYTES] = 0;
    put_option("message.max.bytes=2000");
    begin_up();
    kafka_scene_ship(SCENE_TOPIC, "{}", 5);
    kafka_scene_ship(SCENE_TOPIC, large, 1);
    kafka_scene_ship(SCENE_TOPIC, "{}", 5);
    kafka_scene_run(scene_is_settled);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_DELIVERED], 10);
    EXPECT_EQ(kafka_scene.shipments[5].outcome, OUTCOME_REFUSED);
    EXPECT_EQ(kafka_scene.down_count, 0);
    expect_records(10);
}

TEST(a_channel_that_is_no_topic_is_refused_and_the_others_go_on) {
    begin_up();
    kafka_scene_ship("a b", "{}", 1);
    EXPECT_EQ(kafka_scene.verdict.outcome, OUTCOME_REFUSED);
    assert_non_null(strstr(kafka_scene.verdict.detail, "is no topic"));
    kafka_scene_ship(SCENE_TOPIC, "{}", 1);
    kafka_scene_run(scene_is_settled);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_DELIVERED], 1);
}

/* The mock refuses two requests, whatever is in them. */
TEST(a_batch_that_is_refused_is_sent_again_record_by_record) {
    begin_up();
    rd_kafka_mock_push_request_errors(kafka_scene.mock, PRODUCE, 2,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    kafka_scene_ship(SCENE_TOPIC, "{}", 10);
    kafka_scene_run(scene_is_down);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_REFUSED], 0);
    assert_non_null(strstr(kafka_scene.down.detail, "topic orders: "));
    kafka_scene_start();
    kafka_scene_ship(SCENE_TOPIC, "{}", 10);
    kafka_scene_run(scene_is_settled);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_REFUSED], 1);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_DELIVERED], 9);
    EXPECT_EQ(kafka_scene.down_count, 0);
    expect_records(9);
}

TEST(a_topic_that_is_missing_takes_it_down_until_it_is_there) {
    put_option("topic.metadata.propagation.max.ms=100");
    begin_up();
    rd_kafka_mock_topic_set_error(kafka_scene.mock, SCENE_TOPIC,
                                  RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    kafka_scene_ship(SCENE_TOPIC, "{}", 3);
    kafka_scene_run(scene_is_down);
    assert_non_null(strstr(kafka_scene.down.detail, "topic orders: "));
    rd_kafka_mock_topic_set_error(kafka_scene.mock, SCENE_TOPIC, RD_KAFKA_RESP_ERR_NO_ERROR);
    kafka_scene_start();
    kafka_scene_ship(SCENE_TOPIC, "{}", 3);
    kafka_scene_run(scene_is_settled);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_DELIVERED], 3);
}

TEST(a_partition_without_a_leader_takes_it_down_after_a_while) {
    begin_up();
    ((struct kafka *)kafka_scene.driver)->stall_ms = STALL_MS;
    rd_kafka_mock_partition_set_leader(kafka_scene.mock, SCENE_TOPIC, 0, -1);
    kafka_scene_ship(SCENE_TOPIC, "{}", 3);
    kafka_scene_run(scene_is_down);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_ABANDONED], 3);
    EXPECT_STRING(kafka_scene.down.detail, "topic orders: partition 0 has no leader");
}

TEST(brokers_that_come_back_in_time_are_waited_for) {
    begin_up();
    rd_kafka_mock_broker_set_down(kafka_scene.mock, -1);
    kafka_scene_ship(SCENE_TOPIC, "{}", 10);
    rd_kafka_mock_broker_set_up(kafka_scene.mock, -1);
    kafka_scene_run(scene_is_settled);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_DELIVERED], 10);
    expect_records(10);
}

#define SHIP(name) cmocka_unit_test_setup_teardown(name, kafka_scene_begin, kafka_scene_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        SHIP(what_kafka_took_is_delivered),
        SHIP(a_change_of_leader_loses_and_repeats_nothing),
        SHIP(errors_that_pass_are_not_told),
        SHIP(one_that_is_too_large_for_the_library_is_refused_and_the_others_go_on),
        SHIP(a_channel_that_is_no_topic_is_refused_and_the_others_go_on),
        SHIP(a_batch_that_is_refused_is_sent_again_record_by_record),
        SHIP(a_topic_that_is_missing_takes_it_down_until_it_is_there),
        SHIP(a_partition_without_a_leader_takes_it_down_after_a_while),
        SHIP(brokers_that_come_back_in_time_are_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
