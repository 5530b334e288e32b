/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/consistency.h"

#include "tests/broker/config/load.h"

#define HASH "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeef"
#define SECRET "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

/* The text has exactly one fault, of that row and with these words. */
static void expect_row_fault(const char *text, const char *key, unsigned line, const char *words) {
    expect_fault((struct config_sources){.text = span_of_string(text)}, "text", key, words);
    EXPECT_EQ(faults.rows[0].line, line);
}

static void expect_good(const char *text) {
    config_destroy(load((struct config_sources){.text = span_of_string(text)}));
}

TEST(names_and_hashes_of_keys_are_given_once) {
    expect_row_fault("auth: {keys: [{name: a, hash: \"" HASH "0\"},\n{name: a, hash: \"" HASH
                     "1\"}]}",
                     "auth.keys[1]", 2, "the `name` of auth.keys[0]");
    expect_row_fault("auth: {keys: [{name: a, hash: \"" HASH "a\"},\n{name: b, hash: \"" HASH
                     "A\"}]}",
                     "auth.keys[1]", 2, "the `hash` of auth.keys[0]");
    expect_good("auth: {keys: [{name: a, hash: \"" HASH "0\"},\n{name: b, hash: \"" HASH "1\"}]}");
}

TEST(an_issuer_has_one_source_of_keys) {
    expect_row_fault("auth: {jwt: [{issuer: a, algorithms: [ES256]}]}", "auth.jwt[0]", 1,
                     "one of `jwks` or `key`");
    expect_row_fault("auth: {jwt: [{algorithms: [ES256], key: a, jwks: b}]}", "auth.jwt[0]", 1,
                     "only one of");
    expect_row_fault("auth: {jwt: [{key: \"" SECRET "\"}, {key: \"" SECRET "\"}]}", "auth.jwt[1]",
                     1, "has no `issuer`");
    expect_good("auth: {jwt: [{key: \"" SECRET "\"}]}");
}

TEST(algorithms_are_pinned_by_the_row) {
    expect_row_fault("auth: {jwt: [{jwks: a}]}", "auth.jwt[0]", 1, "has no `algorithms`");
    expect_row_fault("auth: {jwt: [{key: a}]}", "auth.jwt[0]", 1, "has no `algorithms`");
    expect_row_fault("auth: {jwt: [{key: a, algorithms: [HS256, RS256]}]}", "auth.jwt[0]", 1,
                     "mixes HS256");
    expect_row_fault("auth: {jwt: [{key: \"" SECRET "\", algorithms: [RS256]}]}", "auth.jwt[0]", 1,
                     "is for HS256");
    expect_row_fault("auth: {jwt: [{jwks: \"https://a\", algorithms: [HS256]}]}", "auth.jwt[0]", 1,
                     "published");
    expect_good("auth: {jwt: [{jwks: a, algorithms: [RS256, PS256, ES256, EdDSA]}]}");
    expect_good("auth: {jwt: [{key: \"" SECRET "\", algorithms: [HS256]}]}");
}

TEST(certificates_and_tenants_are_named_once) {
    expect_row_fault("auth: {certificates: [{subject: CN=a},\n{subject: CN=a}]}",
                     "auth.certificates[1]", 2, "auth.certificates[0]");
    expect_row_fault("tenants: [{name: a},\n{name: a}]", "tenants[1]", 2, "tenants[0]");
}

TEST(a_webhook_needs_its_url) {
    expect_row_fault("auth: {webhook: {\nsecret: s}}", "auth.webhook", 2, "no `url`");
    expect_row_fault("auth: {webhook: {\non: [publish]}}", "auth.webhook", 2, "no `url`");
}

UNIT_TESTS(UNIT(names_and_hashes_of_keys_are_given_once), UNIT(an_issuer_has_one_source_of_keys),
           UNIT(algorithms_are_pinned_by_the_row), UNIT(certificates_and_tenants_are_named_once),
           UNIT(a_webhook_needs_its_url))
