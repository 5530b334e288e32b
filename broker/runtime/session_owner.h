/* SPDX-License-Identifier: Apache-2.0 */
/* session_owner.h — whose a session is, in few enough bytes to be kept with each of a million.
 *
 * Place:   told by protocols/mqtt with a claim; kept and compared by the registry and its records.
 * Thread:  values; pure.
 * Bounds:  SESSION_OWNER_BYTES.
 *
 * It is the first half of identity_hash(). To be taken for another owner somebody would need a name
 * whose hash begins with the same 128 bits: 2^128 names to try.
 *
 * All zeroes is nobody: the session was made by everyone or anonymous, or before there were owners.
 * The next one who is somebody and claims it has it from then on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct identity;

#define SESSION_OWNER_BYTES 16

struct session_owner {
    uint8_t bytes[SESSION_OWNER_BYTES];
};

/* Nobody for everyone, for anonymous and for NULL. */
struct session_owner session_owner_of(const struct identity *identity);

bool session_owner_is_nobody(const struct session_owner *owner);

/* May `claimer` have what is `owner`'s? What is nobody's anyone may. */
bool session_owner_admits(const struct session_owner *owner, const struct session_owner *claimer);
