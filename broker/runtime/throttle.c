/* SPDX-License-Identifier: Apache-2.0 */
/* A publish takes from up to six buckets, and from one each of its channels that have a rate. They
 * are asked in turn, and what was taken is given back where a later one refuses: so for a moment a
 * bucket may look emptier than it is, never fuller. */
#include "broker/runtime/throttle.h"

#include <stdlib.h>

#include "broker/admission/accounts.h"
#include "broker/admission/buckets.h"
#include "broker/admission/identity.h"
#include "broker/admission/policy.h"
#include "broker/channels/rules.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/budget.h"
#include "broker/runtime/connection.h"
#include "broker/runtime/worker_private.h"
#include "broker/support/clock.h"
#include "broker/support/json.h"
#include "broker/support/logger.h"

#define US_A_MS 1000

static uint64_t now_us(const struct worker *worker) {
    return worker->now_ms * US_A_MS;
}

enum error_code throttle_open(struct broker *broker) {
    const struct config *config = broker->config;
    const struct address_limits limits = {
        .connections = config->connections_per_address_max,
        .handshakes = rate_of(config->handshakes_per_address, HANDSHAKE_BURST_MS, 1),
        .login_failures = rate_of(config->login_failures_per_address, LOGIN_BURST_MS, 1)};
    const struct quota quota = {.connections = config->connections_per_identity_max,
                                .publish_rate = config->publish_rate_per_identity,
                                .publish_bytes = config->publish_bytes_per_identity,
                                .channels = CONFIG_UNLIMITED,
                                .stored_bytes = CONFIG_UNLIMITED};
    broker->budget = calloc(1, sizeof(*broker->budget));
    if (broker->budget == NULL) {
        return ERR_MEMORY;
    }
    broker->budget->limit_bytes = config->memory_max;
    enum error_code code = addresses_create(&limits, &broker->addresses);
    code = code == OK ? accounts_create(&quota, &broker->accounts) : code;
    return code == OK ? buckets_create(&broker->buckets) : code;
}

void throttle_close(struct broker *broker) {
    addresses_destroy(broker->addresses);
    accounts_destroy(broker->accounts);
    buckets_destroy(broker->buckets);
    free(broker->budget);
}

/* --- telling --------------------------------------------------------------------------------- */

static void note(struct worker *worker, enum metrics_protocol protocol, enum metrics_limit limit) {
    metrics_add_at(worker->metrics, METRIC_LIMITS_REFUSED,
                   METRICS_PAIR(METRIC_LIMITS_REFUSED, limit, protocol), 1);
}

static void note_of(const struct connection *connection, const struct identity *identity,
                    enum metrics_limit limit, uint64_t value) {
    const char *protocol = connection_protocol_name(connection);
    note(connection_worker(connection), metrics_find_protocol(protocol), limit);
    if (logger_is_on(LOG_EVENT_LIMIT_REACHED)) {
        char label[IDENTITY_LABEL_BYTES] = "";
        if (identity != NULL) {
            identity_format_label(identity, label);
        }
        log_event(LIMIT_REACHED, .limit = metrics_limit_path(limit), .most = value,
                  .protocol = protocol, .peer = connection_peer(connection), .identity = label);
    }
}

/* --- addresses ------------------------------------------------------------------------------- */

/* Proxies stand for many clients, and so may a program on this machine. */
static bool is_held(const struct broker *broker, const struct sockaddr_storage *address) {
    const struct config_list *proxies = &broker->config->public_trusted_proxies;
    if (broker->addresses == NULL ||
        (!broker->config->holds_loopback && address_is_loopback(address))) {
        return false;
    }
    for (size_t i = 0; i < proxies->count; i++) {
        if (address_is_in_network(address, proxies->items[i])) {
            return false;
        }
    }
    return true;
}

enum error_code throttle_enter(struct worker *worker, const struct sockaddr_storage *address,
                               struct dues *ret_dues) {
    static const struct {
        enum error_code code;
        enum metrics_limit limit;
    } answers[] = {
        [ADDRESS_TAKEN] = {OK, METRICS_LIMIT_COUNT},
        [ADDRESS_HAS_TOO_MANY] = {ERR_RATE, METRICS_LIMIT_ADDRESS_CONNECTIONS},
        [ADDRESS_COMES_TOO_OFT] = {ERR_RATE, METRICS_LIMIT_HANDSHAKES},
        [ADDRESS_WITHOUT_MEMORY] = {ERR_MEMORY, METRICS_LIMIT_COUNT},
    };
    struct broker *broker = worker->broker;
    *ret_dues = (struct dues){.address = address_key_of(address)};
    if (!is_held(broker, address)) {
        return OK;
    }
    enum address_answer answer =
        addresses_take(broker->addresses, &ret_dues->address, now_us(worker));
    ret_dues->is_counted = answer == ADDRESS_TAKEN;
    if (answers[answer].code == ERR_RATE) {
        bool is_rate = answer == ADDRESS_COMES_TOO_OFT;
        char peer[ADDRESS_PEER_BYTES];
        address_format_peer(address, peer);
        note(worker, METRICS_PROTOCOL_OTHER, answers[answer].limit);
        log_event(LIMIT_REACHED, .limit = metrics_limit_path(answers[answer].limit),
                  .most = is_rate ? broker->config->handshakes_per_address
                                  : broker->config->connections_per_address_max,
                  .peer = peer);
    }
    return answers[answer].code;
}

void throttle_leave(struct worker *worker, const struct dues *dues) {
    if (dues->is_counted) {
        addresses_give(worker->broker->addresses, &dues->address, now_us(worker));
    }
}

static enum error_code refuse_login(uint64_t wait_us, struct error *why) {
    error_set(why, ERR_RATE, "too many bad credentials came from this address");
    return error_set_retry(why, ERR_RATE, wait_us / US_A_MS + 1);
}

static bool is_bad_login(enum error_code result) {
    return result == ERR_UNAUTHORIZED || result == ERR_REVOKED;
}

enum error_code throttle_may_log_in(const struct connection *connection, struct error *why) {
    const struct worker *worker = connection_worker(connection);
    const struct dues *dues = connection_dues((struct connection *)connection);
    uint64_t wait_us = 0;
    if (!dues->is_counted ||
        addresses_may_log_in(worker->broker->addresses, &dues->address, now_us(worker), &wait_us)) {
        return OK;
    }
    note_of(connection, connection_identity(connection), METRICS_LIMIT_LOGIN_FAILURES,
            worker->broker->config->login_failures_per_address);
    return refuse_login(wait_us, why);
}

void throttle_note_login(const struct connection *connection, enum error_code result) {
    const struct worker *worker = connection_worker(connection);
    const struct dues *dues = connection_dues((struct connection *)connection);
    if (dues->is_counted && is_bad_login(result)) {
        addresses_note_failure(worker->broker->addresses, &dues->address, now_us(worker));
    }
}

enum error_code throttle_may_operate(struct broker *broker, const struct sockaddr_storage *address,
                                     struct metrics_shard *metrics, struct error *why) {
    uint64_t wait_us = 0;
    struct address_key key = address_key_of(address);
    if (!is_held(broker, address) ||
        addresses_may_log_in(broker->addresses, &key, clock_monotonic_ms() * US_A_MS, &wait_us)) {
        return OK;
    }
    char peer[ADDRESS_PEER_BYTES];
    address_format_peer(address, peer);
    metrics_add_at(
        metrics, METRIC_LIMITS_REFUSED,
        METRICS_PAIR(METRIC_LIMITS_REFUSED, METRICS_LIMIT_LOGIN_FAILURES, METRICS_PROTOCOL_OTHER),
        1);
    log_event(LIMIT_REACHED, .limit = metrics_limit_path(METRICS_LIMIT_LOGIN_FAILURES),
              .most = broker->config->login_failures_per_address, .protocol = "operator",
              .peer = peer);
    return refuse_login(wait_us, why);
}

void throttle_note_operator(struct broker *broker, const struct sockaddr_storage *address,
                            enum error_code result) {
    if (is_bad_login(result) && is_held(broker, address)) {
        struct address_key key = address_key_of(address);
        addresses_note_failure(broker->addresses, &key, clock_monotonic_ms() * US_A_MS);
    }
}

/* --- connections of an identity -------------------------------------------------------------- */

enum error_code throttle_admit(const struct connection *connection, const struct identity *identity,
                               struct error *why) {
    struct account *full = NULL;
    if (accounts_take_connection(identity, connection_identity(connection), &full)) {
        return OK;
    }
    enum metrics_limit limit =
        full->is_tenant ? METRICS_LIMIT_TENANT_CONNECTIONS : METRICS_LIMIT_IDENTITY_CONNECTIONS;
    uint64_t most = atomic_load(&full->quota.connections);
    atomic_fetch_add(&full->usage.refused, 1);
    note_of(connection, identity, limit, most);
    error_set(why, ERR_RATE, "%s: there are %llu connections already", metrics_limit_path(limit),
              (unsigned long long)most);
    return error_set_retry(why, ERR_RATE, RETRY_CONNECT_MS);
}

/* --- publishes ------------------------------------------------------------------------------- */

/* One bucket that a publish takes from. */
struct toll {
    struct allowance *allowance;
    struct account *account; /* NULL: the connection's own */
    struct rate rate;
    uint64_t units;
    enum metrics_limit limit;
    const char *policy;
    const char *unit;
};

#define TOLLS_MAX 6

struct tolls {
    struct toll rows[TOLLS_MAX];
    size_t count;
};

static void add(struct tolls *tolls, const struct toll *toll, uint64_t units_a_second,
                uint64_t burst_min) {
    struct rate rate = rate_of(units_a_second, PUBLISH_BURST_MS, burst_min);
    if (rate.units_a_second != RATE_UNLIMITED) {
        INVARIANT(tolls->count < TOLLS_MAX);
        tolls->rows[tolls->count] = *toll;
        tolls->rows[tolls->count++].rate = rate;
    }
}

static void add_account(struct tolls *tolls, struct account *account, uint64_t messages,
                        uint64_t bytes) {
    if (account == NULL) {
        return;
    }
    bool is_tenant = account->is_tenant;
    struct toll toll = {.allowance = &account->messages,
                        .account = account,
                        .units = messages,
                        .limit =
                            is_tenant ? METRICS_LIMIT_TENANT_RATE : METRICS_LIMIT_IDENTITY_RATE,
                        .policy = is_tenant ? "tenant" : "identity",
                        .unit = "messages"};
    add(tolls, &toll, atomic_load_explicit(&account->quota.publish_rate, memory_order_relaxed), 1);
    toll.allowance = &account->bytes;
    toll.units = bytes;
    toll.limit = is_tenant ? METRICS_LIMIT_TENANT_BYTES : METRICS_LIMIT_IDENTITY_BYTES;
    toll.policy = NULL;
    toll.unit = "bytes";
    add(tolls, &toll, atomic_load_explicit(&account->quota.publish_bytes, memory_order_relaxed),
        MESSAGE_BYTES_DEFAULT);
}

static void add_connection(struct tolls *tolls, struct connection *connection, uint64_t messages,
                           uint64_t bytes) {
    const struct config *config = connection_worker(connection)->broker->config;
    struct dues *dues = connection_dues(connection);
    struct toll toll = {.allowance = &dues->messages,
                        .units = messages,
                        .limit = METRICS_LIMIT_PUBLISH_RATE,
                        .policy = "connection",
                        .unit = "messages"};
    add(tolls, &toll, config->publish_rate, 1);
    toll = (struct toll){.allowance = &dues->bytes,
                         .units = bytes,
                         .limit = METRICS_LIMIT_PUBLISH_BYTES,
                         .unit = "bytes"};
    add(tolls, &toll, config->publish_bytes, MESSAGE_BYTES_DEFAULT);
}

/* The one with the least left is told; rates that nobody counts up to are not. */
static void tell(struct throttle_told *told, const struct toll *toll,
                 const struct allowance_state *state) {
    bool is_worth_it = toll->policy != NULL && toll->rate.units_a_second <= RATE_TOLD_MAX;
    if (is_worth_it && (told->policy == NULL || state->units_left < told->left)) {
        *told = (struct throttle_told){.policy = toll->policy,
                                       .quota = toll->rate.burst,
                                       .window_s = PUBLISH_BURST_MS / 1000,
                                       .left = state->units_left};
    }
}

static enum error_code refuse(const struct connection *connection, const struct identity *identity,
                              const struct toll *toll, const struct allowance_state *state,
                              struct error *why) {
    const char *path = metrics_limit_path(toll->limit);
    uint64_t rate = toll->rate.units_a_second;
    note_of(connection, identity, toll->limit, rate);
    if (toll->account != NULL) {
        atomic_fetch_add_explicit(&toll->account->usage.refused, 1, memory_order_relaxed);
    }
    if (state->wait_us == UINT64_MAX) {
        return error_set(why, ERR_TOO_LARGE,
                         "%llu %s at once are more than %s ever lets pass: %llu; send less at a "
                         "time",
                         (unsigned long long)toll->units, toll->unit, path,
                         (unsigned long long)toll->rate.burst);
    }
    uint64_t wait_ms = state->wait_us / US_A_MS + 1;
    error_set(why, ERR_RATE, "%s lets %llu %s a second pass; there is room again in %llu ms", path,
              (unsigned long long)rate, toll->unit, (unsigned long long)wait_ms);
    return error_set_retry(why, ERR_RATE, wait_ms);
}

/* --- channels -------------------------------------------------------------------------------- */

/* What stands one behind the other for one channel, in an offer. */
struct stretch {
    struct span channel;
    uint64_t count;
    struct rate rate;
};

static struct span channel_at(const struct throttle_offer *offer, size_t index) {
    return offer->messages == NULL ? offer->channel : offer->messages[index]->fields.channel;
}

/* The one that begins at `from`; its rate is RATE_UNLIMITED where its rule has none. */
static struct stretch stretch_at(const struct rules *rules, const struct throttle_offer *offer,
                                 size_t from) {
    struct stretch stretch = {.channel = channel_at(offer, from), .count = 1};
    while (from + stretch.count < offer->count &&
           (offer->messages == NULL ||
            span_is_equal(stretch.channel, channel_at(offer, from + stretch.count)))) {
        stretch.count++;
    }
    stretch.rate = rate_of(rules_find(rules, stretch.channel)->publish_rate, PUBLISH_BURST_MS, 1);
    return stretch;
}

/* All that is offered to one channel, in however many stretches: beyond a burst it never passes. */
static uint64_t count_of(const struct throttle_offer *offer, struct span channel) {
    uint64_t count = 0;
    for (size_t i = 0; i < offer->count; i++) {
        count += span_is_equal(channel, channel_at(offer, i));
    }
    return count;
}

/* What those before `end` took. */
static void give_back_stretches(struct buckets *buckets, const struct rules *rules,
                                const struct throttle_offer *offer, size_t end) {
    struct stretch stretch;
    for (size_t from = 0; from < end; from += stretch.count) {
        stretch = stretch_at(rules, offer, from);
        struct allowance *allowance = stretch.rate.units_a_second == RATE_UNLIMITED
                                          ? NULL
                                          : buckets_find_kept(buckets, stretch.channel);
        if (allowance != NULL) {
            allowance_give(allowance, &stretch.rate, stretch.count);
        }
    }
}

static enum error_code take_channels(const struct connection *connection,
                                     const struct identity *identity,
                                     const struct throttle_offer *offer, struct throttle_told *told,
                                     struct error *why) {
    const struct worker *worker = connection_worker(connection);
    const struct rules *rules = worker->broker->rules;
    struct stretch stretch;
    if (!rules_have_publish_rate(rules)) {
        return OK;
    }
    for (size_t from = 0; from < offer->count; from += stretch.count) {
        stretch = stretch_at(rules, offer, from);
        if (stretch.rate.units_a_second == RATE_UNLIMITED) {
            continue;
        }
        struct allowance_state state;
        struct toll toll = {
            .allowance = buckets_find(worker->broker->buckets, stretch.channel, now_us(worker)),
            .rate = stretch.rate,
            .units = stretch.count,
            .limit = METRICS_LIMIT_CHANNEL_RATE,
            .policy = "channel",
            .unit = "messages to one channel"};
        bool is_taken =
            allowance_take(toll.allowance, &toll.rate, toll.units, now_us(worker), &state);
        if (!is_taken) {
            give_back_stretches(worker->broker->buckets, rules, offer, from);
            toll.units = offer->messages == NULL ? stretch.count : count_of(offer, stretch.channel);
            state.wait_us = toll.units > stretch.rate.burst ? UINT64_MAX : state.wait_us;
            *told = (struct throttle_told){0};
        }
        tell(told, &toll, &state);
        if (!is_taken) {
            return refuse(connection, identity, &toll, &state, why);
        }
    }
    return OK;
}

/* --- all of them ----------------------------------------------------------------------------- */

static void count_usage(struct account *account, uint64_t messages, uint64_t bytes) {
    if (account != NULL) {
        atomic_fetch_add_explicit(&account->usage.published_messages, messages,
                                  memory_order_relaxed);
        atomic_fetch_add_explicit(&account->usage.published_bytes, bytes, memory_order_relaxed);
    }
}

static void give_back(const struct tolls *tolls, size_t end) {
    for (size_t i = 0; i < end; i++) {
        const struct toll *toll = &tolls->rows[i];
        allowance_give(toll->allowance, &toll->rate, toll->units);
    }
}

/* All of them or none. */
static enum error_code take_all(struct connection *connection, struct identity *identity,
                                const struct throttle_offer *offer, struct throttle_told *told,
                                struct error *why) {
    struct tolls tolls = {.count = 0};
    struct allowance_state state;
    add_connection(&tolls, connection, offer->count, offer->bytes);
    if (identity != NULL) {
        add_account(&tolls, identity->account, offer->count, offer->bytes);
        add_account(&tolls, identity->tenant_account, offer->count, offer->bytes);
    }
    for (size_t i = 0; i < tolls.count; i++) {
        const struct toll *toll = &tolls.rows[i];
        if (!allowance_take(toll->allowance, &toll->rate, toll->units,
                            now_us(connection_worker(connection)), &state)) {
            give_back(&tolls, i);
            *told = (struct throttle_told){0}; /* of those before it: they have it back */
            tell(told, toll, &state);
            return refuse(connection, identity, toll, &state, why);
        }
        tell(told, toll, &state);
    }
    enum error_code code = take_channels(connection, identity, offer, told, why);
    if (code != OK) {
        give_back(&tolls, tolls.count);
    }
    return code;
}

enum error_code throttle_publish(struct connection *connection, struct identity *identity,
                                 const struct throttle_offer *offer, struct throttle_told *ret_told,
                                 struct error *why) {
    const struct broker *broker = connection_worker(connection)->broker;
    struct throttle_told told = {0};
    if (budget_level(broker->budget) >= BUDGET_PUBLISHERS) {
        note_of(connection, identity, METRICS_LIMIT_MEMORY, broker->config->memory_max);
        error_set(why, ERR_MEMORY, "memory is short: limits.memory");
        return error_set_retry(why, ERR_MEMORY, RETRY_MEMORY_MS);
    }
    enum error_code code = take_all(connection, identity, offer, &told, why);
    if (ret_told != NULL) {
        *ret_told = told;
    }
    if (code == OK && identity != NULL) {
        count_usage(identity->account, offer->count, offer->bytes);
        count_usage(identity->tenant_account, offer->count, offer->bytes);
    }
    return code;
}

void throttle_note(const struct connection *connection, enum metrics_limit limit, uint64_t value) {
    note_of(connection, connection_identity(connection), limit, value);
}

void throttle_note_depth(const struct connection *connection, const struct error *why) {
    if (why != NULL && why->is_too_deep) {
        throttle_note(connection, METRICS_LIMIT_JSON_DEPTH, JSON_DEPTH_MAX);
    }
}
