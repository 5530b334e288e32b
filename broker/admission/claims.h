/* SPDX-License-Identifier: Apache-2.0 */
/* claims.h — what the claims of a token mean: do they hold now, whose are they, what may they do?
 *
 * Place:   token.h; the lists of rights also of what the application answers (auth.webhook).
 * Thread:  pure.
 * Bounds:  SUBJECT_BYTES_MAX, TENANT_BYTES_MAX, TOKEN_ID_BYTES_MAX, those of grants.h.
 *
 * Times are NumericDate (RFC 7519, section 2); a fraction of a second is let go. Each refusal names
 * its claim, and nothing of what else the token says.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/admission/identity.h"
#include "broker/admission/members.h"
#include "broker/admission/policy.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"

/* A NumericDate, rounded down. False: not a number of seconds since 1970. */
bool claims_parse_time(struct json_value value, uint64_t *ret_time_s);

/* `iss`, `aud`, `exp`, `nbf` and `iat`, with TOKEN_LEEWAY_S. ERR_TOKEN_EXPIRED,
 * ERR_UNAUTHORIZED. */
MUST_USE enum error_code claims_check(struct members *claims, struct span issuer,
                                      const struct policy_issuer *row, uint64_t now_s,
                                      struct error *why);

/* A name of a subject, tenant or token: at most `length_max` bytes and no control character. */
MUST_USE enum error_code claims_check_text(struct span text, const char *name, size_t length_max,
                                           struct error *why);

/* `sub`, `tenant`, `jti` and the times, into what has its kind already. ERR_UNAUTHORIZED. */
MUST_USE enum error_code claims_read_facts(struct members *claims, const struct policy_issuer *row,
                                           struct identity_facts *facts, struct error *why);

/* Lists of patterns by action: `{"publish": ["chat/{sub}"]}`; the sentence begins with `what`. Not
 * bound. ERR_UNAUTHORIZED, ERR_MEMORY. */
MUST_USE enum error_code claims_read_rights(struct json_value value, const char *what,
                                            struct grants **ret_grants, struct error *why);

/* The two layers of the identity: the claim `tidings` below what the row lets its tokens have at
 * most, or exactly the row's lists where there is no such claim. Bound to the subject and tenant of
 * `facts`. ERR_UNAUTHORIZED, ERR_MEMORY. */
MUST_USE enum error_code claims_read_layers(const struct members *claims,
                                            const struct policy_issuer *row,
                                            const struct identity_facts *facts,
                                            struct grants **ret_own, struct grants **ret_cap,
                                            struct error *why);
