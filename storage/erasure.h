/* SPDX-License-Identifier: Apache-2.0 */
/* erasure.h — when to erase and when to scrub: what becomes of a delete after its fold.
 *
 * Place:   driven by storage.c; calls erase and scrub.
 * Thread:  the store thread.
 * Bounds:  one step of each a call.
 *
 * Both are written down in the store, so a start goes on where the last process ended.
 */
#pragma once

#include <stdbool.h>

#include "storage/scrub.h"
#include "storage/segments.h"

struct erasure {
    bool may_erase; /* there may be work; false: there is none */
    bool may_scrub;
    struct scrub scrub;
};

/* Nothing is known: the first step looks. */
void erasure_init(struct erasure *erasure);

/* What is folded now has a delete; to say so of a fold that fails does no harm. */
void erasure_note_delete(struct erasure *erasure);

/* `ret_more`: call again soon. */
MUST_USE enum error_code erasure_step(struct erasure *erasure, struct store *store,
                                      const struct segments *segments, bool *ret_more,
                                      struct error *why);

/* Some records are yet to be erased, by what the index says of them. */
bool erasure_has_work(const struct erasure *erasure);
