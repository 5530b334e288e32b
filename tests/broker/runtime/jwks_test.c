/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/jwks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "broker/admission/policy.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "tests/broker/config/load.h"

#define NOW_MS 5000000
#define CALLS_SEEN_MAX 8
#define LOOKS 2000

#define KEY(id)                                                                                    \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"" id "\","                                     \
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"
#define ONE_KEY "{\"keys\":[" KEY("a") "]}"
#define TWO_KEYS "{\"keys\":[" KEY("a") "," KEY("b") "]}"

/* The courier is the test's: it keeps what it is asked and answers when it is told to. */
static struct {
    struct jwks *jwks;
    struct metrics *metrics;
    struct mailbox mailbox; /* of those who wait, and of the courier */
    struct courier_guest *guest;
    struct call *calls[CALLS_SEEN_MAX];
    size_t call_count; /* ever */
    size_t answered_count;
    atomic_size_t nudge_count;
    enum error_code refusal; /* of the courier */
    uint64_t now_ms;
    size_t fetched_count; /* wishes that were answered */
    bool is_without_memory;
} world;

/* --- in front of broker/runtime --------------------------------------------------------------- */

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
uint64_t __wrap_clock_monotonic_ms(void);

void *__wrap_calloc(size_t count, size_t size) {
    return world.is_without_memory ? NULL : __real_calloc(count, size);
}

uint64_t __wrap_clock_monotonic_ms(void) {
    return world.now_ms;
}

void courier_put_guest(struct courier *courier, struct courier_guest *guest) {
    (void)courier;
    world.guest = guest;
}

struct mailbox *courier_mailbox(struct courier *courier) {
    (void)courier;
    return &world.mailbox;
}

void courier_nudge(struct courier *courier) {
    (void)courier;
    atomic_fetch_add(&world.nudge_count, 1);
}

enum error_code courier_ask(struct courier *courier, struct call *call) {
    (void)courier;
    if (world.refusal != OK) {
        return world.refusal;
    }
    EXPECT_TRUE(world.call_count < CALLS_SEEN_MAX);
    world.calls[world.call_count++] = call;
    return OK;
}

/* --- what a test does ------------------------------------------------------------------------- */

static int begin(void **state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    world.now_ms = NOW_MS;
    EXPECT_EQ(metrics_create(1, &world.metrics), OK);
    EXPECT_EQ(mailbox_init(&world.mailbox, MAILBOX_NODES_MAX), OK);
    EXPECT_EQ(jwks_create(NULL, metrics_shard(world.metrics, METRICS_MAIN), &world.jwks), OK);
    return 0;
}

static int end(void **state) {
    (void)state;
    mailbox_deliver_all(&world.mailbox, NULL);
    jwks_destroy(world.jwks);
    mailbox_finish(&world.mailbox);
    metrics_destroy(world.metrics);
    return 0;
}

static struct policy *policy_of(const char *text) {
    struct config *config = load((struct config_sources){.text = span_of_string(text)});
    struct policy *policy = NULL;
    EXPECT_EQ(policy_create(config, &policy, NULL), OK);
    config_destroy(config);
    return policy;
}

/* Follows one URL, which is all that the tests below but a few need. */
static struct policy *follow_one(void) {
    struct policy *policy =
        policy_of("auth: {jwt: [{issuer: i, jwks: \"https://a/keys\", algorithms: [EdDSA]}]}\n");
    EXPECT_EQ(jwks_follow(world.jwks, policy), OK);
    return policy;
}

/* Time goes on, and the courier looks at its guests. */
static void pass(uint64_t ms) {
    world.now_ms += ms;
    world.guest->on_due(world.guest, world.now_ms);
}

/* The oldest call that is not answered comes back. */
static void answer(unsigned status, const char *text, uint64_t max_age_s) {
    EXPECT_TRUE(world.answered_count < world.call_count);
    struct call *call = world.calls[world.answered_count++];
    buffer_init(&call->answer, call->answer_bytes_max);
    EXPECT_EQ(buffer_put(&call->answer, span_of_string(text)), OK);
    call->status = status;
    call->max_age_s = max_age_s;
    call->on_answered(call);
}

static size_t count_keys(const struct policy *policy, size_t row) {
    struct keyring *keyring = jwks_get(world.jwks, policy_issuer_at(policy, row));
    size_t count = keyring == NULL ? 0 : keyring_count(keyring);
    keyring_unref(keyring);
    return count;
}

static void on_fetched(struct jwks_wish *wish) {
    (void)wish;
    world.fetched_count++;
}

static enum error_code ask(const struct policy *policy, struct jwks_wish *wish) {
    *wish = (struct jwks_wish){.reply_to = &world.mailbox, .on_fetched = on_fetched};
    return jwks_ask(world.jwks, policy_issuer_at(policy, 0), wish);
}

static size_t count_answered(void) {
    mailbox_deliver_all(&world.mailbox, NULL);
    return world.fetched_count;
}

/* --- claims ----------------------------------------------------------------------------------- */

TEST(keys_are_fetched_at_once_and_again_when_they_are_old) {
    struct policy *policy = follow_one();
    EXPECT_EQ(atomic_load(&world.nudge_count), 1);
    EXPECT_EQ(count_keys(policy, 0), 0);
    pass(0);
    EXPECT_EQ(world.call_count, 1);
    EXPECT_STRING(world.calls[0]->url, "https://a/keys");
    EXPECT_EQ(world.calls[0]->answer_bytes_max, KEY_FILE_BYTES_MAX);
    answer(200, ONE_KEY, 120);
    EXPECT_EQ(count_keys(policy, 0), 1);
    pass(119999);
    EXPECT_EQ(world.call_count, 1);
    EXPECT_EQ(world.guest->due_ms, NOW_MS + 120000);
    pass(1);
    EXPECT_EQ(world.call_count, 2);
    answer(200, TWO_KEYS, 120);
    EXPECT_EQ(count_keys(policy, 0), 2);
    policy_unref(policy);
}

TEST(an_age_that_the_issuer_tells_is_kept_within_bounds) {
    static const struct {
        uint64_t told_s;
        uint64_t kept_ms;
    } cases[] = {
        {0, JWKS_REFRESH_MS},
        {1, JWKS_INTERVAL_MS},
        {JWKS_INTERVAL_MS / 1000 + 1, JWKS_INTERVAL_MS + 1000},
        {JWKS_REFRESH_MS_MAX / 1000, JWKS_REFRESH_MS_MAX},
        {UINT64_MAX, JWKS_REFRESH_MS_MAX},
    };
    struct policy *policy = follow_one();
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        pass(i == 0 ? 0 : cases[i - 1].kept_ms);
        EXPECT_EQ(world.call_count, i + 1);
        answer(200, ONE_KEY, cases[i].told_s);
        pass(0);
        EXPECT_EQ(world.guest->due_ms, world.now_ms + cases[i].kept_ms);
    }
    policy_unref(policy);
}

TEST(old_keys_stay_good_while_their_url_is_down) {
    static const struct {
        unsigned status;
        const char *text;
    } broken[] = {{500, TWO_KEYS}, {204, ""},   {301, TWO_KEYS},   {200, "<html>"},
                  {200, ""},       {200, "{}"}, {200, "{\"keys\""}};
    struct policy *policy = follow_one();
    pass(0);
    answer(200, ONE_KEY, 60);
    for (size_t i = 0; i < ARRAY_COUNT(broken); i++) {
        world.call_count = world.answered_count = 0;
        pass(JWKS_INTERVAL_MS);
        answer(broken[i].status, broken[i].text, 3600);
        EXPECT_EQ(count_keys(policy, 0), 1);
    }
    policy_unref(policy);
}

TEST(where_no_keys_are_known_they_are_asked_for_again_sooner) {
    struct policy *policy = follow_one();
    pass(0);
    answer(503, "", 86400);
    pass(JWKS_RETRY_MS - 1);
    EXPECT_EQ(world.call_count, 1);
    pass(1);
    EXPECT_EQ(world.call_count, 2);
    world.calls[1]->result = ERR_REQUEST_TIMEOUT; /* its answer is not looked at */
    answer(200, ONE_KEY, 0);
    EXPECT_EQ(count_keys(policy, 0), 0);
    pass(JWKS_RETRY_MS);
    answer(200, ONE_KEY, 0);
    EXPECT_EQ(count_keys(policy, 0), 1);
    policy_unref(policy);
}

TEST(tokens_of_unknown_keys_bring_one_fetch_an_interval_however_many_come) {
    struct jwks_wish wishes[4];
    struct policy *policy = follow_one();
    pass(0);
    answer(200, ONE_KEY, 0);
    EXPECT_EQ(ask(policy, &wishes[0]), OK);
    pass(0);
    EXPECT_EQ(world.call_count, 2);
    EXPECT_EQ(ask(policy, &wishes[1]), OK); /* rides on it */
    EXPECT_EQ(ask(policy, &wishes[2]), OK);
    pass(0);
    EXPECT_EQ(world.call_count, 2);
    EXPECT_EQ(count_answered(), 0);
    answer(200, TWO_KEYS, 0);
    EXPECT_EQ(count_answered(), 3);
    EXPECT_EQ(ask(policy, &wishes[0]), ERR_NOT_FOUND);
    pass(JWKS_INTERVAL_MS - 1);
    EXPECT_EQ(ask(policy, &wishes[0]), ERR_NOT_FOUND);
    pass(1);
    EXPECT_EQ(world.call_count, 2);
    EXPECT_EQ(ask(policy, &wishes[0]), OK);
    pass(0);
    EXPECT_EQ(world.call_count, 3);
    answer(500, "", 0);
    EXPECT_EQ(count_answered(), 4);
    policy_unref(policy);
}

TEST(more_than_may_wait_are_told_so) {
    static struct jwks_wish wishes[JWKS_WAITING_MAX + 1];
    struct policy *policy = follow_one();
    for (size_t i = 0; i < JWKS_WAITING_MAX; i++) {
        EXPECT_EQ(ask(policy, &wishes[i]), OK);
    }
    EXPECT_EQ(ask(policy, &wishes[JWKS_WAITING_MAX]), ERR_BUSY);
    pass(0);
    answer(200, ONE_KEY, 0);
    EXPECT_EQ(count_answered(), JWKS_WAITING_MAX);
    world.now_ms += JWKS_INTERVAL_MS;
    EXPECT_EQ(ask(policy, &wishes[0]), OK);
    pass(0);
    answer(200, ONE_KEY, 0);
    policy_unref(policy);
}

TEST(who_waits_is_told_when_the_courier_takes_no_call) {
    struct jwks_wish wish;
    struct policy *policy = follow_one();
    world.refusal = ERR_BUSY;
    EXPECT_EQ(ask(policy, &wish), OK);
    pass(0);
    EXPECT_EQ(count_answered(), 1);
    EXPECT_EQ(world.guest->due_ms, NOW_MS + JWKS_RETRY_MS);
    world.refusal = OK;
    pass(JWKS_RETRY_MS);
    EXPECT_EQ(world.call_count, 1);
    answer(200, ONE_KEY, 0);
    EXPECT_EQ(count_keys(policy, 0), 1);
    policy_unref(policy);
}

TEST(a_url_that_is_followed_no_more_is_forgotten_and_nobody_waits_for_it) {
    struct jwks_wish wish;
    struct policy *policy = follow_one();
    struct policy *other =
        policy_of("auth: {jwt: [{issuer: i, jwks: \"https://b/keys\", algorithms: [EdDSA]}]}\n");
    EXPECT_EQ(ask(policy, &wish), OK);
    pass(0);
    EXPECT_EQ(jwks_follow(world.jwks, other), OK);
    pass(0);
    EXPECT_EQ(world.call_count, 2);
    EXPECT_STRING(world.calls[1]->url, "https://b/keys");
    answer(200, ONE_KEY, 0); /* of the one that nobody follows */
    EXPECT_EQ(count_answered(), 1);
    EXPECT_EQ(count_keys(policy, 0), 0);
    EXPECT_EQ(ask(policy, &wish), ERR_NOT_FOUND);
    answer(200, TWO_KEYS, 0);
    EXPECT_EQ(count_keys(other, 0), 2);
    EXPECT_EQ(jwks_follow(world.jwks, policy), OK);
    pass(0);
    EXPECT_EQ(count_keys(other, 0), 0);
    EXPECT_EQ(world.call_count, 3);
    answer(200, ONE_KEY, 0);
    policy_unref(policy);
    policy_unref(other);
}

TEST(rows_of_one_url_share_its_keys_and_rows_that_believe_others_do_not) {
    static const char text[] =
        "auth: {jwt: [{issuer: i, jwks: \"https://a/keys\", algorithms: [EdDSA]},\n"
        "  {issuer: j, jwks: \"https://a/keys\", algorithms: [EdDSA]},\n"
        "  {issuer: k, jwks: \"https://a/keys\", ca: /dev/null, algorithms: [EdDSA]}]}\n";
    struct policy *policy = policy_of(text);
    EXPECT_EQ(jwks_follow(world.jwks, policy), OK);
    pass(0);
    EXPECT_EQ(world.call_count, 2);
    EXPECT_NULL(world.calls[0]->ca);
    EXPECT_STRING(world.calls[1]->ca, "/dev/null");
    answer(200, ONE_KEY, 0);
    EXPECT_EQ(count_keys(policy, 0), 1);
    EXPECT_EQ(count_keys(policy, 1), 1);
    EXPECT_EQ(count_keys(policy, 2), 0);
    answer(200, TWO_KEYS, 0);
    EXPECT_EQ(count_keys(policy, 2), 2);
    policy_unref(policy);
}

TEST(without_memory_a_url_is_not_followed_and_those_before_it_are) {
    struct policy *policy = follow_one();
    struct policy *two =
        policy_of("auth: {jwt: [{issuer: i, jwks: \"https://a/keys\", algorithms: [EdDSA]},\n"
                  "  {issuer: j, jwks: \"https://b/keys\", algorithms: [EdDSA]}]}\n");
    pass(0);
    answer(200, ONE_KEY, 0);
    world.is_without_memory = true;
    EXPECT_EQ(jwks_follow(world.jwks, two), ERR_MEMORY);
    world.is_without_memory = false;
    pass(0);
    EXPECT_EQ(world.call_count, 1);
    EXPECT_EQ(count_keys(two, 0), 1);
    EXPECT_EQ(count_keys(two, 1), 0);
    policy_unref(policy);
    policy_unref(two);
}

TEST(a_call_that_ends_with_the_broker_is_no_failure_of_the_issuer) {
    struct policy *policy = follow_one();
    pass(0);
    world.calls[0]->result = ERR_DRAINING;
    answer(0, "", 0);
    EXPECT_EQ(metrics_sum(world.metrics, METRIC_JWKS_FETCHES, ERR_DRAINING), 0);
    policy_unref(policy);
}

/* --- workers that look while the courier fetches ---------------------------------------------- */

static void *look_often(void *context) {
    for (int i = 0; i < LOOKS; i++) {
        EXPECT_TRUE(count_keys(context, 0) <= 2);
    }
    return NULL;
}

TEST(keys_may_be_looked_up_while_they_are_replaced) {
    pthread_t thread;
    struct policy *policy = follow_one();
    pass(0);
    EXPECT_EQ(pthread_create(&thread, NULL, look_often, policy), 0);
    for (int i = 0; i < 200; i++) {
        answer(200, i % 2 == 0 ? ONE_KEY : TWO_KEYS, 60);
        world.call_count = world.answered_count = 0;
        EXPECT_EQ(jwks_follow(world.jwks, policy), OK);
        pass(JWKS_INTERVAL_MS);
    }
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    answer(200, ONE_KEY, 60);
    policy_unref(policy);
}

#define JWKS(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(JWKS(keys_are_fetched_at_once_and_again_when_they_are_old),
           JWKS(an_age_that_the_issuer_tells_is_kept_within_bounds),
           JWKS(old_keys_stay_good_while_their_url_is_down),
           JWKS(where_no_keys_are_known_they_are_asked_for_again_sooner),
           JWKS(tokens_of_unknown_keys_bring_one_fetch_an_interval_however_many_come),
           JWKS(more_than_may_wait_are_told_so),
           JWKS(who_waits_is_told_when_the_courier_takes_no_call),
           JWKS(a_url_that_is_followed_no_more_is_forgotten_and_nobody_waits_for_it),
           JWKS(rows_of_one_url_share_its_keys_and_rows_that_believe_others_do_not),
           JWKS(without_memory_a_url_is_not_followed_and_those_before_it_are),
           JWKS(a_call_that_ends_with_the_broker_is_no_failure_of_the_issuer),
           JWKS(keys_may_be_looked_up_while_they_are_replaced))
