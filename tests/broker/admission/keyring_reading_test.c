/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "broker/admission/keyring.h"
#include "broker/support/base64.h"
#include "tests/broker/admission/signer.h"
#include "tests/unit.h"

static struct keyring *make(const char *text) {
    struct keyring *keyring = NULL;
    struct error why = {0};
    enum error_code code = keyring_create(span_of_string(text), false, &keyring, &why);
    if (code != OK) {
        print_message("%s\n", why.detail);
    }
    EXPECT_EQ(code, OK);
    return keyring;
}

static void expect_refused(const char *text, bool is_public, const char *detail) {
    struct keyring *keyring = NULL;
    struct error why = {0};
    EXPECT_EQ(keyring_create(span_of_string(text), is_public, &keyring, &why), ERR_CONFIG);
    EXPECT_STRING(why.detail, detail);
    EXPECT_NULL(keyring);
}

static enum error_code verify(const struct keyring *keyring, enum jws_algorithm algorithm,
                              const char *key_id, const char *text, const char *signature) {
    uint8_t bytes[SIGNATURE_BYTES_MAX];
    size_t length = 0;
    EXPECT_EQ(base64_url_decode(span_of_string(signature), bytes, &length), OK);
    return keyring_verify(keyring, algorithm, span_of_string(key_id), span_of_string(text),
                          span_of(bytes, length), NULL);
}

TEST(alg_of_a_key_narrows_what_it_verifies) {
    struct signer signer;
    signer_init(&signer, JWS_RS256, "k", ",\"alg\":\"PS256\"");
    struct keyring *keyring = make(signer.jwk);
    EXPECT_EQ(keyring_algorithms(keyring), 1U << JWS_PS256);
    keyring_unref(keyring);
    signer_finish(&signer);
    signer_init(&signer, JWS_RS256, "k", ",\"alg\":\"ES256\"");
    expect_refused(signer.jwk, false, "`alg` of a key does not go with its type");
    signer_finish(&signer);
}

TEST(keys_of_a_set_that_are_for_something_else_are_passed_over) {
    struct signer good;
    struct signer encrypts;
    struct signer signs;
    struct signer other;
    char set[12288];
    signer_init(&good, JWS_EDDSA, "a", ",\"use\":\"sig\",\"key_ops\":[\"verify\"],\"extra\":{}");
    signer_init(&encrypts, JWS_RS256, "b", ",\"use\":\"enc\"");
    signer_init(&signs, JWS_ES256, "c", ",\"key_ops\":[\"encrypt\"]");
    signer_init(&other, JWS_RS256, "d", ",\"alg\":\"RS512\"");
    snprintf(set, sizeof(set),
             "{\"keys\":[%s,%s,%s,%s,{\"kty\":\"new\"},{\"kty\":\"EC\",\"crv\":\"P-384\"}]}",
             encrypts.jwk, signs.jwk, other.jwk, good.jwk);
    struct keyring *keyring = make(set);
    EXPECT_EQ(keyring_count(keyring), 1);
    EXPECT_EQ(keyring_algorithms(keyring), 1U << JWS_EDDSA);
    keyring_unref(keyring);
    signer_finish(&good);
    signer_finish(&encrypts);
    signer_finish(&signs);
    signer_finish(&other);
}

TEST(weak_broken_and_private_keys_are_refused) {
    expect_refused(
        "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmf"
        "HQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ4"
        "7soMZo9wGzjQ\",\"e\":\"AQAB\"}",
        false, "an RSA key has 920 bits; 2048 to 8192 are taken");
    expect_refused("{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}", false,
                   "a secret of HS256 has 5 bytes; 32 to 1024 are taken");
    /* The point is not on the curve. */
    expect_refused(
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}",
        false, "a key is broken: its numbers are no key");
    expect_refused("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}", false,
                   "a key is broken: its numbers are no key");
    expect_refused("{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
                   "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\",\"d\":\"AAAA\"}",
                   false, "a key is private; only its public half belongs here");
    expect_refused("{\"kty\":\"oct\",\"k\":\"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg\"}", true,
                   "a secret (`oct`) may not be in a public set");
    expect_refused("{\"keys\":[]}", false,
                   "no key in it verifies one of HS256, RS256, PS256, ES256, EdDSA");
    expect_refused("{\"keys\":{}}", false, "`keys` is no array");
    expect_refused("{\"kty\":\"oct\",\"kty\":\"oct\"}", false,
                   "the text has the member `kty` twice");
    expect_refused("no key", false, "the text is no JSON object");
    expect_refused("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", false,
                   "it holds no public key or certificate as PEM");
}

TEST(pem_is_a_key_without_an_id) {
    /* The key of RFC 8037, appendix A.2. */
    struct keyring *keyring = make("-----BEGIN PUBLIC KEY-----\n"
                                   "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
                                   "-----END PUBLIC KEY-----\n");
    EXPECT_EQ(
        verify(keyring, JWS_EDDSA, "any",
               "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
               "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_"
               "MuM0KAg"),
        OK);
    keyring_unref(keyring);
}

TEST(a_secret_of_the_configuration_has_thirty_two_bytes_at_least) {
    struct keyring *keyring = NULL;
    struct error why;
    EXPECT_EQ(keyring_create_secret(SPAN("0123456789abcdef0123456789abcdef"), &keyring, &why), OK);
    EXPECT_EQ(keyring_algorithms(keyring), 1U << JWS_HS256);
    keyring_unref(keyring);
    EXPECT_EQ(keyring_create_secret(SPAN("0123456789abcdef0123456789abcde"), &keyring, &why),
              ERR_CONFIG);
    EXPECT_STRING(why.detail, "a secret of HS256 has 31 bytes; 32 to 1024 are taken");
}

UNIT_TESTS(UNIT(alg_of_a_key_narrows_what_it_verifies),
           UNIT(keys_of_a_set_that_are_for_something_else_are_passed_over),
           UNIT(weak_broken_and_private_keys_are_refused), UNIT(pem_is_a_key_without_an_id),
           UNIT(a_secret_of_the_configuration_has_thirty_two_bytes_at_least))
