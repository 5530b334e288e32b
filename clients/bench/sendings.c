/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/sendings.h"

#include <stdlib.h>

#include "clients/bench/fail.h"

void sendings_init(struct sendings *sendings, uint32_t channels, uint32_t lanes) {
    *sendings = (struct sendings){.channels = channels, .lanes = lanes};
    sendings->counts = calloc((size_t)channels * lanes, sizeof(sendings->counts[0]));
    if (sendings->counts == NULL) {
        bench_fail("out of memory for %u channels of %u publishers", channels, lanes);
    }
}

void sendings_finish(struct sendings *sendings) {
    free(sendings->counts);
    *sendings = (struct sendings){0};
}

/* With one writer a load and a store do what an atomic addition would, for less. */
uint64_t sendings_number(struct sendings *sendings, uint32_t channel, uint32_t lane) {
    atomic_uint_fast64_t *count = &sendings->counts[(size_t)channel * sendings->lanes + lane];
    uint64_t number = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, number + 1, memory_order_release);
    return number;
}

void sendings_copy(const struct sendings *sendings, uint64_t *counts) {
    for (uint32_t channel = 0; channel < sendings->channels; channel++) {
        for (uint32_t lane = 0; lane < sendings->lanes; lane++) {
            *counts++ = sendings_count(sendings, channel, lane);
        }
    }
}
