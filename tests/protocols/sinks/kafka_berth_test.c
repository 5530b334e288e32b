/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/kafka_berth.h"

#include "broker/metrics/metrics.h"
#include "protocols/sinks/loop.h"
#include "tests/unit.h"

static struct {
    struct metrics *metrics;
    struct loop *loop;
    struct kafka_berths *berths;
    struct kafka_berth own[KAFKA_BERTHS_MAX + 3];
    struct kafka_berth *newest; /* that was given one */
    size_t held_count;
} scene;

static void on_held(struct kafka_berth *berth) {
    scene.newest = berth;
    scene.held_count++;
}

static int begin(void **state) {
    (void)state;
    memset(&scene, 0, sizeof(scene));
    for (size_t i = 0; i < ARRAY_COUNT(scene.own); i++) {
        kafka_berth_init(&scene.own[i], on_held);
    }
    return metrics_create(1, &scene.metrics) != OK ||
           loop_create(metrics_shard(scene.metrics, METRICS_MAIN), &scene.loop, NULL) != OK ||
           kafka_berths_open(scene.loop, &scene.berths) != OK;
}

static int end(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(scene.own); i++) {
        kafka_berth_leave(scene.berths, &scene.own[i]);
    }
    kafka_berths_close(scene.berths);
    loop_destroy(scene.loop);
    metrics_destroy(scene.metrics);
    return 0;
}

static void ask_all(void) {
    for (size_t i = 0; i < ARRAY_COUNT(scene.own); i++) {
        kafka_berth_ask(scene.berths, &scene.own[i]);
    }
}

TEST(no_more_than_there_are_hold_one) {
    ask_all();
    EXPECT_EQ(scene.held_count, KAFKA_BERTHS_MAX);
}

TEST(the_first_that_waits_is_next) {
    ask_all();
    kafka_berth_leave(scene.berths, &scene.own[5]);
    EXPECT_EQ(scene.held_count, KAFKA_BERTHS_MAX + 1);
    EXPECT_TRUE(scene.newest == &scene.own[KAFKA_BERTHS_MAX]);
}

TEST(who_stops_waiting_is_passed_over) {
    ask_all();
    kafka_berth_leave(scene.berths, &scene.own[KAFKA_BERTHS_MAX]);
    kafka_berth_leave(scene.berths, &scene.own[0]);
    EXPECT_TRUE(scene.newest == &scene.own[KAFKA_BERTHS_MAX + 1]);
    kafka_berth_leave(scene.berths, &scene.own[0]);
    EXPECT_EQ(scene.held_count, KAFKA_BERTHS_MAX + 1);
}

TEST(all_sinks_of_a_loop_share_them) {
    struct kafka_berths *other;
    EXPECT_EQ(kafka_berths_open(scene.loop, &other), OK);
    EXPECT_TRUE(other == scene.berths);
    kafka_berths_close(other);
    ask_all();
    EXPECT_EQ(scene.held_count, KAFKA_BERTHS_MAX);
}

#define BERTH(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        BERTH(no_more_than_there_are_hold_one),
        BERTH(the_first_that_waits_is_next),
        BERTH(who_stops_waiting_is_passed_over),
        BERTH(all_sinks_of_a_loop_share_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
