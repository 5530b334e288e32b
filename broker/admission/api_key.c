/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/api_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "broker/support/hex.h"

static const struct span PREFIX = {(const uint8_t *)"sha256:", 7};

enum error_code api_key_hash(struct span key, uint8_t ret_hash[API_KEY_HASH_BYTES]) {
    const void *bytes = key.length == 0 ? "" : (const void *)key.bytes;
    unsigned length = 0;
    bool is_good = EVP_Digest(bytes, key.length, ret_hash, &length, EVP_sha256(), NULL) == 1 &&
                   length == API_KEY_HASH_BYTES;
    return is_good ? OK : ERR_INTERNAL;
}

bool api_key_parse_hash(struct span text, uint8_t ret_hash[API_KEY_HASH_BYTES]) {
    uint8_t hash[API_KEY_HASH_BYTES];
    if (text.length != PREFIX.length + 2 * sizeof(hash) || !span_has_prefix(text, PREFIX)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(hash); i++) {
        int high = hex_digit(text.bytes[PREFIX.length + 2 * i]);
        int low = hex_digit(text.bytes[PREFIX.length + 2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        hash[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(ret_hash, hash, sizeof(hash));
    return true;
}

bool api_key_is_same(const uint8_t left[API_KEY_HASH_BYTES],
                     const uint8_t right[API_KEY_HASH_BYTES]) {
    return CRYPTO_memcmp(left, right, API_KEY_HASH_BYTES) == 0;
}
