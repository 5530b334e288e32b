/* SPDX-License-Identifier: Apache-2.0 */
/* accounts.h — what each subject and each tenant has used and may use, over all connections.
 *
 * Place:   one table for the broker; an identity is given its accounts when it is made
 *          (accounts_enroll) and asked for them through broker/runtime/throttle.h.
 * Thread:  any. One mutex, held for one look-up; what an account counts is atomic.
 * Bounds:  accounts that identities hold, and ACCOUNTS_IDLE_MAX that nobody holds (about 256 bytes
 *          each); TENANTS_MAX of tenants, which stay.
 *
 * An account that nobody holds is kept for a while: who comes again with every publish does not
 * find a full bucket each time.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/admission/allowance.h"
#include "broker/admission/identity.h"
#include "broker/limits.h"
#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "broker/support/map.h"

struct accounts;

/* What an account may have at most; UINT64_MAX is no limit. Read at any time by any thread, and set
 * anew at a reload: each number by itself. */
struct quota {
    atomic_uint_fast64_t connections;
    atomic_uint_fast64_t publish_rate;  /* messages a second */
    atomic_uint_fast64_t publish_bytes; /* payloads, a second */
    atomic_uint_fast64_t channels;      /* of a tenant */
    atomic_uint_fast64_t stored_bytes;  /* of a tenant */
};

/* What it has used since the account was made, or since a store of it was read back. */
struct usage {
    atomic_uint_fast64_t published_messages;
    atomic_uint_fast64_t published_bytes;
    atomic_uint_fast64_t refused; /* publishes and connections that a limit of it turned away */
    atomic_uint_fast64_t delivered_messages; /* of a tenant, as are those below: to its streams */
    atomic_uint_fast64_t delivered_bytes;
    atomic_uint_fast64_t connections_peak;
    atomic_uint_fast64_t since_ms; /* wall clock: when counting began */
};

struct account {
    struct quota quota;
    struct usage usage;
    struct allowance messages;
    struct allowance bytes;
    atomic_uint_fast64_t connections; /* open now */
    atomic_uint_fast64_t channels;    /* of a tenant: kept by whoever counts them … */
    atomic_uint_fast64_t stored_bytes;
    uint64_t usage_stored; /* sum of its usage as it was stored last: of whoever stores it */
    bool is_tenant;
    /* What follows is the table's. */
    struct map_node in_accounts;
    struct list in_idle;
    uint64_t holder_count;
    uint64_t latest_issue_s;          /* of a tenant */
    uint8_t key[IDENTITY_HASH_BYTES]; /* of a subject: identity_hash() */
    uint8_t name_length;              /* of a tenant */
    char name[TENANT_BYTES_MAX + 1];  /* … ends with NUL */
};

/* Fills in what a tenant may have: asked once when its account is made, under the table's mutex. */
typedef void accounts_on_tenant(void *context, struct span tenant, struct quota *ret_quota);

/* `subject_quota` is copied: what each subject may have. ERR_MEMORY. */
MUST_USE enum error_code accounts_create(const struct quota *subject_quota,
                                         struct accounts **ret_accounts);

/* No identity is left. Accepts NULL. */
void accounts_destroy(struct accounts *accounts);

/* Before any tenant is known; without it tenants have no limits. */
void accounts_set_on_tenant(struct accounts *accounts, accounts_on_tenant *on_tenant,
                            void *context);

/* Gives a new identity its accounts, which identity_unref() gives back: that of its subject where
 * it has one (everyone and anonymous have none: they are held to limits of connections and
 * addresses), and that of its tenant. ERR_MEMORY; ERR_FULL: TENANTS_MAX. */
MUST_USE enum error_code accounts_enroll(struct accounts *accounts, struct identity *identity);

/* The account of a tenant, made if it is not there; it stays until the end. ERR_MEMORY,
 * ERR_FULL. */
MUST_USE enum error_code accounts_find_tenant(struct accounts *accounts, struct span tenant,
                                              struct account **ret_account);

/* Each tenant's account, under the mutex: in no order, and nothing that waits. */
void accounts_each_tenant(struct accounts *accounts,
                          void (*on_account)(void *context, struct account *account),
                          void *context);

/* The latest `iat` of who was enrolled, of that tenant or, where it is empty, of none: ahead of our
 * clock where its issuer's is. 0: there was none. */
uint64_t accounts_latest_issue_s(struct accounts *accounts, struct span tenant);

/* How many accounts there are, with those that nobody holds. */
uint64_t accounts_count(struct accounts *accounts);

/* One holder less, from identity_unref(). Accepts NULL. */
void account_release(struct account *account);

/* A tenant stores so much less. Never below zero: what was stored before its account could be made
 * was not counted. */
void account_lose_bytes(struct account *account, uint64_t bytes);

/* One more connection of who has these accounts, or one less. NULL: nobody, who has none.
 * False: the account in `ret_full` has as many as its quota lets, and nothing was taken. An account
 * that is also one of `present` (or NULL), whose connection it is until now, is not asked: it has
 * that place. */
MUST_USE bool accounts_take_connection(const struct identity *identity,
                                       const struct identity *present, struct account **ret_full);
void accounts_give_connection(const struct identity *identity);

/* So much was handed to a reader of who is of a tenant. One of the few counters that workers share:
 * once a write. NULL: nobody. */
void accounts_note_delivered(const struct identity *identity, uint64_t messages, uint64_t bytes);
