/* SPDX-License-Identifier: Apache-2.0 */
/* media_type.h — a media type taken apart: "text/plain; charset=utf-8".
 *
 * Place:   Content-Type and Accept.
 * Thread:  pure.
 * Bounds:  MEDIA_TYPE_BYTES_MAX.
 *
 * RFC 9110, section 8.3.1. Names are compared without case.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/macros.h"
#include "broker/support/span.h"

struct media_type {
    struct span type;       /* "text", or "*" in a range */
    struct span subtype;    /* "plain", or "*" in a range */
    struct span parameters; /* from behind the first `;` on, for media_type_next_parameter() */
};

/* The next parameter; a quoted value comes without its quotes, escapes inside as they are. */
bool media_type_next_parameter(struct span *rest, struct span *ret_name, struct span *ret_value);

/* False: not a media type, or its parameters are broken. */
bool media_type_parse(struct span text, struct media_type *ret_type);

/* A range stands for several types; nothing is of such a one. */
bool media_type_is_range(const struct media_type *type);

/* Is it "type/subtype", whatever its parameters? */
bool media_type_is(struct span text, const char *type);
