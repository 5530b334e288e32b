/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/verify.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_PREFIX "whsec_"
#define SECRET_BYTES_MIN 24
#define SECRET_BYTES_MADE 32
#define SIGNATURE_PREFIX "v1,"
#define DIGEST_BYTES 32
#define SIGNATURE_BYTES 44 /* base64 of a digest */

bool verify_parse_secret(const char *text, struct verify_secret *ret_secret) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789+/";
    unsigned char bytes[VERIFY_SECRET_TEXT_BYTES];
    size_t prefix = strlen(SECRET_PREFIX);
    if (strncmp(text, SECRET_PREFIX, prefix) != 0) {
        return false;
    }
    text += prefix;
    size_t length = strlen(text);
    size_t filled = strspn(text, alphabet);
    size_t padding = length - filled;
    if (length % 4 != 0 || padding > 2 || strspn(text + filled, "=") != padding ||
        length / 4 * 3 > sizeof(bytes)) {
        return false;
    }
    if (EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)length) < 0) {
        return false;
    }
    size_t decoded = length / 4 * 3 - padding;
    bool is_good = decoded >= SECRET_BYTES_MIN && decoded <= VERIFY_SECRET_BYTES_MAX;
    if (is_good) {
        memcpy(ret_secret->bytes, bytes, decoded);
        ret_secret->length = decoded;
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return is_good;
}

bool verify_make_secret(char ret_text[VERIFY_SECRET_TEXT_BYTES]) {
    unsigned char bytes[SECRET_BYTES_MADE];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return false;
    }
    size_t prefix = strlen(SECRET_PREFIX);
    memcpy(ret_text, SECRET_PREFIX, prefix);
    EVP_EncodeBlock((unsigned char *)ret_text + prefix, bytes, sizeof(bytes));
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return true;
}

/* False: the library is out of memory. */
static bool sign(const struct verify_secret *secret, const struct verify_claim *claim,
                 char ret_signature[SIGNATURE_BYTES + 1]) {
    unsigned char digest[DIGEST_BYTES];
    size_t length = 0;
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, secret->bytes, secret->length);
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool is_good = key != NULL && hash != NULL &&
                   EVP_DigestSignInit(hash, NULL, EVP_sha256(), NULL, key) == 1 &&
                   EVP_DigestSignUpdate(hash, claim->id, strlen(claim->id)) == 1 &&
                   EVP_DigestSignUpdate(hash, ".", 1) == 1 &&
                   EVP_DigestSignUpdate(hash, claim->timestamp, strlen(claim->timestamp)) == 1 &&
                   EVP_DigestSignUpdate(hash, ".", 1) == 1 &&
                   EVP_DigestSignUpdate(hash, claim->body, claim->body_length) == 1;
    length = sizeof(digest);
    is_good = is_good && EVP_DigestSignFinal(hash, digest, &length) == 1;
    if (is_good) {
        EVP_EncodeBlock((unsigned char *)ret_signature, digest, sizeof(digest));
    }
    EVP_MD_CTX_free(hash);
    EVP_PKEY_free(key);
    return is_good;
}

/* One of the signatures of the header suffices; those of other versions are passed over. */
static bool is_among(const char *expected, const char *signatures) {
    size_t prefix = strlen(SIGNATURE_PREFIX);
    bool is_found = false;
    while (*signatures != '\0') {
        size_t length = strcspn(signatures, " ");
        if (length == prefix + SIGNATURE_BYTES &&
            strncmp(signatures, SIGNATURE_PREFIX, prefix) == 0) {
            is_found |= CRYPTO_memcmp(signatures + prefix, expected, SIGNATURE_BYTES) == 0;
        }
        signatures += length;
        signatures += strspn(signatures, " ");
    }
    return is_found;
}

/* False: the text is no number of seconds. */
static bool parse_time(const char *text, int64_t *ret_s) {
    char *end = NULL;
    errno = 0;
    long long number = *text >= '0' && *text <= '9' ? strtoll(text, &end, 10) : -1;
    if (number < 0 || errno != 0 || *end != '\0') {
        return false;
    }
    *ret_s = number;
    return true;
}

enum verify_verdict verify_claim(const struct verify_secret *secret,
                                 const struct verify_claim *claim, int64_t now_s) {
    char expected[SIGNATURE_BYTES + 1];
    int64_t signed_s = 0;
    if (claim->id == NULL || claim->timestamp == NULL || claim->signature == NULL) {
        return VERIFY_UNSIGNED;
    }
    if (!parse_time(claim->timestamp, &signed_s)) {
        return VERIFY_MALFORMED;
    }
    if (!sign(secret, claim, expected) || !is_among(expected, claim->signature)) {
        return VERIFY_WRONG; /* before the time: who has not the secret is told nothing else */
    }
    bool is_near = signed_s >= now_s - VERIFY_TOLERANCE_S && signed_s <= now_s + VERIFY_TOLERANCE_S;
    return is_near ? VERIFY_GOOD : VERIFY_STALE;
}

const char *verify_word(enum verify_verdict verdict) {
    static const char *const words[] = {
#define VERIFY_WORD(verdict, word, is_good) [verdict] = word,
        VERIFY_TABLE(VERIFY_WORD)
#undef VERIFY_WORD
    };
    return words[verdict];
}
