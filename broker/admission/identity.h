/* SPDX-License-Identifier: Apache-2.0 */
/* identity.h — who somebody is, until when, and what they may do.
 *
 * Place:   made by policy.h and token.h of credentials; held by requests, connections and tickets;
 *          asked by protocols/ before anything is read or published.
 * Thread:  immutable and counted: any thread.
 * Bounds:  SUBJECT_BYTES_MAX, TENANT_BYTES_MAX, TOKEN_ID_BYTES_MAX, the bounds of grants.h.
 *
 * Two layers must both allow: what the identity says of itself (`own`: the claim of a token, the
 * row of a key) and what the configuration lets its kind have at most (`cap`: the row of the
 * issuer). Either may be NULL, which limits nothing; with both NULL all is allowed, `$…` too.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/admission/grants.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct account;

/* X(kind, name) */
#define IDENTITY_KIND_TABLE(X)                                                                     \
    X(IDENTITY_EVERYONE, "everyone")       /* no credentials are configured, or a trusted port */  \
    X(IDENTITY_ANONYMOUS, "anonymous")     /* auth.anonymous */                                    \
    X(IDENTITY_KEY, "key")                 /* auth.keys */                                         \
    X(IDENTITY_TOKEN, "token")             /* auth.jwt */                                          \
    X(IDENTITY_CERTIFICATE, "certificate") /* auth.certificates */                                 \
    X(IDENTITY_APPLICATION, "application") /* auth.webhook said so */

enum identity_kind {
#define IDENTITY_KIND(kind, name) kind,
    IDENTITY_KIND_TABLE(IDENTITY_KIND)
#undef IDENTITY_KIND
        IDENTITY_KIND_COUNT
};

/* "token". */
const char *identity_kind_name(enum identity_kind kind);

/* All spans are copied by identity_create(). */
struct identity_facts {
    enum identity_kind kind;
    struct span subject;     /* empty: none */
    struct span tenant;      /* empty: none */
    struct span token_id;    /* `jti`; empty: none */
    struct span issuer;      /* `iss`, or empty */
    struct span certificate; /* the subject of a client's; empty: none */
    struct span source;      /* the configuration row behind it: "auth.jwt[0]", "auth.keys[2]" */
    uint32_t line;           /* of that row in the file; 0: not known */
    uint64_t fingerprint;    /* of that row: see policy_is_same_for() */
    /* Of IDENTITY_APPLICATION: by which row the broker knew whom the application named. Everyone:
     * it knew nobody. */
    enum identity_kind base_kind;
    uint64_t base_fingerprint;
    uint64_t issued_s;  /* `iat`; 0: not told */
    uint64_t expires_s; /* `exp` with no leeway, or the end of a certificate; 0: never */
};

#define IDENTITY_HASH_BYTES 32

struct identity {
    atomic_uint reference_count;
    struct identity_facts facts;
    struct grants *own; /* bound: owned; NULL: no limit */
    struct grants *cap;
    bool is_operator;               /* may use the operator's port */
    struct account *account;        /* of the subject, for the limits; NULL: none */
    struct account *tenant_account; /* of the tenant; NULL: none */
    uint8_t hash[IDENTITY_HASH_BYTES];
};

/* Takes `own` and `cap` over, also on failure; both are bound. NULL: out of memory. */
struct identity *identity_create(const struct identity_facts *facts, struct grants *own,
                                 struct grants *cap);

/* May do everything; a new reference of one that is there for the process. NULL: out of memory. */
struct identity *identity_create_everyone(void);

/* One more reference; returns `identity`, which may be NULL. */
struct identity *identity_ref(struct identity *identity);

/* One reference less; the last one frees. Accepts NULL. */
void identity_unref(struct identity *identity);

/* "token alice", "key backend", "anonymous": for logs and explanations, cut to the room. */
#define IDENTITY_LABEL_BYTES 96
void identity_format_label(const struct identity *identity, char ret_label[IDENTITY_LABEL_BYTES]);

/* Why it was allowed or refused: one sentence that names the claim or the configuration's row. */
struct ruling {
    bool is_allowed;
    char rule[96];    /* "auth.keys[0].publish", "claim tidings.publish", "" */
    char reason[256]; /* one sentence for the caller: what covers it, or that nothing does */
};

/* May it do that with all of `text`: a checked channel or pattern without its scope? With the rule
 * that says so, or the one that does not. */
void identity_explain(const struct identity *identity, enum action action, struct span text,
                      struct ruling *ret_ruling);

/* The same: OK, or ERR_FORBIDDEN with the sentence. */
MUST_USE enum error_code identity_may(const struct identity *identity, enum action action,
                                      struct span text, struct error *why);

/* For the scope of idempotency keys and the owner of a session: tenant, kind, issuer and subject,
 * each with its length before it, as SHA-256. Everyone and anonymous have the same. */
void identity_hash(const struct identity *identity, uint8_t ret_hash[IDENTITY_HASH_BYTES]);
