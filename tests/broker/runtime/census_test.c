/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/census.h"

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "tests/broker/runtime/stage.h"
#include "tests/unit.h"

#define HEAD 10
#define READERS (CENSUS_STEPS_MAX + 3)

/* As many readers as a slice looks at, and three for the next; each on a connection of its own. */
struct crowd {
    struct stage stage;
    struct connection connections[READERS];
    struct stream *streams[READERS];
};

static void on_end(void *context, enum error_code code) {
    (void)context;
    EXPECT_EQ(code, OK);
}

static void come(struct crowd *crowd, size_t index) {
    struct storage_selector selector = {SPAN("a"), false};
    struct stream_options options = {
        .connection = &crowd->connections[index],
        .selectors = &selector,
        .selector_count = 1,
        .framing = &stage_framing,
        .start = {.start = STORAGE_AFTER_PLACE,
                  .place = {.log_id = 1, .generation = 1, .position = HEAD}},
        .on_failed = on_end};
    connection_init(&crowd->connections[index], &crowd->stage, SIZE_MAX / 2);
    EXPECT_EQ(stream_create(&options, &crowd->streams[index]), OK);
}

/* As the runtime's own connections do it. */
static void go(struct crowd *crowd, size_t index) {
    struct worker *worker = &crowd->stage.worker;
    stream_destroy(crowd->streams[index]);
    crowd->streams[index] = NULL;
    census_on_gone(worker, &crowd->connections[index]);
    connection_finish(&crowd->connections[index]);
}

/* `count` readers that are live and lack one message; further ones may come later. */
static void init(struct crowd *crowd, size_t count) {
    *crowd = (struct crowd){0};
    stage_init(&crowd->stage, HEAD);
    for (size_t i = 0; i < count; i++) {
        come(crowd, i);
    }
    stage_turn(&crowd->stage);
    for (struct read *read; (read = stage_find_read(&crowd->stage, HEAD)) != NULL;) {
        stage_answer(&crowd->stage, read, 0, 0, HEAD, true);
    }
    stage_turn(&crowd->stage);
    stage_publish(&crowd->stage, "a");
    crowd->stage.worker.now_ms = CENSUS_INTERVAL_MS;
}

static void finish(struct crowd *crowd) {
    for (size_t i = 0; i < READERS; i++) {
        if (crowd->streams[i] != NULL) {
            go(crowd, i);
        }
    }
    stage_finish(&crowd->stage);
}

/* A slice; returns how many readers it looked at. */
static uint64_t go_on(struct crowd *crowd) {
    const struct metrics *metrics = crowd->stage.broker.metrics;
    uint64_t before = metrics_count_observed(metrics, METRIC_READER_LAG, 0);
    census_go_on(&crowd->stage.worker);
    return metrics_count_observed(metrics, METRIC_READER_LAG, 0) - before;
}

static uint64_t count_behind(const struct crowd *crowd) {
    return metrics_sum(crowd->stage.broker.metrics, METRIC_READERS_BEHIND, 0);
}

static struct crowd crowd;

TEST(a_slice_is_a_step_a_reader_and_a_walk_sees_each_once) {
    init(&crowd, READERS);
    EXPECT_EQ(go_on(&crowd), CENSUS_STEPS_MAX);
    EXPECT_EQ(count_behind(&crowd), 0); /* told when the walk is over */
    EXPECT_EQ(go_on(&crowd), 3);
    EXPECT_EQ(count_behind(&crowd), READERS);
    EXPECT_EQ(go_on(&crowd), 0); /* not yet again */
    crowd.stage.worker.now_ms += CENSUS_INTERVAL_MS;
    EXPECT_EQ(go_on(&crowd), CENSUS_STEPS_MAX);
    finish(&crowd);
}

TEST(a_walk_goes_on_behind_a_connection_that_goes) {
    init(&crowd, READERS);
    EXPECT_EQ(go_on(&crowd), CENSUS_STEPS_MAX);
    go(&crowd, 0);                /* was looked at */
    go(&crowd, CENSUS_STEPS_MAX); /* would be next, … */
    go(&crowd, CENSUS_STEPS_MAX + 1);
    EXPECT_EQ(go_on(&crowd), 1); /* … and the last is left */
    EXPECT_EQ(count_behind(&crowd), CENSUS_STEPS_MAX + 1);
    finish(&crowd);
}

TEST(a_walk_whose_last_connections_go_is_over) {
    init(&crowd, READERS);
    EXPECT_EQ(go_on(&crowd), CENSUS_STEPS_MAX);
    for (size_t i = CENSUS_STEPS_MAX; i < READERS; i++) {
        go(&crowd, i);
    }
    EXPECT_EQ(count_behind(&crowd), CENSUS_STEPS_MAX);
    EXPECT_EQ(go_on(&crowd), 0);
    finish(&crowd);
}

TEST(who_comes_during_a_walk_belongs_to_the_next) {
    init(&crowd, READERS - 1);
    EXPECT_EQ(go_on(&crowd), CENSUS_STEPS_MAX);
    come(&crowd, READERS - 1);
    EXPECT_EQ(go_on(&crowd), 2);
    EXPECT_EQ(count_behind(&crowd), READERS - 1);
    crowd.stage.worker.now_ms += CENSUS_INTERVAL_MS;
    EXPECT_EQ(go_on(&crowd) + go_on(&crowd), READERS);
    finish(&crowd);
}

UNIT_TESTS(UNIT(a_slice_is_a_step_a_reader_and_a_walk_sees_each_once),
           UNIT(a_walk_goes_on_behind_a_connection_that_goes),
           UNIT(a_walk_whose_last_connections_go_is_over),
           UNIT(who_comes_during_a_walk_belongs_to_the_next))
