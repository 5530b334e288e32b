/* SPDX-License-Identifier: Apache-2.0 */
/* glance.h — whom the bearer texts were of that came lately, so that a request on a connection
 * that stays costs a look and no SHA-256.
 *
 * Place:   in front of the keys of policy.h and the verified tokens of memo.h, in
 *          broker/runtime/access.h.
 * Thread:  its owner's.
 * Bounds:  GLANCE_ROWS texts of at most GLANCE_TEXT_BYTES_MAX; of two that fall on one row the
 *          later one stays.
 *
 * A row has the text itself: a text is found where every byte of it is the same, and no assumption
 * about a hash lets anybody in. A text is wiped when it goes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/admission/identity.h"
#include "broker/support/span.h"

struct glance;

#define GLANCE_ROWS 1024           /* a power of two; some 0.5 MiB with common tokens */
#define GLANCE_TEXT_BYTES_MAX 2048 /* longer ones are looked up by their hash, as before */

/* NULL: out of memory. */
struct glance *glance_create(void);

/* Accepts NULL. */
void glance_destroy(struct glance *glance);

/* Borrowed until the next call; NULL: not known, or no good any more. `now_ms` is of the wall
 * clock. */
struct identity *glance_find(struct glance *glance, struct span text, uint64_t now_ms);

/* Keeps a copy, with a reference of its own, until then; without memory it is not kept. */
void glance_put(struct glance *glance, struct span text, struct identity *identity,
                uint64_t until_ms);

/* Forgets whom `is_wanted` says; NULL: everybody. */
void glance_forget(struct glance *glance,
                   bool (*is_wanted)(const struct identity *identity, const void *context),
                   const void *context);
