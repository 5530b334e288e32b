/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/breaker.h"

#include <assert.h>

#include "broker/support/invariant.h"

#define DOUBLINGS_MAX 16
#define JITTER_PERCENT 20

static_assert(BREAKER_SAMPLE < 32, "a bit a shipment");
static_assert(((uint64_t)BREAKER_WAIT_MS << DOUBLINGS_MAX) >= BREAKER_WAIT_MS_MAX,
              "the longest wait is reached");

void breaker_init(struct breaker *breaker) {
    *breaker = (struct breaker){.state = LEDGER_CLOSED};
}

void breaker_restore(struct breaker *breaker, const struct ledger *ledger) {
    bool is_closed = ledger->breaker == LEDGER_CLOSED;
    *breaker = (struct breaker){.state = is_closed ? LEDGER_CLOSED : LEDGER_OPEN,
                                .trips = ledger->breaker_trips,
                                .trial = is_closed ? 0 : BREAKER_SAMPLE,
                                .until_ms = is_closed ? 0 : ledger->breaker_until_ms};
}

void breaker_keep(const struct breaker *breaker, struct ledger *ledger) {
    ledger->breaker = breaker->state == LEDGER_CLOSED ? LEDGER_CLOSED : LEDGER_OPEN;
    ledger->breaker_trips = breaker->trips;
    ledger->breaker_until_ms = breaker->until_ms;
}

size_t breaker_room(struct breaker *breaker, uint64_t now_ms) {
    if (breaker->state == LEDGER_OPEN && now_ms >= breaker->until_ms) {
        breaker->state = LEDGER_HALF_OPEN;
        breaker->has_probe = false;
    }
    switch (breaker->state) {
    case LEDGER_CLOSED:
        return SIZE_MAX;
    case LEDGER_OPEN:
        return 0;
    case LEDGER_HALF_OPEN:
        return breaker->has_probe ? 0 : 1;
    }
    INVARIANT(!"a state that is not in the table");
}

bool breaker_on_shipped(struct breaker *breaker) {
    bool is_probe = breaker->state == LEDGER_HALF_OPEN && !breaker->has_probe;
    breaker->has_probe |= is_probe;
    return is_probe;
}

static void sample(struct breaker *breaker, bool has_failed) {
    const uint32_t mask = (UINT32_C(1) << BREAKER_SAMPLE) - 1;
    breaker->sample = (breaker->sample << 1 | has_failed) & mask;
    breaker->sample_size += breaker->sample_size < BREAKER_SAMPLE;
    breaker->failures = has_failed ? breaker->failures + 1 : 0;
}

static bool is_too_bad(const struct breaker *breaker) {
    unsigned failed = (unsigned)__builtin_popcount(breaker->sample);
    return breaker->failures >= BREAKER_FAILURES ||
           (breaker->sample_size == BREAKER_SAMPLE &&
            failed * 100 >= BREAKER_SAMPLE * BREAKER_PERCENT);
}

/* Doubled with each trip, and spread, so that the sinks of one endpoint do not come together. */
static uint64_t wait_ms(uint32_t trips, uint64_t random) {
    uint32_t doublings = trips - 1 < DOUBLINGS_MAX ? trips - 1 : DOUBLINGS_MAX;
    uint64_t wait = (uint64_t)BREAKER_WAIT_MS << doublings;
    wait = wait < BREAKER_WAIT_MS_MAX ? wait : BREAKER_WAIT_MS_MAX;
    uint64_t spread = wait * JITTER_PERCENT / 100;
    return wait - spread + random % (2 * spread + 1);
}

static void trip(struct breaker *breaker, uint64_t now_ms, uint64_t retry_after_ms,
                 uint64_t random) {
    breaker->trips += breaker->trips < UINT32_MAX;
    uint64_t wait = wait_ms(breaker->trips, random);
    breaker->state = LEDGER_OPEN;
    breaker->until_ms = now_ms + (wait > retry_after_ms ? wait : retry_after_ms);
    breaker->has_probe = false;
    breaker->trial = BREAKER_SAMPLE;
    breaker->failures = breaker->sample = breaker->sample_size = 0;
}

bool breaker_on_success(struct breaker *breaker, bool is_probe) {
    if (breaker->state == LEDGER_CLOSED) {
        breaker->trips = 0;
        breaker->trial -= breaker->trial > 0;
        sample(breaker, false);
        return false;
    }
    if (!is_probe) {
        return false;
    }
    uint32_t trial = breaker->trial;
    breaker_init(breaker);
    breaker->trial = trial;
    return true;
}

bool breaker_on_failure(struct breaker *breaker, bool is_probe, uint64_t now_ms,
                        uint64_t retry_after_ms, uint64_t random) {
    if (breaker->state == LEDGER_CLOSED) {
        sample(breaker, true);
        if (!is_too_bad(breaker)) {
            return false;
        }
    } else if (!is_probe) {
        return false;
    }
    trip(breaker, now_ms, retry_after_ms, random);
    return true;
}

/* Whether the endpoint is back is not known: the next failure opens it at once, for longer. */
bool breaker_on_idle(struct breaker *breaker) {
    bool is_closed = breaker->state == LEDGER_CLOSED;
    if (!is_closed) {
        *breaker = (struct breaker){
            .state = LEDGER_CLOSED, .trips = breaker->trips, .trial = breaker->trial};
    }
    return !is_closed;
}

bool breaker_is_on_trial(const struct breaker *breaker) {
    return breaker->trial > 0;
}

void breaker_on_abandoned(struct breaker *breaker, bool is_probe) {
    if (is_probe && breaker->state == LEDGER_HALF_OPEN) {
        breaker->has_probe = false;
    }
}
