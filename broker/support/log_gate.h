/* SPDX-License-Identifier: Apache-2.0 */
/* log_gate.h — how often one event may be logged, and how many of its lines were held back.
 *
 * Place:   one an event, kept by logger.c.
 * Thread:  any; two atomic numbers, no lock.
 * Bounds:  LOG_BURST_LINES at once, then a line each LOG_INTERVAL_MS: an event that a stranger can
 *          cause fills no disk (4 KiB a second at most) and slows no thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/support/macros.h"

#define LOG_BURST_LINES 10   /* what one look at a screen takes in */
#define LOG_INTERVAL_MS 1000 /* of a line behind them: still shows that it goes on */

/* Zeroed: open, nothing held back. */
struct log_gate {
    atomic_uint_fast64_t free_ms; /* when all lines that passed will have been paid for */
    atomic_uint_fast64_t held_back;
};

/* True: log it, and say that `ret_held_back` lines before it were not. False: counted. `now_ms` is
 * of the monotonic clock. */
MUST_USE bool log_gate_pass(struct log_gate *gate, uint64_t now_ms, uint64_t *ret_held_back);

/* What was held back and has not been told; the caller tells it. */
uint64_t log_gate_take_held_back(struct log_gate *gate);
