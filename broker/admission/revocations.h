/* SPDX-License-Identifier: Apache-2.0 */
/* revocations.h — which tokens are no good although they have not expired: a thread's own set.
 *
 * Place:   each access (broker/runtime/access.h) has one and asks it for each token;
 *          broker/runtime/revoking.h has one that is stored, and of which all others are told.
 * Thread:  its owner's. An entry that is in no set: whoever has it.
 * Bounds:  REVOCATIONS_MAX entries, each until its own end. The order of their ends is reserved for
 *          all of them at the beginning, 8 bytes each, of which pages that were not used take none.
 *
 * So an entry that was made before is put without memory: who is told of a revocation that others
 * know already cannot have none for it.
 *
 * A subject or a tenant is revoked for what was issued up to a moment: who logs in again afterwards
 * is welcome. Clocks differ, and an issuer's that is ahead says of a token that was issued before
 * that it was issued afterwards. So the moment is not before the `iat` of any token that was taken
 * until then (accounts_latest_issue_s()); and a token that nobody saw until then is held to be
 * issued before while its `iat` is still to come.
 *
 * A `jti` is of one token alone, and no two issuers give the same one (RFC 7519, section 4.1.7):
 * without a tenant it is that of any. Two subjects of the same name in two tenants are two.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/admission/identity.h"
#include "broker/limits.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

/* X(kind, name of the member in POST /api/v1/revoke, bytes at most) */
#define REVOCATION_TABLE(X)                                                                        \
    X(REVOCATION_TOKEN, "jti", TOKEN_ID_BYTES_MAX)                                                 \
    X(REVOCATION_SUBJECT, "sub", SUBJECT_BYTES_MAX)                                                \
    X(REVOCATION_TENANT, "tenant", TENANT_BYTES_MAX)

enum revocation_kind {
#define REVOCATION(kind, name, bytes_max) kind,
    REVOCATION_TABLE(REVOCATION)
#undef REVOCATION
        REVOCATION_COUNT
};

/* "jti"; and the longest value. */
const char *revocation_kind_name(enum revocation_kind kind);
size_t revocation_value_bytes_max(enum revocation_kind kind);

struct revocation {
    enum revocation_kind kind;
    struct span value;
    struct span tenant; /* whose subject or token; empty: of no tenant, and of a token: of any.
                         * Means nothing where the value is a tenant */
    uint64_t revoked_s; /* tokens issued up to then; one that does not say when it was counts */
    uint64_t until_s;   /* the entry ends: every such token has expired by then */
};

/* Which revocation it is, as bytes: kind, tenant, value. Names it in the log's storage too. Returns
 * how many. */
#define REVOCATION_KEY_BYTES_MAX (2 + TENANT_BYTES_MAX + SUBJECT_BYTES_MAX)
size_t revocation_put_key(const struct revocation *revocation,
                          uint8_t ret_key[REVOCATION_KEY_BYTES_MAX]);

/* The other way round; spans are parts of the key, and times are not told. False: it is none. */
MUST_USE bool revocation_parse_key(struct span key, struct revocation *ret_revocation);

/* Does this one alone revoke it? Keys and certificates of the configuration never are revoked: they
 * end with their row. */
bool revocation_is_of(const struct revocation *revocation, const struct identity *identity,
                      uint64_t now_s);

/* One that is in a set, or will be. */
struct revocation_entry;

/* Copies it. NULL: out of memory. */
struct revocation_entry *revocation_entry_create(const struct revocation *revocation);

/* One that is in no set. Accepts NULL. */
void revocation_entry_destroy(struct revocation_entry *entry);

/* What it says; spans are parts of the entry. */
struct revocation revocation_entry_describe(const struct revocation_entry *entry);

struct revocations;

/* NULL: out of memory. */
struct revocations *revocations_create(void);

/* Accepts NULL. */
void revocations_destroy(struct revocations *revocations);

/* The set owns the entry from now on; a later one of the same kind, value and tenant takes the
 * place of the first. There is room: the set has fewer than REVOCATIONS_MAX, or one like it. */
void revocations_put_entry(struct revocations *revocations, struct revocation_entry *entry);

/* The same with a copy. ERR_FULL, ERR_MEMORY. */
MUST_USE enum error_code revocations_put(struct revocations *revocations,
                                         const struct revocation *revocation);

/* Takes one out, which is the caller's then; times mean nothing. NULL: it is not there. */
struct revocation_entry *revocations_take(struct revocations *revocations,
                                          const struct revocation *revocation);

/* Takes one out, and frees it. False: it is not there. */
bool revocations_lift(struct revocations *revocations, const struct revocation *revocation);

/* The one of that kind, value and tenant, its spans borrowed. False: there is none. */
MUST_USE bool revocations_find(const struct revocations *revocations,
                               const struct revocation *revocation,
                               struct revocation *ret_revocation);

/* Is it revoked by any? */
bool revocations_have(const struct revocations *revocations, const struct identity *identity,
                      uint64_t now_s);

/* The one that ends first, its spans borrowed. False: there is none. */
MUST_USE bool revocations_first(const struct revocations *revocations,
                                struct revocation *ret_revocation);

/* Forgets those that have ended. */
void revocations_expire(struct revocations *revocations, uint64_t now_s);

size_t revocations_count(const struct revocations *revocations);

/* Calls on_revocation for each, in no order; it must not change the set. */
void revocations_each(const struct revocations *revocations,
                      void (*on_revocation)(void *context, const struct revocation *revocation),
                      void *context);
