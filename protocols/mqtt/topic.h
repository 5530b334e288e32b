/* SPDX-License-Identifier: Apache-2.0 */
/* topic.h — the syntax of topic names and topic filters (sections 4.7 and 4.8 of 5.0).
 *
 * Place:   the decoders of protocols/mqtt; the server asks it for `$share`.
 * Thread:  pure.
 * Bounds:  one pass over a string.
 *
 * What a channel may be called beyond that is for broker/channels/name.h: the server asks there.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/span.h"
#include "protocols/mqtt/fault.h"

/* A topic name cannot have `+` or `#` [MQTT-4.7.0-1]. */
bool mqtt_topic_has_wildcard(struct span topic);

/* A topic filter that is known to be a string: `#` alone and last, `+` alone in its level. In 5.0
 * what begins with `$share/` has a name without wildcards and a filter behind it; 3.1.1 knows no
 * shared subscriptions, and there it is a filter like any other. NONE, FILTER_…, SHARE_… */
enum mqtt_fault mqtt_filter_check(struct span filter, enum mqtt_version version);

/* Does it begin with `$share/`, whatever follows? */
bool mqtt_filter_is_shared(struct span filter);

/* Takes `$share/<name>/` off a filter. An empty name: it is not shared, or not in the right form,
 * and the pattern is all of it. */
void mqtt_filter_split(struct span filter, struct span *ret_share, struct span *ret_pattern);
