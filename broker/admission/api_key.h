/* SPDX-License-Identifier: Apache-2.0 */
/* api_key.h — secrets that programs present: known here by their SHA-256 alone.
 *
 * Place:   called by policy.h. `tidings key` (clients/cli/key.c) makes them.
 * Thread:  pure.
 * Bounds:  TOKEN_BYTES_MAX of a key, for the caller to check.
 *
 * A key is any bytes, for an operator may bring one; those that are made are `tdk_` and 32 random
 * bytes in base64url, so that a scanner of repositories finds what was published by mistake. One
 * round of SHA-256 is enough for such, which nobody can guess; it is no way to keep a password.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

#define API_KEY_HASH_BYTES 32

/* ERR_INTERNAL: OpenSSL has no SHA-256, or no memory for it. */
MUST_USE enum error_code api_key_hash(struct span key, uint8_t ret_hash[API_KEY_HASH_BYTES]);

/* "sha256:<64 hexadecimal digits>". False: it is none. */
MUST_USE bool api_key_parse_hash(struct span text, uint8_t ret_hash[API_KEY_HASH_BYTES]);

/* How long it takes tells nothing of where they differ. */
bool api_key_is_same(const uint8_t left[API_KEY_HASH_BYTES],
                     const uint8_t right[API_KEY_HASH_BYTES]);
