/* SPDX-License-Identifier: Apache-2.0 */
/* receipt.h — what a message that came to a reader counts as.
 *
 * Place:   a crew has one and asks for each message; stage.c takes the figures out.
 * Thread:  its crew's.
 * Bounds:  one histogram; the tallies are the readers'.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/bench/audience.h"
#include "clients/bench/histogram.h"
#include "clients/bench/sendings.h"
#include "clients/bench/tally.h"

/* What a reader has of messages. */
struct inbox {
    struct tally *tallies; /* slot × lanes + lane */
    uint64_t ready_ns;     /* what was due before is old to it: no latency; MOMENT_NEVER: is not */
    uint32_t reader;       /* its number */
    uint32_t next_slot;    /* a guess */
    bool is_slow;          /* its latency is its own matter, and is left out */
};

struct receipt_counts {
    uint64_t unique;
    uint64_t overdue; /* … of which an earlier stage had counted so many as lost */
    uint64_t duplicates;
    uint64_t reordered;
    uint64_t foreign;
    uint64_t bytes;
    uint64_t last_ns; /* when the last one came */
};

struct receipt {
    const struct audience *audience;
    const struct sendings *sendings;
    uint32_t run;
    uint32_t lanes;
    uint64_t stage_ns; /* what was due before is of an earlier stage */
    uint64_t from_ns;  /* what was due before is not in the histogram */
    size_t hint;       /* for stamp_find */
    struct histogram *delivery;
    struct receipt_counts counts;
};

void receipt_take(struct receipt *receipt, struct inbox *inbox, const uint8_t *payload,
                  size_t length, uint64_t now_ns);

/* The reader begins, or begins anew: nothing came, and nothing must yet. */
void receipt_reset(const struct receipt *receipt, struct inbox *inbox);

/* It is ready: what is published from now on must come; all from the first on, when
 * `is_from_start`. */
void receipt_begin(const struct receipt *receipt, struct inbox *inbox, bool is_from_start);

/* What it lacks of `published`, by channel × lanes + lane. */
uint64_t receipt_lost(const struct receipt *receipt, const struct inbox *inbox,
                      const uint64_t *published);

/* What is published by now, into `ends`, by slot × lanes + lane. */
void receipt_note_ends(const struct receipt *receipt, const struct inbox *inbox, uint64_t *ends);

/* What it lacks before `ends`, and before the highest that came. */
uint64_t receipt_missing(const struct receipt *receipt, const struct inbox *inbox,
                         const uint64_t *ends);
