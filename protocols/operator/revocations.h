/* SPDX-License-Identifier: Apache-2.0 */
/* revocations.h — /api/v1/revoke: tokens that are no good any more, from now on and everywhere.
 *
 * Place:   resources of api.c; broker/runtime/revoking.h does it.
 * Thread:  the operator's.
 * Bounds:  LISTING_ROWS_MAX rows; a body of REVOCATIONS_BODY_BYTES_MAX.
 *
 *     {"jti":"t-17"}      {"sub":"alice","tenant":"acme","expires_in":3600}      {"tenant":"acme"}
 *
 *     {"jti":null,"sub":"alice","tenant":"acme","revoked":"…","until":"…"}
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct request;

#define REVOCATIONS_BODY_BYTES_MAX 4096

/* How long at most, and where nobody says how long the tokens live: one that came back by itself
 * would be worse than a set that is full, which is told. */
#define REVOCATION_LONGEST_S 315360000 /* 10 years */

/* POST: one of `jti`, `sub` and `tenant`, the first two with the `tenant` that they are of; and
 * `expires_in` (seconds) or `until` (as `exp` of a token). 200 once it is on the disk and no thread
 * takes such a token any more. ERR_BAD_JSON, ERR_UNPROCESSABLE with the member; ERR_FULL. */
MUST_USE enum error_code revocations_add(struct request *request, struct error *why);

/* DELETE: ?jti=, ?sub= or ?tenant=, as they were given. 204; 404 where none is like that. */
MUST_USE enum error_code revocations_lift_one(struct request *request, struct error *why);

/* GET: ?limit=, ?after= (of the page before). */
MUST_USE enum error_code revocations_list(struct request *request, struct error *why);
