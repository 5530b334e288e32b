/* SPDX-License-Identifier: Apache-2.0 */
/* The mock shows aborted records too: that they are not seen is a claim of tests/wire. */
#include "broker/channels/id.h"
#include "tests/protocols/sinks/kafka_scene.h"

#define ADD_PARTITIONS 24 /* API keys of Kafka's protocol */
#define END_TXN 26

static int begin(void **state) {
    int failure = kafka_scene_begin(state);
    kafka_scene.row.kafka_delivery = SINK_DELIVERY_EXACTLY_ONCE;
    return failure | (rd_kafka_mock_topic_create(kafka_scene.mock, "places", 1, 1) != 0);
}

static void begin_up(void) {
    kafka_scene_start();
    EXPECT_STRING(kafka_scene.down.detail, "");
    EXPECT_EQ(kafka_scene.up_count, 1);
}

TEST(a_new_sink_has_no_place_in_kafka) {
    struct terms terms;
    kafka_scene_open();
    kafka_driver.get_terms(kafka_scene.driver, &terms);
    EXPECT_TRUE(terms.has_own_place);
    begin_up();
    EXPECT_EQ(kafka_scene.place.position, 0);
}

TEST(the_place_is_in_kafka_with_the_records) {
    char id[ID_TEXT_BYTES_MAX + 21];
    struct place place;
    kafka_scene_open();
    begin_up();
    kafka_scene_ship(SCENE_TOPIC, "{}", 50);
    kafka_scene_run(scene_is_settled);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_DELIVERED], 50);
    EXPECT_EQ(kafka_scene_read("places", id, sizeof(id)), 1);
    struct span course = span_of_string(id);
    EXPECT_TRUE(id_parse(span_split(&course, ' '), &place));
    EXPECT_EQ(place.position, 50);
    EXPECT_SPAN(course, "0");
    kafka_scene_stop();
    begin_up();
    EXPECT_EQ(kafka_scene.place.position, 50);
    EXPECT_EQ(kafka_scene.place.offset, 50);
}

TEST(the_newest_place_counts) {
    char id[ID_TEXT_BYTES_MAX + 21];
    kafka_scene_open();
    begin_up();
    for (int i = 0; i < 3; i++) {
        kafka_scene_ship(SCENE_TOPIC, "{}", 10);
        kafka_scene_run(scene_is_settled);
    }
    EXPECT_EQ(kafka_scene_read("places", id, sizeof(id)), 3);
    kafka_scene_stop();
    begin_up();
    EXPECT_EQ(kafka_scene.place.position, 30);
}

TEST(a_place_is_of_a_course) {
    kafka_scene_open();
    begin_up();
    kafka_scene_ship(SCENE_TOPIC, "{}", 10);
    kafka_scene_run(scene_is_settled);
    kafka_scene_ship_of(3, false, SCENE_TOPIC, "{}", 5);
    kafka_scene_run(scene_is_settled);
    kafka_scene_stop();
    begin_up();
    EXPECT_EQ(kafka_scene.place.position, 15);
    EXPECT_EQ(kafka_scene.course, 3);
}

TEST(what_goes_aside_moves_no_place) {
    char id[ID_TEXT_BYTES_MAX + 21];
    kafka_scene_open();
    begin_up();
    kafka_scene_ship(SCENE_TOPIC, "{}", 10);
    kafka_scene_run(scene_is_settled);
    kafka_scene_ship_of(0, true, SCENE_TOPIC, "{}", 5);
    kafka_scene_run(scene_is_settled);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_DELIVERED], 15);
    EXPECT_EQ(kafka_scene_read("places", id, sizeof(id)), 1);
    kafka_scene_stop();
    begin_up();
    EXPECT_EQ(kafka_scene.place.position, 10);
}

TEST(a_transaction_that_fails_comes_back_whole) {
    kafka_scene_open();
    begin_up();
    rd_kafka_mock_push_request_errors(kafka_scene.mock, ADD_PARTITIONS, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    kafka_scene_ship(SCENE_TOPIC, "{}", 10);
    kafka_scene_run(scene_is_down);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_ABANDONED], 10);
    begin_up();
    EXPECT_EQ(kafka_scene.place.position, 0);
    kafka_scene_ship(SCENE_TOPIC, "{}", 10);
    kafka_scene_run(scene_is_settled);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_DELIVERED], 10);
}

TEST(who_was_shut_out_goes_down) {
    kafka_scene_open();
    begin_up();
    rd_kafka_mock_push_request_errors(kafka_scene.mock, END_TXN, 1,
                                      RD_KAFKA_RESP_ERR_PRODUCER_FENCED);
    kafka_scene_ship(SCENE_TOPIC, "{}", 10);
    kafka_scene_run(scene_is_down);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_DELIVERED], 0);
    assert_true(kafka_scene.down.detail[0] != 0);
    begin_up();
}

TEST(the_place_does_not_pass_one_that_was_refused) {
    kafka_scene_open();
    begin_up();
    kafka_scene_ship("a b", "{}", 1);
    kafka_scene_run(scene_is_down);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_REFUSED], 1);
    begin_up();
    EXPECT_EQ(kafka_scene.place.position, 0);
    kafka_scene_ship(SCENE_TOPIC, "{}", 3);
    kafka_scene_run(scene_is_settled);
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_DELIVERED], 3);
}

TEST(it_may_be_stopped_in_a_transaction) {
    kafka_scene_open();
    begin_up();
    rd_kafka_mock_broker_set_rtt(kafka_scene.mock, -1, 300);
    kafka_scene_ship(SCENE_TOPIC, "{}", 10);
    kafka_scene_stop();
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_ABANDONED], 10);
}

#define EXACT(name) cmocka_unit_test_setup_teardown(name, begin, kafka_scene_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        EXACT(a_new_sink_has_no_place_in_kafka),
        EXACT(the_place_is_in_kafka_with_the_records),
        EXACT(the_newest_place_counts),
        EXACT(a_place_is_of_a_course),
        EXACT(what_goes_aside_moves_no_place),
        EXACT(a_transaction_that_fails_comes_back_whole),
        EXACT(who_was_shut_out_goes_down),
        EXACT(the_place_does_not_pass_one_that_was_refused),
        EXACT(it_may_be_stopped_in_a_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
