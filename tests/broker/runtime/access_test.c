/* SPDX-License-Identifier: Apache-2.0 */
/* With bearer.c and questions.c, which are one with it, over key sets and an application whose
 * answers are the test's. */
#include "broker/runtime/access.h"

#include <stdlib.h>

#include "broker/admission/policy.h"
#include "broker/admission/revocations.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/courier.h"
#include "broker/runtime/jwks.h"
#include "broker/support/clock.h"
#include "tests/broker/admission/signer.h"
#include "tests/broker/config/load.h"

#define NOW_S UINT64_C(1800000000)
#define EXP "1800000100" /* 100 s behind it */
#define EXP_S UINT64_C(1800000100)
#define CLAIMS "{\"sub\":\"alice\",\"jti\":\"t1\",\"iat\":1799999999,\"exp\":" EXP "}"
/* SHA-256 of "abc". */
#define ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
/* What signer_init() gives an HS256 signer. */
#define SECRET "base64:YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcywgb2s="
#define JWT "jwt: [{key: \"" SECRET "\"}]"
#define URL "jwt: [{jwks: \"https://issuer/keys\", algorithms: [EdDSA]}]"
#define WEBHOOK "webhook: {url: \"http://app/\", on: [connect, publish]}"

static struct {
    struct broker broker;
    struct access *access;
    struct policy *policy;
    struct mailbox mailbox;
    struct courier_guest *guest;
    struct call *call; /* the one that is under way */
    struct signer signer;
    uint64_t wall_ms;
    uint64_t now_ms;
    size_t answered_count;
} world;

/* --- in front of broker/runtime --------------------------------------------------------------- */

uint64_t __wrap_clock_monotonic_ms(void);
uint64_t __wrap_clock_wall_ms(void);

uint64_t __wrap_clock_monotonic_ms(void) {
    return world.now_ms;
}

uint64_t __wrap_clock_wall_ms(void) {
    return world.wall_ms;
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
    world.guest->due_ms = 0;
}

enum error_code courier_ask(struct courier *courier, struct call *call) {
    (void)courier;
    EXPECT_NULL(world.call);
    world.call = call;
    return OK;
}

/* --- what a test does ------------------------------------------------------------------------- */

static struct policy *policy_of(const char *auth) {
    char text[1024];
    snprintf(text, sizeof(text), auth == NULL ? "workers: 1\n%s" : "auth: {%s}\n",
             auth == NULL ? "" : auth);
    struct config *config = load((struct config_sources){.text = span_of_string(text)});
    struct policy *policy = NULL;
    EXPECT_EQ(policy_create(config, &policy, NULL), OK);
    config_destroy(config);
    return policy;
}

/* The configuration is that from now on. NULL: it has no `auth`. */
static void configure(const char *auth) {
    struct policy *before = world.policy;
    world.policy = policy_of(auth);
    atomic_store(&world.broker.policy, world.policy);
    EXPECT_EQ(jwks_follow(world.broker.jwks, world.policy), OK);
    if (before != NULL) {
        access_forget_identities(world.access); /* as a reload does */
        policy_unref(before);
    }
}

static int begin(void **state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    world.wall_ms = NOW_S * 1000;
    world.now_ms = 5000000;
    world.broker.courier = (struct courier *)(void *)&world;
    world.broker.tickets = tickets_create();
    EXPECT_EQ(metrics_create(1, &world.broker.metrics), OK);
    struct metrics_shard *shard = metrics_shard(world.broker.metrics, METRICS_MAIN);
    EXPECT_EQ(jwks_create(world.broker.courier, shard, &world.broker.jwks), OK);
    EXPECT_EQ(mailbox_init(&world.mailbox, MAILBOX_NODES_MAX), OK);
    world.access = access_create(&world.broker, shard);
    EXPECT_NOT_NULL(world.access);
    signer_init(&world.signer, JWS_HS256, "k", "");
    return 0;
}

static int end(void **state) {
    (void)state;
    access_destroy(world.access);
    jwks_destroy(world.broker.jwks);
    tickets_destroy(world.broker.tickets);
    policy_unref(world.policy);
    mailbox_finish(&world.mailbox);
    metrics_destroy(world.broker.metrics);
    signer_finish(&world.signer);
    return 0;
}

static struct credentials bearer(const char *text) {
    return (struct credentials){
        .bearer = span_of_string(text), .peer = "192.0.2.1:1000", .protocol = "http"};
}

static const char *token(void) {
    return signer_sign_claims(&world.signer, "k", CLAIMS);
}

/* At once, or not at all. */
static enum error_code identify(struct credentials credentials, struct identity **ret_identity) {
    struct error why;
    return access_identify(world.access, &credentials, NULL, ret_identity, &why);
}

/* The code, and nobody is kept. */
static enum error_code try(struct credentials credentials) {
    struct identity *identity = NULL;
    enum error_code code = identify(credentials, &identity);
    EXPECT_TRUE((code == OK) == (identity != NULL));
    identity_unref(identity);
    return code;
}

static void on_answered(struct inquiry *inquiry) {
    (void)inquiry;
    world.answered_count++;
}

static struct inquiry inquiry_of_test(void) {
    return (struct inquiry){.on_answered = on_answered, .reply_to = &world.mailbox};
}

/* The call that is under way comes back. */
static void answer(unsigned status, const char *text) {
    struct call *call = world.call;
    EXPECT_NOT_NULL(call);
    world.call = NULL;
    buffer_init(&call->answer, call->answer_bytes_max);
    EXPECT_EQ(buffer_put(&call->answer, span_of_string(text)), OK);
    call->result = OK;
    call->status = status;
    call->on_answered(call);
    mailbox_deliver_all(&world.mailbox, NULL);
}

static void fetch(void) {
    world.guest->on_due(world.guest, world.now_ms);
}

/* --- who is it -------------------------------------------------------------------------------- */

TEST(where_nothing_is_configured_everyone_may_do_everything) {
    struct identity *identity = NULL;
    configure(NULL);
    EXPECT_EQ(identify(bearer("whatever it is"), &identity), OK);
    EXPECT_EQ(identity->facts.kind, IDENTITY_EVERYONE);
    EXPECT_EQ(access_permit(world.access, identity, ACTION_PUBLISH, SPAN("a"), NULL, NULL), OK);
    identity_unref(identity);
}

TEST(a_key_is_known_by_all_of_its_text) {
    struct identity *identity = NULL;
    configure("keys: [{name: backend, hash: \"" ABC "\"}]");
    for (int i = 0; i < 2; i++) { /* looked up, and remembered */
        EXPECT_EQ(identify(bearer("abc"), &identity), OK);
        EXPECT_SPAN(identity->facts.subject, "backend");
        identity_unref(identity);
        EXPECT_EQ(try(bearer("ab")), ERR_UNAUTHORIZED);
        EXPECT_EQ(try(bearer("abcd")), ERR_UNAUTHORIZED);
        EXPECT_EQ(try(bearer("a.b.c")), ERR_UNAUTHORIZED);
        EXPECT_EQ(try(bearer("")), ERR_UNAUTHORIZED);
    }
}

TEST(credentials_of_two_kinds_are_of_none) {
    char ticket[TICKET_TEXT_BYTES];
    struct identity *identity = NULL;
    configure("keys: [{name: backend, hash: \"" ABC "\"}]");
    EXPECT_EQ(identify(bearer("abc"), &identity), OK);
    EXPECT_EQ(access_issue_ticket(world.access, identity, ticket), OK);
    struct credentials both = bearer("abc");
    both.ticket = span_of_string(ticket);
    EXPECT_EQ(try(both), ERR_UNAUTHORIZED);
    EXPECT_EQ(tickets_count(world.broker.tickets), 1); /* nor is it used up */
    identity_unref(identity);
}

TEST(what_is_too_long_is_not_looked_at) {
    static char text[TOKEN_BYTES_MAX + 2];
    configure(JWT);
    memset(text, 'a', TOKEN_BYTES_MAX + 1);
    text[5] = text[9] = '.';
    EXPECT_EQ(try(bearer(text)), ERR_UNAUTHORIZED);
}

TEST(a_token_is_good_to_the_last_millisecond_of_its_leeway) {
    uint64_t end_ms = (EXP_S + TOKEN_LEEWAY_S) * 1000;
    configure(JWT);
    const char *text = token();
    EXPECT_EQ(try(bearer(text)), OK);
    world.wall_ms = end_ms - 1;
    EXPECT_EQ(try(bearer(text)), OK); /* verified again: what was remembered is too old … */
    EXPECT_EQ(try(bearer(text)), OK); /* … and remembered */
    world.wall_ms = end_ms;
    EXPECT_EQ(try(bearer(text)), ERR_TOKEN_EXPIRED);
    EXPECT_EQ(try(bearer(text)), ERR_TOKEN_EXPIRED);
}

TEST(a_token_that_was_changed_is_no_token_also_where_the_true_one_is_remembered) {
    char text[1024];
    configure(JWT);
    snprintf(text, sizeof(text), "%s", token());
    EXPECT_EQ(try(bearer(text)), OK);
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i += 7) {
        char before = text[i];
        text[i] = before == 'A' ? 'B' : 'A';
        EXPECT_EQ(try(bearer(text)), ERR_UNAUTHORIZED);
        text[i] = before;
    }
    EXPECT_EQ(try(bearer(text)), OK);
}

TEST(nobody_is_remembered_over_another_configuration) {
    configure(JWT);
    const char *text = token();
    EXPECT_EQ(try(bearer(text)), OK);
    configure("keys: [{name: backend, hash: \"" ABC "\"}]");
    EXPECT_EQ(try(bearer(text)), ERR_UNAUTHORIZED);
    EXPECT_EQ(try(bearer("abc")), OK);
    configure(JWT);
    EXPECT_EQ(try(bearer("abc")), ERR_UNAUTHORIZED);
    EXPECT_EQ(try(bearer(text)), OK);
}

TEST(a_certificate_that_no_row_names_is_for_the_transport_alone) {
    struct credentials credentials = {.certificate = SPAN("CN=device,O=Example")};
    struct identity *identity = NULL;
    configure("certificates: [{subject: \"CN=*,O=Example\", name: \"{cn}\"}]");
    EXPECT_EQ(identify(credentials, &identity), OK);
    EXPECT_SPAN(identity->facts.subject, "device");
    identity_unref(identity);
    credentials.certificate = SPAN("CN=device,O=Other");
    EXPECT_EQ(try(credentials), ERR_UNAUTHORIZED);
    configure("certificates: [{subject: \"CN=*,O=Example\", name: \"{cn}\"}],\n"
              "  anonymous: {subscribe: [a]}");
    EXPECT_EQ(identify(credentials, &identity), OK);
    EXPECT_EQ(identity->facts.kind, IDENTITY_ANONYMOUS);
    identity_unref(identity);
}

TEST(a_certificate_that_ended_on_an_open_connection_is_good_no_more) {
    struct credentials credentials = {.certificate = SPAN("CN=device,O=Example")};
    struct identity *identity = NULL;
    uint64_t now_s = clock_wall_ms() / 1000;
    configure("certificates: [{subject: \"CN=*,O=Example\", name: \"{cn}\"}]");
    credentials.certificate_ends_s = now_s + 600;
    EXPECT_EQ(identify(credentials, &identity), OK);
    EXPECT_EQ(identity->facts.expires_s, now_s + 600);
    identity_unref(identity);
    credentials.certificate_ends_s = now_s;
    EXPECT_EQ(try(credentials), ERR_TOKEN_EXPIRED);
}

/* --- tickets ---------------------------------------------------------------------------------- */

static struct credentials issue(void) {
    static char ticket[TICKET_TEXT_BYTES];
    struct identity *identity = NULL;
    EXPECT_EQ(identify(bearer(token()), &identity), OK);
    EXPECT_EQ(access_issue_ticket(world.access, identity, ticket), OK);
    identity_unref(identity);
    return (struct credentials){.ticket = span_of_string(ticket)};
}

TEST(a_ticket_is_good_once_and_no_longer_than_its_token) {
    configure(JWT);
    struct credentials ticket = issue();
    EXPECT_EQ(try(ticket), OK);
    EXPECT_EQ(try(ticket), ERR_UNAUTHORIZED);
    ticket = issue();
    world.now_ms += TICKET_AGE_MS;
    EXPECT_EQ(try(ticket), ERR_UNAUTHORIZED);
    ticket = issue();
    world.wall_ms = (EXP_S + TOKEN_LEEWAY_S) * 1000 - 1;
    EXPECT_EQ(try(ticket), OK);
    ticket = issue();
    world.wall_ms++;
    EXPECT_EQ(try(ticket), ERR_TOKEN_EXPIRED);
}

static void revoke(const struct revocation *revocation) {
    struct revocation_entry *entry = revocation_entry_create(revocation);
    EXPECT_NOT_NULL(entry);
    access_put_revocation(world.access, entry);
}

TEST(a_revocation_finds_room_where_all_before_it_have_ended) {
    for (size_t i = 0; i < REVOCATIONS_MAX; i++) {
        struct revocation ended = {.kind = REVOCATION_TOKEN, .until_s = NOW_S};
        ended.value = span_of(&i, sizeof(i));
        revoke(&ended);
    }
    struct revocation revocation = {
        .kind = REVOCATION_TOKEN, .value = SPAN("t1"), .until_s = EXP_S};
    configure(JWT);
    revoke(&revocation);
    EXPECT_EQ(try(bearer(token())), ERR_REVOKED);
}

TEST(a_ticket_goes_with_the_row_behind_it_and_with_a_revocation) {
    const struct revocation revocation = {
        REVOCATION_SUBJECT, SPAN("alice"), {0}, NOW_S, NOW_S + 1000};
    configure(JWT);
    struct credentials ticket = issue();
    configure("keys: [{name: backend, hash: \"" ABC "\"}]");
    EXPECT_EQ(try(ticket), ERR_REVOKED);
    configure(JWT);
    ticket = issue();
    revoke(&revocation);
    EXPECT_EQ(try(ticket), ERR_REVOKED);
    EXPECT_EQ(try(bearer(token())), ERR_REVOKED);
    access_lift_revocation(world.access, &revocation);
    EXPECT_EQ(try(bearer(token())), OK);
}

/* --- what has to be waited for ---------------------------------------------------------------- */

static enum error_code ask(const char *text, struct inquiry *inquiry) {
    struct credentials credentials = bearer(text);
    struct identity *identity = NULL;
    *inquiry = inquiry_of_test();
    return access_identify(world.access, &credentials, inquiry, &identity, NULL);
}

TEST(keys_that_are_not_there_are_fetched_and_who_cannot_wait_is_told_so) {
    struct inquiry inquiry;
    char set[2200];
    struct signer signer;
    signer_init(&signer, JWS_EDDSA, "k", "");
    snprintf(set, sizeof(set), "{\"keys\":[%s]}", signer.jwk);
    const char *text = signer_sign_claims(&signer, "k", CLAIMS);
    configure(URL);
    EXPECT_EQ(try(bearer(text)), ERR_BUSY);
    EXPECT_EQ(ask(text, &inquiry), ERR_AGAIN);
    fetch();
    EXPECT_EQ(world.answered_count, 0);
    answer(200, set);
    EXPECT_EQ(world.answered_count, 1);
    EXPECT_EQ(inquiry.result, OK);
    EXPECT_SPAN(inquiry.identity->facts.subject, "alice");
    identity_unref(inquiry.identity);
    EXPECT_EQ(try(bearer(text)), OK);
    signer_finish(&signer);
}

TEST(keys_that_cannot_be_fetched_let_nobody_in) {
    struct inquiry inquiry;
    struct signer signer;
    signer_init(&signer, JWS_EDDSA, "k", "");
    const char *text = signer_sign_claims(&signer, "k", CLAIMS);
    configure(URL);
    EXPECT_EQ(ask(text, &inquiry), ERR_AGAIN);
    fetch();
    answer(500, "");
    EXPECT_EQ(inquiry.result, ERR_UNAUTHORIZED);
    EXPECT_NULL(inquiry.identity);
    EXPECT_EQ(ask(text, &inquiry), ERR_UNAUTHORIZED); /* none may be begun yet */
    signer_finish(&signer);
}

TEST(who_has_gone_is_answered_all_the_same_and_is_given_nobody) {
    struct inquiry inquiry;
    configure(JWT ", " WEBHOOK);
    EXPECT_EQ(ask(token(), &inquiry), ERR_AGAIN);
    inquiry_abandon(&inquiry);
    answer(200, "{\"allow\":true}");
    EXPECT_EQ(world.answered_count, 1);
    EXPECT_EQ(inquiry.result, ERR_AGAIN);
    EXPECT_NULL(inquiry.identity);
}

TEST(what_came_while_the_application_was_asked_is_heeded) {
    const struct revocation revocation = {
        REVOCATION_SUBJECT, SPAN("alice"), {0}, NOW_S, NOW_S + 1000};
    struct inquiry inquiry;
    configure(JWT ", " WEBHOOK);
    EXPECT_EQ(ask(token(), &inquiry), ERR_AGAIN);
    revoke(&revocation);
    answer(200, "{\"allow\":true,\"sub\":\"bob\"}");
    EXPECT_EQ(inquiry.result, ERR_REVOKED);
    EXPECT_NULL(inquiry.identity);
    access_lift_revocation(world.access, &revocation);
    access_forget_identities(world.access);
    EXPECT_EQ(ask(token(), &inquiry), ERR_AGAIN);
    world.wall_ms = (EXP_S + TOKEN_LEEWAY_S) * 1000;
    answer(200, "{\"allow\":true}");
    EXPECT_EQ(inquiry.result, ERR_TOKEN_EXPIRED);
    world.wall_ms = NOW_S * 1000;
    access_forget_identities(world.access);
    EXPECT_EQ(ask(token(), &inquiry), ERR_AGAIN);
    configure(WEBHOOK);
    answer(200, "{\"allow\":true}");
    EXPECT_EQ(inquiry.result, ERR_BUSY);
}

TEST(the_application_is_asked_about_the_unknown_and_not_about_what_is_bad) {
    struct inquiry inquiry;
    char text[1024];
    configure(JWT ", " WEBHOOK);
    snprintf(text, sizeof(text), "%s", token());
    text[strlen(text) - 4] ^= 1;
    EXPECT_EQ(ask(text, &inquiry), ERR_UNAUTHORIZED);
    EXPECT_NULL(world.call);
    EXPECT_EQ(ask("a key of its own", &inquiry), ERR_AGAIN);
    answer(200, "{\"allow\":true,\"sub\":\"carol\"}");
    EXPECT_EQ(inquiry.result, OK);
    EXPECT_SPAN(inquiry.identity->facts.subject, "carol");
    identity_unref(inquiry.identity);
}

/* --- may it ----------------------------------------------------------------------------------- */

TEST(what_the_rules_refuse_is_not_asked_and_what_they_allow_is_asked_once) {
    struct identity *identity = NULL;
    struct inquiry inquiry = inquiry_of_test();
    configure("keys: [{name: backend, hash: \"" ABC "\", publish: [a], subscribe: [a]}],\n"
              "  webhook: {url: \"http://app/\", on: [publish]}");
    EXPECT_EQ(identify(bearer("abc"), &identity), OK);
    struct access *access = world.access;
    EXPECT_EQ(access_permit(access, identity, ACTION_PUBLISH, SPAN("b"), &inquiry, NULL),
              ERR_FORBIDDEN);
    EXPECT_EQ(access_permit(access, identity, ACTION_SUBSCRIBE, SPAN("a"), &inquiry, NULL), OK);
    EXPECT_NULL(world.call);
    EXPECT_EQ(access_permit(access, identity, ACTION_PUBLISH, SPAN("a"), NULL, NULL), ERR_BUSY);
    EXPECT_EQ(access_permit(access, identity, ACTION_PUBLISH, SPAN("a"), &inquiry, NULL),
              ERR_AGAIN);
    answer(200, "{\"allow\":true}");
    EXPECT_EQ(inquiry.result, OK);
    EXPECT_EQ(access_permit(access, identity, ACTION_PUBLISH, SPAN("a"), NULL, NULL), OK);
    identity_unref(identity);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(CLAIM(where_nothing_is_configured_everyone_may_do_everything),
           CLAIM(a_key_is_known_by_all_of_its_text), CLAIM(credentials_of_two_kinds_are_of_none),
           CLAIM(what_is_too_long_is_not_looked_at),
           CLAIM(a_token_is_good_to_the_last_millisecond_of_its_leeway),
           CLAIM(a_token_that_was_changed_is_no_token_also_where_the_true_one_is_remembered),
           CLAIM(nobody_is_remembered_over_another_configuration),
           CLAIM(a_certificate_that_no_row_names_is_for_the_transport_alone),
           CLAIM(a_certificate_that_ended_on_an_open_connection_is_good_no_more),
           CLAIM(a_ticket_is_good_once_and_no_longer_than_its_token),
           CLAIM(a_revocation_finds_room_where_all_before_it_have_ended),
           CLAIM(a_ticket_goes_with_the_row_behind_it_and_with_a_revocation),
           CLAIM(keys_that_are_not_there_are_fetched_and_who_cannot_wait_is_told_so),
           CLAIM(keys_that_cannot_be_fetched_let_nobody_in),
           CLAIM(who_has_gone_is_answered_all_the_same_and_is_given_nobody),
           CLAIM(what_came_while_the_application_was_asked_is_heeded),
           CLAIM(the_application_is_asked_about_the_unknown_and_not_about_what_is_bad),
           CLAIM(what_the_rules_refuse_is_not_asked_and_what_they_allow_is_asked_once))
