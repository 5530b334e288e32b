/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.h — when each message of an open load is due.
 *
 * Place:   publishers.c asks for each message; load.c for how long it goes.
 * Thread:  pure; a copy has the state of its draws.
 * Bounds:  none: due times are computed, not stored.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum schedule_profile {
    SCHEDULE_CONSTANT, /* rate */
    SCHEDULE_RAMP,     /* evenly from rate to rate_to */
    SCHEDULE_SPIKE,    /* rate; rate_to in the middle fifth of the time */
};

struct schedule {
    enum schedule_profile profile;
    bool is_poisson; /* gaps are drawn, with the same mean */
    double rate;     /* a second */
    double rate_to;
    uint64_t duration_ns;
    uint64_t seed; /* state of the draws */
    double drawn;  /* Poisson: arrivals so far in units of the mean count */
    uint64_t count;
};

/* When the next message is due, in nanoseconds from the start; UINT64_MAX: there are no more. Due
 * times do not go back. */
uint64_t schedule_next(struct schedule *schedule);

/* How many are due by its end that were not asked for; of drawn gaps the mean. */
uint64_t schedule_left(const struct schedule *schedule);
