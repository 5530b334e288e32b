/* SPDX-License-Identifier: Apache-2.0 */
/* budget.h — the memory of the process against limits.memory, and what is shed when it is short.
 *
 * Place:   main looks; acceptor.c, throttle.c, worker.c and /readyz ask for the level.
 * Thread:  budget_look: main. The level: any.
 * Bounds:  itself. Between two looks memory grows by what sockets bring in BUDGET_INTERVAL_MS; what
 *          one message could cost for each of many readers is pledged first.
 *
 * The measure is RssAnon: what the process itself wrote and cannot give up. LMDB's pages are the
 * kernel's, which takes them back. WEAKNESS: so are the buffers of sockets, which it does not take
 * back; they are bounded by tcp_mem(7) and by limits.send_budget times limits.connections.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct metrics_shard;

/* Each does what those before it do, too. */
enum budget_level {
    BUDGET_ENOUGH,
    BUDGET_CONNECTIONS, /* new ones are refused */
    BUDGET_PUBLISHERS,  /* publishes are refused or not read, bodies too */
    BUDGET_READERS,     /* the readers that lag most are closed */
};

struct budget {
    atomic_uint level;
    atomic_bool
        is_shedding; /* from BUDGET_READERS until there is enough again, and where memory has
                              * been short for BUDGET_PATIENCE_MS: who holds it must not keep others
                              * out for as long as he likes */
    atomic_uint_fast64_t look;          /* counts them: workers shed once a look */
    uint64_t limit_bytes;               /* UINT64_MAX: none */
    atomic_uint_fast64_t used_bytes;    /* at the last look … */
    atomic_uint_fast64_t pledged_bytes; /* … and what was asked for since */
    uint64_t looked_ms;
    uint64_t trimmed_ms;
    uint64_t short_since_ms; /* 0: it is not */
};

/* Who has no budget (a test) is never short. */
static inline enum budget_level budget_level(const struct budget *budget) {
    return budget == NULL
               ? BUDGET_ENOUGH
               : (enum budget_level)atomic_load_explicit(&budget->level, memory_order_relaxed);
}

/* Asks for memory that a message to many readers could take for each of them at once, before any
 * look sees it. False: with what was pledged since the last look it would be beyond the limit. */
static inline bool budget_pledge(struct budget *budget, uint64_t bytes) {
    if (budget == NULL || budget->limit_bytes == UINT64_MAX) {
        return true;
    }
    uint64_t pledged =
        atomic_fetch_add_explicit(&budget->pledged_bytes, bytes, memory_order_relaxed);
    return atomic_load_explicit(&budget->used_bytes, memory_order_relaxed) + pledged + bytes <=
           budget->limit_bytes;
}

/* The level that so much memory means. Each begins at its own share of the limit, and once it has
 * begun it ends a twentieth below. */
enum budget_level budget_judge(enum budget_level before, uint64_t used_bytes, uint64_t limit_bytes);

/* Measures, judges, says so in the log and in the metrics; gives freed memory back to the kernel
 * where it is short. Does nothing if it is called again before BUDGET_INTERVAL_MS are over. */
void budget_look(struct budget *budget, struct metrics_shard *metrics, uint64_t now_ms);
