/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/log_gate.h"

#include <pthread.h>

#include "tests/unit.h"

#define START_MS 5000
#define THREADS 4
#define TRIES 20000

static uint64_t told;

/* How many of `count` lines pass at that time. */
static unsigned pass(struct log_gate *gate, uint64_t now_ms, unsigned count) {
    unsigned passed = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t held_back = 0;
        passed += log_gate_pass(gate, now_ms, &held_back);
        told += held_back;
    }
    return passed;
}

TEST(a_burst_passes_and_no_more) {
    struct log_gate gate = {0};
    EXPECT_EQ(pass(&gate, START_MS, 100), LOG_BURST_LINES);
    EXPECT_EQ(pass(&gate, START_MS + LOG_INTERVAL_MS - 1, 100), 0);
}

TEST(behind_a_burst_one_passes_each_interval) {
    struct log_gate gate = {0};
    pass(&gate, START_MS, 100);
    for (uint64_t i = 1; i <= 5; i++) {
        EXPECT_EQ(pass(&gate, START_MS + i * LOG_INTERVAL_MS, 100), 1);
    }
}

TEST(a_rest_earns_a_burst_and_not_two) {
    struct log_gate gate = {0};
    pass(&gate, START_MS, 100);
    EXPECT_EQ(pass(&gate, START_MS + 3 * LOG_INTERVAL_MS, 100), 3);
    EXPECT_EQ(pass(&gate, START_MS + 100 * LOG_INTERVAL_MS, 100), LOG_BURST_LINES);
}

TEST(what_is_held_back_is_told_once_by_the_next_line) {
    struct log_gate gate = {0};
    uint64_t held_back = 0;
    pass(&gate, START_MS, LOG_BURST_LINES + 17);
    EXPECT_TRUE(log_gate_pass(&gate, START_MS + LOG_INTERVAL_MS, &held_back));
    EXPECT_EQ(held_back, 17);
    EXPECT_TRUE(log_gate_pass(&gate, START_MS + 2 * LOG_INTERVAL_MS, &held_back));
    EXPECT_EQ(held_back, 0);
}

TEST(what_no_line_has_told_can_be_taken) {
    struct log_gate gate = {0};
    uint64_t held_back = 0;
    pass(&gate, START_MS, LOG_BURST_LINES + 3);
    EXPECT_EQ(log_gate_take_held_back(&gate), 3);
    EXPECT_EQ(log_gate_take_held_back(&gate), 0);
    EXPECT_TRUE(log_gate_pass(&gate, START_MS + LOG_INTERVAL_MS, &held_back));
    EXPECT_EQ(held_back, 0);
}

struct trier {
    pthread_t thread;
    struct log_gate *gate;
    uint64_t passed;
    uint64_t told;
};

static void *try_often(void *argument) {
    struct trier *trier = argument;
    for (uint64_t i = 0; i < TRIES; i++) {
        uint64_t held_back = 0;
        trier->passed += log_gate_pass(trier->gate, START_MS + i, &held_back);
        trier->told += held_back;
    }
    return NULL;
}

TEST(nothing_is_lost_between_threads) {
    struct log_gate gate = {0};
    struct trier triers[THREADS] = {0};
    uint64_t passed = 0, all_told = 0;
    for (size_t i = 0; i < THREADS; i++) {
        triers[i].gate = &gate;
        EXPECT_EQ(pthread_create(&triers[i].thread, NULL, try_often, &triers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(triers[i].thread, NULL);
        passed += triers[i].passed;
        all_told += triers[i].told;
    }
    EXPECT_EQ(passed + all_told + log_gate_take_held_back(&gate), THREADS * TRIES);
    EXPECT_EQ(passed, LOG_BURST_LINES + (TRIES - 1) / LOG_INTERVAL_MS);
}

UNIT_TESTS(UNIT(a_burst_passes_and_no_more), UNIT(behind_a_burst_one_passes_each_interval),
           UNIT(a_rest_earns_a_burst_and_not_two),
           UNIT(what_is_held_back_is_told_once_by_the_next_line),
           UNIT(what_no_line_has_told_can_be_taken), UNIT(nothing_is_lost_between_threads))
