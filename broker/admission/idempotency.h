/* SPDX-License-Identifier: Apache-2.0 */
/* idempotency.h — what a publish with an idempotency key is known by when it comes again.
 *
 * Place:   called by protocols/; the result is message_fields.idempotency_hash of the first message
 *          of a publish, and the log finds repeats by it.
 * Thread:  pure.
 * Bounds:  none of its own; IDEMPOTENCY_KEY_BYTES_MAX is for the caller to check.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

/* First the hash of scope and key, then that of the body. */
#define IDEMPOTENCY_KEY_HASH_BYTES 32
#define IDEMPOTENCY_HASH_BYTES 64

/* The scope of all who publish without credentials. */
#define IDEMPOTENCY_SCOPE_ANONYMOUS "anonymous"

/* SHA-256 (FIPS 180-4) of scope (the caller's identity; may be empty) and key, and SHA-256 of the
 * parts, each with its length before it: no two lists of strings are hashed alike. The parts are
 * all that a repeat must have in common with the first: channels, payloads, fields. Any part may be
 * empty. ERR_INTERNAL: OpenSSL has no SHA-256, or no memory for it. */
MUST_USE enum error_code idempotency_hash(struct span scope, struct span key,
                                          const struct span *parts, size_t part_count,
                                          uint8_t ret_hash[IDEMPOTENCY_HASH_BYTES]);
