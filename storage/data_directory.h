/* SPDX-License-Identifier: Apache-2.0 */
/* data_directory.h — whose directory this is, and of which version.
 *
 * Place:   opened first and closed last by storage.c.
 * Thread:  the one that opens and closes.
 * Bounds:  one descriptor.
 *
 *     VERSION     "tidings-data 1\n"; made first, renamed into place, synced
 *     lock        empty; flock(2) is held on it while a process has the directory
 *     log.mdb     the LMDB environment (rows.c), log.mdb-lock beside it
 *     reserve     nothing, kept for a full disk (reserve.h)
 *     journal/    what is not folded (journal.c, record.c)
 *
 * Rule for upgrades: a release reads its own version and, where the changelog says so, older ones,
 * which it rewrites before it writes the new VERSION. It never opens a newer one.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

#define DATA_DIRECTORY_PATH_BYTES_MAX 4000

struct data_directory {
    int lock_fd;
    char path[DATA_DIRECTORY_PATH_BYTES_MAX];
    char journal_path[DATA_DIRECTORY_PATH_BYTES_MAX + 16];
};

/* Makes the directory if it is not there, takes the lock, checks the version. ERR_LOCKED,
 * ERR_DATA_VERSION, ERR_STORAGE_FULL, ERR_IO. */
MUST_USE enum error_code data_directory_open(struct data_directory *directory, const char *path,
                                             struct error *why);

/* Gives the lock back. */
void data_directory_close(struct data_directory *directory);
