/* SPDX-License-Identifier: Apache-2.0 */
/* composer.h — makes the messages of a load: numbers them, stamps them, knows who must get them.
 *
 * Place:   the publishers have one, and outlet.c makes each publish with it.
 * Thread:  the publishers'.
 * Bounds:  one publish of `batch` payloads, COMPOSER_BYTES_MAX in all.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/bench/audience.h"
#include "clients/bench/protocol.h"
#include "clients/bench/sendings.h"

#define COMPOSER_BYTES_MAX (128u << 20) /* half of what a connection may have to send */

struct composer {
    const struct audience *audience;
    uint32_t run;
    struct sendings *sendings;
    uint32_t channels;
    size_t payload_bytes;
    size_t batch;
    uint64_t count;    /* of all */
    uint64_t expected; /* deliveries that they make */
    uint8_t *payloads;
    struct protocol_message *messages; /* of the publish that is being made */
};

/* False: one publish would be too large, and a word was printed. */
bool composer_init(struct composer *composer, const struct settings *settings,
                   const struct audience *audience, struct sendings *sendings, uint32_t run);
void composer_finish(struct composer *composer);

/* Makes the message `index` of the next publish. */
void composer_make(struct composer *composer, size_t index, uint32_t channel, uint32_t lane,
                   uint64_t due_ns);
