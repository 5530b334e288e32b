/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/throttle.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>

#include "broker/admission/accounts.h"
#include "broker/channels/rules.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/budget.h"
#include "broker/runtime/connection.h"
#include "broker/runtime/worker_private.h"
#include "broker/support/clock.h"
#include "tests/broker/config/load.h"

#define NOW_MS 5000000
#define RACERS 2
#define RACE_RATE 50000  /* of the tenant, a whole number of nanoseconds each … */
#define RACE_TRIES 50000 /* … and what each racer asks for */

/* A connection as the throttle sees it. */
struct connection {
    struct worker *worker;
    struct identity *identity;
    struct dues dues;
};

static struct {
    struct broker broker;
    struct config *config;
    struct rules *rules;
    struct worker workers[RACERS];
    struct connection connections[RACERS];
} world;

/* --- in front of broker/runtime --------------------------------------------------------------- */

struct worker *connection_worker(const struct connection *connection) {
    return connection->worker;
}

struct dues *connection_dues(struct connection *connection) {
    return &connection->dues;
}

struct identity *connection_identity(const struct connection *connection) {
    return connection->identity;
}

const char *connection_protocol_name(const struct connection *connection) {
    (void)connection;
    return "http";
}

const char *connection_peer(const struct connection *connection) {
    (void)connection;
    return "192.0.2.1:1000";
}

/* --- what a test does ------------------------------------------------------------------------- */

static void open_with(const char *limits) {
    memset(&world, 0, sizeof(world));
    world.config = load((struct config_sources){.text = span_of_string(limits)});
    world.broker.config = world.config;
    EXPECT_EQ(metrics_create(RACERS, &world.broker.metrics), OK);
    EXPECT_EQ(throttle_open(&world.broker), OK);
    world.rules = rules_create(world.config, world.broker.metrics);
    EXPECT_NOT_NULL(world.rules);
    world.broker.rules = world.rules;
    for (unsigned i = 0; i < RACERS; i++) {
        world.workers[i].broker = &world.broker;
        world.workers[i].metrics = metrics_shard(world.broker.metrics, METRICS_WORKERS + i);
        world.workers[i].now_ms = NOW_MS;
        world.connections[i].worker = &world.workers[i];
    }
}

static void close_all(void) {
    throttle_close(&world.broker);
    rules_destroy(world.rules);
    metrics_destroy(world.broker.metrics);
    config_destroy(world.config);
}

static struct identity *create_identity(const char *subject, const char *tenant) {
    struct identity_facts facts = {.kind = IDENTITY_TOKEN,
                                   .subject = span_of_string(subject),
                                   .tenant = span_of_string(tenant),
                                   .source = SPAN("auth.jwt[0]")};
    struct identity *identity = identity_create(&facts, NULL, NULL);
    EXPECT_NOT_NULL(identity);
    EXPECT_EQ(accounts_enroll(world.broker.accounts, identity), OK);
    return identity;
}

/* In front of the accounts of tenants: what each may have. */
static void on_tenant(void *context, struct span tenant, struct quota *ret_quota) {
    (void)tenant;
    ret_quota->publish_rate = *(const uint64_t *)context;
    ret_quota->connections = 1;
}

static enum error_code publish(struct identity *identity, uint64_t messages, uint64_t bytes,
                               struct throttle_told *ret_told, struct error *why) {
    const struct throttle_offer offer = {.count = messages, .bytes = bytes, .channel = SPAN("a")};
    return throttle_publish(&world.connections[0], identity, &offer, ret_told, why);
}

/* How many single messages pass now, one after the other. */
static uint64_t count_passing(struct identity *identity) {
    uint64_t count = 0;
    while (publish(identity, 1, 0, NULL, NULL) == OK) {
        count++;
    }
    return count;
}

static uint64_t count_refused(enum metrics_limit limit) {
    return metrics_sum(world.broker.metrics, METRIC_LIMITS_REFUSED,
                       METRICS_PAIR(METRIC_LIMITS_REFUSED, limit, METRICS_PROTOCOL_HTTP));
}

static struct sockaddr_storage address_of(const char *text) {
    struct sockaddr_storage address = {.ss_family = AF_INET};
    EXPECT_EQ(inet_pton(AF_INET, text, &((struct sockaddr_in *)&address)->sin_addr), 1);
    return address;
}

/* --- publishes -------------------------------------------------------------------------------- */

TEST(what_a_later_limit_refuses_is_given_back_to_those_before_it) {
    uint64_t tenant_rate = 3;
    open_with("limits: {publish_rate: 10/s, publish_rate_per_identity: 5/s}\n");
    accounts_set_on_tenant(world.broker.accounts, on_tenant, &tenant_rate);
    struct identity *alice = create_identity("alice", "acme");
    struct identity *bob = create_identity("bob", "");
    EXPECT_EQ(count_passing(alice), 3);
    EXPECT_EQ(count_refused(METRICS_LIMIT_TENANT_RATE), 1);
    EXPECT_EQ(count_passing(bob), 5);
    EXPECT_EQ(count_refused(METRICS_LIMIT_IDENTITY_RATE), 1);
    EXPECT_EQ(count_passing(NULL), 2);
    EXPECT_EQ(count_refused(METRICS_LIMIT_PUBLISH_RATE), 1);
    EXPECT_EQ(atomic_load(&alice->account->usage.published_messages), 3);
    EXPECT_EQ(atomic_load(&alice->account->usage.refused), 0);
    EXPECT_EQ(atomic_load(&alice->tenant_account->usage.refused), 1);
    identity_unref(alice);
    identity_unref(bob);
    close_all();
}

TEST(who_waits_as_long_as_he_is_told_is_let_pass_and_not_before) {
    struct error why = {0};
    open_with("limits: {publish_rate: 4/s}\n");
    EXPECT_EQ(publish(NULL, 4, 0, NULL, &why), OK);
    EXPECT_EQ(publish(NULL, 1, 0, NULL, &why), ERR_RATE);
    EXPECT_TRUE(why.retry_after_ms >= 250 && why.retry_after_ms <= 251);
    world.workers[0].now_ms += 249;
    EXPECT_EQ(publish(NULL, 1, 0, NULL, NULL), ERR_RATE);
    world.workers[0].now_ms = NOW_MS + why.retry_after_ms;
    EXPECT_EQ(publish(NULL, 1, 0, NULL, NULL), OK);
    EXPECT_EQ(publish(NULL, 1, 0, NULL, NULL), ERR_RATE);
    close_all();
}

TEST(more_than_is_ever_let_pass_is_no_matter_of_waiting) {
    struct error why = {0};
    open_with("limits: {publish_rate: 4/s, publish_bytes: 1KiB/s}\n");
    EXPECT_EQ(publish(NULL, 5, 0, NULL, &why), ERR_TOO_LARGE);
    EXPECT_EQ(why.retry_after_ms, 0);
    EXPECT_EQ(publish(NULL, UINT64_MAX, 0, NULL, &why), ERR_TOO_LARGE);
    EXPECT_EQ(publish(NULL, 1, MESSAGE_BYTES_DEFAULT + 1, NULL, &why), ERR_TOO_LARGE);
    EXPECT_EQ(publish(NULL, 1, UINT64_MAX, NULL, &why), ERR_TOO_LARGE);
    EXPECT_EQ(publish(NULL, 1, MESSAGE_BYTES_DEFAULT, NULL, &why), OK); /* of the usual size */
    EXPECT_EQ(publish(NULL, 1, 1, NULL, &why), ERR_RATE);
    EXPECT_EQ(count_passing(NULL), 3);
    close_all();
}

TEST(who_is_refused_is_told_the_limit_that_refuses_and_others_the_one_that_comes_first) {
    struct throttle_told told = {0};
    open_with("limits: {publish_rate: 10/s, publish_rate_per_identity: 5/s}\n");
    struct identity *alice = create_identity("alice", "");
    EXPECT_EQ(publish(NULL, 2, 0, &told, NULL), OK);
    EXPECT_STRING(told.policy, "connection");
    EXPECT_EQ(told.quota, 10);
    EXPECT_EQ(told.left, 8);
    EXPECT_EQ(publish(alice, 1, 0, &told, NULL), OK);
    EXPECT_STRING(told.policy, "identity");
    EXPECT_EQ(told.left, 4);
    EXPECT_EQ(publish(alice, 5, 0, &told, NULL), ERR_RATE);
    EXPECT_STRING(told.policy, "identity");
    EXPECT_EQ(told.left, 4);
    identity_unref(alice);
    close_all();
}

TEST(without_limits_nobody_is_told_or_refused) {
    struct throttle_told told = {.policy = "before"};
    open_with("limits: {publish_rate: unlimited, publish_bytes: unlimited,\n"
              "         publish_rate_per_identity: unlimited,\n"
              "         publish_bytes_per_identity: unlimited}\n");
    struct identity *alice = create_identity("alice", "acme");
    EXPECT_EQ(publish(alice, UINT64_MAX, UINT64_MAX, &told, NULL), OK);
    EXPECT_NULL(told.policy);
    identity_unref(alice);
    close_all();
}

TEST(publishers_are_turned_away_at_the_second_level_of_memory_and_lose_nothing) {
    struct error why = {0};
    open_with("limits: {publish_rate: 4/s}\n");
    atomic_store(&world.broker.budget->level, BUDGET_CONNECTIONS);
    EXPECT_EQ(publish(NULL, 1, 0, NULL, &why), OK);
    atomic_store(&world.broker.budget->level, BUDGET_PUBLISHERS);
    EXPECT_EQ(publish(NULL, 1, 0, NULL, &why), ERR_MEMORY);
    EXPECT_EQ(why.retry_after_ms, RETRY_MEMORY_MS);
    EXPECT_EQ(count_refused(METRICS_LIMIT_MEMORY), 1);
    atomic_store(&world.broker.budget->level, BUDGET_ENOUGH);
    EXPECT_EQ(count_passing(NULL), 3);
    close_all();
}

TEST(what_a_channel_refuses_is_given_back_to_all_before_it) {
    struct throttle_told told = {0};
    open_with("channels: [{match: a, publish_rate: 3/s}]\n"
              "limits: {publish_rate: 10/s, publish_rate_per_identity: 10/s}\n");
    struct identity *alice = create_identity("alice", "");
    EXPECT_EQ(publish(alice, 4, 0, NULL, NULL), ERR_TOO_LARGE);
    EXPECT_EQ(publish(alice, 2, 0, &told, NULL), OK);
    EXPECT_STRING(told.policy, "channel");
    EXPECT_EQ(told.left, 1);
    EXPECT_EQ(publish(NULL, 2, 0, &told, NULL), ERR_RATE); /* whoever publishes */
    EXPECT_EQ(told.left, 1);
    EXPECT_EQ(publish(NULL, 1, 0, NULL, NULL), OK);
    EXPECT_EQ(count_refused(METRICS_LIMIT_CHANNEL_RATE), 2);
    EXPECT_EQ(atomic_load(&alice->account->usage.published_messages), 2);
    world.broker.rules = NULL; /* what is left to the others */
    EXPECT_EQ(count_passing(alice), 7);
    identity_unref(alice);
    close_all();
}

/* --- publishes of several workers at once ----------------------------------------------------- */

struct racer {
    pthread_t thread;
    pthread_barrier_t *start;
    struct connection *connection;
    struct identity *identity;
    uint64_t passed;
};

static void *race(void *context) {
    struct racer *racer = context;
    const struct throttle_offer offer = {.count = 1, .bytes = 1, .channel = SPAN("a")};
    pthread_barrier_wait(racer->start);
    for (int i = 0; i < RACE_TRIES; i++) {
        racer->passed +=
            throttle_publish(racer->connection, racer->identity, &offer, NULL, NULL) == OK;
    }
    return NULL;
}

/* All racers at once; gives how much passed for all of them. `identity` may be NULL. */
static uint64_t run_race(void *(*run)(void *racer), struct identity *identity) {
    struct racer racers[RACERS] = {0};
    pthread_barrier_t start;
    uint64_t passed = 0;
    pthread_barrier_init(&start, NULL, RACERS);
    for (size_t i = 0; i < RACERS; i++) {
        racers[i].start = &start;
        racers[i].connection = &world.connections[i];
        racers[i].identity = identity;
        EXPECT_EQ(pthread_create(&racers[i].thread, NULL, run, &racers[i]), 0);
    }
    for (size_t i = 0; i < RACERS; i++) {
        EXPECT_EQ(pthread_join(racers[i].thread, NULL), 0);
        passed += racers[i].passed;
    }
    pthread_barrier_destroy(&start);
    return passed;
}

/* Time stands still: so a burst of the tenant is all there is, whoever is asked in which order. */
TEST(workers_that_publish_for_one_tenant_at_once_get_its_quota_and_no_more) {
    uint64_t tenant_rate = RACE_RATE;
    open_with("limits: {publish_rate: unlimited, publish_rate_per_identity: 62500/s}\n");
    accounts_set_on_tenant(world.broker.accounts, on_tenant, &tenant_rate);
    struct identity *alice = create_identity("alice", "acme");
    uint64_t passed = run_race(race, alice);
    EXPECT_TRUE(passed <= RACE_RATE);
    passed += count_passing(alice);
    EXPECT_EQ(passed, RACE_RATE);
    EXPECT_EQ(atomic_load(&alice->account->usage.published_messages), RACE_RATE);
    EXPECT_EQ(atomic_load(&alice->tenant_account->usage.published_messages), RACE_RATE);
    atomic_store(&alice->tenant_account->quota.publish_rate, CONFIG_UNLIMITED);
    EXPECT_EQ(count_passing(alice), 12500); /* all that was refused was given back */
    identity_unref(alice);
    close_all();
}

/* Its bucket is there: two who look for a new name at once may make two. */
TEST(workers_that_publish_to_one_channel_at_once_get_its_rate_and_no_more) {
    open_with("channels: [{match: a, publish_rate: 50000/s}]\n"
              "limits: {publish_rate: 62500/s}\n");
    EXPECT_EQ(publish(NULL, 1, 0, NULL, NULL), OK);
    EXPECT_EQ(1 + run_race(race, NULL), RACE_RATE);
    close_all();
}

/* --- connections and logins ------------------------------------------------------------------- */

TEST(an_address_has_its_connections_and_no_more_and_gets_one_back_when_one_ends) {
    struct dues dues[4];
    open_with("limits: {connections_per_address: 2, handshakes_per_address: 100/s}\n");
    struct sockaddr_storage address = address_of("192.0.2.1");
    EXPECT_EQ(throttle_enter(&world.workers[0], &address, &dues[0]), OK);
    EXPECT_EQ(throttle_enter(&world.workers[1], &address, &dues[1]), OK);
    EXPECT_EQ(throttle_enter(&world.workers[0], &address, &dues[2]), ERR_RATE);
    throttle_leave(&world.workers[0], &dues[2]); /* it was never counted */
    EXPECT_EQ(throttle_enter(&world.workers[0], &address, &dues[2]), ERR_RATE);
    throttle_leave(&world.workers[1], &dues[1]);
    EXPECT_EQ(throttle_enter(&world.workers[0], &address, &dues[1]), OK);
    struct sockaddr_storage other = address_of("192.0.2.2");
    EXPECT_EQ(throttle_enter(&world.workers[0], &other, &dues[3]), OK);
    close_all();
}

TEST(an_address_that_comes_too_often_is_refused_until_its_rate_lets_it) {
    struct dues dues[4];
    open_with("limits: {handshakes_per_address: 2/s}\n");
    struct sockaddr_storage address = address_of("192.0.2.1");
    EXPECT_EQ(throttle_enter(&world.workers[0], &address, &dues[0]), OK);
    EXPECT_EQ(throttle_enter(&world.workers[0], &address, &dues[1]), OK);
    EXPECT_EQ(throttle_enter(&world.workers[0], &address, &dues[2]), ERR_RATE);
    EXPECT_FALSE(dues[2].is_counted);
    world.workers[0].now_ms += 500;
    EXPECT_EQ(throttle_enter(&world.workers[0], &address, &dues[2]), OK);
    EXPECT_EQ(throttle_enter(&world.workers[0], &address, &dues[3]), ERR_RATE);
    close_all();
}

TEST(proxies_and_programs_on_this_machine_are_not_held) {
    struct dues dues;
    open_with("public: {trusted_proxies: [\"198.51.100.0/24\"]}\n"
              "limits: {connections_per_address: 1}\n");
    struct sockaddr_storage proxy = address_of("198.51.100.7");
    struct sockaddr_storage here = address_of("127.0.0.1");
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(throttle_enter(&world.workers[0], &proxy, &dues), OK);
        EXPECT_FALSE(dues.is_counted);
        EXPECT_EQ(throttle_enter(&world.workers[0], &here, &dues), OK);
        EXPECT_FALSE(dues.is_counted);
    }
    close_all();
    open_with("limits: {connections_per_address: 1, loopback: true}\n");
    EXPECT_EQ(throttle_enter(&world.workers[0], &here, &dues), OK);
    EXPECT_EQ(throttle_enter(&world.workers[0], &here, &dues), ERR_RATE);
    close_all();
}

TEST(bad_credentials_are_counted_and_others_are_not) {
    struct error why = {0};
    open_with("limits: {login_failures_per_address: 1/s}\n");
    struct sockaddr_storage address = address_of("192.0.2.1");
    struct connection *connection = &world.connections[0];
    EXPECT_EQ(throttle_enter(&world.workers[0], &address, &connection->dues), OK);
    for (int i = 0; i < 100; i++) {
        throttle_note_login(connection, OK);
        throttle_note_login(connection, ERR_TOKEN_EXPIRED);
        throttle_note_login(connection, ERR_BUSY);
    }
    EXPECT_EQ(throttle_may_log_in(connection, &why), OK);
    for (int i = 0; i < LOGIN_BURST_MS / 1000; i++) {
        EXPECT_EQ(throttle_may_log_in(connection, &why), OK);
        throttle_note_login(connection, i % 2 == 0 ? ERR_UNAUTHORIZED : ERR_REVOKED);
    }
    EXPECT_EQ(throttle_may_log_in(connection, &why), ERR_RATE);
    EXPECT_TRUE(why.retry_after_ms > 0);
    EXPECT_EQ(throttle_may_log_in(&world.connections[1], &why), OK); /* of no address */
    world.workers[0].now_ms += why.retry_after_ms;
    EXPECT_EQ(throttle_may_log_in(connection, &why), OK);
    close_all();
}

TEST(bad_keys_of_the_operators_port_are_counted_with_those_of_the_others) {
    struct error why = {0};
    open_with("limits: {login_failures_per_address: 1/s}\n");
    struct metrics_shard *metrics = metrics_shard(world.broker.metrics, METRICS_OPERATOR);
    struct sockaddr_storage address = address_of("192.0.2.1");
    struct connection *connection = &world.connections[0];
    world.workers[0].now_ms = clock_monotonic_ms();
    EXPECT_EQ(throttle_enter(&world.workers[0], &address, &connection->dues), OK);
    EXPECT_EQ(throttle_may_operate(&world.broker, &address, metrics, &why), OK);
    for (int i = 0; i < 100; i++) {
        throttle_note_operator(&world.broker, &address, OK);
        throttle_note_operator(&world.broker, &address, ERR_FORBIDDEN);
    }
    EXPECT_EQ(throttle_may_operate(&world.broker, &address, metrics, &why), OK);
    int failure_count = 0;
    while (throttle_may_operate(&world.broker, &address, metrics, &why) == OK) {
        throttle_note_operator(&world.broker, &address, ERR_UNAUTHORIZED);
        failure_count++;
    }
    EXPECT_TRUE(failure_count >= LOGIN_BURST_MS / 1000);
    EXPECT_TRUE(why.retry_after_ms > 0);
    EXPECT_EQ(throttle_may_log_in(connection, &why), ERR_RATE);
    close_all();
}

TEST(a_connection_is_admitted_while_subject_and_tenant_have_room) {
    uint64_t tenant_rate = 100;
    struct error why = {0};
    struct connection *connection = &world.connections[0];
    open_with("limits: {connections_per_identity: 2}\n");
    accounts_set_on_tenant(world.broker.accounts, on_tenant, &tenant_rate);
    struct identity *alice = create_identity("alice", "");
    struct identity *bob = create_identity("bob", "acme");
    EXPECT_EQ(throttle_admit(connection, NULL, &why), OK);
    EXPECT_EQ(throttle_admit(connection, alice, &why), OK);
    EXPECT_EQ(throttle_admit(connection, alice, &why), OK);
    EXPECT_EQ(throttle_admit(connection, alice, &why), ERR_RATE);
    EXPECT_EQ(why.retry_after_ms, RETRY_CONNECT_MS);
    EXPECT_EQ(count_refused(METRICS_LIMIT_IDENTITY_CONNECTIONS), 1);
    connection->identity = alice; /* who is counted already comes with another token */
    EXPECT_EQ(throttle_admit(connection, alice, &why), OK);
    connection->identity = NULL;
    accounts_give_connection(alice); /* what it was until then */
    EXPECT_EQ(throttle_admit(connection, bob, &why), OK);
    EXPECT_EQ(throttle_admit(connection, bob, &why), ERR_RATE);
    EXPECT_EQ(count_refused(METRICS_LIMIT_TENANT_CONNECTIONS), 1);
    EXPECT_EQ(atomic_load(&bob->account->usage.refused), 0);
    EXPECT_EQ(atomic_load(&bob->account->connections),
              1); /* of a tenant that is full he has none */
    accounts_give_connection(bob);
    EXPECT_EQ(throttle_admit(connection, bob, &why), OK);
    accounts_give_connection(bob);
    accounts_give_connection(alice);
    accounts_give_connection(alice);
    identity_unref(alice);
    identity_unref(bob);
    close_all();
}

static void *race_for_places(void *context) {
    struct racer *racer = context;
    pthread_barrier_wait(racer->start);
    for (int i = 0; i < RACE_TRIES; i++) {
        if (throttle_admit(racer->connection, racer->identity, NULL) == OK) {
            racer->passed++;
        } else if (racer->passed > 0) { /* one goes, and somebody has the place */
            accounts_give_connection(racer->identity);
            racer->passed--;
        }
    }
    return NULL;
}

/* What is taken is the subject's first, and the tenant has fewer. */
TEST(workers_that_admit_for_one_tenant_at_once_give_its_places_and_no_more) {
    uint64_t tenant_rate = 1;
    open_with("limits: {connections_per_identity: 8}\n");
    accounts_set_on_tenant(world.broker.accounts, on_tenant, &tenant_rate);
    struct identity *alice = create_identity("alice", "acme");
    atomic_store(&alice->tenant_account->quota.connections, 5);
    uint64_t passed = run_race(race_for_places, alice);
    EXPECT_EQ(atomic_load(&alice->account->connections), passed);
    EXPECT_EQ(atomic_load(&alice->tenant_account->connections), passed);
    EXPECT_EQ(atomic_load(&alice->tenant_account->usage.connections_peak), 5);
    for (; passed > 0; passed--) {
        accounts_give_connection(alice);
    }
    identity_unref(alice);
    close_all();
}

UNIT_TESTS(UNIT(what_a_later_limit_refuses_is_given_back_to_those_before_it),
           UNIT(who_waits_as_long_as_he_is_told_is_let_pass_and_not_before),
           UNIT(more_than_is_ever_let_pass_is_no_matter_of_waiting),
           UNIT(who_is_refused_is_told_the_limit_that_refuses_and_others_the_one_that_comes_first),
           UNIT(without_limits_nobody_is_told_or_refused),
           UNIT(publishers_are_turned_away_at_the_second_level_of_memory_and_lose_nothing),
           UNIT(workers_that_publish_for_one_tenant_at_once_get_its_quota_and_no_more),
           UNIT(what_a_channel_refuses_is_given_back_to_all_before_it),
           UNIT(workers_that_publish_to_one_channel_at_once_get_its_rate_and_no_more),
           UNIT(an_address_has_its_connections_and_no_more_and_gets_one_back_when_one_ends),
           UNIT(an_address_that_comes_too_often_is_refused_until_its_rate_lets_it),
           UNIT(proxies_and_programs_on_this_machine_are_not_held),
           UNIT(bad_credentials_are_counted_and_others_are_not),
           UNIT(bad_keys_of_the_operators_port_are_counted_with_those_of_the_others),
           UNIT(a_connection_is_admitted_while_subject_and_tenant_have_room),
           UNIT(workers_that_admit_for_one_tenant_at_once_give_its_places_and_no_more))
