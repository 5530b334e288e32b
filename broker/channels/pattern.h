/* SPDX-License-Identifier: Apache-2.0 */
/* pattern.h — one text that stands for many channels: `*` is one segment, `**` the rest.
 *
 * Place:   selectors of readers, rules of the configuration, rights of a token.
 * Thread:  pure, no allocation.
 * Bounds:  as a name's (name.h), and PATTERN_SEGMENTS_MAX segments; matching is one pass over both.
 *
 * `**` is the last segment only, and matches the name before it too: behind `a/` it matches `a`,
 * `a/b` and `a/b/c`, as MQTT's `a/#` does. One that begins with a wildcard never matches `$…`.
 * A pattern of a tenant stands for names of that tenant alone, and one of none for those of none.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

/* It has a `*`, which no name has. Whether it is a sound pattern is pattern_check()'s question. */
bool pattern_is_pattern(struct span text);

/* A pattern or a plain name. ERR_BAD_CHANNEL with the rule that is broken. */
MUST_USE enum error_code pattern_check(struct span pattern, bool may_have_empty_segments,
                                       struct error *why);

/* Does the checked pattern (or name) stand for this checked name? Both with their scopes. */
bool pattern_matches(struct span pattern, struct span name);

/* Does `pattern` stand for every name that `asked`, a checked pattern or name, stands for? Exact:
 * true if and only if no name matches `asked` alone. */
bool pattern_covers(struct span pattern, struct span asked);
