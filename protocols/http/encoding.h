/* SPDX-License-Identifier: Apache-2.0 */
/* encoding.h — content codings: what a client takes, and bodies made smaller.
 *
 * Place:   pages of history (protocols/rest/page.c), on a read thread.
 * Thread:  pure, but for zlib's own memory (256 KiB while it works).
 * Bounds:  the header's length; the buffer's ceiling.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

/* RFC 9110, section 8.4.1. */
enum encoding { ENCODING_IDENTITY, ENCODING_GZIP, ENCODING_DEFLATE, ENCODING_COUNT };

/* "gzip". */
const char *encoding_name(enum encoding encoding);

/* The coding that the value of Accept-Encoding asks for (RFC 9110, section 12.5.3). Of those that
 * are liked the same, gzip is first and identity last; a coding that is not named, by itself or by
 * a star, is not asked for. `ret_must_code` says that an uncoded body is excluded. */
enum encoding encoding_choose(struct span accept_encoding, bool *ret_must_code);

/* Appends `body` in that coding, which is not identity. ERR_TOO_LARGE: it does not fit the buffer's
 * ceiling; ERR_MEMORY. What was added is of no use then. */
MUST_USE enum error_code encoding_put(struct buffer *buffer, enum encoding encoding,
                                      struct span body);
