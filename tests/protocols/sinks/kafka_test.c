/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/kafka_private.h"
#include "tests/protocols/sinks/kafka_scene.h"

static void expect_part(const char *text, const char *part) {
    if (strstr(text, part) == NULL) {
        assert_string_equal(text, part);
    }
}

static void put_option(const char *option) {
    kafka_scene.options[kafka_scene.row.kafka_options.count++] = (char *)option;
}

TEST(it_comes_up_where_a_cluster_answers) {
    kafka_scene_open();
    kafka_scene_start();
    EXPECT_EQ(kafka_scene.up_count, 1);
    EXPECT_EQ(kafka_scene.place.position, 0);
}

TEST(its_terms_are_one_record_each_and_many_under_way) {
    struct terms terms;
    kafka_scene_open();
    kafka_driver.get_terms(kafka_scene.driver, &terms);
    EXPECT_EQ(terms.messages_max, 1);
    EXPECT_EQ(terms.shipments_max, SINK_PIPELINE_MAX);
    EXPECT_TRUE(terms.is_pipelined);
    EXPECT_FALSE(terms.has_own_place);
}

TEST(where_nobody_listens_it_goes_down_and_says_so) {
    kafka_scene.row.kafka_brokers = (char *)"127.0.0.1:1";
    kafka_scene_open();
    kafka_scene_start();
    EXPECT_EQ(kafka_scene.down_count, 1);
    EXPECT_EQ(kafka_scene.down.outcome, OUTCOME_UNREACHED);
    expect_part(kafka_scene.down.detail, "Connection refused");
}

TEST(what_the_library_refuses_is_told) {
    put_option("security.protocol=ssl");
    put_option("ssl.ca.location=/nowhere/at/all.pem");
    kafka_scene_open();
    kafka_scene_start();
    EXPECT_EQ(kafka_scene.down_count, 1);
    expect_part(kafka_scene.down.detail, "ssl.ca.location");
}

/* Events about a sink are JSON, and a reader of them may be a WebSocket. */
TEST(what_kafka_said_is_told_as_a_line_of_whole_characters) {
    struct verdict verdict = {0};
    char said[SINK_DETAIL_BYTES + 1] = {0};
    kafka_say(&verdict, OUTCOME_UNREACHED, 0, "%s", "no\nf\xc3\xbcr \x1b[2J");
    EXPECT_STRING(verdict.detail, "no f\xc3\xbcr [2J");
    kafka_say(&verdict, OUTCOME_UNREACHED, 0, "refused: %s", "\xff\xfe");
    EXPECT_STRING(verdict.detail, "refused: ??");
    memset(said, 'a', SINK_DETAIL_BYTES - 2);
    memcpy(said + SINK_DETAIL_BYTES - 2, "\xc3\xbc", 2);
    kafka_say(&verdict, OUTCOME_UNREACHED, 0, "%s", said);
    EXPECT_EQ(strlen(verdict.detail), SINK_DETAIL_BYTES - 2);
}

TEST(it_may_start_again_at_once) {
    kafka_scene.row.kafka_brokers = (char *)"127.0.0.1:1";
    kafka_scene_open();
    kafka_scene_start();
    kafka_scene.row.kafka_brokers = (char *)rd_kafka_mock_cluster_bootstraps(kafka_scene.mock);
    kafka_scene_stop();
    kafka_driver.close(kafka_scene.driver);
    kafka_scene_open();
    kafka_scene_start();
    EXPECT_EQ(kafka_scene.up_count, 1);
}

TEST(it_may_be_stopped_while_it_comes_up) {
    kafka_scene_open();
    kafka_driver.start(kafka_scene.driver);
    kafka_scene_stop();
    EXPECT_EQ(kafka_scene.up_count, 0);
    EXPECT_EQ(kafka_scene.down_count, 0);
}

TEST(what_is_under_way_comes_back_when_it_stops) {
    kafka_scene_open();
    kafka_scene_start();
    rd_kafka_mock_broker_set_rtt(kafka_scene.mock, -1, 5000);
    kafka_scene_ship(SCENE_TOPIC, "{}", 10);
    kafka_scene_stop();
    EXPECT_EQ(kafka_scene.outcomes[OUTCOME_ABANDONED], 10);
}

TEST(one_that_was_never_started_stops) {
    kafka_scene_open();
    kafka_scene_stop();
    EXPECT_EQ(kafka_scene.stopped_count, 1);
}

static size_t count_faults(struct config_faults *faults) {
    *faults = (struct config_faults){0};
    kafka_driver.check(&kafka_scene.row, "tidings.yaml", "sinks[1]", faults);
    return faults->count;
}

TEST(a_row_is_told_all_its_faults_at_once) {
    static struct config_faults faults;
    EXPECT_EQ(count_faults(&faults), 0);
    kafka_scene.row.kafka_topic = (char *)"{topic}";
    kafka_scene.row.kafka_key = (char *)"{";
    kafka_scene.row.kafka_checkpoints = (char *)"not a topic";
    kafka_scene.row.kafka_delivery = SINK_DELIVERY_EXACTLY_ONCE;
    put_option("acks=1");
    put_option("nothing=1");
    EXPECT_EQ(count_faults(&faults), 5);
    EXPECT_STRING(faults.rows[2].key, "sinks[1].kafka.topic");
    EXPECT_STRING(faults.rows[4].key, "sinks[1].kafka.checkpoints");
}

#define KAFKA(name) cmocka_unit_test_setup_teardown(name, kafka_scene_begin, kafka_scene_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        KAFKA(it_comes_up_where_a_cluster_answers),
        KAFKA(its_terms_are_one_record_each_and_many_under_way),
        KAFKA(where_nobody_listens_it_goes_down_and_says_so),
        KAFKA(what_the_library_refuses_is_told),
        KAFKA(what_kafka_said_is_told_as_a_line_of_whole_characters),
        KAFKA(it_may_start_again_at_once),
        KAFKA(it_may_be_stopped_while_it_comes_up),
        KAFKA(what_is_under_way_comes_back_when_it_stops),
        KAFKA(one_that_was_never_started_stops),
        KAFKA(a_row_is_told_all_its_faults_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
