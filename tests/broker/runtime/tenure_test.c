/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/tenure.h"

#include "broker/admission/identity.h"
#include "broker/limits.h"
#include "broker/runtime/connection.h"
#include "broker/runtime/throttle.h"
#include "broker/runtime/worker.h"
#include "tests/unit.h"

#define NOW_S 1800000000u /* on the wall clock, at first */

static struct {
    uint64_t wall_ms;
    uint64_t now_ms;
    struct wheel_timer *timer; /* that is armed */
    uint64_t due_ms;
    unsigned dismissed_count;
    enum close_reason reason;
    unsigned place_count; /* that are taken */
    bool is_full;
} world;

/* --- in front of broker/runtime --------------------------------------------------------------- */

uint64_t __wrap_clock_wall_ms(void);

uint64_t __wrap_clock_wall_ms(void) {
    return world.wall_ms;
}

struct worker *connection_worker(const struct connection *connection) {
    return (struct worker *)(uintptr_t)connection;
}

uint64_t worker_now_ms(const struct worker *worker) {
    (void)worker;
    return world.now_ms;
}

void worker_arm(struct worker *worker, struct wheel_timer *timer, uint64_t due_ms) {
    (void)worker;
    world.timer = timer;
    world.due_ms = due_ms;
}

void worker_disarm(struct worker *worker, struct wheel_timer *timer) {
    (void)worker;
    (void)timer;
    world.timer = NULL;
}

void connection_dismiss(struct connection *connection, enum close_reason reason) {
    EXPECT_TRUE(connection == (struct connection *)(void *)&world);
    world.dismissed_count++;
    world.reason = reason;
}

enum error_code throttle_admit(const struct connection *connection, const struct identity *identity,
                               struct error *why) {
    EXPECT_TRUE(connection == (const struct connection *)(const void *)&world);
    EXPECT_NOT_NULL(identity);
    world.place_count += !world.is_full;
    return world.is_full ? error_set(why, ERR_RATE, "full") : OK;
}

void __wrap_accounts_give_connection(const struct identity *identity);

void __wrap_accounts_give_connection(const struct identity *identity) {
    EXPECT_NOT_NULL(identity);
    world.place_count--;
}

/* --- what a test does ------------------------------------------------------------------------- */

static struct tenure *begin_one(uint64_t expires_s) {
    struct identity_facts facts = {
        .kind = IDENTITY_TOKEN, .subject = SPAN("alice"), .expires_s = expires_s};
    struct identity *identity = identity_create(&facts, NULL, NULL);
    struct tenure *tenure = NULL;
    EXPECT_NOT_NULL(identity);
    EXPECT_EQ(tenure_create((struct connection *)(void *)&world, identity, &tenure, NULL), OK);
    EXPECT_TRUE(tenure_identity(tenure) == identity);
    EXPECT_EQ(world.place_count, 1);
    identity_unref(identity);
    return tenure;
}

static int begin(void **state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    world.wall_ms = NOW_S * UINT64_C(1000);
    world.now_ms = 5000;
    return 0;
}

static void pass(uint64_t ms) {
    world.now_ms += ms;
    world.wall_ms += ms;
    if (world.timer != NULL && world.now_ms >= world.due_ms) {
        struct wheel_timer *timer = world.timer;
        world.timer = NULL;
        timer->on_due(timer);
    }
}

TEST(one_that_does_not_expire_has_no_timer) {
    struct tenure *tenure = begin_one(0);
    EXPECT_NULL(world.timer);
    tenure_destroy(tenure);
    EXPECT_NULL(tenure_identity(NULL));
    tenure_destroy(NULL);
}

TEST(it_ends_with_its_identity) {
    struct tenure *tenure = begin_one(NOW_S + 10);
    pass(9999);
    EXPECT_EQ(world.dismissed_count, 0);
    pass(1);
    EXPECT_EQ(world.dismissed_count, 1);
    EXPECT_EQ(world.reason, CLOSE_TOKEN_EXPIRED);
    tenure_destroy(tenure);
}

TEST(one_that_was_taken_although_it_has_expired_has_the_leeway) {
    struct tenure *tenure = begin_one(NOW_S - 20);
    pass((TOKEN_LEEWAY_S - 20) * UINT64_C(1000) - 1);
    EXPECT_EQ(world.dismissed_count, 0);
    pass(1);
    EXPECT_EQ(world.dismissed_count, 1);
    tenure_destroy(tenure);
}

TEST(the_wall_clock_decides_though_it_is_set) {
    struct tenure *tenure = begin_one(NOW_S + 7200);
    EXPECT_EQ(world.due_ms, world.now_ms + TENURE_CHECK_MS);
    world.wall_ms += UINT64_C(7200) * 1000; /* set ahead */
    pass(TENURE_CHECK_MS);
    EXPECT_EQ(world.dismissed_count, 1);
    tenure_destroy(tenure);
    tenure = begin_one(world.wall_ms / 1000 + 10);
    world.wall_ms -= 5000; /* set back */
    pass(10000);
    EXPECT_EQ(world.dismissed_count, 1);
    pass(5000);
    EXPECT_EQ(world.dismissed_count, 2);
    tenure_destroy(tenure);
}

TEST(an_end_that_no_clock_reaches_is_none) {
    struct tenure *tenure = begin_one(UINT64_MAX);
    EXPECT_NULL(world.timer);
    tenure_destroy(tenure);
}

#define TENURE(name) cmocka_unit_test_setup(name, begin)

TEST(a_place_is_taken_and_given_back_and_without_one_there_is_no_tenure) {
    struct error why = {0};
    struct tenure *tenure = begin_one(0);
    tenure_destroy(tenure);
    EXPECT_EQ(world.place_count, 0);
    struct identity_facts facts = {.kind = IDENTITY_TOKEN, .subject = SPAN("alice")};
    struct identity *identity = identity_create(&facts, NULL, NULL);
    world.is_full = true;
    EXPECT_EQ(tenure_create((struct connection *)(void *)&world, identity, &tenure, &why),
              ERR_RATE);
    EXPECT_STRING(why.detail, "full");
    identity_unref(identity);
}

UNIT_TESTS(TENURE(one_that_does_not_expire_has_no_timer), TENURE(it_ends_with_its_identity),
           TENURE(one_that_was_taken_although_it_has_expired_has_the_leeway),
           TENURE(the_wall_clock_decides_though_it_is_set),
           TENURE(an_end_that_no_clock_reaches_is_none),
           TENURE(a_place_is_taken_and_given_back_and_without_one_there_is_no_tenure))
