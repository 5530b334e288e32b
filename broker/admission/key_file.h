/* SPDX-License-Identifier: Apache-2.0 */
/* key_file.h — the files that rows of auth.jwt name, read whole.
 *
 * Place:   called by policy.h.
 * Thread:  pure, but for the reading.
 * Bounds:  KEY_FILE_BYTES_MAX.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

/* What was read; wiped when it ends. */
struct key_file {
    struct span text;
};

/* ERR_CONFIG: it is not there, no file, or too large; ERR_MEMORY. The detail calls it by `what`,
 * the key of the configuration, because the path may be a secret that was written in its place. */
MUST_USE enum error_code key_file_read(const char *path, const char *what,
                                       struct key_file *ret_file, struct error *why);

/* The file of a key, without the line end of an editor's, or the bytes behind "base64:". As
 * key_file_read(). */
MUST_USE enum error_code key_file_read_key(const char *key, struct key_file *ret_file,
                                           struct error *why);

/* Wipes and frees. */
void key_file_finish(struct key_file *file);

/* It is fetched instead of read. */
bool key_file_is_url(const char *location);
