/* SPDX-License-Identifier: Apache-2.0 */
/* signer.h — an issuer of tokens for unit tests: a key, its JWK, and what it signs.
 *
 * Place:   tests of tokens, keys and access.
 * Thread:  the test's.
 * Bounds:  SIGNER_TEXT_BYTES of each text.
 */
#pragma once

#include <openssl/evp.h>
#include <stddef.h>

#include "broker/admission/policy.h"
#include "broker/support/span.h"

#define SIGNER_TEXT_BYTES 16384

struct signer {
    enum jws_algorithm algorithm;
    EVP_PKEY *key; /* NULL: HS256 */
    char secret[33];
    char jwk[2048]; /* the public half, or the secret, with `kid` */
    char token[SIGNER_TEXT_BYTES];
};

/* A new key of that algorithm; `more` is put into the JWK: ",\"use\":\"sig\"", or "". */
void signer_init(struct signer *signer, enum jws_algorithm algorithm, const char *key_id,
                 const char *more);
void signer_finish(struct signer *signer);

/* The token of that header and payload, borrowed until the next. */
const char *signer_sign(struct signer *signer, const char *header, const char *payload);

/* The same with the signer's own header: alg and kid. */
const char *signer_sign_claims(struct signer *signer, const char *key_id, const char *payload);
