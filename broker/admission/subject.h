/* SPDX-License-Identifier: Apache-2.0 */
/* subject.h — the subjects of client certificates, as RFC 4514 writes them.
 *
 * Place:   called by policy.h.
 * Thread:  pure.
 * Bounds:  none of its own: matching takes the product of both lengths at most.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/macros.h"
#include "broker/support/span.h"

/* Does the pattern, a subject in which `*` is any text within one value, fit the subject? The `*`
 * never reaches over a `,` or `+` that stands for itself: "CN=a*,O=Example" does not fit
 * "CN=a,O=Other,O=Example". */
bool subject_matches(struct span pattern, struct span subject);

/* The value of the first CN, still escaped. Empty: there is none. A part of `subject`. */
struct span subject_common_name(struct span subject);

/* Writes the value without its escapes, into as many bytes as it has. False: it is broken. */
MUST_USE bool subject_unescape(struct span value, uint8_t *ret_bytes, size_t *ret_length);
