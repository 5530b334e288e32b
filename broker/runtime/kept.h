/* SPDX-License-Identifier: Apache-2.0 */
/* kept.h — bytes that a socket did not take, in their order, until it does.
 *
 * Place:   of broker/runtime/connection.c.
 * Thread:  its worker's.
 * Bounds:  what one write or one frame leaves over, whose size its maker bounds.
 *
 * Made when a socket takes less than it was given: seldom, so it is apart. Nothing is moved in it:
 * what is large leaves in many pieces.
 */
#pragma once

#include <stddef.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct kept;

/* Makes it of the memory of `bytes`, of which so much is sent; `bytes` is empty behind it.
 * ERR_MEMORY: nothing happened. */
MUST_USE enum error_code kept_create(struct buffer *bytes, size_t sent, struct kept **ret_kept);

/* Appends a copy; makes it where *kept is NULL. ERR_MEMORY. */
MUST_USE enum error_code kept_put(struct kept **kept, struct span bytes);

/* What has not left; of NULL, nothing. Valid until the next call on it. */
struct span kept_rest(const struct kept *kept);

/* So much more has left. */
void kept_drop(struct kept *kept, size_t sent);

/* Accepts NULL. */
void kept_destroy(struct kept *kept);
