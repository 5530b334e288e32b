/* SPDX-License-Identifier: Apache-2.0 */
/* A profile is a rate over time, r(t). By the time t, N(t) messages are due, which is the integral
 * of r; the message n, from 0, is due when N(t) = n. So no rounding adds up, and a schedule of any
 * length costs nothing to keep. Poisson arrivals are the same with n drawn: a sum of exponential
 * gaps with the mean 1, which the inverse of N turns into arrivals of the rate r(t). */
#include "clients/bench/schedule.h"

#include <math.h>

#include "clients/bench/random.h"

#define NS_A_SECOND 1e9
/* The spike is the middle fifth. */
#define SPIKE_FROM 0.4
#define SPIKE_TO 0.6
#define ROUNDING 1e-6 /* of a message: 0.3 x 100 is a little more than 30 */

/* N(t) = rate × t */
static double constant_at(const struct schedule *schedule, double n) {
    return n / schedule->rate;
}

/* N(t) = rate × t + slope / 2 × t². Solved for t in the form that also works for a slope of 0. */
static double ramp_at(const struct schedule *schedule, double n) {
    double slope =
        (schedule->rate_to - schedule->rate) / ((double)schedule->duration_ns / NS_A_SECOND);
    double square = schedule->rate * schedule->rate + 2 * slope * n;
    if (square < 0) {
        return INFINITY;
    }
    double divisor = schedule->rate + sqrt(square);
    return n > 0 ? 2 * n / divisor : 0;
}

/* N(t) is three straight lines. */
static double spike_at(const struct schedule *schedule, double n) {
    double seconds = (double)schedule->duration_ns / NS_A_SECOND;
    double from = SPIKE_FROM * seconds;
    double to = SPIKE_TO * seconds;
    double before = schedule->rate * from;
    double within = schedule->rate_to * (to - from);
    if (n < before) {
        return n / schedule->rate;
    }
    if (n < before + within) {
        return from + (n - before) / schedule->rate_to;
    }
    return to + (n - before - within) / schedule->rate;
}

static double (*const profiles[])(const struct schedule *schedule, double n) = {
    [SCHEDULE_CONSTANT] = constant_at,
    [SCHEDULE_RAMP] = ramp_at,
    [SCHEDULE_SPIKE] = spike_at,
};

/* N at the end, for each. */
static double constant_all(const struct schedule *schedule, double seconds) {
    return schedule->rate * seconds;
}

static double ramp_all(const struct schedule *schedule, double seconds) {
    return (schedule->rate + schedule->rate_to) / 2 * seconds;
}

static double spike_all(const struct schedule *schedule, double seconds) {
    double share = SPIKE_TO - SPIKE_FROM;
    return (schedule->rate * (1 - share) + schedule->rate_to * share) * seconds;
}

static double (*const alls[])(const struct schedule *schedule, double seconds) = {
    [SCHEDULE_CONSTANT] = constant_all,
    [SCHEDULE_RAMP] = ramp_all,
    [SCHEDULE_SPIKE] = spike_all,
};

/* With the mean 1. 1 - u is above 0, whatever is drawn. */
static double draw_gap(uint64_t *seed) {
    double u = (double)(random_draw(seed) >> 11) * 0x1p-53;
    return -log1p(-u);
}

uint64_t schedule_next(struct schedule *schedule) {
    double n = (double)schedule->count;
    if (schedule->is_poisson) {
        schedule->drawn += draw_gap(&schedule->seed);
        n = schedule->drawn;
    }
    double due_ns = profiles[schedule->profile](schedule, n) * NS_A_SECOND;
    /* Written so that what is no number (a rate of 0) ends it too. */
    if (!(due_ns < (double)schedule->duration_ns)) {
        return UINT64_MAX;
    }
    schedule->count++;
    return (uint64_t)due_ns;
}

uint64_t schedule_left(const struct schedule *schedule) {
    double seconds = (double)schedule->duration_ns / NS_A_SECOND;
    double all = alls[schedule->profile](schedule, seconds) - ROUNDING;
    double drawn = schedule->is_poisson ? schedule->drawn : (double)schedule->count;
    return all > drawn ? (uint64_t)ceil(all - drawn) : 0;
}
