/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/consent.h"

#include <stdlib.h>

#include "broker/admission/policy.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/courier.h"
#include "tests/broker/config/load.h"

#define NOW_MS 5000000             /* of the monotonic clock … */
#define NOW_S UINT64_C(1800000000) /* … and of the wall's */
#define ALLOWED "{\"allow\":true}"
#define WEBHOOK(more)                                                                              \
    "auth: {webhook: {url: \"http://app/\", on: [connect, subscribe, publish]" more "}}\n"

/* The courier is the test's. */
static struct {
    struct broker broker;
    struct consent *consent;
    struct policy *policy;
    struct mailbox mailbox;
    struct call *call; /* the last that was asked … */
    size_t call_count; /* … ever */
    enum error_code refusal;
    uint64_t now_ms;
    uint64_t wall_ms;
    size_t answered_count;
    bool is_without_memory;
} world;

/* --- in front of broker/runtime --------------------------------------------------------------- */

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
uint64_t __wrap_clock_monotonic_ms(void);
uint64_t __wrap_clock_wall_ms(void);

void *__wrap_calloc(size_t count, size_t size) {
    return world.is_without_memory ? NULL : __real_calloc(count, size);
}

uint64_t __wrap_clock_monotonic_ms(void) {
    return world.now_ms;
}

uint64_t __wrap_clock_wall_ms(void) {
    return world.wall_ms;
}

enum error_code courier_ask(struct courier *courier, struct call *call) {
    (void)courier;
    if (world.refusal == OK) {
        world.call = call;
        world.call_count++;
    }
    return world.refusal;
}

/* --- what a test does ------------------------------------------------------------------------- */

static void open_with(const char *text) {
    struct config *config = load((struct config_sources){.text = span_of_string(text)});
    EXPECT_EQ(policy_create(config, &world.policy, NULL), OK);
    config_destroy(config);
}

static int begin(void **state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    world.now_ms = NOW_MS;
    world.wall_ms = NOW_S * 1000;
    EXPECT_EQ(metrics_create(1, &world.broker.metrics), OK);
    EXPECT_EQ(mailbox_init(&world.mailbox, MAILBOX_NODES_MAX), OK);
    world.broker.courier = (struct courier *)(void *)&world;
    world.consent =
        consent_create(&world.broker, metrics_shard(world.broker.metrics, METRICS_MAIN));
    EXPECT_NOT_NULL(world.consent);
    return 0;
}

static int end(void **state) {
    (void)state;
    consent_destroy(world.consent);
    policy_unref(world.policy);
    mailbox_finish(&world.mailbox);
    metrics_destroy(world.broker.metrics);
    return 0;
}

static void on_answered(struct consent_question *question) {
    (void)question;
    world.answered_count++;
}

static struct identity *create_identity(const char *subject, uint64_t expires_s) {
    struct identity_facts facts = {
        .kind = IDENTITY_TOKEN, .subject = span_of_string(subject), .expires_s = expires_s};
    struct identity *identity = identity_create(&facts, NULL, NULL);
    EXPECT_NOT_NULL(identity);
    return identity;
}

static enum error_code ask(struct consent_question *question) {
    question->reply_to = &world.mailbox;
    question->on_answered = on_answered;
    return consent_ask(world.consent, world.policy, question);
}

static struct consent_question publish_question(struct identity *identity, const char *channel) {
    return (struct consent_question){
        .kind = CONSENT_PUBLISH, .identity = identity, .channel = span_of_string(channel)};
}

static const struct credentials bearer = {
    .bearer = {(const uint8_t *)"abc", 3}, .peer = "192.0.2.1:1000", .protocol = "http"};

static struct consent_question connect_question(struct identity *identity,
                                                const struct credentials *credentials) {
    return (struct consent_question){
        .kind = CONSENT_CONNECT, .identity = identity, .credentials = credentials};
}

/* The call that is under way comes back. */
static void answer(enum error_code result, unsigned status, const char *text) {
    struct call *call = world.call;
    EXPECT_NOT_NULL(call);
    world.call = NULL;
    buffer_init(&call->answer, call->answer_bytes_max);
    EXPECT_EQ(buffer_put(&call->answer, span_of_string(text)), OK);
    call->result = result;
    call->status = status;
    call->on_answered(call);
}

/* --- what is asked ---------------------------------------------------------------------------- */

TEST(a_question_is_a_signed_post_and_its_secret_stays_here) {
    open_with(WEBHOOK(", secret: \"a secret of 24 characters\", timeout: 700ms"));
    struct consent_question question = publish_question(NULL, "a/b");
    EXPECT_EQ(ask(&question), ERR_AGAIN);
    EXPECT_TRUE(world.call->is_post);
    EXPECT_STRING(world.call->url, "http://app/");
    EXPECT_EQ(world.call->timeout_ms, 700);
    EXPECT_EQ(world.call->answer_bytes_max, CONSENT_BYTES_MAX);
    EXPECT_SPAN(world.call->body, "{\"action\":\"publish\",\"identity\":null,\"channel\":\"a/b\"}");
    EXPECT_TRUE(strncmp(world.call->headers[1], "webhook-id: msg_", 16) == 0);
    EXPECT_STRING(world.call->headers[2], "webhook-timestamp: 1800000000");
    EXPECT_TRUE(strncmp(world.call->headers[3], "webhook-signature: v1,", 22) == 0);
    EXPECT_NULL(world.call->headers[4]);
    answer(OK, 200, ALLOWED);
    EXPECT_EQ(question.result, OK);
    EXPECT_EQ(world.answered_count, 1);
}

TEST(who_asks_the_same_shares_one_call_and_what_is_not_alike_does_not) {
    open_with(WEBHOOK(""));
    struct identity *alice = create_identity("alice", 0);
    struct identity *bob = create_identity("bob", 0);
    struct consent_question questions[] = {
        publish_question(alice, "a"), publish_question(alice, "a"), publish_question(bob, "a"),
        publish_question(alice, "b"), publish_question(NULL, "a")};
    EXPECT_EQ(ask(&questions[0]), ERR_AGAIN);
    EXPECT_EQ(ask(&questions[1]), ERR_AGAIN);
    EXPECT_EQ(world.call_count, 1);
    answer(OK, 200, ALLOWED);
    EXPECT_EQ(world.answered_count, 2);
    for (size_t i = 2; i < ARRAY_COUNT(questions); i++) {
        EXPECT_EQ(ask(&questions[i]), ERR_AGAIN);
        EXPECT_EQ(world.call_count, i);
        answer(OK, 200, "{\"allow\":false}");
        EXPECT_EQ(questions[i].result,
                  questions[i].identity == NULL ? ERR_UNAUTHORIZED : ERR_FORBIDDEN);
    }
    EXPECT_EQ(ask(&questions[0]), OK);
    identity_unref(alice);
    identity_unref(bob);
}

TEST(other_credentials_are_another_question_and_another_port_is_not) {
    open_with(WEBHOOK(""));
    struct credentials others[] = {bearer, bearer, bearer, bearer, bearer};
    others[0].bearer = SPAN("abd");
    others[1].user = SPAN("u");
    others[2].client_id = SPAN("c");
    others[3].protocol = "mqtt";
    others[4].peer = "192.0.2.2:1000";
    struct identity *alice = create_identity("alice", 0);
    struct consent_question question = connect_question(alice, &bearer);
    EXPECT_EQ(ask(&question), ERR_AGAIN);
    answer(OK, 200, ALLOWED);
    identity_unref(question.given);
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        question = connect_question(alice, &others[i]);
        EXPECT_EQ(ask(&question), ERR_AGAIN);
        answer(OK, 200, "{\"allow\":false}");
    }
    struct credentials again = bearer;
    again.peer = "192.0.2.1:60000";
    question = connect_question(alice, &again);
    EXPECT_EQ(ask(&question), OK);
    EXPECT_TRUE(question.given == alice);
    identity_unref(question.given);
    identity_unref(alice);
}

/* --- for how long it is good ------------------------------------------------------------------ */

TEST(an_answer_is_good_to_the_millisecond_for_as_long_as_it_says) {
    open_with(WEBHOOK(", cache: 30s"));
    struct consent_question question = publish_question(NULL, "a");
    EXPECT_EQ(ask(&question), ERR_AGAIN);
    answer(OK, 200, "{\"allow\":true,\"cache\":2}");
    world.now_ms += 1999;
    EXPECT_EQ(ask(&question), OK);
    world.now_ms += 1;
    EXPECT_EQ(consent_recall(world.consent, world.policy, &question), ERR_NOT_FOUND);
    EXPECT_EQ(ask(&question), ERR_AGAIN);
    answer(OK, 200, ALLOWED); /* it does not say: auth.webhook.cache */
    world.now_ms += 29999;
    EXPECT_EQ(consent_recall(world.consent, world.policy, &question), OK);
    world.now_ms += 1;
    EXPECT_EQ(ask(&question), ERR_AGAIN);
    answer(OK, 200, "{\"allow\":true,\"cache\":0}");
    EXPECT_EQ(ask(&question), ERR_AGAIN);
    answer(OK, 200, ALLOWED);
}

TEST(who_was_named_is_good_no_longer_than_he_was_said_to_be) {
    open_with(WEBHOOK(", cache: 1h"));
    struct consent_question question = connect_question(NULL, &bearer);
    EXPECT_EQ(ask(&question), ERR_AGAIN);
    answer(OK, 200, "{\"allow\":true,\"sub\":\"alice\",\"expires_in\":10}");
    EXPECT_EQ(question.result, OK);
    EXPECT_SPAN(question.given->facts.subject, "alice");
    EXPECT_EQ(question.given->facts.expires_s, NOW_S + 10);
    identity_unref(question.given);
    world.now_ms += 9999;
    EXPECT_EQ(ask(&question), OK);
    identity_unref(question.given);
    world.now_ms += 1;
    EXPECT_EQ(ask(&question), ERR_AGAIN);
    answer(OK, 200, "{\"allow\":false}");
}

TEST(who_is_good_for_no_time_has_expired) {
    open_with(WEBHOOK(""));
    struct identity *alice = create_identity("alice", NOW_S + 5);
    struct consent_question questions[] = {connect_question(NULL, &bearer),
                                           connect_question(alice, &bearer)};
    for (size_t i = 0; i < ARRAY_COUNT(questions); i++) {
        EXPECT_EQ(ask(&questions[i]), ERR_AGAIN);
        answer(OK, 200, "{\"allow\":true,\"sub\":\"alice\",\"expires_in\":0}");
        EXPECT_EQ(questions[i].result, ERR_TOKEN_EXPIRED);
        EXPECT_NULL(questions[i].given);
    }
    identity_unref(alice);
}

TEST(the_application_makes_no_token_good_for_longer) {
    open_with(WEBHOOK(""));
    struct identity *alice = create_identity("alice", NOW_S + 5);
    struct consent_question question = connect_question(alice, &bearer);
    EXPECT_EQ(ask(&question), ERR_AGAIN);
    answer(OK, 200, "{\"allow\":true,\"sub\":\"bob\",\"expires_in\":3600}");
    EXPECT_EQ(question.given->facts.expires_s, NOW_S + 5);
    EXPECT_EQ(question.given->facts.base_kind, IDENTITY_TOKEN);
    identity_unref(question.given);
    identity_unref(alice);
}

TEST(answers_of_the_configuration_before_are_no_answers) {
    open_with(WEBHOOK(""));
    struct consent_question before = publish_question(NULL, "a");
    struct consent_question after = publish_question(NULL, "a");
    EXPECT_EQ(ask(&before), ERR_AGAIN);
    struct call *first = world.call;
    consent_forget(world.consent);
    EXPECT_EQ(ask(&after), ERR_AGAIN);
    EXPECT_EQ(world.call_count, 2);
    struct call *second = world.call;
    world.call = first;
    answer(OK, 200, ALLOWED);
    EXPECT_EQ(world.answered_count, 1);
    EXPECT_EQ(consent_recall(world.consent, world.policy, &before), ERR_NOT_FOUND);
    world.call = second;
    answer(OK, 200, "{\"allow\":false}");
    EXPECT_EQ(ask(&after), ERR_UNAUTHORIZED);
}

/* --- applications that are down, or say nonsense ---------------------------------------------- */

TEST(what_is_no_answer_is_neither_yes_nor_no) {
    static const struct {
        enum error_code result;
        unsigned status;
        const char *text;
    } cases[] = {
        {ERR_REQUEST_TIMEOUT, 0, ""},
        {ERR_IO, 0, ""},
        {ERR_TOO_LARGE, 200, ""},
        {OK, 500, ALLOWED},
        {OK, 204, ""},
        {OK, 302, ALLOWED},
        {OK, 200, ""},
        {OK, 200, "true"},
        {OK, 200, "{\"allow\":1}"},
        {OK, 200, "{\"allow\":\"true\"}"},
        {OK, 200, "{\"allow\":true,\"allow\":true}"},
        {OK, 200, "{\"allow\":true,\"cache\":-1}"},
        {OK, 200, "{\"allow\":true,\"cache\":1e30}"},
        {OK, 200, "{\"allow\":true,\"expires_in\":18446744073709551615}"},
        {OK, 200, "{\"allow\":true,\"sub\":\"a\\u0000b\"}"},
        {OK, 200, "{\"allow\":true,\"tenant\":\"a/b\"}"},
        {OK, 200, "{\"allow\":true} {}"},
    };
    open_with(WEBHOOK(", when_down: deny"));
    struct consent_question question = publish_question(NULL, "a");
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        EXPECT_EQ(ask(&question), ERR_AGAIN);
        answer(cases[i].result, cases[i].status, cases[i].text);
        EXPECT_EQ(question.result, ERR_BUSY);
        world.now_ms += CONSENT_DOWN_MS - 1;
        EXPECT_EQ(ask(&question), ERR_BUSY); /* nobody asks it again at once */
        world.now_ms += 1;
    }
    EXPECT_EQ(world.call_count, ARRAY_COUNT(cases));
}

TEST(where_a_silent_application_allows_nobody_unknown_is_let_in) {
    open_with(WEBHOOK(", when_down: allow"));
    struct identity *alice = create_identity("alice", 0);
    struct consent_question question = publish_question(alice, "a");
    EXPECT_EQ(ask(&question), ERR_AGAIN);
    answer(ERR_IO, 0, "");
    EXPECT_EQ(question.result, OK);
    question = connect_question(alice, &bearer);
    EXPECT_EQ(ask(&question), ERR_AGAIN);
    answer(ERR_IO, 0, "");
    EXPECT_EQ(question.result, OK);
    EXPECT_TRUE(question.given == alice);
    identity_unref(question.given);
    question = connect_question(NULL, &bearer);
    EXPECT_EQ(ask(&question), ERR_AGAIN);
    answer(ERR_IO, 0, "");
    EXPECT_EQ(question.result, ERR_BUSY);
    EXPECT_NULL(question.given);
    identity_unref(alice);
}

TEST(a_yes_that_does_not_say_who_lets_nobody_unknown_in) {
    open_with(WEBHOOK(""));
    struct consent_question question = connect_question(NULL, &bearer);
    EXPECT_EQ(ask(&question), ERR_AGAIN);
    answer(OK, 200, ALLOWED);
    EXPECT_EQ(question.result, ERR_UNAUTHORIZED);
    EXPECT_NULL(question.given);
}

TEST(a_reason_is_cut_and_stands_in_the_answer_alone) {
    char text[4096];
    open_with(WEBHOOK(""));
    struct identity *alice = create_identity("alice", 0);
    struct consent_question question = publish_question(alice, "a");
    memset(text, 'x', sizeof(text));
    memcpy(text, "{\"allow\":false,\"reason\":\"", 25);
    memcpy(text + sizeof(text) - 3, "\"}", 3);
    EXPECT_EQ(ask(&question), ERR_AGAIN);
    answer(OK, 200, text);
    EXPECT_EQ(question.result, ERR_FORBIDDEN);
    EXPECT_TRUE(strlen(question.why.detail) < 200);
    EXPECT_NOT_NULL(strstr(question.why.detail, ": xxx"));
    identity_unref(alice);
}

/* --- bounds ----------------------------------------------------------------------------------- */

TEST(more_than_may_wait_are_told_so_and_find_room_when_they_are_answered) {
    static struct consent_question questions[CONSENTS_WAITING_MAX + 1];
    open_with(WEBHOOK(", cache: 0s"));
    for (size_t i = 0; i <= CONSENTS_WAITING_MAX; i++) {
        questions[i] = publish_question(NULL, "a");
        EXPECT_EQ(ask(&questions[i]), i < CONSENTS_WAITING_MAX ? ERR_AGAIN : ERR_BUSY);
    }
    EXPECT_EQ(world.call_count, 1);
    answer(OK, 200, ALLOWED);
    EXPECT_EQ(world.answered_count, CONSENTS_WAITING_MAX);
    EXPECT_EQ(ask(&questions[0]), ERR_AGAIN);
    answer(OK, 200, ALLOWED);
}

TEST(what_cannot_be_sent_is_told_at_once_and_not_remembered) {
    static const struct {
        enum error_code refusal;
        enum error_code told;
    } cases[] = {{ERR_BUSY, ERR_BUSY}, {ERR_DRAINING, ERR_DRAINING}, {ERR_MEMORY, ERR_MEMORY}};
    open_with(WEBHOOK(""));
    struct consent_question question = publish_question(NULL, "a");
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        world.refusal = cases[i].refusal;
        EXPECT_EQ(ask(&question), cases[i].told);
    }
    world.refusal = OK;
    world.is_without_memory = true;
    EXPECT_EQ(ask(&question), ERR_MEMORY);
    world.is_without_memory = false;
    static char channel[CONSENT_BYTES_MAX + 1];
    memset(channel, 'a', CONSENT_BYTES_MAX);
    struct consent_question large = publish_question(NULL, channel);
    EXPECT_EQ(ask(&large), ERR_BUSY);
    EXPECT_EQ(world.call_count, 0);
    EXPECT_EQ(ask(&question), ERR_AGAIN);
    answer(ERR_DRAINING, 0, "");
    EXPECT_EQ(consent_recall(world.consent, world.policy, &question), ERR_NOT_FOUND);
    world.broker.courier = NULL;
    EXPECT_EQ(ask(&question), ERR_BUSY);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(CLAIM(a_question_is_a_signed_post_and_its_secret_stays_here),
           CLAIM(who_asks_the_same_shares_one_call_and_what_is_not_alike_does_not),
           CLAIM(other_credentials_are_another_question_and_another_port_is_not),
           CLAIM(an_answer_is_good_to_the_millisecond_for_as_long_as_it_says),
           CLAIM(who_was_named_is_good_no_longer_than_he_was_said_to_be),
           CLAIM(who_is_good_for_no_time_has_expired),
           CLAIM(the_application_makes_no_token_good_for_longer),
           CLAIM(answers_of_the_configuration_before_are_no_answers),
           CLAIM(what_is_no_answer_is_neither_yes_nor_no),
           CLAIM(where_a_silent_application_allows_nobody_unknown_is_let_in),
           CLAIM(a_yes_that_does_not_say_who_lets_nobody_unknown_in),
           CLAIM(a_reason_is_cut_and_stands_in_the_answer_alone),
           CLAIM(more_than_may_wait_are_told_so_and_find_room_when_they_are_answered),
           CLAIM(what_cannot_be_sent_is_told_at_once_and_not_remembered))
