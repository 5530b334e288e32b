/* SPDX-License-Identifier: Apache-2.0 */
/* census.h — how far the readers of a worker lag, looked at in slices all the time.
 *
 * Place:   turned from the worker's beat; counts METRIC_READER_LAG and METRIC_READERS_BEHIND.
 * Thread:  its worker's.
 * Bounds:  CENSUS_STEPS_MAX (and one connection) a tick, so a walk over 20,000 readers takes 5 s;
 *          the next one begins CENSUS_INTERVAL_MS after the last began.
 *
 * A scrape that looked at all readers would hold the hot threads up; an observation each time that
 * a lag changes would cost every delivery. Here each reader is observed once a walk, whatever it
 * does, so the histogram says what share of the readers stood how far behind.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct connection;
struct worker;

struct census {
    struct connection *next; /* to be looked at; NULL: the walk is over */
    uint64_t begin_ms;       /* of the newest walk */
    uint64_t id_end;         /* younger connections came after it began */
    size_t behind_count;     /* of its readers so far */
};

/* One slice, if one is due. */
void census_go_on(struct worker *worker);

/* A connection goes: a walk that would look at it next goes on behind it. */
void census_on_gone(struct worker *worker, const struct connection *connection);
