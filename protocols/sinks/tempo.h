/* SPDX-License-Identifier: Apache-2.0 */
/* tempo.h — how many requests at once, and how many a second: finds what a back end can take.
 *
 * Place:   of sink.c.
 * Thread:  pure; no clock.
 * Bounds:  the struct.
 *
 * The window begins at TEMPO_BEGIN and grows by one a window of successes (additive increase), from
 * the start on doubling until the first sign of overload (slow start); a throttled or unanswered
 * shipment halves it, once a round trip (multiplicative decrease). Never below 1, never above the
 * row's `concurrency`; it grows only while it is used up. A token bucket keeps the row's `rate`,
 * with a tenth of a second's worth at once after a silence; Retry-After is a pause.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/sinks/driver.h"

#define TEMPO_BEGIN 2

struct tempo {
    double window;
    size_t window_max;
    size_t under_way;
    bool is_starting;         /* doubles */
    uint64_t full_us;         /* when it was last used up */
    uint64_t halved_us;       /* what shipments that began before say is known already */
    uint64_t rate;            /* a second; UINT64_MAX: none */
    uint64_t next_ns;         /* tempo.c's */
    uint64_t paused_until_us; /* monotonic, as all times here */
};

void tempo_init(struct tempo *tempo, size_t window_max, uint64_t rate);

/* May one more begin? `ret_due_us`, where not: when to ask again; UINT64_MAX: when something has
 * settled. */
bool tempo_may_begin(const struct tempo *tempo, uint64_t now_us, uint64_t *ret_due_us);

/* Each that begins settles, with any outcome. */
void tempo_on_begun(struct tempo *tempo, uint64_t now_us);

/* A shipment that began at `begun_us` has settled. `retry_after_ms` of a throttled one: as far as
 * that is heeded (retries_cut()). */
void tempo_on_settled(struct tempo *tempo, enum outcome outcome, uint64_t begun_us, uint64_t now_us,
                      uint64_t retry_after_ms);

size_t tempo_window(const struct tempo *tempo); /* whole, at least 1 */
