/* SPDX-License-Identifier: Apache-2.0 */
/* gaps.h — what a page of many channels cannot give, one row a selector.
 *
 * Place:   told by merge, walk and many; becomes the page's.
 * Thread:  its maker's.
 * Bounds:  a row a selector, made when the first is told.
 *
 * A channel is told its offsets, and what is missing right behind widens that; a pattern is told
 * only that something is missing, and where the page goes on.
 */
#pragma once

#include "storage/matching.h"
#include "storage/view.h"

struct gaps {
    const struct matching *matching;
    struct storage_gap *rows; /* NULL: nothing was told */
    bool is_quiet;            /* nothing is: the reader did not ask for what is missing */
};

/* Offsets `gap` of the view's channel are missing, the last of them at `position` (0: unknown): to
 * each selector that names it, or to patterns alone. ERR_MEMORY. */
MUST_USE enum error_code gaps_tell(struct gaps *gaps, const struct view *view, struct span name,
                                   struct gap gap, uint64_t position, bool is_for_patterns_alone,
                                   struct error *why);

/* Something is missing that no channel can be named for, the last of it at `position` (0: unknown):
 * to each pattern, or to each selector. */
MUST_USE enum error_code gaps_tell_all(struct gaps *gaps, enum gap_reason reason, uint64_t position,
                                       bool is_for_patterns_alone, struct error *why);

/* Whether each pattern, or each selector, was told something. */
bool gaps_has_told_all(const struct gaps *gaps);

/* Hands the rows over. `after` is where the reader stood. */
void gaps_finish(struct gaps *gaps, const struct place *after, struct storage_page *page);
