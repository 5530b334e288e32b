/* SPDX-License-Identifier: Apache-2.0 */
/* From a JWKS, a JWK or PEM to keys. What a set holds for other purposes is passed over (RFC 7517,
 * section 5); what claims to be for signatures and is broken or weak is a fault of the whole text,
 * because an issuer's tokens would fail one by one and nobody would know why. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "broker/admission/keyring_private.h"
#include "broker/admission/members.h"
#include "broker/limits.h"
#include "broker/support/base64.h"
#include "broker/support/invariant.h"

#define BIT(algorithm) (1U << (algorithm))
#define P256_BYTES 32
#define ED25519_KEY_BYTES 32
#define RSA_EXPONENT_BITS_MAX 32 /* larger ones only make each check dear */
#define KEY_ID_BYTES_MAX 256

static const char *const jws_names[] = {
#define JWS(algorithm, name) [algorithm] = name,
    JWS_TABLE(JWS)
#undef JWS
};

/* --- making a key ---------------------------------------------------------------------------- */

static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *builder) {
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    bool is_good = params != NULL && context != NULL && EVP_PKEY_fromdata_init(context) == 1 &&
                   EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) == 1;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    if (!is_good) {
        EVP_PKEY_free(key);
    }
    return is_good ? key : NULL;
}

static EVP_PKEY *make_rsa(struct span modulus, struct span exponent) {
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn(modulus.bytes, (int)modulus.length, NULL);
    BIGNUM *e = BN_bin2bn(exponent.bytes, (int)exponent.length, NULL);
    bool is_good = builder != NULL && n != NULL && e != NULL &&
                   OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
                   OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1;
    EVP_PKEY *key = is_good ? make_key("RSA", builder) : NULL;
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    return key;
}

static EVP_PKEY *make_p256(struct span x, struct span y) {
    uint8_t point[1 + 2 * P256_BYTES] = {0x04}; /* uncompressed */
    if (x.length != P256_BYTES || y.length != P256_BYTES) {
        return NULL;
    }
    memcpy(point + 1, x.bytes, P256_BYTES);
    memcpy(point + 1 + P256_BYTES, y.bytes, P256_BYTES);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    bool is_good = builder != NULL &&
                   OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME,
                                                   "prime256v1", 0) == 1 &&
                   OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point,
                                                    sizeof(point)) == 1;
    EVP_PKEY *key = is_good ? make_key("EC", builder) : NULL;
    OSSL_PARAM_BLD_free(builder);
    return key;
}

/* --- what a key may be used for -------------------------------------------------------------- */

static bool is_p256(const EVP_PKEY *key) {
    char group[32];
    size_t length;
    return EVP_PKEY_get_group_name(key, group, sizeof(group), &length) == 1 &&
           (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
}

static enum error_code check_rsa(const EVP_PKEY *key, struct error *why) {
    int bits = EVP_PKEY_get_bits(key);
    BIGNUM *e = NULL;
    bool is_sane = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(e) &&
                   !BN_is_one(e) && BN_num_bits(e) <= RSA_EXPONENT_BITS_MAX;
    BN_free(e);
    if (bits < KEYRING_RSA_BITS_MIN || bits > KEYRING_RSA_BITS_MAX) {
        return error_set(why, ERR_CONFIG, "an RSA key has %d bits; %d to %d are taken", bits,
                         KEYRING_RSA_BITS_MIN, KEYRING_RSA_BITS_MAX);
    }
    return is_sane ? OK
                   : error_set(why, ERR_CONFIG, "an RSA key has an exponent that is not taken");
}

/* The algorithms of a public key by its type. ERR_NOT_FOUND: of none. */
static enum error_code classify(const EVP_PKEY *key, unsigned *ret_algorithms, struct error *why) {
    if (EVP_PKEY_is_a(key, "RSA")) {
        *ret_algorithms = BIT(JWS_RS256) | BIT(JWS_PS256);
        return check_rsa(key, why);
    }
    *ret_algorithms = EVP_PKEY_is_a(key, "EC") && is_p256(key) ? BIT(JWS_ES256)
                      : EVP_PKEY_is_a(key, "ED25519")          ? BIT(JWS_EDDSA)
                                                               : 0;
    return *ret_algorithms != 0
               ? OK
               : error_set(why, ERR_NOT_FOUND,
                           "the key is of no type that is taken: RSA, EC P-256, Ed25519");
}

static struct keyring_key *next_of(struct keyring *keyring, struct error *why) {
    if (keyring->key_count == KEYRING_KEYS_MAX) {
        IGNORE_RESULT(error_set(why, ERR_CONFIG, "there are more than %d keys", KEYRING_KEYS_MAX));
        return NULL;
    }
    return &keyring->keys[keyring->key_count];
}

/* Takes `key` over. */
static enum error_code add_public(struct keyring *keyring, EVP_PKEY *key, unsigned wanted,
                                  struct error *why) {
    struct keyring_key *next = next_of(keyring, why);
    unsigned algorithms = 0;
    enum error_code code = next == NULL ? ERR_CONFIG : classify(key, &algorithms, why);
    if (code == OK && (algorithms & wanted) == 0) {
        code = error_set(why, ERR_CONFIG, "`alg` of a key does not go with its type");
    }
    if (code != OK) {
        EVP_PKEY_free(key);
        return code;
    }
    next->public_key = key;
    next->algorithms = algorithms & wanted;
    keyring->key_count++;
    return OK;
}

static enum error_code add_secret(struct keyring *keyring, struct span secret, struct error *why) {
    struct keyring_key *next = next_of(keyring, why);
    if (next == NULL) {
        return ERR_CONFIG;
    }
    if (secret.length < KEYRING_SECRET_BYTES_MIN || secret.length > KEYRING_SECRET_BYTES_MAX) {
        return error_set(why, ERR_CONFIG, "a secret of HS256 has %zu bytes; %d to %d are taken",
                         secret.length, KEYRING_SECRET_BYTES_MIN, KEYRING_SECRET_BYTES_MAX);
    }
    next->secret = malloc(secret.length);
    if (next->secret == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for a key");
    }
    memcpy(next->secret, secret.bytes, secret.length);
    next->secret_length = secret.length;
    next->algorithms = BIT(JWS_HS256);
    keyring->key_count++;
    return OK;
}

/* --- JWK ------------------------------------------------------------------------------------- */

/* A JWK that is read; `room` holds decoded numbers. */
struct jwk {
    struct members members;
    struct buffer room;
};

static bool take_bytes(struct jwk *jwk, const char *name, struct span *ret_bytes) {
    struct span text;
    size_t before = jwk->room.length;
    if (!members_take(&jwk->members, name, &text) || text.length == 0 ||
        base64_url_put_decoded(&jwk->room, text) != OK) {
        return false;
    }
    *ret_bytes = span_of(jwk->room.bytes + before, jwk->room.length - before);
    return true;
}

/* `use` and `key_ops` (RFC 7517, sections 4.2 and 4.3). */
static bool is_for_verifying(struct jwk *jwk) {
    struct span use;
    if (!members_take(&jwk->members, "use", &use) ||
        (use.length > 0 && !span_is_equal(use, SPAN("sig")))) {
        return false;
    }
    const struct json_value *operations = members_find(&jwk->members, "key_ops");
    if (operations == NULL) {
        return true;
    }
    struct json_walk walk = json_walk_of(*operations);
    struct json_value operation;
    while (json_array_next(&walk, &operation)) {
        if (operation.kind == JSON_KIND_STRING && json_string_is(operation.text, "verify")) {
            return true;
        }
    }
    return false;
}

/* `alg`: all where it is not told, 0 where it is none of ours. */
static unsigned wanted_of(struct jwk *jwk) {
    const struct json_value *alg = members_find(&jwk->members, "alg");
    if (alg == NULL) {
        return ~0U;
    }
    for (size_t i = 0; i < JWS_COUNT; i++) {
        if (alg->kind == JSON_KIND_STRING && json_string_is(alg->text, jws_names[i])) {
            return BIT(i);
        }
    }
    return 0;
}

static bool curve_is(const struct jwk *jwk, const char *name) {
    const struct json_value *curve = members_find(&jwk->members, "crv");
    return curve != NULL && curve->kind == JSON_KIND_STRING && json_string_is(curve->text, name);
}

static enum error_code take_key(EVP_PKEY **ret_key, EVP_PKEY *key, struct error *why) {
    *ret_key = key;
    ERR_clear_error();
    return key != NULL ? OK : error_set(why, ERR_CONFIG, "a key is broken: its numbers are no key");
}

static enum error_code make_public(struct jwk *jwk, struct span type, EVP_PKEY **ret_key,
                                   struct error *why) {
    struct span first = {0};
    struct span second = {0};
    if (members_find(&jwk->members, "d") != NULL) {
        return error_set(why, ERR_CONFIG, "a key is private; only its public half belongs here");
    }
    if (span_is_equal(type, SPAN("RSA"))) {
        bool has = take_bytes(jwk, "n", &first) && take_bytes(jwk, "e", &second);
        return take_key(ret_key, has ? make_rsa(first, second) : NULL, why);
    }
    if (span_is_equal(type, SPAN("EC")) && curve_is(jwk, "P-256")) {
        bool has = take_bytes(jwk, "x", &first) && take_bytes(jwk, "y", &second);
        return take_key(ret_key, has ? make_p256(first, second) : NULL, why);
    }
    if (span_is_equal(type, SPAN("OKP")) && curve_is(jwk, "Ed25519")) {
        bool has = take_bytes(jwk, "x", &first) && first.length == ED25519_KEY_BYTES;
        EVP_PKEY *key =
            has ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, first.bytes, first.length)
                : NULL;
        return take_key(ret_key, key, why);
    }
    return ERR_NOT_FOUND;
}

static enum error_code add_typed(struct keyring *keyring, struct jwk *jwk, struct span type,
                                 bool is_public, struct error *why) {
    unsigned wanted = wanted_of(jwk);
    if (wanted == 0 || !is_for_verifying(jwk)) {
        return ERR_NOT_FOUND;
    }
    if (span_is_equal(type, SPAN("oct"))) {
        struct span secret;
        if (is_public) {
            return error_set(why, ERR_CONFIG, "a secret (`oct`) may not be in a public set");
        }
        if ((wanted & BIT(JWS_HS256)) == 0 || !take_bytes(jwk, "k", &secret)) {
            return error_set(why, ERR_CONFIG, "a secret (`oct`) is broken");
        }
        return add_secret(keyring, secret, why);
    }
    EVP_PKEY *key;
    enum error_code code = make_public(jwk, type, &key, why);
    return code == OK ? add_public(keyring, key, wanted, why) : code;
}

static enum error_code keep_id(struct keyring_key *key, struct span id, struct error *why) {
    if (id.length > KEY_ID_BYTES_MAX) {
        return error_set(why, ERR_CONFIG, "a `kid` is longer than %d bytes", KEY_ID_BYTES_MAX);
    }
    key->id = id.length == 0 ? NULL : malloc(id.length);
    if (key->id == NULL) {
        return id.length == 0 ? OK : error_set(why, ERR_MEMORY, "no memory for a key");
    }
    memcpy(key->id, id.bytes, id.length);
    key->id_length = id.length;
    return OK;
}

/* ERR_NOT_FOUND: it is for something else. */
static enum error_code add_jwk(struct keyring *keyring, struct span text, bool is_public,
                               struct error *why) {
    struct jwk jwk;
    struct span type;
    struct span id;
    enum error_code code = members_read(text, "a key", &jwk.members, why);
    if (code != OK) {
        return code;
    }
    buffer_init(&jwk.room, text.length);
    size_t index = keyring->key_count;
    if (buffer_reserve(&jwk.room, text.length) != OK) {
        code = error_set(why, ERR_MEMORY, "no memory for a key");
    } else if (!members_take(&jwk.members, "kty", &type) ||
               !members_take(&jwk.members, "kid", &id)) {
        code = error_set(why, ERR_CONFIG, "`kty` or `kid` of a key is no string");
    } else {
        code = add_typed(keyring, &jwk, type, is_public, why);
    }
    if (code == OK) {
        INVARIANT(keyring->key_count == index + 1);
        code = keep_id(&keyring->keys[index], id, why);
    }
    if (jwk.room.bytes != NULL) {
        OPENSSL_cleanse(jwk.room.bytes, jwk.room.capacity);
    }
    buffer_finish(&jwk.room);
    members_finish(&jwk.members);
    return code;
}

static enum error_code add_set(struct keyring *keyring, struct json_value keys, bool is_public,
                               struct error *why) {
    struct json_walk walk = json_walk_of(keys);
    struct json_value key;
    if (keys.kind != JSON_KIND_ARRAY) {
        return error_set(why, ERR_CONFIG, "`keys` is no array");
    }
    while (json_array_next(&walk, &key)) {
        enum error_code code = add_jwk(keyring, key.text, is_public, why);
        if (code != OK && code != ERR_NOT_FOUND) {
            return code;
        }
    }
    return OK;
}

static enum error_code add_json(struct keyring *keyring, struct span text, bool is_public,
                                struct error *why) {
    struct members members;
    enum error_code code = members_read(text, "the text", &members, why);
    if (code != OK) {
        return code;
    }
    const struct json_value *keys = members_find(&members, "keys");
    code = keys != NULL ? add_set(keyring, *keys, is_public, why)
                        : add_jwk(keyring, text, is_public, why);
    members_finish(&members);
    return code;
}

/* --- PEM ------------------------------------------------------------------------------------- */

static enum error_code add_pem(struct keyring *keyring, struct span text, struct error *why) {
    BIO *bio = BIO_new_mem_buf(text.bytes, (int)text.length);
    if (bio == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for a key");
    }
    EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    if (key == NULL && BIO_reset(bio) == 1) {
        X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        key = certificate == NULL ? NULL : X509_get_pubkey(certificate);
        X509_free(certificate);
    }
    BIO_free(bio);
    ERR_clear_error();
    return key != NULL ? add_public(keyring, key, ~0U, why)
                       : error_set(why, ERR_CONFIG, "it holds no public key or certificate as PEM");
}

/* --- all ------------------------------------------------------------------------------------- */

static enum error_code finish(struct keyring *keyring, enum error_code code,
                              struct keyring **ret_keyring, struct error *why) {
    if (code == ERR_NOT_FOUND || (code == OK && keyring->key_count == 0)) {
        code = error_set(why, ERR_CONFIG,
                         "no key in it verifies one of HS256, RS256, PS256, ES256, "
                         "EdDSA");
    } else if (code == ERR_BAD_JSON && why != NULL) {
        code = why->code = ERR_CONFIG;
    }
    if (code != OK) {
        keyring_unref(keyring);
        return code == ERR_MEMORY ? code : ERR_CONFIG;
    }
    *ret_keyring = keyring;
    return OK;
}

static struct keyring *begin(struct error *why) {
    struct keyring *keyring = calloc(1, sizeof(*keyring));
    if (keyring == NULL) {
        IGNORE_RESULT(error_set(why, ERR_MEMORY, "no memory for keys"));
        return NULL;
    }
    atomic_init(&keyring->reference_count, 1);
    return keyring;
}

enum error_code keyring_create(struct span text, bool is_public, struct keyring **ret_keyring,
                               struct error *why) {
    if (text.length > KEY_FILE_BYTES_MAX) {
        return error_set(why, ERR_CONFIG, "it is larger than %d bytes", KEY_FILE_BYTES_MAX);
    }
    struct keyring *keyring = begin(why);
    if (keyring == NULL) {
        return ERR_MEMORY;
    }
    bool is_pem = text.length > 10 && memmem(text.bytes, text.length, "-----BEGIN", 10) != NULL;
    return finish(keyring,
                  is_pem ? add_pem(keyring, text, why) : add_json(keyring, text, is_public, why),
                  ret_keyring, why);
}

enum error_code keyring_create_secret(struct span secret, struct keyring **ret_keyring,
                                      struct error *why) {
    struct keyring *keyring = begin(why);
    return keyring == NULL ? ERR_MEMORY
                           : finish(keyring, add_secret(keyring, secret, why), ret_keyring, why);
}
