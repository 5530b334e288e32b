/* SPDX-License-Identifier: Apache-2.0 */
/* Hashed of each string: its length as u64, little-endian, then its bytes. */
#include "broker/admission/idempotency.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdbool.h>

#include "broker/support/invariant.h"

static_assert(IDEMPOTENCY_HASH_BYTES == 2 * IDEMPOTENCY_KEY_HASH_BYTES, "two hashes of one kind");

static bool take(EVP_MD_CTX *context, struct span part) {
    uint8_t length[8];
    for (size_t i = 0; i < sizeof(length); i++) {
        length[i] = (uint8_t)((uint64_t)part.length >> (8 * i));
    }
    return EVP_DigestUpdate(context, length, sizeof(length)) == 1 &&
           (part.length == 0 || EVP_DigestUpdate(context, part.bytes, part.length) == 1);
}

static enum error_code hash(EVP_MD_CTX *context, const struct span *parts, size_t part_count,
                            uint8_t *ret_hash) {
    unsigned length = 0;
    bool is_good = EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; is_good && i < part_count; i++) {
        is_good = take(context, parts[i]);
    }
    if (!is_good || EVP_DigestFinal_ex(context, ret_hash, &length) != 1) {
        return ERR_INTERNAL;
    }
    INVARIANT(length == IDEMPOTENCY_KEY_HASH_BYTES);
    return OK;
}

enum error_code idempotency_hash(struct span scope, struct span key, const struct span *parts,
                                 size_t part_count, uint8_t ret_hash[IDEMPOTENCY_HASH_BYTES]) {
    const struct span names[] = {scope, key};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL) {
        return ERR_INTERNAL;
    }
    enum error_code code = hash(context, names, ARRAY_COUNT(names), ret_hash);
    if (code == OK) {
        code = hash(context, parts, part_count, ret_hash + IDEMPOTENCY_KEY_HASH_BYTES);
    }
    EVP_MD_CTX_free(context);
    return code;
}
