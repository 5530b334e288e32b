/* SPDX-License-Identifier: Apache-2.0 */
/* scratch.h — the folders and files that a test has for itself.
 *
 * Place:   below TMPDIR, or /tmp; linked with each unit test.
 * Thread:  the test's.
 * Bounds:  what the test puts there; it removes all of it.
 */
#pragma once

#include <stdio.h>

#define SCRATCH_PATH_BYTES 64

/* A new folder. */
void scratch_create_folder(char ret_path[SCRATCH_PATH_BYTES]);

/* A new file, and its stream, which the caller closes. */
FILE *scratch_create_file(char ret_path[SCRATCH_PATH_BYTES]);

/* A new file that holds the text; its path, until the next call. */
const char *scratch_write(const char *text);

/* Removes a file, or a folder with all that is in it. */
void scratch_remove(const char *path);
