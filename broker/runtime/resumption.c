/* SPDX-License-Identifier: Apache-2.0 */
/* A ticket is sealed as RFC 5077, section 4, recommends: AES-256-CBC, then HMAC-SHA256 over it.
 * OpenSSL's own key would be one a context, so that a reload would forget it, and never rotate. */
#include "broker/runtime/resumption.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/limits.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"

#define KEY_BYTES 32
#define IV_BYTES 16
#define CURRENT 0
#define PREVIOUS 1

struct key {
    uint8_t name[RESUMPTION_NAME_BYTES];
    uint8_t cipher[KEY_BYTES];
    uint8_t mac[KEY_BYTES];
    uint64_t made_ms;
    bool is_made;
};

struct resumption {
    pthread_mutex_t lock; /* for `keys` */
    struct key keys[2];
};

static bool make(struct key *key, uint64_t now_ms) {
    struct key made = {.made_ms = now_ms, .is_made = true};
    if (RAND_bytes(made.name, sizeof(made.name)) != 1 ||
        RAND_priv_bytes(made.cipher, sizeof(made.cipher)) != 1 ||
        RAND_priv_bytes(made.mac, sizeof(made.mac)) != 1) {
        return false;
    }
    *key = made;
    OPENSSL_cleanse(&made, sizeof(made));
    return true;
}

struct resumption *resumption_create(uint64_t now_ms) {
    struct resumption *resumption = calloc(1, sizeof(*resumption));
    if (resumption == NULL || !make(&resumption->keys[CURRENT], now_ms)) {
        free(resumption);
        return NULL;
    }
    INVARIANT(pthread_mutex_init(&resumption->lock, NULL) == 0);
    return resumption;
}

void resumption_destroy(struct resumption *resumption) {
    if (resumption != NULL) {
        pthread_mutex_destroy(&resumption->lock);
        OPENSSL_cleanse(resumption->keys, sizeof(resumption->keys));
        free(resumption);
    }
}

static bool is_over(const struct key *key, uint64_t now_ms, uint64_t age_ms) {
    return !key->is_made || now_ms >= key->made_ms + age_ms;
}

/* Under the lock. Without random bytes the old key seals on. */
static void rotate(struct resumption *resumption, uint64_t now_ms) {
    struct key made;
    struct key *keys = resumption->keys;
    if (is_over(&keys[CURRENT], now_ms, RESUMPTION_KEY_AGE_MS) && make(&made, now_ms)) {
        keys[PREVIOUS] = keys[CURRENT];
        keys[CURRENT] = made;
        OPENSSL_cleanse(&made, sizeof(made));
    }
    if (is_over(&keys[PREVIOUS], now_ms, 2 * (uint64_t)RESUMPTION_KEY_AGE_MS)) {
        OPENSSL_cleanse(&keys[PREVIOUS], sizeof(keys[PREVIOUS]));
    }
}

/* A copy of the key with that name, or of the one that seals where `name` is NULL. */
static enum resumption_answer copy(struct resumption *resumption, const uint8_t *name,
                                   uint64_t now_ms, struct key *ret_key) {
    enum resumption_answer answer = RESUMPTION_UNKNOWN;
    pthread_mutex_lock(&resumption->lock);
    rotate(resumption, now_ms);
    for (int i = CURRENT; i <= PREVIOUS && answer == RESUMPTION_UNKNOWN; i++) {
        const struct key *key = &resumption->keys[i];
        if (key->is_made &&
            (name == NULL || CRYPTO_memcmp(name, key->name, RESUMPTION_NAME_BYTES) == 0)) {
            *ret_key = *key;
            answer = i == CURRENT ? RESUMPTION_CURRENT : RESUMPTION_OLD;
        }
    }
    pthread_mutex_unlock(&resumption->lock);
    return answer;
}

enum resumption_answer resumption_find(struct resumption *resumption,
                                       const uint8_t name[RESUMPTION_NAME_BYTES], uint64_t now_ms) {
    struct key key;
    enum resumption_answer answer = copy(resumption, name, now_ms, &key);
    OPENSSL_cleanse(&key, sizeof(key));
    return answer;
}

void resumption_current(struct resumption *resumption, uint64_t now_ms,
                        uint8_t ret_name[RESUMPTION_NAME_BYTES]) {
    struct key key;
    INVARIANT(copy(resumption, NULL, now_ms, &key) == RESUMPTION_CURRENT);
    memcpy(ret_name, key.name, RESUMPTION_NAME_BYTES);
    OPENSSL_cleanse(&key, sizeof(key));
}

static bool set_mac(EVP_MAC_CTX *mac, struct key *key) {
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

/* What SSL_CTX_set_tlsext_ticket_key_evp_cb(3) wants: 1 the ticket is good, 2 good and to be
 * replaced, 0 unknown (a full handshake follows), -1 it cannot be done. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int is_sealing) {
    struct resumption *resumption = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct key key;
    enum resumption_answer answer =
        copy(resumption, is_sealing ? NULL : name, clock_monotonic_ms(), &key);
    if (answer == RESUMPTION_UNKNOWN) {
        return 0;
    }
    bool is_set;
    if (is_sealing) {
        memcpy(name, key.name, sizeof(key.name));
        is_set = RAND_bytes(iv, IV_BYTES) == 1 &&
                 EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv) == 1;
    } else {
        is_set = EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv) == 1;
    }
    is_set = is_set && set_mac(mac, &key);
    OPENSSL_cleanse(&key, sizeof(key));
    return !is_set ? -1 : answer == RESUMPTION_CURRENT || is_sealing ? 1 : 2;
}

enum error_code resumption_serve(struct resumption *resumption, SSL_CTX *context) {
    bool is_set = SSL_CTX_set_app_data(context, resumption) == 1 &&
                  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket) == 1;
    SSL_CTX_set_timeout(context, RESUMPTION_KEY_AGE_MS / 1000);
    return is_set ? OK : ERR_MEMORY;
}
