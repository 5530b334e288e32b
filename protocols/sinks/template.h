/* SPDX-License-Identifier: Apache-2.0 */
/* template.h — texts with places in braces: "site-a/{channel}".
 *
 * Place:   topics and keys of sinks, channels of sources.
 * Thread:  pure.
 * Bounds:  the buffer's ceiling.
 */
#pragma once

#include <stddef.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

/* What stands for one word; every `from` in the value is written as `to`. 0: none. */
struct template_value {
    const char *word; /* "channel" */
    struct span value;
    char from, to;
};

/* ERR_CONFIG: a brace without an end, or a word that is not in `words`, which ends with NULL. */
MUST_USE enum error_code template_check(struct span text, const char *const *words,
                                        struct error *why);

/* A checked template. ERR_MEMORY, ERR_TOO_LARGE. */
MUST_USE enum error_code template_put(struct buffer *buffer, struct span text,
                                      const struct template_value *values, size_t count);
