/* SPDX-License-Identifier: Apache-2.0 */
/* allowance.h — a token bucket: so many units a second, and what was saved up of one burst.
 *
 * Place:   one in each connection and account; asked through broker/runtime/throttle.h.
 * Thread:  any, without a lock: the whole bucket is one atomic number.
 * Bounds:  8 bytes.
 *
 * The number is the moment at which the bucket is full again (GCRA: ITU-T I.371, Annex A). Taking n
 * units moves it n/rate further, and is refused where it would come to stand more than burst/rate
 * ahead of now. So in no stretch of t seconds are more than burst + rate × t units given out, and
 * nothing has to run to fill buckets up.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/support/macros.h"

#define RATE_UNLIMITED UINT64_MAX
#define RATE_MAX 1000000000000          /* a terabyte a second: above it none is held back */
#define ALLOWANCE_UNITS_MAX 10000000000 /* of a burst: × 10^9 fits 64 bits */

/* How fast, and how much at once. Both are above 0. */
struct rate {
    uint64_t units_a_second; /* RATE_UNLIMITED: do not ask */
    uint64_t burst;
};

/* All zero is a full bucket. */
struct allowance {
    atomic_uint_fast64_t full_at; /* thousandths of a microsecond, monotonic */
};

/* What is left, for those who are told of it. */
struct allowance_state {
    uint64_t units_left;
    uint64_t
        wait_us; /* until the units asked for are there; UINT64_MAX: never, more than a burst */
};

/* True: `units` are taken. False: nothing is, and ret_state->wait_us says when there is enough.
 * `now_us` is monotonic and may be late. */
MUST_USE bool allowance_take(struct allowance *allowance, const struct rate *rate, uint64_t units,
                             uint64_t now_us, struct allowance_state *ret_state);

/* Gives back what was taken and not used. */
void allowance_give(struct allowance *allowance, const struct rate *rate, uint64_t units);

/* Nothing is missing in it: it may be forgotten. */
bool allowance_is_full(const struct allowance *allowance, uint64_t now_us);

/* `units_a_second`, and as many at once as come in `burst_ms`, but `burst_min` at least. */
struct rate rate_of(uint64_t units_a_second, uint64_t burst_ms, uint64_t burst_min);
