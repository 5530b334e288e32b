/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/shed.h"

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/budget.h"
#include "broker/runtime/connection.h"
#include "broker/runtime/stream.h"
#include "broker/runtime/worker_private.h"
#include "tests/unit.h"

#define NOW_MS 5000000
#define HEAD 1000000
#define CONNECTIONS_MAX (SHED_MAX * SHED_SHARE + SHED_SHARE * 4)

/* A connection with one stream, as shedding sees it. */
struct connection {
    size_t kept_bytes;
    uint64_t lag;
    uint64_t sent_ms;
    bool is_blocked;
    bool is_closing;
    enum close_reason aborted;   /* 0: it was not … */
    enum close_reason dismissed; /* … either */
};

static struct {
    struct broker broker;
    struct budget budget;
    struct worker worker;
    struct connection connections[CONNECTIONS_MAX];
} world;

/* --- in front of broker/runtime --------------------------------------------------------------- */

struct connection *connections_next(struct worker *worker, const struct connection *connection) {
    size_t index = connection == NULL ? 0 : (size_t)(connection - world.connections) + 1;
    return index < worker->connection_count ? &world.connections[index] : NULL;
}

size_t connection_kept_bytes(const struct connection *connection) {
    return connection->kept_bytes;
}

bool connection_is_blocked(const struct connection *connection) {
    return connection->is_blocked;
}

bool connection_is_closing(const struct connection *connection) {
    return connection->is_closing;
}

uint64_t connection_sent_ms(const struct connection *connection) {
    return connection->sent_ms;
}

const char *connection_protocol_name(const struct connection *connection) {
    (void)connection;
    return "sse";
}

void connection_abort(struct connection *connection, enum close_reason reason) {
    connection->aborted = reason;
    connection->is_closing = true;
}

void connection_dismiss(struct connection *connection, enum close_reason reason) {
    connection->dismissed = reason;
    connection->is_closing = true;
}

struct stream *stream_next(struct connection *connection, const struct stream *stream) {
    return stream == NULL ? (struct stream *)(void *)connection : NULL;
}

void stream_get_status(struct stream *stream, struct stream_status *ret_status) {
    const struct connection *connection = (const struct connection *)(void *)stream;
    *ret_status = (struct stream_status){.is_blocked = connection->is_blocked,
                                         .place.position = HEAD - connection->lag};
}

uint64_t stream_positions_behind(const struct stream_status *status, uint64_t head) {
    return head - status->place.position;
}

uint64_t log_position_readable(const struct log *log) {
    (void)log;
    return HEAD;
}

/* --- what a test does ------------------------------------------------------------------------- */

static int begin(void **state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    EXPECT_EQ(metrics_create(1, &world.broker.metrics), OK);
    world.broker.budget = &world.budget;
    world.worker.broker = &world.broker;
    world.worker.metrics = metrics_shard(world.broker.metrics, METRICS_WORKERS);
    world.worker.now_ms = NOW_MS;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        world.connections[i].sent_ms = NOW_MS;
    }
    return 0;
}

static int end(void **state) {
    (void)state;
    metrics_destroy(world.broker.metrics);
    return 0;
}

/* So many connections, and a budget that sheds and has just looked. */
static void look(size_t connection_count) {
    world.worker.connection_count = connection_count;
    atomic_store(&world.budget.is_shedding, true);
    atomic_fetch_add(&world.budget.look, 1);
    shed_readers(&world.worker);
}

static size_t count_closed(void) {
    size_t count = 0;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        const struct connection *connection = &world.connections[i];
        count += connection->aborted != 0 || connection->dismissed != 0;
    }
    return count;
}

static bool is_closed(size_t index) {
    return world.connections[index].aborted != 0 || world.connections[index].dismissed != 0;
}

/* --- claims ----------------------------------------------------------------------------------- */

TEST(readers_that_do_as_they_should_stay_however_short_memory_is) {
    for (int i = 0; i < 10; i++) {
        look(1000);
    }
    EXPECT_EQ(count_closed(), 0);
    world.connections[7].lag = 500; /* it reads its history, and its socket takes all of it */
    look(1000);
    EXPECT_EQ(count_closed(), 0);
}

TEST(nothing_is_closed_before_readers_are_what_is_shed) {
    world.connections[0].kept_bytes = 1 << 20;
    world.worker.connection_count = 10;
    atomic_store(&world.budget.level, BUDGET_PUBLISHERS);
    atomic_fetch_add(&world.budget.look, 1);
    shed_readers(&world.worker);
    EXPECT_EQ(count_closed(), 0);
    world.broker.budget = NULL;
    shed_readers(&world.worker);
    EXPECT_EQ(count_closed(), 0);
    world.broker.budget = &world.budget;
    look(10);
    EXPECT_EQ(count_closed(), 1);
}

TEST(those_that_hold_most_go_first_and_of_those_that_hold_as_much_who_lags_most) {
    for (size_t i = 0; i < 100; i++) {
        size_t mixed = i * 37 % 100; /* in no order */
        world.connections[i].is_blocked = true;
        world.connections[i].kept_bytes = mixed < 50 ? 2000 : 1000;
        world.connections[i].lag = mixed < 50 ? mixed : 1000 + mixed;
    }
    look(100);
    EXPECT_EQ(count_closed(), SHED_MIN);
    for (size_t i = 0; i < 100; i++) {
        size_t mixed = i * 37 % 100;
        EXPECT_EQ(is_closed(i), mixed < 50 && mixed >= 50 - SHED_MIN);
    }
}

TEST(who_has_stalled_goes_before_all_who_still_take_something) {
    for (size_t i = 0; i < 100; i++) {
        world.connections[i].is_blocked = true;
        world.connections[i].kept_bytes = 1 << 20;
        world.connections[i].sent_ms = NOW_MS - SHED_STALL_MS + 1;
    }
    world.connections[50].kept_bytes = 1;
    world.connections[50].sent_ms = NOW_MS - SHED_STALL_MS;
    look(100);
    EXPECT_EQ(count_closed(), 1);
    EXPECT_TRUE(is_closed(50));
    look(100); /* the others are next */
    EXPECT_EQ(count_closed(), 1 + SHED_MIN);
}

TEST(who_is_in_the_middle_of_what_it_takes_stays_before_those_that_take_nothing) {
    for (size_t i = 0; i < 100; i++) {
        world.connections[i].is_blocked = true;
        world.connections[i].kept_bytes = 1000000;
        world.connections[i].lag = 1;
        world.connections[i].sent_ms = NOW_MS - SHED_STALL_MS / 2;
    }
    world.connections[50].kept_bytes = 1040000;
    world.connections[50].sent_ms = NOW_MS - 1;
    for (size_t i = 0; i < 100 / SHED_MIN; i++) {
        look(100);
    }
    EXPECT_FALSE(is_closed(50));
    EXPECT_EQ(count_closed(), 100 / SHED_MIN * SHED_MIN);
}

TEST(a_worker_closes_once_a_look) {
    for (size_t i = 0; i < 100; i++) {
        world.connections[i].kept_bytes = 1000;
    }
    look(100);
    shed_readers(&world.worker);
    shed_readers(&world.worker);
    EXPECT_EQ(count_closed(), SHED_MIN);
    look(100);
    EXPECT_EQ(count_closed(), (size_t)2 * SHED_MIN);
}

TEST(the_share_that_is_closed_at_once_grows_with_the_worker_to_a_bound) {
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        world.connections[i].kept_bytes = 1 + i;
    }
    look((size_t)SHED_MIN * SHED_SHARE * 4);
    EXPECT_EQ(count_closed(), (size_t)SHED_MIN * 4);
    size_t before = count_closed();
    look(CONNECTIONS_MAX);
    EXPECT_EQ(count_closed() - before, SHED_MAX);
}

TEST(one_whose_socket_is_full_is_not_told_and_the_others_are) {
    world.connections[0].kept_bytes = 1000;
    world.connections[1].kept_bytes = 1000;
    world.connections[1].is_blocked = true;
    look(2);
    EXPECT_EQ(world.connections[0].dismissed, CLOSE_MEMORY);
    EXPECT_EQ(world.connections[0].aborted, 0);
    EXPECT_EQ(world.connections[1].aborted, CLOSE_MEMORY);
    EXPECT_EQ(world.connections[1].dismissed, 0);
    EXPECT_EQ(metrics_sum(world.broker.metrics, METRIC_MEMORY_SHED, METRICS_PROTOCOL_SSE), 2);
    EXPECT_EQ(metrics_sum(
                  world.broker.metrics, METRIC_LIMITS_REFUSED,
                  METRICS_PAIR(METRIC_LIMITS_REFUSED, METRICS_LIMIT_MEMORY, METRICS_PROTOCOL_SSE)),
              2);
}

TEST(one_that_is_going_already_takes_no_place_of_another) {
    for (size_t i = 0; i < 2 * SHED_MIN; i++) {
        world.connections[i].kept_bytes = i < SHED_MIN ? 1 << 30 : 1;
        world.connections[i].is_closing = i < SHED_MIN;
    }
    look((size_t)2 * SHED_MIN);
    EXPECT_EQ(count_closed(), SHED_MIN);
    EXPECT_FALSE(is_closed(0));
}

#define SHED(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(SHED(readers_that_do_as_they_should_stay_however_short_memory_is),
           SHED(nothing_is_closed_before_readers_are_what_is_shed),
           SHED(those_that_hold_most_go_first_and_of_those_that_hold_as_much_who_lags_most),
           SHED(who_is_in_the_middle_of_what_it_takes_stays_before_those_that_take_nothing),
           SHED(who_has_stalled_goes_before_all_who_still_take_something),
           SHED(a_worker_closes_once_a_look),
           SHED(the_share_that_is_closed_at_once_grows_with_the_worker_to_a_bound),
           SHED(one_whose_socket_is_full_is_not_told_and_the_others_are),
           SHED(one_that_is_going_already_takes_no_place_of_another))
