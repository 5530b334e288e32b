/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/token.h"

#include "broker/admission/claims.h"
#include "broker/limits.h"
#include "broker/support/base64.h"
#include "tests/fuzz/fuzz.h"

/* The key of RFC 8037, appendix A.2: nobody who fuzzes can sign with it. */
#define KEYS                                                                                       \
    "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\","                               \
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"},{\"kty\":\"EC\",\"crv\":\"P-256\","    \
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                                       \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}"

/* No input is a token that is verified; what its claims would be is looked at all the same. */
static void check_token(struct span text, const struct policy_issuer *row,
                        const struct keyring *keyring) {
    struct token token;
    struct identity *identity = NULL;
    if (token_read(text, &token, NULL) != OK) {
        return;
    }
    CLAIM(text.length <= TOKEN_BYTES_MAX && token_is_like(text));
    CLAIM(token.signature.length <= SIGNATURE_BYTES_MAX && token.signature.length > 0);
    CLAIM(token_verify(&token, row, keyring, NULL) != OK);
    if (token_identify(&token, row, 1700000000, &identity, NULL) == OK) {
        CLAIM(identity->facts.subject.length <= SUBJECT_BYTES_MAX);
        CLAIM(identity->facts.expires_s + TOKEN_LEEWAY_S > 1700000000);
        identity_unref(identity);
    }
    token_finish(&token);
}

/* The input as a payload behind a header that is taken: so the fuzzer need not find base64. */
static void check_payload(struct span payload, const struct policy_issuer *row,
                          const struct keyring *keyring) {
    struct buffer text;
    buffer_init(&text, FUZZ_BUFFER_BYTES_MAX);
    if (buffer_put(&text, SPAN("eyJhbGciOiJFUzI1NiJ9.")) == OK &&
        base64_url_put(&text, payload) == OK && buffer_put(&text, SPAN(".AAAA")) == OK) {
        check_token(buffer_borrow(&text), row, keyring);
    }
    buffer_finish(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span input = span_of(bytes, length);
    struct keyring *keyring = NULL;
    struct keyring *ring = NULL;
    struct grants *rights = grants_create();
    struct policy_issuer row = {.audience = NULL, .algorithms = ~0U, .rights = rights};
    CLAIM(rights != NULL && keyring_create(SPAN(KEYS), true, &keyring, NULL) == OK);
    check_token(input, &row, keyring);
    check_payload(input, &row, keyring);
    if (keyring_create(input, length % 2 == 0, &ring, NULL) == OK) {
        CLAIM(keyring_count(ring) > 0 && keyring_algorithms(ring) != 0);
        keyring_unref(ring);
    }
    keyring_unref(keyring);
    grants_destroy(rights);
    return 0;
}
