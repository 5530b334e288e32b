/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/keyring.h"

#include <stdio.h>

#include "broker/support/base64.h"
#include "tests/broker/admission/signer.h"
#include "tests/unit.h"

#define PAYLOAD_OF_RFC7515                                                                         \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"

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

static enum error_code verify(const struct keyring *keyring, enum jws_algorithm algorithm,
                              const char *key_id, const char *text, const char *signature) {
    uint8_t bytes[SIGNATURE_BYTES_MAX];
    size_t length = 0;
    EXPECT_EQ(base64_url_decode(span_of_string(signature), bytes, &length), OK);
    return keyring_verify(keyring, algorithm, span_of_string(key_id), span_of_string(text),
                          span_of(bytes, length), NULL);
}

/* One signature is good, with one bit of the text or of the signature changed it is not. */
static void expect_vector(const char *key, enum jws_algorithm algorithm, const char *key_id,
                          const char *text, const char *signature) {
    struct keyring *keyring = make(key);
    char changed[1024];
    EXPECT_EQ(verify(keyring, algorithm, key_id, text, signature), OK);
    snprintf(changed, sizeof(changed), "%s", text);
    changed[3] ^= 1;
    EXPECT_EQ(verify(keyring, algorithm, key_id, changed, signature), ERR_UNAUTHORIZED);
    snprintf(changed, sizeof(changed), "%s", signature);
    changed[0] = changed[0] == 'a' ? 'b' : 'a';
    EXPECT_EQ(verify(keyring, algorithm, key_id, text, changed), ERR_UNAUTHORIZED);
    keyring_unref(keyring);
}

TEST(hs256_of_rfc7515_appendix_a1_is_verified) {
    expect_vector(
        "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKt"
        "MN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}",
        JWS_HS256, "", "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." PAYLOAD_OF_RFC7515,
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

TEST(rs256_of_rfc7515_appendix_a2_is_verified) {
    expect_vector(
        "{\"kty\":\"RSA\",\"n\":"
        "\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"
        "4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_"
        "7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZ"
        "lxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9"
        "gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}",
        JWS_RS256, "", "eyJhbGciOiJSUzI1NiJ9." PAYLOAD_OF_RFC7515,
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2"
        "Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSj"
        "tQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvW"
        "h6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw");
}

TEST(es256_of_rfc7515_appendix_a3_is_verified) {
    expect_vector("{\"kty\":\"EC\",\"crv\":\"P-256\","
                  "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                  "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
                  JWS_ES256, "", "eyJhbGciOiJFUzI1NiJ9." PAYLOAD_OF_RFC7515,
                  "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-"
                  "Kg6NU1Q");
}

TEST(hs256_of_rfc7520_section_44_is_verified_by_its_key_id) {
    expect_vector(
        "{\"keys\":[{\"kty\":\"oct\",\"use\":\"sig\","
        "\"kid\":\"018c0ae5-4d9b-471b-bfd6-eef314bc7037\","
        "\"alg\":\"HS256\",\"k\":\"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg\"}]}",
        JWS_HS256, "018c0ae5-4d9b-471b-bfd6-eef314bc7037",
        "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9."
        "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAg"
        "b250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dp"
        "bmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4",
        "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0");
}

TEST(ed25519_of_rfc8037_appendix_a4_is_verified) {
    expect_vector("{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
                  "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
                  JWS_EDDSA, "", "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
                  "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_"
                  "MuM0KAg");
}

TEST(each_algorithm_verifies_what_its_key_signed_and_nothing_else) {
    for (enum jws_algorithm algorithm = 0; algorithm < JWS_COUNT; algorithm++) {
        struct signer signer;
        signer_init(&signer, algorithm, "k", "");
        char token[SIGNER_TEXT_BYTES];
        snprintf(token, sizeof(token), "%s", signer_sign_claims(&signer, "k", "{}"));
        char *signature = strrchr(token, '.');
        *signature++ = '\0';
        struct keyring *keyring = make(signer.jwk);
        for (enum jws_algorithm other = 0; other < JWS_COUNT; other++) {
            enum error_code code = verify(keyring, other, "k", token, signature);
            EXPECT_TRUE(other == algorithm ? code == OK : code != OK);
        }
        EXPECT_EQ(verify(keyring, algorithm, "other", token, signature), ERR_NOT_FOUND);
        EXPECT_EQ(verify(keyring, algorithm, "k", token, "AAAA"), ERR_UNAUTHORIZED);
        keyring_unref(keyring);
        signer_finish(&signer);
    }
}

TEST(a_token_without_a_key_id_takes_the_only_key_that_fits) {
    struct signer first;
    struct signer second;
    char set[12288];
    signer_init(&first, JWS_ES256, "a", "");
    signer_init(&second, JWS_EDDSA, "b", "");
    snprintf(set, sizeof(set), "{\"keys\":[%s,%s]}", first.jwk, second.jwk);
    char token[SIGNER_TEXT_BYTES];
    snprintf(token, sizeof(token), "%s", signer_sign(&first, "{}", "{}"));
    char *signature = strrchr(token, '.');
    *signature++ = '\0';
    struct keyring *keyring = make(set);
    EXPECT_EQ(verify(keyring, JWS_ES256, "", token, signature), OK);
    keyring_unref(keyring);
    snprintf(set, sizeof(set), "{\"keys\":[%s,%s]}", first.jwk, first.jwk);
    keyring = make(set);
    EXPECT_EQ(verify(keyring, JWS_ES256, "", token, signature), ERR_UNAUTHORIZED);
    keyring_unref(keyring);
    signer_finish(&first);
    signer_finish(&second);
}

UNIT_TESTS(UNIT(hs256_of_rfc7515_appendix_a1_is_verified),
           UNIT(rs256_of_rfc7515_appendix_a2_is_verified),
           UNIT(es256_of_rfc7515_appendix_a3_is_verified),
           UNIT(hs256_of_rfc7520_section_44_is_verified_by_its_key_id),
           UNIT(ed25519_of_rfc8037_appendix_a4_is_verified),
           UNIT(each_algorithm_verifies_what_its_key_signed_and_nothing_else),
           UNIT(a_token_without_a_key_id_takes_the_only_key_that_fits))
