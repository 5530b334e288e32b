/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/kafka_errand.h"

#include <semaphore.h>

#include "broker/metrics/metrics.h"
#include "protocols/sinks/loop.h"
#include "tests/unit.h"

static struct {
    struct metrics *metrics;
    struct loop *loop;
    struct kafka_errand errand;
    pthread_t called_on;
    pthread_t done_on;
    sem_t begun;
    size_t done_count;
    bool was_cancelled;
} scene;

static int begin(void **state) {
    (void)state;
    memset(&scene, 0, sizeof(scene));
    return sem_init(&scene.begun, 0, 0) != 0 || metrics_create(1, &scene.metrics) != OK ||
           loop_create(metrics_shard(scene.metrics, METRICS_MAIN), &scene.loop, NULL) != OK;
}

static int end(void **state) {
    (void)state;
    loop_destroy(scene.loop);
    metrics_destroy(scene.metrics);
    return sem_destroy(&scene.begun);
}

static void note_thread(struct kafka_errand *errand) {
    (void)errand;
    scene.called_on = pthread_self();
}

static void wait_for_cancel(struct kafka_errand *errand) {
    sem_post(&scene.begun);
    while (!atomic_load(&errand->is_cancelled)) {
        sched_yield();
    }
    scene.was_cancelled = true;
}

static void on_done(struct kafka_errand *errand) {
    assert_false(errand->is_under_way);
    scene.done_on = pthread_self();
    scene.done_count++;
    loop_end(scene.loop);
}

TEST(the_call_is_made_elsewhere_and_answered_here) {
    EXPECT_TRUE(kafka_errand_begin(&scene.errand, scene.loop, note_thread, on_done));
    EXPECT_TRUE(scene.errand.is_under_way);
    loop_run(scene.loop);
    EXPECT_EQ(scene.done_count, 1);
    EXPECT_TRUE(pthread_equal(scene.done_on, pthread_self()) != 0);
    EXPECT_TRUE(pthread_equal(scene.called_on, pthread_self()) == 0);
}

static void begin_another(struct kafka_errand *errand) {
    if (++scene.done_count < 3) {
        EXPECT_TRUE(kafka_errand_begin(errand, scene.loop, note_thread, begin_another));
    } else {
        loop_end(scene.loop);
    }
}

TEST(one_may_follow_another) {
    EXPECT_TRUE(kafka_errand_begin(&scene.errand, scene.loop, note_thread, begin_another));
    loop_run(scene.loop);
    EXPECT_EQ(scene.done_count, 3);
}

TEST(one_that_is_cancelled_still_comes_home) {
    EXPECT_TRUE(kafka_errand_begin(&scene.errand, scene.loop, wait_for_cancel, on_done));
    assert_int_equal(sem_wait(&scene.begun), 0);
    kafka_errand_cancel(&scene.errand);
    loop_run(scene.loop);
    EXPECT_TRUE(scene.was_cancelled);
    EXPECT_EQ(scene.done_count, 1);
}

#define ERRAND(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        ERRAND(the_call_is_made_elsewhere_and_answered_here),
        ERRAND(one_may_follow_another),
        ERRAND(one_that_is_cancelled_still_comes_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
