/* SPDX-License-Identifier: Apache-2.0 */
/* drain.h — taking a broker out of service while it still serves: readers are told to go, evenly
 * over a time, so that those who take them over are not overrun.
 *
 * Place:   begun and ended by protocols/operator/; each worker keeps its pace (worker.c).
 * Thread:  begin, end and status: the operator's. They meet the workers in broker->is_draining and
 *          broker->drain_until_ms.
 * Bounds:  DRAIN_SLICE connections a turn of a worker's loop; DRAIN_OVER_MS_MAX.
 *
 * While it drains, /readyz says 503 and HTTP answers end their connections; publishes, pages and
 * new connections are served, because a load balancer takes time to notice. Who comes meanwhile is
 * told like the others, and at once when the time is over. The process goes on until SIGTERM.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct broker;

#define DRAIN_OVER_MS_DEFAULT 30000 /* as long as Kubernetes gives a pod between stop and kill */
#define DRAIN_OVER_MS_MAX 3600000   /* longer than any orchestrator waits */
#define DRAIN_SLICE 64              /* goodbyes a turn, of 10 us each: no message waits for 1 ms */
#define DRAIN_PATIENCE_TURNS 256    /* of FAN_OUT_SLICE_US each: half a second and some more */

struct drain_status {
    bool is_draining;                /* also while the process ends */
    bool has_time;                   /* by drain_begin(), which the rest is about */
    uint64_t connection_count;       /* open now */
    uint64_t connection_count_first; /* were open when it began */
    uint64_t begun_ms;               /* wall clock */
    uint64_t over_ms;                /* the time that was given */
};

/* Begins, or gives another time from now on: `over_ms` of at most DRAIN_OVER_MS_MAX. */
void drain_begin(struct broker *broker, uint64_t over_ms);

/* Back into service: who was not told to go stays. Harmless where it does not drain. */
void drain_end(struct broker *broker);

void drain_get_status(const struct broker *broker, struct drain_status *ret_status);

/* How many goodbyes a worker owes. */
struct drain_pace {
    uint64_t due;
    uint64_t credit;     /* less than one, in millionths */
    uint64_t counted_ms; /* when it was counted last; 0: not yet */
};

/* Every WHEEL_TICK_MS: adds to what is due, of `untold` connections; `until_ms` 0 forgets it. */
void drain_count_due(struct drain_pace *pace, uint64_t until_ms, uint64_t now_ms, uint64_t untold);
