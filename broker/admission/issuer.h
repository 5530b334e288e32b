/* SPDX-License-Identifier: Apache-2.0 */
/* issuer.h — one row of auth.jwt with the files that it names.
 *
 * Place:   part of policy.h, which shows it as struct policy_issuer.
 * Thread:  immutable once made.
 * Bounds:  KEY_FILE_BYTES_MAX of each file.
 */
#pragma once

#include "broker/admission/key_file.h"
#include "broker/admission/policy.h"
#include "broker/admission/row.h"

struct issuer {
    struct policy_issuer shown; /* its texts are the issuer's */
    char source[ROW_SOURCE_BYTES];
    struct key_file key;
    struct key_file jwks;
    struct grants *rights;
};

/* Into zeroed memory. What fails leaves an issuer that issuer_finish() takes. ERR_CONFIG: a file
 * cannot be read, or holds no key for the row's algorithms; ERR_MEMORY. */
MUST_USE enum error_code issuer_init(struct issuer *issuer, const struct auth_issuer *row,
                                     size_t index, struct error *why);

/* Wipes what is secret. */
void issuer_finish(struct issuer *issuer);
