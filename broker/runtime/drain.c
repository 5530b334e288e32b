/* SPDX-License-Identifier: Apache-2.0 */
/* With each beat a worker is owed the part of those who are left that the time since the last beat
 * is of the time that was left then. Both shrink alike, so the pace stays the same, also where
 * beats come late; newcomers raise it. What is less than one connection is carried over in
 * millionths: rounding up would send a few connections away at the beginning, rounding down at the
 * end. */
#include "broker/runtime/drain.h"

#include "broker/runtime/broker.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/wheel.h"

#define DRAIN_PARTS 1000000 /* of one connection */
#define PASSED_MS_MAX 60000 /* between two beats: keeps a product with ten million within 64 bits */

void drain_begin(struct broker *broker, uint64_t over_ms) {
    uint64_t now_ms = clock_monotonic_ms();
    INVARIANT(over_ms <= DRAIN_OVER_MS_MAX);
    if (!atomic_load(&broker->is_draining)) {
        broker->drain_connection_count = atomic_load(&broker->connection_count);
    }
    broker->drain_begun_ms = clock_wall_ms();
    broker->drain_over_ms = over_ms;
    atomic_store(&broker->drain_until_ms, now_ms + over_ms);
    atomic_store(&broker->is_draining, true);
}

void drain_end(struct broker *broker) {
    atomic_store(&broker->drain_until_ms, 0);
    atomic_store(&broker->is_draining, false);
    if (atomic_load(&broker->is_stopping)) { /* the end came meanwhile, and drains for good */
        atomic_store(&broker->is_draining, true);
    }
}

void drain_get_status(const struct broker *broker, struct drain_status *ret_status) {
    *ret_status = (struct drain_status){
        .is_draining = atomic_load(&broker->is_draining),
        .has_time = atomic_load(&broker->drain_until_ms) != 0,
        .connection_count = atomic_load(&broker->connection_count),
        .connection_count_first = broker->drain_connection_count,
        .begun_ms = broker->drain_begun_ms,
        .over_ms = broker->drain_over_ms,
    };
}

void drain_count_due(struct drain_pace *pace, uint64_t until_ms, uint64_t now_ms, uint64_t untold) {
    uint64_t before_ms = pace->counted_ms == 0 ? now_ms : pace->counted_ms;
    uint64_t passed_ms = now_ms - before_ms < PASSED_MS_MAX ? now_ms - before_ms : PASSED_MS_MAX;
    if (until_ms == 0) {
        *pace = (struct drain_pace){0};
        return;
    }
    pace->counted_ms = now_ms;
    if (now_ms + WHEEL_TICK_MS >= until_ms || pace->due >= untold) {
        pace->due = untold;
        pace->credit = 0;
        return;
    }
    pace->credit += (untold - pace->due) * DRAIN_PARTS * passed_ms / (until_ms - before_ms);
    pace->due += pace->credit / DRAIN_PARTS;
    pace->credit %= DRAIN_PARTS;
    pace->due = pace->due < untold ? pace->due : untold;
}
