/* SPDX-License-Identifier: Apache-2.0 */
/* name.h — what a channel may be called.
 *
 * Place:   asked wherever a name comes in: URL paths, queries, message bodies, MQTT topics.
 * Thread:  pure.
 * Bounds:  CHANNEL_NAME_BYTES_MAX bytes.
 *
 * A name is UTF-8 in segments divided by `/`, without control characters (C0, DEL, C1) and without
 * `+`, `#` and `*`, which are wildcards of patterns here and in MQTT.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

/* The rules that a name and a pattern share: length, UTF-8, control characters, segments. */
MUST_USE enum error_code channel_text_check(struct span text, bool may_have_empty_segments,
                                            struct error *why);

/* ERR_BAD_CHANNEL with the rule that is broken. An empty segment ("a//b", "/a", "a/") is legal in
 * MQTT and in message bodies, but not in a URL path, because proxies merge slashes. */
MUST_USE enum error_code channel_name_check(struct span name, bool may_have_empty_segments,
                                            struct error *why);

/* The first segment begins with `$`: the broker's own; nobody publishes there. */
bool channel_name_is_reserved(struct span name);
