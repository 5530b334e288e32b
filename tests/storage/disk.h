/* SPDX-License-Identifier: Apache-2.0 */
/* disk.h — a disk that can be full, that can fail, and whose power can be cut.
 *
 * Place:   linked into tests that define it away from libc: pwrite(2), writev(2), fdatasync(2),
 *          fsync(2) and ftruncate(2) of the test and of LMDB go through disk.c.
 * Thread:  the test's; one watched directory at a time.
 * Bounds:  files of a few MiB: each sync copies its file.
 *
 * What survives a cut: of a file, what was there when it was last synced, and of what was written
 * since any pages, in any order; a file's name if the directory was synced since it was made, else
 * perhaps; a removed file comes back, perhaps, if the directory was not synced since.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Everything below `directory` (and its folder "journal") is on the disk from here on. */
void disk_watch(const char *directory);

/* Makes `directory`, as the machine finds it after a power cut now. `seed` decides what is left to
 * chance. */
void disk_cut(const char *directory, unsigned seed);

/* Ends the watch and removes what it kept. */
void disk_forget(void);

/* From now on writes fail with `error_number` once so many bytes were taken; the one that crosses
 * the limit is cut short. What is left is what statvfs(2) calls free; a file removed by its path
 * gives its bytes back. Negative: no limit. */
void disk_limit_writes(long bytes, int error_number);

/* From now on syncs of the journal fail with EIO, and so does cutting off what a failed write left,
 * if so told. */
void disk_fail_syncs(bool fails);
void disk_fail_truncations(bool fails);

/* From now on writes through a descriptor with O_DSYNC fail: LMDB's of its meta page. */
void disk_fail_meta_pages(bool fails);
