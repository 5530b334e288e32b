/* SPDX-License-Identifier: Apache-2.0 */
/* random.h — numbers that look random, the same ones for the same seed.
 *
 * Place:   schedule.c for Poisson arrivals, publishers.c for channels.
 * Thread:  pure; the state is the caller's.
 * Bounds:  none.
 */
#pragma once

#include <stdint.h>

/* splitmix64: any seed will do, and the state is one number. */
static inline uint64_t random_draw(uint64_t *state) {
    uint64_t drawn = *state += 0x9e3779b97f4a7c15ull;
    drawn = (drawn ^ drawn >> 30) * 0xbf58476d1ce4e5b9ull;
    drawn = (drawn ^ drawn >> 27) * 0x94d049bb133111ebull;
    return drawn ^ drawn >> 31;
}
