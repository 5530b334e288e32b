/* SPDX-License-Identifier: Apache-2.0 */
/* reserve.h — a part of the disk that is kept for the time when the disk is full.
 *
 * Place:   held by storage.c; a file `reserve` of nothing in the data directory.
 * Thread:  the opening one, then the store thread.
 * Bounds:  one file of the size that it is made with.
 *
 * Publishers fill a disk up to the last byte; but what they were told is stored must still be
 * folded, and the log be closed and opened again. Then the file is removed, and nobody but folds
 * and retention writes into its room until it could be made again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/macros.h"
#include "storage/data_directory.h"

#define RESERVE_SPARE_PART 3 /* free beside it when it is made: this part of it, against flapping */

struct reserve {
    const char *directory;
    uint64_t bytes;
    bool is_kept;
    bool is_impossible; /* a file system that cannot set room aside */
    char path[DATA_DIRECTORY_PATH_BYTES_MAX + 16];
};

/* Finds the file that an earlier process kept. `directory` outlives the reserve. */
void reserve_init(struct reserve *reserve, const char *directory, uint64_t bytes);

/* Makes the file if there is room for it. False: the disk is full. True also where room cannot be
 * kept at all (a file system without fallocate), for then nothing is gained by waiting. */
MUST_USE bool reserve_make(struct reserve *reserve);

/* Removes the file. False: there was none, so nothing was won. */
MUST_USE bool reserve_give_up(struct reserve *reserve);
