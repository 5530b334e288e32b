/* SPDX-License-Identifier: Apache-2.0 */
/* A bucket of tokens as one number (the generic cell rate algorithm of ITU-T I.371): a line moves
 * `free_ms` on by an interval, and passes while that is less than a burst ahead of the clock. */
#include "broker/support/log_gate.h"

bool log_gate_pass(struct log_gate *gate, uint64_t now_ms, uint64_t *ret_held_back) {
    uint64_t free_ms = atomic_load_explicit(&gate->free_ms, memory_order_relaxed);
    uint64_t start_ms;
    do {
        start_ms = free_ms > now_ms ? free_ms : now_ms;
        if (start_ms - now_ms > (LOG_BURST_LINES - 1) * LOG_INTERVAL_MS) {
            atomic_fetch_add_explicit(&gate->held_back, 1, memory_order_relaxed);
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&gate->free_ms, &free_ms,
                                                    start_ms + LOG_INTERVAL_MS,
                                                    memory_order_relaxed, memory_order_relaxed));
    *ret_held_back = log_gate_take_held_back(gate);
    return true;
}

uint64_t log_gate_take_held_back(struct log_gate *gate) {
    return atomic_exchange_explicit(&gate->held_back, 0, memory_order_relaxed);
}
