/* SPDX-License-Identifier: Apache-2.0 */
/* aliases.h — the numbers that a client uses for topics in what it publishes (MQTT 5.0, 3.3.2.3.4).
 *
 * Place:   asked by intake.c for each PUBLISH that has an alias.
 * Thread:  its connection's worker.
 * Bounds:  the Topic Alias Maximum that we told (mqtt.topic_aliases), a channel's name each.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct aliases;

/* `alias` (from 1 to what was told) stands for `topic` from now on; the struct is made when
 * *aliases is NULL. Of a topic that is too long for a channel so much is kept that it stays so.
 * ERR_MEMORY. */
MUST_USE enum error_code aliases_set(struct aliases **aliases, uint16_t alias, struct span topic);

/* False: it stands for nothing. `aliases` may be NULL; the topic is borrowed. */
bool aliases_find(const struct aliases *aliases, uint16_t alias, struct span *ret_topic);

/* Accepts NULL. */
void aliases_destroy(struct aliases *aliases);
