/* SPDX-License-Identifier: Apache-2.0 */
/* credential.h — what the texts of `auth` and `tenants` must look like.
 *
 * Place:   called by value.h, a check for each type; the rules of channel patterns are added by
 *          yaml.h, which has them handed in.
 * Thread:  pure.
 * Bounds:  none of its own.
 *
 * All give ERR_CONFIG with one sentence that can follow the key's name, and none repeats a secret.
 */
#pragma once

#include "broker/config/config.h"

#define CREDENTIAL_HASH_PREFIX "sha256:"
#define CREDENTIAL_HASH_DIGITS 64
#define CREDENTIAL_BASE64_PREFIX "base64:"

MUST_USE enum error_code credential_check_hash(struct span text, struct error *why);
MUST_USE enum error_code credential_check_key(struct span text, struct error *why);

/* It begins with `http://` or `https://`. */
bool credential_is_url(struct span text);

MUST_USE enum error_code credential_check_url(struct span text, struct error *why);
MUST_USE enum error_code credential_check_location(struct span text, struct error *why);
MUST_USE enum error_code credential_check_tenant(struct span text, struct error *why);
MUST_USE enum error_code credential_check_tenants(struct span text, struct error *why);

/* Of lists, an item each. */
MUST_USE enum error_code credential_check_pattern(struct span text, struct error *why);
MUST_USE enum error_code credential_check_algorithm(struct span text, struct error *why);
MUST_USE enum error_code credential_check_event(struct span text, struct error *why);
