/* SPDX-License-Identifier: Apache-2.0 */
/* announced.h — the topic aliases by which a client is told topics that it knows already.
 *
 * Place:   own.c asks for each frame; outbound.c says which frames left.
 * Thread:  its connection's worker; pure but for memory.
 * Bounds:  the smaller of the client's Topic Alias Maximum and mqtt.topic_aliases, each a channel's
 *          name. The first channels get them, for as long as the connection lasts.
 *
 * A frame that was made may never leave, and is made again. So an alias is known to the client only
 * once a frame left that said topic and alias.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/runtime/stream.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct announced;

/* NULL: out of memory. `count_max` is at least 1. */
MUST_USE struct announced *announced_create(uint16_t count_max);

/* Accepts NULL. */
void announced_destroy(struct announced *announced);

/* The alias of a channel for the frame of its message at `position`; 0: it has none. Not known: the
 * frame has to say the topic too. */
uint16_t announced_choose(struct announced *announced, struct span channel, uint64_t position,
                          bool *ret_is_known);

/* The frame that announced_choose() was asked for was not made. */
void announced_forget(struct announced *announced, uint16_t alias, uint64_t position);

/* There is no frame for that message any more, whatever announced_choose() was asked. */
void announced_forget_at(struct announced *announced, struct span channel, uint64_t position);

/* The frames of those messages left, in order of position. */
void announced_on_left(struct announced *announced, const struct stream_item *items, size_t count);
