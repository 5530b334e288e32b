/* SPDX-License-Identifier: Apache-2.0 */
/* keyring.h — the keys that the tokens of one issuer are verified with.
 *
 * Place:   made of the configuration's files and of what an issuer's URL answers; asked by token.h.
 * Thread:  immutable and counted: any thread, also with one key at the same moment (OpenSSL's
 *          EVP_PKEY is only read by a verification).
 * Bounds:  KEY_FILE_BYTES_MAX of text, KEYRING_KEYS_MAX keys.
 *
 * What a key may verify is decided by the key, never by a token: its type names the algorithms
 * (RFC 7518, section 3.1; RFC 8037), and `alg`, `use` and `key_ops` of a JWK narrow them. So a
 * public RSA key is no secret of HS256.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/admission/policy.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct keyring;

#define KEYRING_KEYS_MAX 64 /* that can be used; issuers have two or three at a time */
#define KEYRING_RSA_BITS_MIN 2048
#define KEYRING_RSA_BITS_MAX 8192   /* a signature of 16384 bits takes a millisecond to check */
#define KEYRING_SECRET_BYTES_MIN 32 /* of HS256: RFC 7518, section 3.2 */
#define KEYRING_SECRET_BYTES_MAX 1024
#define SIGNATURE_BYTES_MAX (KEYRING_RSA_BITS_MAX / 8)

/* `text` is what a file or URL holds: a set of JWK (RFC 7517, section 5), one JWK, or a public key
 * or certificate as PEM. Keys of a set that are for something else are passed over. Secrets (`oct`)
 * are refused where `is_public`: whoever can read them could sign. ERR_CONFIG: no such text, a key
 * that is weak, broken or private, or none that verifies anything; ERR_MEMORY. */
MUST_USE enum error_code keyring_create(struct span text, bool is_public,
                                        struct keyring **ret_keyring, struct error *why);

/* Of the bytes of a secret of HS256 alone. ERR_CONFIG: too few or too many; ERR_MEMORY. */
MUST_USE enum error_code keyring_create_secret(struct span secret, struct keyring **ret_keyring,
                                               struct error *why);

/* One more reference; returns `keyring`, which may be NULL. */
struct keyring *keyring_ref(struct keyring *keyring);

/* One reference less; the last one frees. Accepts NULL. */
void keyring_unref(struct keyring *keyring);

size_t keyring_count(const struct keyring *keyring);

/* The algorithms that some key of it verifies: bits of 1 << enum jws_algorithm. */
unsigned keyring_algorithms(const struct keyring *keyring);

/* Is that the signature of `signed_text`? A key without an id fits every id; where the token has
 * none (empty), the one key that has the algorithm is meant. OK; ERR_NOT_FOUND: no key of that id
 * and algorithm is here; ERR_UNAUTHORIZED: the signature is not of it; ERR_MEMORY. */
MUST_USE enum error_code keyring_verify(const struct keyring *keyring, enum jws_algorithm algorithm,
                                        struct span key_id, struct span signed_text,
                                        struct span signature, struct error *why);
