/* SPDX-License-Identifier: Apache-2.0 */
/* access_private.h — the inside of an access, for the files that are one together.
 *
 * Place:   access.c (who presents what), bearer.c (keys and tokens), questions.c (what is answered
 *          later).
 * Thread:  the access's.
 * Bounds:  see access.h.
 */
#pragma once

#include "broker/admission/glance.h"
#include "broker/admission/keyring.h"
#include "broker/admission/memo.h"
#include "broker/admission/policy.h"
#include "broker/admission/revocations.h"
#include "broker/admission/token.h"
#include "broker/runtime/access.h"
#include "broker/runtime/broker.h"

struct consent;
struct metrics_shard;

struct access {
    struct broker *broker;
    struct metrics_shard *metrics;
    struct identity *everyone;
    struct revocations *revocations;
    struct glance *glance;       /* whom texts were of, before … */
    struct memo *tokens;         /* verified, by the hash of their text */
    struct consent *consent;     /* what the application says */
    const struct policy *policy; /* under which they were; NULL: none yet */
};

/* --- access.c --- */

/* What the broker itself knows. ERR_NOT_FOUND: nobody, though the application may know him;
 * ERR_AGAIN: the keys of `*ret_issuer` are to be fetched first. */
MUST_USE enum error_code access_look(struct access *access, const struct credentials *credentials,
                                     struct identity **ret_identity,
                                     const struct policy_issuer **ret_issuer, struct error *why);

/* The end of each question who somebody is: counts, logs, and finds what is revoked. Takes
 * `identity` over, which is NULL but with OK. */
MUST_USE enum error_code access_conclude(struct access *access,
                                         const struct credentials *credentials,
                                         enum error_code code, struct identity *identity,
                                         struct identity **ret_identity, struct error *why);

/* --- bearer.c --- */

/* Who presents that key or token? As access_look(). */
MUST_USE enum error_code bearer_identify(struct access *access, struct span bearer,
                                         struct identity **ret_identity,
                                         const struct policy_issuer **ret_issuer,
                                         struct error *why);

/* --- questions.c --- */

/* The answer comes through the inquiry: ERR_AGAIN. Else it is there now: `ret_identity`, or why
 * not. `issuer`: whose keys are to be fetched; NULL: the application is to be asked about
 * `identity`, which is taken over (NULL: nobody knows who it is). */
MUST_USE enum error_code question_identify(struct access *access,
                                           const struct credentials *credentials,
                                           const struct policy_issuer *issuer,
                                           struct identity *identity, struct inquiry *inquiry,
                                           struct identity **ret_identity, struct error *why);

/* The same for an action that the application is asked about. */
MUST_USE enum error_code question_permit(struct access *access, struct identity *identity,
                                         enum action action, struct span text,
                                         struct inquiry *inquiry, struct error *why);
