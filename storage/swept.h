/* SPDX-License-Identifier: Apache-2.0 */
/* swept.h — what a step of retention took from channels, until it is told.
 *
 * Place:   filled by sweep, walked by storage_each_swept().
 * Thread:  the store thread.
 * Bounds:  the channels of one step: SWEEP_UNITS_MAX.
 */
#pragma once

#include <stdbool.h>

#include "storage/storage.h"

struct swept {
    struct swept *next;
    struct storage_swept told;
    uint8_t name[];
};

/* Adds a copy. False: there is no memory for it. */
MUST_USE bool swept_put(struct swept **list, const struct storage_swept *told);

/* Frees all, and empties the list. */
void swept_finish(struct swept **list);
