/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/token.h"

#include <stdio.h>

#include "broker/limits.h"
#include "tests/broker/admission/signer.h"
#include "tests/unit.h"

#define NOW_S 1700000000
#define ALIVE "\"exp\":1700003600"
#define ANY_ALGORITHM ((1U << JWS_COUNT) - 1)

static struct policy_issuer row_of(const struct grants *rights, unsigned given) {
    return (struct policy_issuer){.algorithms = ANY_ALGORITHM, .given = given, .rights = rights};
}

static struct keyring *ring_of(const char *text) {
    struct keyring *keyring = NULL;
    EXPECT_EQ(keyring_create(span_of_string(text), false, &keyring, NULL), OK);
    return keyring;
}

/* All three steps. */
static enum error_code identify(const char *text, const struct policy_issuer *row,
                                const struct keyring *keyring, struct identity **ret_identity,
                                struct error *why) {
    struct token token;
    enum error_code code = token_read(span_of_string(text), &token, why);
    if (code != OK) {
        return code;
    }
    code = token_verify(&token, row, keyring, why);
    if (code == OK) {
        code = token_identify(&token, row, NOW_S, ret_identity, why);
    }
    token_finish(&token);
    return code;
}

TEST(a_token_of_each_algorithm_becomes_an_identity) {
    struct grants *none = grants_create();
    struct policy_issuer row = row_of(none, 0);
    for (enum jws_algorithm algorithm = 0; algorithm < JWS_COUNT; algorithm++) {
        struct signer signer;
        signer_init(&signer, algorithm, "k1", "");
        struct keyring *keyring = ring_of(signer.jwk);
        struct identity *identity = NULL;
        const char *text = signer_sign_claims(
            &signer, "k1",
            "{\"iss\":\"i\",\"sub\":\"alice\",\"jti\":\"7\",\"iat\":1699999999," ALIVE "}");
        EXPECT_EQ(identify(text, &row, keyring, &identity, NULL), OK);
        EXPECT_EQ(identity->facts.kind, IDENTITY_TOKEN);
        EXPECT_SPAN(identity->facts.subject, "alice");
        EXPECT_SPAN(identity->facts.token_id, "7");
        EXPECT_SPAN(identity->facts.issuer, "i");
        EXPECT_EQ(identity->facts.issued_s, 1699999999);
        EXPECT_EQ(identity->facts.expires_s, 1700003600);
        identity_unref(identity);
        /* Pinned to the others by the row, it is refused. */
        struct policy_issuer others = row;
        others.algorithms = ANY_ALGORITHM & ~(1U << algorithm);
        EXPECT_EQ(identify(text, &others, keyring, &identity, NULL), ERR_UNAUTHORIZED);
        keyring_unref(keyring);
        signer_finish(&signer);
    }
    grants_destroy(none);
}

TEST(the_claim_is_held_to_the_rights_of_the_row) {
    struct grants *rights = grants_create();
    EXPECT_EQ(grants_add(rights, ACTION_PUBLISH, SPAN("chat/**"), NULL), OK);
    struct policy_issuer row = row_of(rights, 1U << ACTION_PUBLISH);
    struct signer signer;
    signer_init(&signer, JWS_HS256, "k", "");
    struct keyring *keyring = ring_of(signer.jwk);
    struct identity *identity = NULL;
    const char *text = signer_sign_claims(&signer, "k",
                                          "{\"sub\":\"alice\"," ALIVE
                                          ",\"tidings\":{\"publish\":[\"chat/{sub}\",\"news\"],"
                                          "\"subscribe\":[\"news\"]}}");
    EXPECT_EQ(identify(text, &row, keyring, &identity, NULL), OK);
    EXPECT_EQ(identity_may(identity, ACTION_PUBLISH, SPAN("chat/alice"), NULL), OK);
    EXPECT_EQ(identity_may(identity, ACTION_PUBLISH, SPAN("chat/bob"), NULL), ERR_FORBIDDEN);
    EXPECT_EQ(identity_may(identity, ACTION_PUBLISH, SPAN("news"), NULL), ERR_FORBIDDEN);
    EXPECT_EQ(identity_may(identity, ACTION_SUBSCRIBE, SPAN("news"), NULL), OK);
    EXPECT_EQ(identity_may(identity, ACTION_HISTORY, SPAN("news"), NULL), ERR_FORBIDDEN);
    identity_unref(identity);
    /* Without the claim: exactly what the row has. */
    text = signer_sign_claims(&signer, "k", "{\"sub\":\"alice\"," ALIVE "}");
    EXPECT_EQ(identify(text, &row, keyring, &identity, NULL), OK);
    EXPECT_EQ(identity_may(identity, ACTION_PUBLISH, SPAN("chat/bob"), NULL), OK);
    EXPECT_EQ(identity_may(identity, ACTION_SUBSCRIBE, SPAN("news"), NULL), ERR_FORBIDDEN);
    identity_unref(identity);
    keyring_unref(keyring);
    signer_finish(&signer);
    grants_destroy(rights);
}

TEST(a_public_key_is_no_secret) {
    struct signer rsa;
    struct signer forger;
    signer_init(&rsa, JWS_RS256, "k", "");
    signer_init(&forger, JWS_HS256, "k", "");
    struct grants *none = grants_create();
    struct policy_issuer row = row_of(none, 0);
    struct keyring *keyring = ring_of(rsa.jwk);
    struct identity *identity = NULL;
    struct error why;
    const char *text = signer_sign_claims(&forger, "k", "{" ALIVE "}");
    EXPECT_EQ(identify(text, &row, keyring, &identity, &why), ERR_NOT_FOUND);
    EXPECT_STRING(why.detail, "header kid: no key `k` is known for header alg");
    keyring_unref(keyring);
    signer_finish(&rsa);
    signer_finish(&forger);
    grants_destroy(none);
}

static void expect_unreadable(const char *text, const char *detail) {
    struct token token;
    struct error why = {0};
    EXPECT_EQ(token_read(span_of_string(text), &token, &why), ERR_UNAUTHORIZED);
    EXPECT_STRING(why.detail, detail);
    EXPECT_EQ(why.code, ERR_UNAUTHORIZED);
}

TEST(a_header_that_changes_what_a_token_means_is_refused) {
    static const struct {
        const char *header;
        const char *detail;
    } rows[] = {
        {"{\"alg\":\"none\"}", "header alg: a token without a signature is not taken"},
        {"{\"alg\":\"NoNe\"}", "header alg: a token without a signature is not taken"},
        {"{\"alg\":\"HS512\"}", "header alg: is none of HS256, RS256, PS256, ES256, EdDSA"},
        {"{\"alg\":\"hs256\"}", "header alg: is none of HS256, RS256, PS256, ES256, EdDSA"},
        {"{\"alg\":256}", "header alg: is missing or no string"},
        {"{}", "header alg: is missing or no string"},
        {"{\"alg\":\"HS256\",\"alg\":\"none\"}",
         "the header of the token has the member `alg` twice"},
        {"{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}",
         "header crit: no extension of JWS is understood"},
        {"{\"alg\":\"HS256\",\"b64\":false}", "header b64: only encoded payloads are taken"},
        {"{\"alg\":\"HS256\",\"typ\":\"dpop+jwt\"}", "header typ: is not JWT or at+jwt"},
        {"{\"alg\":\"HS256\",\"kid\":7}", "header kid: is no string"},
        {"[]", "the header of the token is no JSON object"},
        {"{\"alg\":\"HS256\"} ", NULL},
        {"{\"alg\":\"HS256\",\"typ\":\"jwt\"}", NULL},
        {"{\"alg\":\"HS256\",\"typ\":\"at+JWT\",\"kid\":\"\\u006b\",\"jku\":\"http://evil\"}",
         NULL},
    };
    struct signer signer;
    signer_init(&signer, JWS_HS256, "k", "");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const char *text = signer_sign(&signer, rows[i].header, "{}");
        struct token token;
        if (rows[i].detail != NULL) {
            expect_unreadable(text, rows[i].detail);
        } else {
            EXPECT_EQ(token_read(span_of_string(text), &token, NULL), OK);
            token_finish(&token);
        }
    }
    signer_finish(&signer);
}

TEST(a_token_has_one_text) {
    struct signer signer;
    char text[SIGNER_TEXT_BYTES + 8];
    signer_init(&signer, JWS_HS256, "k", "");
    const char *good = signer_sign_claims(&signer, "k", "{" ALIVE "}");
    snprintf(text, sizeof(text), "%s.", good);
    expect_unreadable(text, "the token is not three parts with dots between them");
    snprintf(text, sizeof(text), "%s=", good);
    expect_unreadable(text, "the signature of the token is missing or no base64url");
    snprintf(text, sizeof(text), "%s==rubbish", good);
    expect_unreadable(text, "the signature of the token is missing or no base64url");
    snprintf(text, sizeof(text), "%s\n", good);
    expect_unreadable(text, "the signature of the token is missing or no base64url");
    snprintf(text, sizeof(text), " %s", good);
    expect_unreadable(text, "the header of the token is no base64url");
    /* 43 characters are 258 bits: two are left over, and must be 0. */
    snprintf(text, sizeof(text), "%s", good);
    text[strlen(text) - 1]++;
    expect_unreadable(text, "the signature of the token is missing or no base64url");
    snprintf(text, sizeof(text), "%s", good);
    *strrchr(text, '.') = '\0';
    expect_unreadable(text, "the token is not three parts with dots between them");
    snprintf(text, sizeof(text), "%.*s.", (int)(strrchr(good, '.') - good), good);
    expect_unreadable(text, "the signature of the token is missing or no base64url");
    expect_unreadable("..", "the header of the token is no base64url");
    signer_finish(&signer);
}

TEST(a_payload_has_one_meaning) {
    struct signer signer;
    signer_init(&signer, JWS_HS256, "k", "");
    expect_unreadable(signer_sign_claims(&signer, "k", "{\"sub\":\"a\",\"sub\":\"b\"}"),
                      "the payload of the token has the member `sub` twice");
    expect_unreadable(signer_sign_claims(&signer, "k", "{} {}"),
                      "the payload of the token is no JSON object");
    expect_unreadable(signer_sign_claims(&signer, "k", "\"text\""),
                      "the payload of the token is no JSON object");
    expect_unreadable(signer_sign_claims(&signer, "k", "{\"iss\":[\"a\"]}"),
                      "claim iss: is no string");
    signer_finish(&signer);
}

TEST(a_token_is_no_longer_than_its_limit) {
    struct signer signer;
    signer_init(&signer, JWS_HS256, "k", "");
    char payload[TOKEN_BYTES_MAX];
    snprintf(payload, sizeof(payload), "{\"x\":\"%07000d\"}", 0);
    char detail[64];
    snprintf(detail, sizeof(detail), "the token is longer than %d bytes", TOKEN_BYTES_MAX);
    expect_unreadable(signer_sign_claims(&signer, "k", payload), detail);
    signer_finish(&signer);
}

TEST(a_changed_token_is_refused) {
    struct signer signer;
    struct grants *none = grants_create();
    struct policy_issuer row = row_of(none, 0);
    signer_init(&signer, JWS_ES256, "k", "");
    struct keyring *keyring = ring_of(signer.jwk);
    struct identity *identity = NULL;
    struct error why;
    char text[SIGNER_TEXT_BYTES];
    char changed[SIGNER_TEXT_BYTES];
    snprintf(text, sizeof(text), "%s",
             signer_sign_claims(&signer, "k", "{\"sub\":\"alice\"," ALIVE "}"));
    snprintf(changed, sizeof(changed), "%s",
             signer_sign_claims(&signer, "k", "{\"sub\":\"admin\"," ALIVE "}"));
    /* The payload of one with the signature of the other. */
    memcpy(strrchr(changed, '.'), strrchr(text, '.'), strlen(strrchr(text, '.')) + 1);
    EXPECT_EQ(identify(changed, &row, keyring, &identity, &why), ERR_UNAUTHORIZED);
    EXPECT_STRING(why.detail, "the signature of the token is wrong");
    keyring_unref(keyring);
    signer_finish(&signer);
    grants_destroy(none);
}

UNIT_TESTS(UNIT(a_token_of_each_algorithm_becomes_an_identity),
           UNIT(the_claim_is_held_to_the_rights_of_the_row), UNIT(a_public_key_is_no_secret),
           UNIT(a_header_that_changes_what_a_token_means_is_refused), UNIT(a_token_has_one_text),
           UNIT(a_payload_has_one_meaning), UNIT(a_token_is_no_longer_than_its_limit),
           UNIT(a_changed_token_is_refused))
