/* SPDX-License-Identifier: Apache-2.0 */
/* policy.h — `auth` of the configuration, ready to be asked: keys, issuers, certificates.
 *
 * Place:   made by main and by a reload, swapped whole in broker->policy; asked by
 *          broker/runtime/access.h.
 * Thread:  immutable once made: any thread.
 * Bounds:  AUTH_ROWS_MAX rows of each list, KEY_FILE_BYTES_MAX of each file that a row names.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/admission/identity.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct accounts;
struct config;
struct config_faults;
struct keyring;
struct policy;

/* The signature algorithms of JWS (RFC 7518, section 3.1; RFC 8037). X(algorithm, name) */
#define JWS_TABLE(X)                                                                               \
    X(JWS_HS256, "HS256")                                                                          \
    X(JWS_RS256, "RS256")                                                                          \
    X(JWS_PS256, "PS256")                                                                          \
    X(JWS_ES256, "ES256")                                                                          \
    X(JWS_EDDSA, "EdDSA")

enum jws_algorithm {
#define JWS(algorithm, name) algorithm,
    JWS_TABLE(JWS)
#undef JWS
        JWS_COUNT
};

/* One row of auth.jwt. Texts are the policy's; NULL or empty: not given. */
struct policy_issuer {
    size_t index;         /* in the list: "auth.jwt[0]" */
    const char *source;   /* that, as identity_facts.source has it */
    uint32_t line;        /* of the row, for identity_facts */
    uint64_t fingerprint; /* of the row and of the file behind `key`, for identity_facts */
    const char *issuer;   /* `iss` must be this */
    const char *audience; /* `aud` must hold this */
    const char *jwks;     /* a file's path or a URL of https:// or http:// */
    const char *ca;       /* a file: who may sign the certificate of that URL */
    const char *key;      /* or one key: a path of PEM or JWK, or "base64:…" for HS256 */
    bool is_jwks_url;
    struct span jwks_text;   /* what the file of `jwks` holds; empty of a URL */
    struct span key_text;    /* what the file of `key` holds, or the bytes behind "base64:" */
    struct keyring *keyring; /* of these; NULL: the keys are at a URL */
    unsigned algorithms;     /* bits of 1 << enum jws_algorithm: what a token may be signed with */
    const char *tenant;      /* all its tokens are of this tenant; NULL: the claim says it */
    unsigned given;          /* bits of 1 << enum action: the rights that the row has a list of */
    const struct grants *rights; /* these lists, not bound */
};

/* `auth.webhook`. */
struct policy_webhook {
    const char *url;
    const char *secret; /* NULL: questions are not signed */
    const char *ca;     /* a file: who may sign its certificate; NULL: whom the system believes */
    bool on_connect;
    bool on_subscribe;
    bool on_publish;
    uint64_t timeout_ms;
    uint64_t cache_ms; /* 0: each time */
    bool allows_when_down;
    uint64_t fingerprint; /* for identity_facts of IDENTITY_APPLICATION */
};

/* ERR_CONFIG: a file could not be read, or holds no key for the row's algorithms; ERR_MEMORY. The
 * detail says which, and the field names the row. */
MUST_USE enum error_code policy_create(const struct config *config, struct policy **ret_policy,
                                       struct error *why);

/* Adds a fault for each row that policy_create() would refuse: config_sources.check_files. */
void policy_check(const struct config *config, struct config_faults *faults);

/* Gives the identities of keys and anonymous their accounts, once, before the policy is asked:
 * those of tokens and certificates are enrolled when they are made. ERR_FULL, ERR_MEMORY. */
MUST_USE enum error_code policy_enroll(struct policy *policy, struct accounts *accounts,
                                       struct error *why);

/* One more reference; returns `policy`. */
struct policy *policy_ref(const struct policy *policy);

/* One reference less; the last one frees. Accepts NULL. */
void policy_unref(const struct policy *policy);

/* No credentials are configured: whoever gets in may do everything. */
bool policy_is_open(const struct policy *policy);

/* Who comes without credentials: everyone where the policy is open, anonymous where there is such a
 * rule, else NULL. Borrowed. */
struct identity *policy_anonymous(const struct policy *policy);

/* The key whose hash this is of; compared in constant time with all. NULL: none. Borrowed. */
struct identity *policy_find_key(const struct policy *policy, struct span key);

/* Some key opens the operator's port, so nothing else does. */
bool policy_has_operator(const struct policy *policy);

/* The row of auth.certificates that a verified subject fits, bound to it: a new reference. NULL:
 * none fits, or no memory. `subject` is as RFC 4514 writes it: "CN=device-7,O=Example". It is good
 * until `ends_s` (0: for ever). */
struct identity *policy_identify_certificate(const struct policy *policy, struct span subject,
                                             uint64_t ends_s);

size_t policy_issuer_count(const struct policy *policy);
const struct policy_issuer *policy_issuer_at(const struct policy *policy, size_t index);

/* NULL: the application is not asked. */
const struct policy_webhook *policy_webhook(const struct policy *policy);

/* The row by which somebody came in is there as it was, at whatever place in its list: his streams
 * may go on when the configuration was read again. */
bool policy_is_same_for(const struct policy *policy, const struct identity *identity);

/* There is a row of its kind and name, be it another: who comes again may be let in. */
bool policy_has_place_for(const struct policy *policy, const struct identity *identity);

/* Nothing is other than before: rows, files, webhook, cookie. */
bool policy_is_equal(const struct policy *left, const struct policy *right);
