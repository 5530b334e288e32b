/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/policy.h"

#include <stdio.h>

#include "tests/broker/config/load.h"

/* SHA-256 of "abc" and of "abd". */
#define ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABD "sha256:a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9"
#define SECRET "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static struct policy *policy_of(const char *text) {
    struct config *config = load((struct config_sources){.text = span_of_string(text)});
    struct policy *policy = NULL;
    struct error why = {0};
    EXPECT_EQ(policy_create(config, &policy, &why), OK);
    config_destroy(config); /* all that is kept is the policy's own */
    return policy;
}

static bool may(const struct identity *identity, enum action action, const char *text) {
    return identity_may(identity, action, span_of_string(text), NULL) == OK;
}

TEST(without_auth_everyone_may_do_everything) {
    struct policy *policy = policy_of("workers: 1\n");
    EXPECT_TRUE(policy_is_open(policy));
    EXPECT_EQ(policy_anonymous(policy)->facts.kind, IDENTITY_EVERYONE);
    EXPECT_NULL(policy_find_key(policy, SPAN("abc")));
    EXPECT_NULL(policy_webhook(policy));
    policy_unref(policy);
    policy_unref(NULL);
}

TEST(a_key_is_found_by_its_hash_alone) {
    struct policy *policy = policy_of(
        "auth: {keys: [{name: a, hash: \"" ABC "\", publish: [\"u/{sub}\"], tenant: acme},\n"
        "              {name: b, hash: \"" ABD "\", operator: true}]}\n");
    struct identity *key = policy_find_key(policy, SPAN("abc"));
    EXPECT_FALSE(policy_is_open(policy));
    EXPECT_NULL(policy_anonymous(policy));
    EXPECT_NOT_NULL(key);
    EXPECT_SPAN(key->facts.subject, "a");
    EXPECT_SPAN(key->facts.tenant, "acme");
    EXPECT_SPAN(key->facts.source, "auth.keys[0]");
    EXPECT_EQ(key->facts.line, 1);
    EXPECT_FALSE(key->is_operator);
    EXPECT_TRUE(may(key, ACTION_PUBLISH, "u/a"));
    EXPECT_FALSE(may(key, ACTION_PUBLISH, "u/b"));
    EXPECT_FALSE(may(key, ACTION_SUBSCRIBE, "u/a"));
    EXPECT_TRUE(policy_find_key(policy, SPAN("abd"))->is_operator);
    EXPECT_TRUE(policy_has_operator(policy));
    EXPECT_NULL(policy_find_key(policy, SPAN("abe")));
    EXPECT_NULL(policy_find_key(policy, SPAN("")));
    policy_unref(policy);
}

TEST(anonymous_has_the_rights_of_its_rule) {
    struct policy *policy = policy_of("auth: {anonymous: {subscribe: [\"tennis/**\"]}}\n");
    struct identity *anonymous = policy_anonymous(policy);
    EXPECT_EQ(anonymous->facts.kind, IDENTITY_ANONYMOUS);
    EXPECT_TRUE(may(anonymous, ACTION_SUBSCRIBE, "tennis/**"));
    EXPECT_FALSE(may(anonymous, ACTION_SUBSCRIBE, "**"));
    EXPECT_FALSE(may(anonymous, ACTION_HISTORY, "tennis/a"));
    EXPECT_FALSE(policy_has_operator(policy));
    policy_unref(policy);
}

TEST(a_certificate_is_named_and_bound_by_the_first_row_that_fits) {
    struct policy *policy = policy_of(
        "auth: {certificates: [{subject: \"CN=device-*,O=Example\", name: \"{cn}\", tenant: acme,\n"
        "                        publish: [\"d/{sub}\"]},\n"
        "                       {subject: \"CN=*,O=Example\", name: others},\n"
        "                       {subject: \"CN=*,O=Whole\"}]}\n");
    struct identity *device =
        policy_identify_certificate(policy, SPAN("CN=device-7,O=Example"), 4000);
    EXPECT_NOT_NULL(device);
    EXPECT_SPAN(device->facts.subject, "device-7");
    EXPECT_SPAN(device->facts.tenant, "acme");
    EXPECT_SPAN(device->facts.source, "auth.certificates[0]");
    EXPECT_EQ(device->facts.expires_s, 4000);
    EXPECT_TRUE(may(device, ACTION_PUBLISH, "d/device-7"));
    EXPECT_FALSE(may(device, ACTION_PUBLISH, "d/device-8"));
    identity_unref(device);
    device = policy_identify_certificate(policy, SPAN("CN=device-a\\2Fb,O=Example"), 0);
    EXPECT_SPAN(device->facts.subject, "device-a/b");
    EXPECT_FALSE(may(device, ACTION_PUBLISH, "d/device-a/b"));
    identity_unref(device);
    device = policy_identify_certificate(policy, SPAN("CN=x,O=Example"), 0);
    EXPECT_SPAN(device->facts.subject, "others");
    identity_unref(device);
    device = policy_identify_certificate(policy, SPAN("CN=x,O=Whole"), 0);
    EXPECT_SPAN(device->facts.subject, "CN=x,O=Whole");
    identity_unref(device);
    EXPECT_NULL(policy_identify_certificate(policy, SPAN("CN=x,O=Nobody"), 0));
    EXPECT_NULL(policy_identify_certificate(policy, SPAN(""), 0));
    policy_unref(policy);
}

TEST(a_certificate_has_a_place_where_a_row_fits_it) {
    struct policy *policy =
        policy_of("auth: {certificates: [{subject: \"CN=d-*,O=Example\", name: \"{cn}\"}]}\n");
    struct policy *changed = policy_of(
        "auth: {certificates: [{subject: \"CN=*,O=Example\", name: \"{cn}\", publish: [a]}]}\n");
    struct policy *other = policy_of("auth: {certificates: [{subject: \"CN=*,O=Other\"}]}\n");
    struct identity *device = policy_identify_certificate(policy, SPAN("CN=d-7,O=Example"), 0);
    EXPECT_TRUE(policy_is_same_for(policy, device));
    EXPECT_FALSE(policy_is_same_for(changed, device));
    EXPECT_TRUE(policy_has_place_for(changed, device));
    EXPECT_FALSE(policy_has_place_for(other, device));
    identity_unref(device);
    policy_unref(policy);
    policy_unref(changed);
    policy_unref(other);
}

TEST(an_issuer_is_what_its_row_says) {
    struct policy *policy =
        policy_of("auth: {jwt: [{key: \"" SECRET "\"},\n"
                  "  {issuer: i, audience: a, jwks: \"https://a/b\", tenant: t,\n"
                  "   algorithms: [ES256, EdDSA], publish: [x], history: []}]}\n");
    EXPECT_EQ(policy_issuer_count(policy), 2);
    const struct policy_issuer *issuer = policy_issuer_at(policy, 0);
    EXPECT_EQ(issuer->algorithms, 1u << JWS_HS256);
    EXPECT_EQ(issuer->key_text.length, 32);
    EXPECT_EQ(issuer->key_text.bytes[31], 31);
    EXPECT_EQ(issuer->given, 0);
    issuer = policy_issuer_at(policy, 1);
    EXPECT_STRING(issuer->source, "auth.jwt[1]");
    EXPECT_EQ(issuer->line, 2);
    EXPECT_STRING(issuer->issuer, "i");
    EXPECT_STRING(issuer->audience, "a");
    EXPECT_STRING(issuer->tenant, "t");
    EXPECT_TRUE(issuer->is_jwks_url);
    EXPECT_EQ(issuer->algorithms, 1u << JWS_ES256 | 1u << JWS_EDDSA);
    EXPECT_EQ(issuer->given, 1u << ACTION_PUBLISH | 1u << ACTION_HISTORY);
    policy_unref(policy);
}

TEST(the_webhook_is_asked_about_everything_unless_told) {
    struct policy *policy = policy_of("auth: {webhook: {url: \"https://a/b\", timeout: 1s}}\n");
    const struct policy_webhook *webhook = policy_webhook(policy);
    EXPECT_TRUE(webhook->on_connect && webhook->on_subscribe && webhook->on_publish);
    EXPECT_EQ(webhook->timeout_ms, 1000);
    EXPECT_FALSE(webhook->allows_when_down);
    EXPECT_FALSE(policy_is_open(policy));
    policy_unref(policy);
    policy = policy_of("auth: {webhook: {url: \"https://a/b\", on: [connect]}}\n");
    EXPECT_TRUE(policy_webhook(policy)->on_connect);
    EXPECT_FALSE(policy_webhook(policy)->on_publish);
    policy_unref(policy);
}

/* --- a reload -------------------------------------------------------------------------------- */

static bool is_same_key(const struct policy *before, const char *text) {
    struct policy *policy = policy_of(text);
    bool is_same = policy_is_same_for(policy, policy_find_key(before, SPAN("abc")));
    policy_unref(policy);
    return is_same;
}

/* Somebody whom the application named, and who came with a key. */
static struct identity *named_by_application(const struct policy *policy, const char *key) {
    const struct identity *base = policy_find_key(policy, span_of_string(key));
    struct identity_facts facts = {.kind = IDENTITY_APPLICATION,
                                   .subject = SPAN("another"),
                                   .fingerprint = policy_webhook(policy)->fingerprint,
                                   .base_kind = base->facts.kind,
                                   .base_fingerprint = base->facts.fingerprint};
    return identity_create(&facts, NULL, NULL);
}

TEST(whom_the_application_named_is_the_same_with_the_row_behind_him) {
    static const char webhook[] = "  webhook: {url: \"https://a/b\"}\n";
    char text[512];
    snprintf(text, sizeof(text), "auth:\n%s  keys: [{name: a, hash: \"" ABC "\"}]\n", webhook);
    struct policy *before = policy_of(text);
    snprintf(text, sizeof(text), "auth:\n%s  keys: [{name: b, hash: \"" ABD "\"}]\n", webhook);
    struct policy *without = policy_of(text);
    struct policy *alone = policy_of("auth: {keys: [{name: a, hash: \"" ABC "\"}]}\n");
    struct identity *named = named_by_application(before, "abc");
    EXPECT_TRUE(policy_is_same_for(before, named));
    EXPECT_FALSE(policy_is_same_for(without, named));
    EXPECT_FALSE(policy_is_same_for(alone, named));
    identity_unref(named);
    policy_unref(before);
    policy_unref(without);
    policy_unref(alone);
}

TEST(a_key_is_the_same_where_its_row_is_at_whatever_place) {
    struct policy *before =
        policy_of("auth: {keys: [{name: a, hash: \"" ABC "\", publish: [x]}]}\n");
    EXPECT_TRUE(is_same_key(before, "auth:\n  keys:\n  - {name: b, hash: \"" ABD "\"}\n"
                                    "  - {name: a, hash: \"" ABC "\", publish: [x]}\n"));
    EXPECT_FALSE(is_same_key(before, "auth: {keys: [{name: b, hash: \"" ABD "\"}]}\n"));
    EXPECT_FALSE(is_same_key(before, "auth: {keys: [{name: a, hash: \"" ABC "\"}]}\n"));
    EXPECT_FALSE(
        is_same_key(before, "auth: {keys: [{name: a, hash: \"" ABC "\", publish: []}]}\n"));
    EXPECT_FALSE(is_same_key(before, "auth: {keys: [{name: a, hash: \"" ABC "\", publish: [x],\n"
                                     "  tenant: t}]}\n"));
    EXPECT_FALSE(is_same_key(before, "workers: 1\n"));
    policy_unref(before);
}

TEST(everyone_and_anonymous_go_when_their_rule_does) {
    struct policy *open = policy_of("workers: 1\n");
    struct policy *narrow = policy_of("auth: {anonymous: {subscribe: [a]}}\n");
    struct policy *wide = policy_of("auth: {anonymous: {subscribe: [a, b]}}\n");
    EXPECT_TRUE(policy_is_same_for(open, policy_anonymous(open)));
    EXPECT_FALSE(policy_is_same_for(narrow, policy_anonymous(open)));
    EXPECT_FALSE(policy_is_same_for(open, policy_anonymous(narrow)));
    EXPECT_FALSE(policy_is_same_for(wide, policy_anonymous(narrow)));
    EXPECT_TRUE(policy_is_same_for(wide, policy_anonymous(wide)));
    policy_unref(open);
    policy_unref(narrow);
    policy_unref(wide);
}

static bool is_equal(const char *left_text, const char *right_text) {
    struct policy *left = policy_of(left_text);
    struct policy *right = policy_of(right_text);
    bool result = policy_is_equal(left, right);
    policy_unref(left);
    policy_unref(right);
    return result;
}

TEST(nothing_new_is_no_new_policy) {
    EXPECT_TRUE(is_equal("workers: 1\n", "workers: 2\n"));
    EXPECT_TRUE(is_equal("auth: {jwt: [{key: \"" SECRET "\"}]}\n",
                         "workers: 2\nauth: {jwt: [{key: \"" SECRET "\"}]}\n") == false);
    EXPECT_TRUE(is_equal("auth: {jwt: [{key: \"" SECRET "\"}]}\n",
                         "auth: {jwt: [{key: \"" SECRET "\"}]}\nworkers: 2\n"));
    EXPECT_FALSE(is_equal("auth: {cookie: a, keys: [{name: a, hash: \"" ABC "\"}]}\n",
                          "auth: {cookie: b, keys: [{name: a, hash: \"" ABC "\"}]}\n"));
    EXPECT_FALSE(is_equal("auth: {webhook: {url: \"https://a\"}}\n",
                          "auth: {webhook: {url: \"https://a\", cache: 1s}}\n"));
}

UNIT_TESTS(UNIT(without_auth_everyone_may_do_everything), UNIT(a_key_is_found_by_its_hash_alone),
           UNIT(anonymous_has_the_rights_of_its_rule),
           UNIT(a_certificate_is_named_and_bound_by_the_first_row_that_fits),
           UNIT(a_certificate_has_a_place_where_a_row_fits_it),
           UNIT(an_issuer_is_what_its_row_says),
           UNIT(the_webhook_is_asked_about_everything_unless_told),
           UNIT(whom_the_application_named_is_the_same_with_the_row_behind_him),
           UNIT(a_key_is_the_same_where_its_row_is_at_whatever_place),
           UNIT(everyone_and_anonymous_go_when_their_rule_does), UNIT(nothing_new_is_no_new_policy))
