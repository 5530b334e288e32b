/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/allowance.h"

#include <assert.h>

#include "broker/support/invariant.h"

#define NS_A_SECOND 1000000000
#define NS_A_US 1000

/* How long `units` take at that rate, rounded up: the rate is never exceeded. */
static uint64_t time_of(const struct rate *rate, uint64_t units) {
    return (units * NS_A_SECOND + rate->units_a_second - 1) / rate->units_a_second;
}

/* How far ahead of now the bucket may be full: a burst, and what rounding made of it where it is
 * taken in single units, which is less than one of them. */
static uint64_t burst_time(const struct rate *rate) {
    uint64_t slack = time_of(rate, 1) - 1;
    return time_of(rate, rate->burst) + (slack < rate->burst ? slack : rate->burst);
}

/* Of a stretch no longer than a burst, so that the product is no more than that of a burst. */
static uint64_t units_in(const struct rate *rate, uint64_t ns) {
    return ns * rate->units_a_second / NS_A_SECOND;
}

static_assert(ALLOWANCE_UNITS_MAX * (NS_A_SECOND / 10) < UINT64_MAX / 11, "a burst can be timed");

bool allowance_take(struct allowance *allowance, const struct rate *rate, uint64_t units,
                    uint64_t now_us, struct allowance_state *ret_state) {
    INVARIANT(rate->units_a_second > 0);
    INVARIANT(rate->burst > 0);
    uint64_t now = now_us * NS_A_US;
    uint64_t burst = burst_time(rate);
    bool is_never = units > rate->burst;
    uint64_t cost = is_never ? 0 : time_of(rate, units);
    uint64_t full_at = atomic_load_explicit(&allowance->full_at, memory_order_relaxed);
    uint64_t begin, wanted;
    do {
        begin = full_at > now ? full_at : now;
        wanted = begin + cost;
        if (is_never || wanted > now + burst) {
            uint64_t taken = begin - now;
            ret_state->units_left = taken < burst ? units_in(rate, burst - taken) : 0;
            ret_state->wait_us =
                is_never ? UINT64_MAX : (wanted - now - burst + NS_A_US - 1) / NS_A_US;
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&allowance->full_at, &full_at, wanted,
                                                    memory_order_relaxed, memory_order_relaxed));
    ret_state->units_left = units_in(rate, now + burst - wanted);
    ret_state->wait_us = 0;
    return true;
}

void allowance_give(struct allowance *allowance, const struct rate *rate, uint64_t units) {
    uint64_t cost = time_of(rate, units);
    uint64_t full_at = atomic_load_explicit(&allowance->full_at, memory_order_relaxed);
    uint64_t wanted;
    do {
        wanted = full_at > cost ? full_at - cost : 0; /* it may be another's, and new */
    } while (!atomic_compare_exchange_weak_explicit(&allowance->full_at, &full_at, wanted,
                                                    memory_order_relaxed, memory_order_relaxed));
}

bool allowance_is_full(const struct allowance *allowance, uint64_t now_us) {
    return atomic_load_explicit(&allowance->full_at, memory_order_relaxed) <= now_us * NS_A_US;
}

struct rate rate_of(uint64_t units_a_second, uint64_t burst_ms, uint64_t burst_min) {
    if (units_a_second > RATE_MAX) {
        return (struct rate){.units_a_second = RATE_UNLIMITED, .burst = ALLOWANCE_UNITS_MAX};
    }
    uint64_t burst = units_a_second * burst_ms / 1000;
    burst = burst < burst_min ? burst_min : burst;
    return (struct rate){.units_a_second = units_a_second,
                         .burst = burst < ALLOWANCE_UNITS_MAX ? burst : ALLOWANCE_UNITS_MAX};
}
