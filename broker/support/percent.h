/* SPDX-License-Identifier: Apache-2.0 */
/* percent.h — percent-encoding (RFC 3986, section 2.1), and the `+` of forms.
 *
 * Place:   protocols/http for paths and queries; whoever writes a URL.
 * Thread:  pure.
 * Bounds:  decoding never grows; encoding makes at most three bytes of one.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

enum percent_kind {
    PERCENT_PATH,  /* `+` is a plus, `/` divides */
    PERCENT_QUERY, /* `+` is a blank (the form encoding of the URL standard) */
};

/* Takes one decoded byte off the front of `text`, which is not empty. False: a broken escape. */
bool percent_take_byte(struct span *text, enum percent_kind kind, uint8_t *ret_byte);

/* Appends the decoded text. ERR_BAD_REQUEST: a `%` without two hexadecimal digits; nothing was
 * added. ERR_TOO_LARGE, ERR_MEMORY. What comes out is bytes: UTF-8 is the caller's question. */
MUST_USE enum error_code percent_put_decoded(struct buffer *buffer, struct span text,
                                             enum percent_kind kind);

/* Appends `bytes` with all but the unreserved characters (section 2.3) escaped; for a path `/`
 * stays as it is. ERR_TOO_LARGE, ERR_MEMORY. */
MUST_USE enum error_code percent_put_encoded(struct buffer *buffer, struct span bytes,
                                             enum percent_kind kind);
