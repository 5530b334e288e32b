/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/session_owner.h"

#include <assert.h>
#include <string.h>

#include "broker/admission/identity.h"

static_assert(SESSION_OWNER_BYTES <= IDENTITY_HASH_BYTES, "it is a part of the hash");

struct session_owner session_owner_of(const struct identity *identity) {
    struct session_owner owner = {0};
    uint8_t hash[IDENTITY_HASH_BYTES];
    bool is_somebody = identity != NULL && identity->facts.kind != IDENTITY_EVERYONE &&
                       identity->facts.kind != IDENTITY_ANONYMOUS;
    if (is_somebody) {
        identity_hash(identity, hash);
        memcpy(owner.bytes, hash, sizeof(owner.bytes));
    }
    return owner;
}

bool session_owner_is_nobody(const struct session_owner *owner) {
    static const struct session_owner nobody;
    return memcmp(owner->bytes, nobody.bytes, sizeof(nobody.bytes)) == 0;
}

bool session_owner_admits(const struct session_owner *owner, const struct session_owner *claimer) {
    return session_owner_is_nobody(owner) ||
           memcmp(owner->bytes, claimer->bytes, SESSION_OWNER_BYTES) == 0;
}
