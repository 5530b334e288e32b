/* SPDX-License-Identifier: Apache-2.0 */
/* breaker.h — whether an endpoint that keeps failing is tried at all.
 *
 * Place:   of sink.c, beside the ledger, which keeps its state over a restart.
 * Thread:  pure; no clock.
 * Bounds:  the struct.
 *
 * Closed: everything goes. It opens at BREAKER_FAILURES failures in a row, or when of the last
 * BREAKER_SAMPLE shipments as many as BREAKER_PERCENT failed; then nothing goes until a time that
 * doubles with each trip, from BREAKER_WAIT_MS to BREAKER_WAIT_MS_MAX, give or take a fifth. Half
 * open: one shipment, the probe; it closes the breaker or opens it again. Time in the open state
 * burns no attempts, and neither does a probe that nobody answers.
 *
 * Behind an outage the endpoint is on trial until it has taken BREAKER_SAMPLE shipments: one that
 * comes and goes would else burn attempts in each closed phase. Not kept over a restart, which so
 * costs an attempt at most.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/macros.h"
#include "protocols/sinks/ledger.h"

#define BREAKER_FAILURES 5
#define BREAKER_SAMPLE 20
#define BREAKER_PERCENT 70
#define BREAKER_WAIT_MS 5000
#define BREAKER_WAIT_MS_MAX 300000

struct breaker {
    enum ledger_breaker state;
    uint32_t trips;    /* in a row */
    uint32_t failures; /* in a row */
    uint32_t sample;   /* bits: the last BREAKER_SAMPLE shipments, 1: failed */
    uint32_t sample_size;
    uint32_t trial;    /* shipments that it has still to take; 0: not on trial */
    bool has_probe;    /* under way */
    uint64_t until_ms; /* of the open state; wall clock, as all times here */
};

void breaker_init(struct breaker *breaker);
void breaker_restore(struct breaker *breaker, const struct ledger *ledger);
void breaker_keep(const struct breaker *breaker, struct ledger *ledger);

/* How many shipments may begin now: 0, 1 (the probe) or SIZE_MAX. Turns open to half open when it
 * is time. */
size_t breaker_room(struct breaker *breaker, uint64_t now_ms);

/* One began. True: it is the probe, which its owner remembers until it has settled. One that began
 * without room (the breaker opened while a round of shipments was begun) is none. */
MUST_USE bool breaker_on_shipped(struct breaker *breaker);

/* One settled. True: the state has changed, which is worth an event. Of those that are no probe
 * nothing counts unless the breaker is closed: they began before it opened. `random`: any number,
 * for the jitter; `retry_after_ms`: 0, or how long the endpoint asked to be left alone (then it
 * opens at least so long when it opens). */
bool breaker_on_success(struct breaker *breaker, bool is_probe);
bool breaker_on_failure(struct breaker *breaker, bool is_probe, uint64_t now_ms,
                        uint64_t retry_after_ms, uint64_t random);

/* Nothing waits, so there is nothing to ask with: it is closed, and on trial. True: it was not. */
bool breaker_on_idle(struct breaker *breaker);

/* It failed not long ago, and has not taken enough since to count as back. */
bool breaker_is_on_trial(const struct breaker *breaker);

/* It came back and says nothing; of the probe: another one may go. */
void breaker_on_abandoned(struct breaker *breaker, bool is_probe);
