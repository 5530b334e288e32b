/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/signer.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_PREFIX "base64:"
#define SECRET_BYTES_MIN 32 /* RFC 7518, section 3.2 */
#define COORDINATE_BYTES 32 /* of P-256: RFC 7518, section 3.4 */
#define SIGNATURE_BYTES_MAX 2048

/* What each algorithm needs of a key. */
static const struct algorithm {
    const char *name;
    int key_type;      /* 0: a secret */
    const char *curve; /* NULL: any */
    bool has_digest;   /* Ed25519 hashes by itself */
    bool is_pss;
} algorithms[] = {
    {"HS256", 0, NULL, true, false},
    {"RS256", EVP_PKEY_RSA, NULL, true, false},
    {"PS256", EVP_PKEY_RSA, NULL, true, true},
    {"ES256", EVP_PKEY_EC, "prime256v1", true, false},
    {"EdDSA", EVP_PKEY_ED25519, NULL, false, false},
};

struct signer {
    const struct algorithm *algorithm;
    EVP_PKEY *key;         /* NULL: it is the secret */
    unsigned char *secret; /* as it was read, or decoded in place … */
    size_t secret_length;  /* … so much of it … */
    size_t secret_room;    /* … in so much */
};

static struct signer *complain(struct signer *signer, const char *what) {
    fprintf(stderr, "tidings: --key %s\n", what);
    signer_destroy(signer);
    return NULL;
}

char *signer_encode(const unsigned char *bytes, size_t length) {
    char *text = malloc((length + 2) / 3 * 4 + 1);
    if (text == NULL) {
        return NULL;
    }
    int count = EVP_EncodeBlock((unsigned char *)text, bytes, (int)length);
    while (count > 0 && text[count - 1] == '=') {
        count--;
    }
    text[count] = '\0';
    for (char *letter = text; *letter != '\0'; letter++) {
        *letter = *letter == '+' ? '-' : *letter == '/' ? '_' : *letter;
    }
    return text;
}

bool signer_knows(const char *algorithm) {
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        if (strcmp(algorithms[i].name, algorithm) == 0) {
            return true;
        }
    }
    return false;
}

/* --- the key --------------------------------------------------------------------------------- */

static bool read_file(struct signer *signer, const char *path) {
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        fprintf(stderr, "tidings: --key: %s: %s\n", path, strerrordesc_np(errno));
        return false;
    }
    signer->secret_room = SIGNER_KEY_BYTES_MAX + 1;
    signer->secret = calloc(1, signer->secret_room);
    signer->secret_length =
        signer->secret == NULL ? 0 : fread(signer->secret, 1, signer->secret_room, file);
    bool is_good = signer->secret != NULL && !ferror(file) && signer->secret_length > 0 &&
                   signer->secret_length <= SIGNER_KEY_BYTES_MAX;
    fclose(file);
    if (!is_good) {
        fprintf(stderr, "tidings: --key: %s cannot be read, is empty, or is too large\n", path);
    }
    return is_good;
}

/* Strict about length and padding, as the broker is. */
static bool decode_secret(struct signer *signer, const char *digits) {
    size_t length = strlen(digits);
    signer->secret_room = length + 4;
    signer->secret = calloc(1, signer->secret_room);
    int count = signer->secret == NULL || length % 4 != 0 || length > SIGNER_KEY_BYTES_MAX
                    ? -1
                    : EVP_DecodeBlock(signer->secret, (const unsigned char *)digits, (int)length);
    size_t padding =
        length >= 2 ? (size_t)(digits[length - 1] == '=') + (size_t)(digits[length - 2] == '=') : 0;
    signer->secret_length = count < 0 ? 0 : (size_t)count - padding;
    return count >= 0;
}

static int no_password(char *buffer, int size, int is_writing, void *context) {
    (void)buffer, (void)size, (void)is_writing, (void)context;
    return -1;
}

static bool is_pem(const struct signer *signer) {
    return memmem(signer->secret, signer->secret_length, "-----BEGIN", 10) != NULL;
}

/* NULL, or what is wrong with it. */
static const char *parse_pem(struct signer *signer) {
    BIO *bio = BIO_new_mem_buf(signer->secret, (int)signer->secret_length);
    signer->key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    return signer->key == NULL ? "holds no private key that is read without a password" : NULL;
}

static bool does_fit(const struct signer *signer, const struct algorithm *algorithm) {
    if (signer->key == NULL || algorithm->key_type == 0) {
        return signer->key == NULL && algorithm->key_type == 0;
    }
    char curve[64] = "";
    if (algorithm->curve != NULL) {
        EVP_PKEY_get_group_name(signer->key, curve, sizeof(curve), NULL);
    }
    return EVP_PKEY_get_base_id(signer->key) == algorithm->key_type &&
           (algorithm->curve == NULL || strcmp(curve, algorithm->curve) == 0);
}

/* The first one that the key is for, of that name where one is given. */
static const struct algorithm *choose(const struct signer *signer, const char *name) {
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        bool is_named = name == NULL || strcmp(name, algorithms[i].name) == 0;
        if (is_named && does_fit(signer, &algorithms[i])) {
            return &algorithms[i];
        }
    }
    return NULL;
}

struct signer *signer_create(const char *key, const char *algorithm) {
    struct signer *signer = calloc(1, sizeof(*signer));
    if (signer == NULL) {
        fputs("tidings: out of memory\n", stderr);
        return NULL;
    }
    bool is_secret = strncmp(key, SECRET_PREFIX, strlen(SECRET_PREFIX)) == 0;
    if (is_secret && !decode_secret(signer, key + strlen(SECRET_PREFIX))) {
        return complain(signer, "is no base64 behind `base64:`");
    }
    if (!is_secret && !read_file(signer, key)) {
        signer_destroy(signer);
        return NULL;
    }
    if (!is_secret && is_pem(signer)) {
        const char *wrong = parse_pem(signer);
        if (wrong != NULL) {
            return complain(signer, wrong);
        }
    }
    while (!is_secret && signer->secret_length > 0 &&
           strchr("\r\n", signer->secret[signer->secret_length - 1]) != NULL) {
        signer->secret_length--; /* an editor's, and no part of a secret */
    }
    if (signer->key == NULL && signer->secret_length < SECRET_BYTES_MIN) {
        return complain(signer, "is a secret of less than 32 bytes, which could be guessed");
    }
    signer->algorithm = choose(signer, algorithm);
    return signer->algorithm != NULL ? signer
                                     : complain(signer, "is not a key for that algorithm (--alg)");
}

void signer_destroy(struct signer *signer) {
    if (signer == NULL) {
        return;
    }
    if (signer->secret != NULL) {
        explicit_bzero(signer->secret, signer->secret_room);
    }
    free(signer->secret);
    EVP_PKEY_free(signer->key);
    free(signer);
}

const char *signer_algorithm(const struct signer *signer) {
    return signer->algorithm->name;
}

/* --- signatures ------------------------------------------------------------------------------ */

static bool sign_by_key(const struct signer *signer, const char *text, unsigned char *signature,
                        size_t *length) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_context = NULL;
    const EVP_MD *digest = signer->algorithm->has_digest ? EVP_sha256() : NULL;
    bool is_good = context != NULL &&
                   EVP_DigestSignInit(context, &key_context, digest, NULL, signer->key) == 1;
    if (is_good && signer->algorithm->is_pss) {
        is_good = EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1 &&
                  EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    is_good = is_good && EVP_DigestSign(context, signature, length, (const unsigned char *)text,
                                        strlen(text)) == 1;
    EVP_MD_CTX_free(context);
    return is_good;
}

/* DER's two numbers as two of a fixed width. */
static bool flatten(unsigned char *signature, size_t *length) {
    const unsigned char *cursor = signature;
    ECDSA_SIG *numbers = d2i_ECDSA_SIG(NULL, &cursor, (long)*length);
    const BIGNUM *r = NULL, *s = NULL;
    if (numbers == NULL) {
        return false;
    }
    ECDSA_SIG_get0(numbers, &r, &s);
    bool is_good =
        BN_bn2binpad(r, signature, COORDINATE_BYTES) == COORDINATE_BYTES &&
        BN_bn2binpad(s, signature + COORDINATE_BYTES, COORDINATE_BYTES) == COORDINATE_BYTES;
    ECDSA_SIG_free(numbers);
    *length = 2 * COORDINATE_BYTES;
    return is_good;
}

static bool sign(const struct signer *signer, const char *text, unsigned char *signature,
                 size_t *length) {
    if (signer->key == NULL) {
        unsigned count = 0;
        bool is_good = HMAC(EVP_sha256(), signer->secret, (int)signer->secret_length,
                            (const unsigned char *)text, strlen(text), signature, &count) != NULL;
        *length = count;
        return is_good;
    }
    return sign_by_key(signer, text, signature, length) &&
           (signer->algorithm->curve == NULL || flatten(signature, length));
}

char *signer_sign(const struct signer *signer, const char *header, const char *claims) {
    unsigned char signature[SIGNATURE_BYTES_MAX];
    size_t length = sizeof(signature);
    char *first = signer_encode((const unsigned char *)header, strlen(header));
    char *second = signer_encode((const unsigned char *)claims, strlen(claims));
    char *text = NULL;
    char *token = NULL;
    char *third = NULL;
    if (first == NULL || second == NULL || asprintf(&text, "%s.%s", first, second) < 0) {
        text = NULL;
    }
    if (text != NULL && sign(signer, text, signature, &length)) {
        third = signer_encode(signature, length);
    }
    if (third == NULL || asprintf(&token, "%s.%s", text, third) < 0) {
        fputs("tidings: the token cannot be signed\n", stderr);
        token = NULL;
    }
    free(first);
    free(second);
    free(third);
    free(text);
    return token;
}
