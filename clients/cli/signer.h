/* SPDX-License-Identifier: Apache-2.0 */
/* signer.h — makes tokens: JWS in its compact form (RFC 7515, section 3.1).
 *
 * Place:   token.c.
 * Thread:  main.
 * Bounds:  a key of SIGNER_KEY_BYTES_MAX.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SIGNER_KEY_BYTES_MAX 65536

struct signer;

/* The text of bytes in base64url without padding (RFC 4648, section 5). The caller frees. NULL: out
 * of memory. */
char *signer_encode(const unsigned char *bytes, size_t length);

/* It is the name of an algorithm that signer_create() takes. */
bool signer_knows(const char *algorithm);

/* `key` is a file of a private key as PEM, a file of a secret, or "base64:" and a secret;
 * `algorithm` is a name of RFC 7518 or RFC 8037, or NULL: what the key is for. NULL: it was
 * complained about, and nothing of the key was repeated. */
struct signer *signer_create(const char *key, const char *algorithm);

/* Wipes the key. Accepts NULL. */
void signer_destroy(struct signer *signer);

/* "ES256". */
const char *signer_algorithm(const struct signer *signer);

/* `header`.`claims`.signature, of two texts of JSON. The caller frees. NULL: it was complained
 * about. */
char *signer_sign(const struct signer *signer, const char *header, const char *claims);
