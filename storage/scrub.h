/* SPDX-License-Identifier: Apache-2.0 */
/* scrub.h — overwrites what stands in the store's file where nothing is stored.
 *
 * Place:   called by storage.c after deletes; knows LMDB's file format, which no one else does.
 * Thread:  the store thread.
 * Bounds:  SCRUB_STEP_BYTES of the file a step, under a write transaction that writes nothing.
 *
 * LMDB copies a page before it changes it, and leaves the old one as it was until it is used again;
 * in a page that is used, what stands between its rows may be left from another. So when rows have
 * been erased, their bytes are still in the file. A scrub goes over all of it once and leaves
 * nothing there but what a table holds. It costs a read of the whole file; deletes that come while
 * one runs share the next.
 */
#pragma once

#include <stdbool.h>

#include "storage/store.h"

#define SCRUB_STEP_BYTES 33554432

struct scrub {
    bool is_running;
    bool is_again;      /* something was erased while it ran */
    size_t txn_through; /* free pages of transactions up to this one may hold deleted bytes */
    size_t page_next;
};

/* What was erased before this call is in the next scrub, if not in the one that runs. */
void scrub_note_erased(struct scrub *scrub);

/* One step of what is due. `ret_more`: go on. False also while a snapshot is still read that is
 * older than the erasing: call again later. ERR_IO, ERR_MEMORY, ERR_STORAGE_FULL. */
MUST_USE enum error_code scrub_step(struct scrub *scrub, struct store *store, bool *ret_more,
                                    struct error *why);
