/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/broker/admission/signer.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>

#include "broker/support/base64.h"
#include "broker/support/invariant.h"

static const char *const names[] = {
#define JWS(algorithm, name) [algorithm] = name,
    JWS_TABLE(JWS)
#undef JWS
};

static void put_number(const EVP_PKEY *key, const char *parameter, size_t width, char *ret_text) {
    BIGNUM *number = NULL;
    uint8_t bytes[512];
    INVARIANT(EVP_PKEY_get_bn_param(key, parameter, &number) == 1);
    size_t length = width > 0 ? width : (size_t)BN_num_bytes(number);
    BN_bn2binpad(number, bytes, (int)length);
    BN_free(number);
    ret_text[base64_url_encode(span_of(bytes, length), ret_text)] = '\0';
}

static void write_jwk(struct signer *signer, const char *key_id, const char *more) {
    char first[1024];
    char second[1024];
    char parts[1600] = "";
    if (signer->algorithm == JWS_HS256) {
        first[base64_url_encode(span_of(signer->secret, 32), first)] = '\0';
        snprintf(parts, sizeof(parts), "\"kty\":\"oct\",\"k\":\"%s\"", first);
    } else if (signer->algorithm == JWS_ES256) {
        put_number(signer->key, OSSL_PKEY_PARAM_EC_PUB_X, 32, first);
        put_number(signer->key, OSSL_PKEY_PARAM_EC_PUB_Y, 32, second);
        snprintf(parts, sizeof(parts),
                 "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%.700s\",\"y\":\"%.700s\"", first,
                 second);
    } else if (signer->algorithm == JWS_EDDSA) {
        uint8_t bytes[32];
        size_t length = sizeof(bytes);
        INVARIANT(EVP_PKEY_get_raw_public_key(signer->key, bytes, &length) == 1);
        first[base64_url_encode(span_of(bytes, length), first)] = '\0';
        snprintf(parts, sizeof(parts), "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"", first);
    } else {
        put_number(signer->key, OSSL_PKEY_PARAM_RSA_N, 0, first);
        put_number(signer->key, OSSL_PKEY_PARAM_RSA_E, 0, second);
        snprintf(parts, sizeof(parts), "\"kty\":\"RSA\",\"n\":\"%.700s\",\"e\":\"%.700s\"", first,
                 second);
    }
    snprintf(signer->jwk, sizeof(signer->jwk), "{%s,\"kid\":\"%s\"%s}", parts, key_id, more);
}

void signer_init(struct signer *signer, enum jws_algorithm algorithm, const char *key_id,
                 const char *more) {
    *signer = (struct signer){.algorithm = algorithm};
    if (algorithm == JWS_HS256) {
        snprintf(signer->secret, sizeof(signer->secret), "a secret of thirty-two bytes, ok");
    } else if (algorithm == JWS_ES256) {
        signer->key = EVP_EC_gen("P-256");
    } else if (algorithm == JWS_EDDSA) {
        signer->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    } else {
        signer->key = EVP_RSA_gen(2048);
    }
    write_jwk(signer, key_id, more);
}

void signer_finish(struct signer *signer) {
    EVP_PKEY_free(signer->key);
}

static size_t sign_es256(struct span der, uint8_t *ret_bytes) {
    const uint8_t *next = der.bytes;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &next, (long)der.length);
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), ret_bytes, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), ret_bytes + 32, 32);
    ECDSA_SIG_free(pair);
    return 64;
}

static size_t sign(struct signer *signer, struct span text, uint8_t *ret_bytes) {
    unsigned hmac_length = 0;
    uint8_t bytes[512];
    size_t length = sizeof(bytes);
    if (signer->algorithm == JWS_HS256) {
        HMAC(EVP_sha256(), signer->secret, 32, text.bytes, text.length, ret_bytes, &hmac_length);
        return hmac_length;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options;
    EVP_DigestSignInit(context, &options, signer->algorithm == JWS_EDDSA ? NULL : EVP_sha256(),
                       NULL, signer->key);
    if (signer->algorithm == JWS_PS256) {
        EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
    }
    INVARIANT(EVP_DigestSign(context, bytes, &length, text.bytes, text.length) == 1);
    EVP_MD_CTX_free(context);
    if (signer->algorithm == JWS_ES256) {
        return sign_es256(span_of(bytes, length), ret_bytes);
    }
    memcpy(ret_bytes, bytes, length);
    return length;
}

const char *signer_sign(struct signer *signer, const char *header, const char *payload) {
    uint8_t signature[512];
    size_t at = base64_url_encode(span_of_string(header), signer->token);
    signer->token[at++] = '.';
    INVARIANT(at + BASE64_URL_TEXT_BYTES(strlen(payload)) + 1024 < SIGNER_TEXT_BYTES);
    at += base64_url_encode(span_of_string(payload), signer->token + at);
    size_t length = sign(signer, span_of(signer->token, at), signature);
    signer->token[at++] = '.';
    at += base64_url_encode(span_of(signature, length), signer->token + at);
    signer->token[at] = '\0';
    return signer->token;
}

const char *signer_sign_claims(struct signer *signer, const char *key_id, const char *payload) {
    char header[256];
    snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"%s\"}", names[signer->algorithm],
             key_id);
    return signer_sign(signer, header, payload);
}
