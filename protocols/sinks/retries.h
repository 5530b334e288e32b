/* SPDX-License-Identifier: Apache-2.0 */
/* retries.h — when a message that was not taken is tried again, and when no more.
 *
 * Place:   of sink.c.
 * Thread:  pure; no clock.
 * Bounds:  RETRIES_MAX waits.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/config/config.h"

#define RETRIES_MAX 32
#define RETRIES_JITTER_PERCENT 20

struct retries {
    uint64_t waits_ms[RETRIES_MAX];
    size_t count;
    uint64_t after_ms_max;
};

/* The row's, or Standard Webhooks'; of a row with more the first RETRIES_MAX. */
void retries_init(struct retries *retries, const struct sink_row *row);

/* How long the endpoint asked to be left alone, as far as that is heeded. */
uint64_t retries_cut(const struct retries *retries, uint64_t retry_after_ms);

/* After `attempts` (1 or more) that failed: false, no more; else when, a fifth more or less by
 * `random`, but not before `retry_after_ms` from now, which is cut to the row's longest. Times are
 * of one clock. */
bool retries_next(const struct retries *retries, uint32_t attempts, uint64_t now_ms,
                  uint64_t retry_after_ms, uint64_t random, uint64_t *ret_due_ms);
