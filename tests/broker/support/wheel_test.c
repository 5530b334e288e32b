/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/wheel.h"

#include <stdlib.h>

#include "broker/support/macros.h"
#include "tests/unit.h"

#define DAY_MS 86400000u

struct alarm {
    struct wheel_timer timer;
    struct wheel *wheel;
    struct alarm *victim;
    uint64_t again_ms;
    unsigned count;
};

static void note(struct wheel_timer *timer) {
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);
    alarm->count++;
    if (alarm->victim != NULL) {
        wheel_disarm(alarm->wheel, &alarm->victim->timer);
    }
    if (alarm->again_ms != 0) {
        wheel_arm(alarm->wheel, timer, alarm->again_ms);
    }
}

static void free_alarm(struct wheel_timer *timer) {
    free(CONTAINER_OF(timer, struct alarm, timer));
}

TEST(timers_fire_once_never_early_and_within_a_tick) {
    static const uint64_t waits_ms[] = {
        1,      63,     64,     65,     4095,       4096,        4097,
        262143, 262144, 300000, DAY_MS, 7 * DAY_MS, 40 * DAY_MS, 41 * DAY_MS + 77};
    struct wheel wheel;
    struct alarm alarms[ARRAY_COUNT(waits_ms)] = {0};
    uint64_t start_ms = 1234567891;
    wheel_init(&wheel, start_ms);
    for (size_t i = 0; i < ARRAY_COUNT(waits_ms); i++) {
        alarms[i].timer.on_due = note;
        wheel_arm(&wheel, &alarms[i].timer, start_ms + waits_ms[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(waits_ms); i++) {
        wheel_turn(&wheel, start_ms + waits_ms[i] - 1);
        EXPECT_EQ(alarms[i].count, 0);
        EXPECT_TRUE(wheel_is_armed(&alarms[i].timer));
        wheel_turn(&wheel, start_ms + waits_ms[i] + WHEEL_TICK_MS);
        EXPECT_EQ(alarms[i].count, 1);
        EXPECT_FALSE(wheel_is_armed(&alarms[i].timer));
        while (i + 1 < ARRAY_COUNT(waits_ms) && waits_ms[i + 1] < waits_ms[i] + WHEEL_TICK_MS + 1) {
            i++; /* too near to be looked at before it is due */
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(waits_ms); i++) {
        EXPECT_EQ(alarms[i].count, 1);
    }
}

TEST(arming_again_replaces_the_due_time) {
    struct wheel wheel;
    struct alarm alarm = {.timer.on_due = note};
    wheel_init(&wheel, 0);
    wheel_disarm(&wheel, &alarm.timer);
    wheel_arm(&wheel, &alarm.timer, 100);
    wheel_arm(&wheel, &alarm.timer, 5000);
    wheel_turn(&wheel, 4999);
    EXPECT_EQ(alarm.count, 0);
    wheel_turn(&wheel, 5100);
    EXPECT_EQ(alarm.count, 1);
    wheel_arm(&wheel, &alarm.timer, 6000);
    wheel_disarm(&wheel, &alarm.timer);
    wheel_disarm(&wheel, &alarm.timer);
    wheel_turn(&wheel, 100000);
    EXPECT_EQ(alarm.count, 1);
}

TEST(a_due_time_in_the_past_fires_at_the_next_tick) {
    struct wheel wheel;
    struct alarm alarm = {.timer.on_due = note};
    wheel_init(&wheel, 10000);
    wheel_arm(&wheel, &alarm.timer, 5);
    wheel_turn(&wheel, 10000 + WHEEL_TICK_MS);
    EXPECT_EQ(alarm.count, 1);
}

TEST(a_callback_may_disarm_another_that_is_due_in_the_same_tick) {
    struct wheel wheel;
    struct alarm first = {.timer.on_due = note}, second = {.timer.on_due = note};
    wheel_init(&wheel, 0);
    first.wheel = &wheel;
    first.victim = &second;
    wheel_arm(&wheel, &first.timer, 64);
    wheel_arm(&wheel, &second.timer, 64);
    wheel_turn(&wheel, 1000);
    EXPECT_EQ(first.count, 1);
    EXPECT_EQ(second.count, 0);
}

TEST(a_callback_may_arm_itself_and_is_not_called_twice_in_a_tick) {
    struct wheel wheel;
    struct alarm alarm = {.timer.on_due = note, .again_ms = 1};
    wheel_init(&wheel, 0);
    alarm.wheel = &wheel;
    wheel_arm(&wheel, &alarm.timer, 64);
    wheel_turn(&wheel, 64);
    EXPECT_EQ(alarm.count, 1);
    wheel_turn(&wheel, 640);
    EXPECT_EQ(alarm.count, 10);
    wheel_finish(&wheel);
    EXPECT_FALSE(wheel_is_armed(&alarm.timer));
}

TEST(a_callback_may_free_its_timer) {
    struct wheel wheel;
    struct alarm *alarm = calloc(1, sizeof(*alarm));
    alarm->timer.on_due = free_alarm;
    wheel_init(&wheel, 0);
    wheel_arm(&wheel, &alarm->timer, 10);
    wheel_turn(&wheel, 1000);
    EXPECT_EQ(wheel.timer_count, 0);
}

TEST(many_random_timers_each_fire_within_a_tick) {
    enum { COUNT = 2000 };
    struct wheel wheel;
    static struct alarm alarms[COUNT];
    static uint64_t due_ms[COUNT];
    wheel_init(&wheel, 777);
    uint32_t random = 7;
    for (size_t i = 0; i < COUNT; i++) {
        random = random * 1664525u + 1013904223u;
        due_ms[i] = 777 + (random >> (i % 24 + 4));
        alarms[i].timer.on_due = note;
        wheel_arm(&wheel, &alarms[i].timer, due_ms[i]);
    }
    for (uint64_t now_ms = 777; now_ms < 2000000; now_ms += 1777) {
        wheel_turn(&wheel, now_ms);
        for (size_t i = 0; i < COUNT; i++) {
            EXPECT_TRUE(alarms[i].count == 0 || due_ms[i] <= now_ms);
            EXPECT_TRUE(alarms[i].count == 1 || due_ms[i] + 2 * WHEEL_TICK_MS > now_ms);
        }
    }
}

UNIT_TESTS(UNIT(timers_fire_once_never_early_and_within_a_tick),
           UNIT(arming_again_replaces_the_due_time),
           UNIT(a_due_time_in_the_past_fires_at_the_next_tick),
           UNIT(a_callback_may_disarm_another_that_is_due_in_the_same_tick),
           UNIT(a_callback_may_arm_itself_and_is_not_called_twice_in_a_tick),
           UNIT(a_callback_may_free_its_timer), UNIT(many_random_timers_each_fire_within_a_tick))
