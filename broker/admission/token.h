/* SPDX-License-Identifier: Apache-2.0 */
/* token.h — a JSON Web Token (RFC 7519) as a compact JWS (RFC 7515): from its text to an identity.
 *
 * Place:   broker/runtime/access.h, with the keys of the issuer that the token names.
 * Thread:  pure; a token is its reader's.
 * Bounds:  TOKEN_BYTES_MAX of text, MEMBERS_MAX claims, SIGNATURE_BYTES_MAX.
 *
 *     token_read()     what it says, before anybody knows whether that is true
 *     token_verify()   it is signed by a key of the issuer, with an algorithm of the issuer's row
 *     token_identify() its claims hold now: who that is, and what they may
 *
 * The text has one reading: base64url without padding or left-over bits, no member twice, and
 * nothing in the header that would change what it means (`crit`, `b64`: RFC 7797). The header's
 * `alg` chooses nothing: it must be one of the row's and one of the key's (RFC 8725, section 3.1).
 * Keys that a header brings along (`jwk`, `jku`, `x5c`, `x5u`) are not looked at.
 *
 * Claims: `exp` must be there; `nbf` and `iat` may; `iss` and `aud` as the row says; `sub`, `jti`,
 * `tenant`, and `tidings`, an object of lists of patterns by action.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/admission/identity.h"
#include "broker/admission/keyring.h"
#include "broker/admission/members.h"
#include "broker/admission/policy.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

/* Spans are parts of the text or of the token. */
struct token {
    struct span signed_text; /* header and payload as they were sent */
    struct span signature;
    enum jws_algorithm algorithm;
    struct span key_id; /* empty: none */
    struct span issuer; /* empty: none */
    struct members claims;
    struct buffer room; /* the header, the payload and the signature, decoded; does not move */
};

/* Three parts with dots between them: may it be meant as a token? */
bool token_is_like(struct span text);

/* The text is borrowed and outlives the token, which is to be finished on success alone.
 * ERR_UNAUTHORIZED: it is none, with a sentence; ERR_MEMORY. */
MUST_USE enum error_code token_read(struct span text, struct token *ret_token, struct error *why);

void token_finish(struct token *token);

/* OK; ERR_NOT_FOUND: the key is not in the ring, which may be too old; ERR_UNAUTHORIZED. */
MUST_USE enum error_code token_verify(const struct token *token, const struct policy_issuer *issuer,
                                      const struct keyring *keyring, struct error *why);

/* Of a token that was verified: a new reference. `now_s` is the wall clock's. ERR_TOKEN_EXPIRED,
 * ERR_UNAUTHORIZED with the claim's name, ERR_MEMORY. Asked once of a token. */
MUST_USE enum error_code token_identify(struct token *token, const struct policy_issuer *issuer,
                                        uint64_t now_s, struct identity **ret_identity,
                                        struct error *why);
