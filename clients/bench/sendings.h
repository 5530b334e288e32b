/* SPDX-License-Identifier: Apache-2.0 */
/* sendings.h — how many messages were published so far, by channel and lane.
 *
 * Place:   composer.c numbers messages by it; crews ask it what a reader must get from now on.
 * Thread:  one writes, the publishers'; any reads.
 * Bounds:  a number a channel and lane.
 *
 * A message is counted before it is sent. So a reader that was ready before it looks here must get
 * whatever is numbered from here on; of what is under way it may get a part.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct sendings {
    uint32_t channels;
    uint32_t lanes;
    atomic_uint_fast64_t *counts; /* channel × lanes + lane */
};

/* Ends the program when there is no memory. */
void sendings_init(struct sendings *sendings, uint32_t channels, uint32_t lanes);
void sendings_finish(struct sendings *sendings);

/* The number of the next message, which is counted with that. The writer's alone. */
uint64_t sendings_number(struct sendings *sendings, uint32_t channel, uint32_t lane);

/* All counts into `counts`, by channel × lanes + lane. */
void sendings_copy(const struct sendings *sendings, uint64_t *counts);

static inline uint64_t sendings_count(const struct sendings *sendings, uint32_t channel,
                                      uint32_t lane) {
    return atomic_load_explicit(&sendings->counts[(size_t)channel * sendings->lanes + lane],
                                memory_order_acquire);
}
