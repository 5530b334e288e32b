/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection pays for its token: a line of JSON for each algorithm, from the text to an
 * identity, as it is the first time; then the part of it that is the signature; then what a token
 * costs that is remembered. Time is the thread's own, not the clock's.
 *
 *     tokens [ROUNDS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/admission/memo.h"
#include "broker/admission/token.h"
#include "broker/support/invariant.h"
#include "tests/broker/admission/signer.h"

#define ROUNDS 2000
#define NOW_S 1700000000
#define PAYLOAD                                                                                    \
    "{\"iss\":\"https://id.example\",\"sub\":\"alice\",\"aud\":\"tidings\",\"iat\":1700000000,"    \
    "\"exp\":1700003600,\"jti\":\"b1946ac92492d2347c6235b4\",\"tenant\":\"acme\",\"tidings\":"     \
    "{\"publish\":[\"chat/{sub}\"],\"subscribe\":[\"chat/**\",\"news/*\"],"                        \
    "\"history\":[\"chat/**\"]}}"

static const char *const names[] = {
#define JWS(algorithm, name) [algorithm] = name,
    JWS_TABLE(JWS)
#undef JWS
};

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void verify(struct token *token, const struct policy_issuer *row,
                   const struct keyring *keyring) {
    enum error_code code = token_verify(token, row, keyring, NULL);
    INVARIANT(code == OK);
}

static struct identity *identify(const char *text, const struct policy_issuer *row,
                                 const struct keyring *keyring) {
    struct token token;
    struct identity *identity = NULL;
    enum error_code code = token_read(span_of_string(text), &token, NULL);
    INVARIANT(code == OK);
    verify(&token, row, keyring);
    code = token_identify(&token, row, NOW_S, &identity, NULL);
    INVARIANT(code == OK);
    token_finish(&token);
    return identity;
}

static double whole_us(const char *text, const struct policy_issuer *row,
                       const struct keyring *keyring, size_t rounds) {
    uint64_t begin_ns = now_ns();
    for (size_t i = 0; i < rounds; i++) {
        identity_unref(identify(text, row, keyring));
    }
    return (double)(now_ns() - begin_ns) / 1000 / (double)rounds;
}

static double signature_us(const char *text, const struct policy_issuer *row,
                           const struct keyring *keyring, size_t rounds) {
    struct token token;
    enum error_code code = token_read(span_of_string(text), &token, NULL);
    INVARIANT(code == OK);
    uint64_t begin_ns = now_ns();
    for (size_t i = 0; i < rounds; i++) {
        verify(&token, row, keyring);
    }
    double us = (double)(now_ns() - begin_ns) / 1000 / (double)rounds;
    token_finish(&token);
    return us;
}

/* As access.h does it: the hash of the text, and the table. */
static double remembered_us(const char *text, struct identity *identity, size_t rounds) {
    struct memo *memo = memo_create(16);
    INVARIANT(memo != NULL);
    struct span span = span_of_string(text);
    uint8_t key[MEMO_KEY_BYTES];
    bool is_hashed = memo_hash(&span, 1, key);
    INVARIANT(is_hashed);
    memo_put(memo, key, &(struct memo_answer){OK, identity, UINT64_MAX});
    uint64_t begin_ns = now_ns();
    for (size_t i = 0; i < rounds; i++) {
        is_hashed = memo_hash(&span, 1, key);
        INVARIANT(is_hashed);
        const struct memo_answer *answer = memo_find(memo, key, 0);
        INVARIANT(answer != NULL);
        identity_unref(identity_ref(answer->identity));
    }
    double us = (double)(now_ns() - begin_ns) / 1000 / (double)rounds;
    memo_destroy(memo);
    return us;
}

static void measure(enum jws_algorithm algorithm, const struct grants *rights, size_t rounds) {
    struct signer signer;
    struct keyring *keyring = NULL;
    struct policy_issuer row = {.issuer = "https://id.example",
                                .audience = "tidings",
                                .algorithms = 1U << algorithm,
                                .rights = rights};
    signer_init(&signer, algorithm, "key-1", "");
    enum error_code code = keyring_create(span_of_string(signer.jwk), false, &keyring, NULL);
    INVARIANT(code == OK);
    const char *text = signer_sign_claims(&signer, "key-1", PAYLOAD);
    struct identity *identity = identify(text, &row, keyring);
    whole_us(text, &row, keyring, rounds / 10); /* OpenSSL's tables are there then */
    printf("{\"algorithm\":\"%s\",\"bytes\":%zu,\"rounds\":%zu,\"whole_us\":%.1f,"
           "\"signature_us\":%.1f,\"remembered_us\":%.2f}\n",
           names[algorithm], strlen(text), rounds, whole_us(text, &row, keyring, rounds),
           signature_us(text, &row, keyring, rounds), remembered_us(text, identity, rounds));
    identity_unref(identity);
    keyring_unref(keyring);
    signer_finish(&signer);
}

int main(int argc, char **argv) {
    uint64_t rounds = ROUNDS;
    if (argc > 1 && (!span_parse_u64(span_of_string(argv[1]), &rounds) || rounds < 10)) {
        fprintf(stderr, "usage: tokens [ROUNDS]\n");
        return 2;
    }
    struct grants *rights = grants_create();
    INVARIANT(rights != NULL);
    for (enum jws_algorithm algorithm = 0; algorithm < JWS_COUNT; algorithm++) {
        measure(algorithm, rights, (size_t)rounds);
    }
    grants_destroy(rights);
    return 0;
}
