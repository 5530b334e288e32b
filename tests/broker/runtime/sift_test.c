/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/sift.h"

#include <stdlib.h>

#include "broker/admission/identity.h"
#include "broker/runtime/connection.h"
#include "broker/runtime/worker_private.h"
#include "tests/unit.h"

#define WORKERS 2
#define CONNECTIONS_MAX 2000 /* of a worker */
#define TURNS_MAX 1000

/* A connection as a sift sees it. */
struct connection {
    struct worker *worker;
    uint64_t id;
    struct identity identity;
    bool is_nobody; /* has no identity */
    bool is_bad;
    bool is_closing;
    bool is_gone;
    size_t asked_count;
    enum close_reason dismissed; /* CLOSE_NORMAL: it was not */
};

static struct {
    struct broker broker;
    struct worker workers[WORKERS];
    struct worker *pointers[WORKERS];
    struct connection connections[WORKERS][CONNECTIONS_MAX];
    struct mailbox mailbox; /* the beginner's */
    bool is_memory_short;
    size_t worker_count; /* that were told … */
    size_t told_count;   /* … which the beginner heard */
    size_t over_count;
    uint64_t gone_count;
    size_t nobody_count; /* how often it was asked of nobody */
} world;

/* --- in front of broker/runtime --------------------------------------------------------------- */

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size) {
    return world.is_memory_short ? NULL : __real_calloc(count, size);
}

struct connection *connections_next(struct worker *worker, const struct connection *connection) {
    struct connection *all = world.connections[worker->index];
    size_t index = connection == NULL ? 0 : (size_t)(connection - all) + 1;
    while (index < worker->connection_count && all[index].is_gone) {
        index++;
    }
    return index < worker->connection_count ? &all[index] : NULL;
}

uint64_t connection_id(const struct connection *connection) {
    EXPECT_FALSE(connection->is_gone);
    return connection->id;
}

struct identity *connection_identity(const struct connection *connection) {
    EXPECT_FALSE(connection->is_gone);
    return connection->is_nobody ? NULL : (struct identity *)&connection->identity;
}

bool connection_is_closing(const struct connection *connection) {
    return connection->is_closing;
}

void connection_dismiss(struct connection *connection, enum close_reason reason) {
    EXPECT_FALSE(connection->is_closing);
    connection->dismissed = reason;
    connection->is_closing = true;
}

/* --- what a test does ------------------------------------------------------------------------- */

static int begin(void **state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    world.broker.workers = world.pointers;
    world.broker.worker_count = WORKERS;
    EXPECT_EQ(mailbox_init(&world.mailbox, 2), OK);
    for (size_t i = 0; i < WORKERS; i++) {
        struct worker *worker = &world.workers[i];
        world.pointers[i] = worker;
        worker->broker = &world.broker;
        worker->index = i;
        list_init(&worker->sifts);
        EXPECT_EQ(mailbox_init(&worker->mailbox, 2), OK);
    }
    return 0;
}

static int end(void **state) {
    (void)state;
    for (size_t i = 0; i < WORKERS; i++) {
        EXPECT_TRUE(list_is_empty(&world.workers[i].sifts));
        mailbox_finish(&world.workers[i].mailbox);
    }
    mailbox_finish(&world.mailbox);
    return 0;
}

static struct connection *come(size_t index, bool is_bad) {
    struct worker *worker = &world.workers[index];
    struct connection *connection = &world.connections[index][worker->connection_count++];
    connection->worker = worker;
    connection->id = atomic_fetch_add(&world.broker.connection_id_next, 1);
    connection->is_bad = is_bad;
    return connection;
}

static void come_many(size_t index, size_t count, bool is_bad) {
    for (size_t i = 0; i < count; i++) {
        come(index, is_bad);
    }
}

/* As connection.c ends one. */
static void go(struct connection *connection) {
    sifts_on_gone(connection->worker, connection);
    connection->is_gone = true;
}

static void turn(size_t index) {
    mailbox_deliver_all(&world.workers[index].mailbox, &world.workers[index]);
}

/* What the beginner is told. */
static void hear(void) {
    mailbox_deliver_all(&world.mailbox, NULL);
}

/* Turns of all workers until nothing is left to do. */
static void turn_all(void) {
    size_t turns = 0;
    for (size_t i = 0; i < WORKERS; i++) {
        for (; !mailbox_is_empty(&world.workers[i].mailbox); turns++) {
            EXPECT_TRUE(turns < TURNS_MAX);
            turn(i);
        }
    }
    hear();
}

static size_t count_asked(size_t index) {
    size_t count = 0;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        count += world.connections[index][i].asked_count;
    }
    return count;
}

static size_t count_dismissed(size_t index) {
    size_t count = 0;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        count += world.connections[index][i].dismissed != CLOSE_NORMAL;
    }
    return count;
}

static void on_worker(void *context, struct worker *worker) {
    EXPECT_TRUE(context == &world);
    EXPECT_EQ(count_asked(worker->index), 0);
    world.worker_count++;
}

/* Nobody must go, and who is bad. */
static bool must_go(void *context, const struct identity *identity) {
    EXPECT_TRUE(context == &world);
    if (identity == NULL) {
        world.nobody_count++;
        return true;
    }
    struct connection *connection = CONTAINER_OF(identity, struct connection, identity);
    connection->asked_count++;
    return connection->is_bad;
}

static enum close_reason on_reason(void *context, const struct identity *identity) {
    EXPECT_TRUE(context == &world);
    return identity == NULL ? CLOSE_UNAUTHORIZED : CLOSE_TOKEN_EXPIRED;
}

static void on_told(void *context) {
    EXPECT_TRUE(context == &world);
    EXPECT_EQ(world.worker_count, WORKERS);
    EXPECT_EQ(world.over_count, 0);
    world.told_count++;
}

static void on_over(void *context, uint64_t gone_count) {
    EXPECT_TRUE(context == &world);
    EXPECT_EQ(world.told_count, 1);
    world.over_count++;
    world.gone_count = gone_count;
}

static struct sift_options options_of_all(void) {
    return (struct sift_options){.reply_to = &world.mailbox,
                                 .on_worker = on_worker,
                                 .must_go = must_go,
                                 .reason = CLOSE_REVOKED,
                                 .on_told = on_told,
                                 .on_over = on_over,
                                 .context = &world};
}

static void begin_sift(const struct sift_options *options) {
    struct sift *sift = sift_create(&world.broker, options);
    EXPECT_NOT_NULL(sift);
    world.is_memory_short = true;
    EXPECT_EQ(sift_begin(sift), OK);
    world.is_memory_short = false;
}

static void sift(void) {
    struct sift_options options = options_of_all();
    begin_sift(&options);
}

/* --- claims ----------------------------------------------------------------------------------- */

TEST(each_connection_of_each_worker_is_asked_once_and_who_must_go_is_dismissed) {
    for (size_t i = 0; i < 900; i++) {
        come(i % WORKERS, i % 3 == 0);
    }
    sift();
    turn_all();
    for (size_t i = 0; i < 900; i++) {
        const struct connection *connection = &world.connections[i % WORKERS][i / WORKERS];
        EXPECT_EQ(connection->asked_count, 1);
        EXPECT_EQ(connection->dismissed, i % 3 == 0 ? CLOSE_REVOKED : CLOSE_NORMAL);
    }
    EXPECT_EQ(world.over_count, 1);
    EXPECT_EQ(world.gone_count, 300);
}

TEST(a_worker_without_connections_is_told_and_does_not_hold_the_end_up) {
    come(1, true);
    sift();
    turn_all();
    EXPECT_EQ(world.told_count, 1);
    EXPECT_EQ(world.over_count, 1);
    EXPECT_EQ(world.gone_count, 1);
}

TEST(all_are_told_before_any_walk_is_over_and_the_end_is_the_last_call) {
    come_many(0, 2 * SIFT_STEPS_MAX, false);
    come_many(1, 1, false);
    sift();
    turn(1);
    turn(1);
    hear();
    EXPECT_EQ(world.worker_count, 1);
    EXPECT_EQ(world.told_count, 0);
    turn(0); /* which has more to look at */
    hear();
    EXPECT_EQ(world.told_count, 1);
    EXPECT_EQ(world.over_count, 0);
    turn_all();
    EXPECT_EQ(world.told_count, 1);
    EXPECT_EQ(world.over_count, 1);
    EXPECT_EQ(world.gone_count, 0);
}

TEST(a_turn_looks_at_a_bounded_number_of_connections) {
    come_many(0, 2 * SIFT_STEPS_MAX + 1, false);
    sift();
    for (size_t turns = 1; turns <= 3; turns++) {
        turn(0);
        EXPECT_EQ(count_asked(0),
                  turns < 3 ? turns * SIFT_STEPS_MAX : (size_t)2 * SIFT_STEPS_MAX + 1);
    }
    EXPECT_TRUE(mailbox_is_empty(&world.workers[0].mailbox));
    turn_all();
}

TEST(a_turn_says_goodbye_to_fewer_than_it_looks_at) {
    come_many(0, CONNECTIONS_MAX, true);
    sift();
    turn(0);
    EXPECT_EQ(count_dismissed(0), SIFT_STEPS_MAX / SIFT_STEPS_GONE);
    turn(0);
    EXPECT_EQ(count_dismissed(0), (size_t)2 * SIFT_STEPS_MAX / SIFT_STEPS_GONE);
    turn_all();
    EXPECT_EQ(world.gone_count, CONNECTIONS_MAX);
}

TEST(who_comes_behind_the_beginning_is_not_asked) {
    come_many(0, SIFT_STEPS_MAX + 1, false);
    sift();
    turn(0);
    const struct connection *younger = come(0, true);
    turn_all();
    EXPECT_EQ(count_asked(0), SIFT_STEPS_MAX + 1);
    EXPECT_EQ(younger->asked_count, 0);
    EXPECT_EQ(younger->dismissed, CLOSE_NORMAL);
    EXPECT_EQ(world.over_count, 1);
}

TEST(who_comes_before_its_worker_was_told_is_asked) {
    sift();
    const struct connection *connection = come(0, true);
    turn_all();
    EXPECT_EQ(connection->dismissed, CLOSE_REVOKED);
}

TEST(the_walk_goes_on_behind_one_that_ends_where_it_stands) {
    come_many(0, SIFT_STEPS_MAX + 4, false);
    sift();
    turn(0);
    struct connection *next = &world.connections[0][SIFT_STEPS_MAX];
    go(&next[0]);
    go(&next[1]);
    go(&next[-1]); /* one that was looked at moves nothing */
    turn_all();
    EXPECT_EQ(next[0].asked_count + next[1].asked_count, 0);
    EXPECT_EQ(next[2].asked_count + next[3].asked_count, 2);
    EXPECT_EQ(count_asked(0), SIFT_STEPS_MAX + 2);
    EXPECT_EQ(world.over_count, 1);
}

TEST(a_walk_is_over_where_all_that_it_has_not_looked_at_ended) {
    come_many(0, SIFT_STEPS_MAX + 1, false);
    sift();
    turn(0);
    go(&world.connections[0][SIFT_STEPS_MAX]);
    turn_all();
    EXPECT_EQ(world.over_count, 1);
    EXPECT_EQ(count_asked(0), SIFT_STEPS_MAX);
}

TEST(two_walks_that_stand_at_one_connection_both_go_on_behind_it) {
    struct sift_options second = options_of_all();
    second.on_worker = NULL;
    second.on_told = NULL;
    second.on_over = NULL;
    come_many(0, SIFT_STEPS_MAX + 2, false);
    sift();
    begin_sift(&second);
    turn(0);
    go(&world.connections[0][SIFT_STEPS_MAX]);
    turn_all();
    EXPECT_EQ(world.connections[0][SIFT_STEPS_MAX].asked_count, 0);
    EXPECT_EQ(world.connections[0][SIFT_STEPS_MAX + 1].asked_count, 2);
}

TEST(one_that_is_closing_already_is_neither_dismissed_again_nor_counted) {
    come(0, true)->is_closing = true;
    come(0, true);
    sift();
    turn_all();
    EXPECT_EQ(count_dismissed(0), 1);
    EXPECT_EQ(world.gone_count, 1);
}

TEST(who_has_said_nothing_stays_unless_it_is_asked_of_those_too) {
    struct connection *stranger = come(0, false);
    stranger->is_nobody = true;
    sift();
    turn_all();
    EXPECT_EQ(world.nobody_count, 0);
    EXPECT_EQ(stranger->dismissed, CLOSE_NORMAL);
    struct sift_options options = options_of_all();
    options.includes_nobody = true;
    options.on_worker = NULL;
    options.on_told = NULL;
    begin_sift(&options);
    turn_all();
    EXPECT_EQ(world.nobody_count, 1);
    EXPECT_EQ(stranger->dismissed, CLOSE_REVOKED);
    EXPECT_EQ(world.gone_count, 1);
}

TEST(each_goes_for_a_reason_of_its_own_where_there_is_one) {
    struct sift_options options = options_of_all();
    options.includes_nobody = true;
    options.on_reason = on_reason;
    struct connection *stranger = come(0, false);
    stranger->is_nobody = true;
    const struct connection *bad = come(0, true);
    const struct connection *good = come(0, false);
    begin_sift(&options);
    turn_all();
    EXPECT_EQ(stranger->dismissed, CLOSE_UNAUTHORIZED);
    EXPECT_EQ(bad->dismissed, CLOSE_TOKEN_EXPIRED);
    EXPECT_EQ(good->dismissed, CLOSE_NORMAL);
}

TEST(without_a_question_all_are_told_and_nobody_goes) {
    struct sift_options options = options_of_all();
    options.must_go = NULL;
    come_many(0, 10, true);
    begin_sift(&options);
    turn_all();
    EXPECT_EQ(count_dismissed(0), 0);
    EXPECT_EQ(world.told_count, 1);
    EXPECT_EQ(world.over_count, 1);
    EXPECT_EQ(world.gone_count, 0);
}

TEST(a_broker_that_stops_begins_none_and_nothing_follows) {
    struct sift_options options = options_of_all();
    come(0, true);
    struct sift *sift = sift_create(&world.broker, &options);
    atomic_store(&world.broker.is_stopping, true);
    EXPECT_EQ(sift_begin(sift), ERR_DRAINING);
    for (size_t i = 0; i < WORKERS; i++) { /* nor does any letter, which nobody would free */
        EXPECT_TRUE(mailbox_is_empty(&world.workers[i].mailbox));
    }
    turn_all();
    EXPECT_EQ(world.worker_count + world.told_count + world.over_count, 0);
    EXPECT_EQ(count_dismissed(0), 0);
}

TEST(without_memory_there_is_none_and_one_that_does_not_begin_is_let_go) {
    struct sift_options options = options_of_all();
    world.is_memory_short = true;
    EXPECT_NULL(sift_create(&world.broker, &options));
    world.is_memory_short = false;
    sift_destroy(sift_create(&world.broker, &options));
    sift_destroy(NULL);
}

#define SIFT(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(SIFT(each_connection_of_each_worker_is_asked_once_and_who_must_go_is_dismissed),
           SIFT(a_worker_without_connections_is_told_and_does_not_hold_the_end_up),
           SIFT(all_are_told_before_any_walk_is_over_and_the_end_is_the_last_call),
           SIFT(a_turn_looks_at_a_bounded_number_of_connections),
           SIFT(a_turn_says_goodbye_to_fewer_than_it_looks_at),
           SIFT(who_comes_behind_the_beginning_is_not_asked),
           SIFT(who_comes_before_its_worker_was_told_is_asked),
           SIFT(the_walk_goes_on_behind_one_that_ends_where_it_stands),
           SIFT(a_walk_is_over_where_all_that_it_has_not_looked_at_ended),
           SIFT(two_walks_that_stand_at_one_connection_both_go_on_behind_it),
           SIFT(one_that_is_closing_already_is_neither_dismissed_again_nor_counted),
           SIFT(who_has_said_nothing_stays_unless_it_is_asked_of_those_too),
           SIFT(each_goes_for_a_reason_of_its_own_where_there_is_one),
           SIFT(without_a_question_all_are_told_and_nobody_goes),
           SIFT(a_broker_that_stops_begins_none_and_nothing_follows),
           SIFT(without_memory_there_is_none_and_one_that_does_not_begin_is_let_go))
