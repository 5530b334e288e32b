/* SPDX-License-Identifier: Apache-2.0 */
/* The keys as a table; reading them is in keyring_reading.c. */
#include "broker/admission/keyring.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "broker/admission/keyring_private.h"
#include "broker/support/invariant.h"

#define ES256_BYTES 64 /* two numbers of 32 bytes: RFC 7518, section 3.4 */
#define ES256_DER_BYTES_MAX 72
#define ED25519_BYTES 64
#define SHA256_BYTES 32
#define SHOWN_BYTES_MAX 64 /* of a token's text in a sentence */

struct keyring *keyring_ref(struct keyring *keyring) {
    if (keyring != NULL) {
        atomic_fetch_add_explicit(&keyring->reference_count, 1, memory_order_relaxed);
    }
    return keyring;
}

void keyring_unref(struct keyring *keyring) {
    if (keyring == NULL) {
        return;
    }
    unsigned count = atomic_fetch_sub_explicit(&keyring->reference_count, 1, memory_order_acq_rel);
    INVARIANT(count > 0);
    if (count > 1) {
        return;
    }
    for (size_t i = 0; i < keyring->key_count; i++) {
        struct keyring_key *key = &keyring->keys[i];
        EVP_PKEY_free(key->public_key);
        OPENSSL_clear_free(key->secret, key->secret_length);
        free(key->id);
    }
    free(keyring);
}

size_t keyring_count(const struct keyring *keyring) {
    return keyring->key_count;
}

unsigned keyring_algorithms(const struct keyring *keyring) {
    unsigned algorithms = 0;
    for (size_t i = 0; i < keyring->key_count; i++) {
        algorithms |= keyring->keys[i].algorithms;
    }
    return algorithms;
}

/* --- one signature --------------------------------------------------------------------------- */

static bool is_hmac(const struct keyring_key *key, struct span text, struct span signature) {
    uint8_t expected[SHA256_BYTES];
    unsigned length = 0;
    if (signature.length != sizeof(expected) ||
        HMAC(EVP_sha256(), key->secret, (int)key->secret_length, text.bytes, text.length, expected,
             &length) == NULL) {
        return false;
    }
    INVARIANT(length == sizeof(expected));
    return CRYPTO_memcmp(expected, signature.bytes, sizeof(expected)) == 0;
}

/* From r and s side by side to what OpenSSL takes. 0: it could not be written. */
static size_t put_der(struct span signature, uint8_t ret_der[ES256_DER_BYTES_MAX]) {
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature.bytes, ES256_BYTES / 2, NULL);
    BIGNUM *s = BN_bin2bn(signature.bytes + ES256_BYTES / 2, ES256_BYTES / 2, NULL);
    if (pair == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(pair);
        return 0;
    }
    uint8_t *end = ret_der;
    int length = i2d_ECDSA_SIG(pair, NULL);
    length = length > 0 && length <= ES256_DER_BYTES_MAX ? i2d_ECDSA_SIG(pair, &end) : 0;
    ECDSA_SIG_free(pair);
    return length > 0 ? (size_t)length : 0;
}

static bool is_signed(const struct keyring_key *key, const EVP_MD *digest, int padding,
                      struct span text, struct span signature) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options = NULL; /* the context's */
    bool is_good = context != NULL &&
                   EVP_DigestVerifyInit(context, &options, digest, NULL, key->public_key) == 1;
    if (is_good && padding != 0) {
        is_good = EVP_PKEY_CTX_set_rsa_padding(options, padding) == 1;
    }
    if (is_good && padding == RSA_PKCS1_PSS_PADDING) {
        is_good = EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    is_good = is_good && EVP_DigestVerify(context, signature.bytes, signature.length, text.bytes,
                                          text.length) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error(); /* a wrong signature leaves what nobody will ask for */
    return is_good;
}

static bool verify_hs256(const struct keyring_key *key, struct span text, struct span signature) {
    return is_hmac(key, text, signature);
}

static bool verify_rs256(const struct keyring_key *key, struct span text, struct span signature) {
    return is_signed(key, EVP_sha256(), RSA_PKCS1_PADDING, text, signature);
}

static bool verify_ps256(const struct keyring_key *key, struct span text, struct span signature) {
    return is_signed(key, EVP_sha256(), RSA_PKCS1_PSS_PADDING, text, signature);
}

static bool verify_es256(const struct keyring_key *key, struct span text, struct span signature) {
    uint8_t der[ES256_DER_BYTES_MAX];
    size_t length = signature.length == ES256_BYTES ? put_der(signature, der) : 0;
    return length > 0 && is_signed(key, EVP_sha256(), 0, text, span_of(der, length));
}

static bool verify_eddsa(const struct keyring_key *key, struct span text, struct span signature) {
    return signature.length == ED25519_BYTES && is_signed(key, NULL, 0, text, signature);
}

static bool (*const verifiers[JWS_COUNT])(const struct keyring_key *, struct span, struct span) = {
    [JWS_HS256] = verify_hs256, [JWS_RS256] = verify_rs256, [JWS_PS256] = verify_ps256,
    [JWS_ES256] = verify_es256, [JWS_EDDSA] = verify_eddsa,
};

/* --- which key ------------------------------------------------------------------------------- */

/* The one that has the id, or else the only one that may be meant. NULL: there is none, or (with
 * `ret_fitting` above 1) several. */
static const struct keyring_key *find(const struct keyring *keyring, enum jws_algorithm algorithm,
                                      struct span key_id, size_t *ret_fitting) {
    const struct keyring_key *found = NULL;
    *ret_fitting = 0;
    for (size_t i = 0; i < keyring->key_count; i++) {
        const struct keyring_key *key = &keyring->keys[i];
        if ((key->algorithms & (1U << algorithm)) == 0) {
            continue;
        }
        if (key_id.length > 0 && span_is_equal(key_id, span_of(key->id, key->id_length))) {
            return key;
        }
        if (key_id.length == 0 || key->id == NULL) {
            found = key;
            (*ret_fitting)++;
        }
    }
    return *ret_fitting == 1 ? found : NULL;
}

enum error_code keyring_verify(const struct keyring *keyring, enum jws_algorithm algorithm,
                               struct span key_id, struct span signed_text, struct span signature,
                               struct error *why) {
    INVARIANT(algorithm < JWS_COUNT);
    size_t fitting;
    const struct keyring_key *key = find(keyring, algorithm, key_id, &fitting);
    if (key == NULL && fitting > 1) {
        return error_set(why, ERR_UNAUTHORIZED,
                         "header kid: names none of %zu keys that fit header alg", fitting);
    }
    if (key == NULL && key_id.length == 0) {
        return error_set(why, ERR_NOT_FOUND, "header kid: is missing, and no key fits header alg");
    }
    if (key == NULL) {
        int shown = key_id.length > SHOWN_BYTES_MAX ? SHOWN_BYTES_MAX : (int)key_id.length;
        return error_set(why, ERR_NOT_FOUND, "header kid: no key `%.*s` is known for header alg",
                         shown, (const char *)key_id.bytes);
    }
    return verifiers[algorithm](key, signed_text, signature)
               ? OK
               : error_set(why, ERR_UNAUTHORIZED, "the signature of the token is wrong");
}
