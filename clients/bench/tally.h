/* SPDX-License-Identifier: Apache-2.0 */
/* tally.h — what one reader got of one lane: each once, in order, or not.
 *
 * Place:   receipt.c keeps one a reader, channel and lane.
 * Thread:  its reader's.
 * Bounds:  TALLY_WINDOW sequences behind the highest are told apart exactly; what comes later than
 *          that counts as a duplicate.
 *
 * A reader owes what is published from when it was ready; and if something older came, all that is
 * behind that, for it was there by then.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TALLY_WINDOW 64
#define TALLY_NEVER UINT64_MAX

struct tally {
    uint64_t first;  /* the lowest that must come; TALLY_NEVER: none yet */
    uint64_t next;   /* behind the highest that came; 0: none came */
    uint64_t window; /* bit n: next - 1 - n came */
    uint64_t unique; /* that came */
};

enum tally_note { TALLY_NEXT, TALLY_AHEAD, TALLY_LATE, TALLY_DUPLICATE };

/* Nothing came, and nothing must. */
void tally_reset(struct tally *tally);

/* From `first` on, all must come. */
void tally_begin(struct tally *tally, uint64_t first);

/* Late: an earlier one that came out of order. */
enum tally_note tally_note(struct tally *tally, uint64_t sequence);

/* How many lack of those before `end` that must come. */
uint64_t tally_lost(const struct tally *tally, uint64_t end);
