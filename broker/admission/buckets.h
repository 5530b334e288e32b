/* SPDX-License-Identifier: Apache-2.0 */
/* buckets.h — the token buckets of channels, found by name and forgotten when they are full.
 *
 * Place:   broker/runtime/throttle.c, for channels whose rule has a publish_rate.
 * Thread:  any, without a lock: a place is a name's hash and a bucket, two atomic numbers.
 * Bounds:  CHANNEL_BUCKETS buckets of 16 bytes; what was never used takes no memory.
 *
 * A channel has a bucket only while something is missing in it: a full one is given to the next
 * that comes. A name has CHANNEL_BUCKET_WAYS places, and where all of them are in use it takes the
 * fullest over with what is missing there, so that nobody gains by publishing to many channels.
 * Two threads that look for a new name at the same moment may make two buckets of it, or take one
 * for two names; the first lets a burst more pass, and the second is over with the next look.
 */
#pragma once

#include "broker/admission/allowance.h"
#include "broker/support/error.h"
#include "broker/support/span.h"

struct buckets;

/* ERR_MEMORY. */
MUST_USE enum error_code buckets_create(struct buckets **ret_buckets);
void buckets_destroy(struct buckets *buckets);

/* The bucket of a channel, with its scope; it is there until the table ends, but may be another
 * channel's when it is full. `now_us` as in allowance_take(). */
struct allowance *buckets_find(struct buckets *buckets, struct span channel, uint64_t now_us);

/* The same for what is given back. NULL: it was forgotten since, and nothing is missing in it. */
struct allowance *buckets_find_kept(struct buckets *buckets, struct span channel);
