/* SPDX-License-Identifier: Apache-2.0 */
/* jwks.h — the keys of issuers that are at a URL: fetched, kept, fetched again.
 *
 * Place:   told by main which URLs the policy has; asked by access for keys; stands on the courier.
 * Thread:  any, with one mutex that is held for one look-up; what is fetched comes on the
 *          courier's.
 * Bounds:  a row of auth.jwt each, KEY_FILE_BYTES_MAX an answer, JWKS_WAITING_MAX that wait.
 *
 * They are fetched at once, then as long after each time as the answer's max-age says (by default
 * JWKS_REFRESH_MS), and when a token names a key that is not there, but for this no more often than
 * each JWKS_INTERVAL_MS. Old keys stay good while the URL is down: an issuer that is away
 * lets nobody new in, and throws nobody out.
 */
#pragma once

#include <stdint.h>

#include "broker/admission/keyring.h"
#include "broker/runtime/courier.h"
#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "broker/support/mailbox.h"

struct jwks;
struct metrics_shard;
struct policy;
struct policy_issuer;

/* Somebody who waits until keys were fetched. */
struct jwks_wish {
    struct letter letter;
    struct list in_jwks;
    struct mailbox *reply_to;
    void (*on_fetched)(struct jwks_wish *wish); /* on its thread, exactly once: look again */
    void *context;
};

/* `metrics` are the courier's, which has not started. ERR_MEMORY. */
MUST_USE enum error_code jwks_create(struct courier *courier, struct metrics_shard *metrics,
                                     struct jwks **ret_jwks);

/* The courier has stopped. Accepts NULL. */
void jwks_destroy(struct jwks *jwks);

/* Knows the URLs of that policy from now on, and no others; those that are new are fetched at
 * once. ERR_MEMORY. */
MUST_USE enum error_code jwks_follow(struct jwks *jwks, const struct policy *policy);

/* The keys of an issuer that is followed: a reference. NULL: none are known. */
struct keyring *jwks_get(struct jwks *jwks, const struct policy_issuer *issuer);

/* OK: on_fetched follows when the fetch is over that is under way or is begun now. ERR_NOT_FOUND:
 * none may be begun yet, or the issuer is not followed; ERR_BUSY: too many wait. */
MUST_USE enum error_code jwks_ask(struct jwks *jwks, const struct policy_issuer *issuer,
                                  struct jwks_wish *wish);
