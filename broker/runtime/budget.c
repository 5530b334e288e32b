/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/budget.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/support/logger.h"
#include "broker/support/span.h"

#define STATM_BYTES 256

/* In hundredths of the limit. */
static const struct {
    uint64_t begin;
    uint64_t end;
} shares[] = {
    [BUDGET_ENOUGH] = {0, 0},
    [BUDGET_CONNECTIONS] = {80, 75},
    [BUDGET_PUBLISHERS] = {90, 85},
    [BUDGET_READERS] = {95, 90},
};

enum budget_level budget_judge(enum budget_level before, uint64_t used_bytes,
                               uint64_t limit_bytes) {
    enum budget_level level = BUDGET_READERS;
    if (limit_bytes == UINT64_MAX) {
        return BUDGET_ENOUGH;
    }
    while (level > BUDGET_ENOUGH &&
           used_bytes <
               limit_bytes / 100 * (level <= before ? shares[level].end : shares[level].begin)) {
        level--;
    }
    return level;
}

/* What is resident and no file's: the second number of statm less the third. It is a fifth of the
 * work of reading RssAnon in /proc/self/status, and the same. */
static bool measure(uint64_t *ret_bytes) {
    uint8_t bytes[STATM_BYTES];
    uint64_t resident = 0;
    uint64_t shared = 0;
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return false;
    }
    ssize_t length = read(file, bytes, sizeof(bytes));
    close(file);
    struct span rest = span_of(bytes, length < 0 ? 0 : (size_t)length);
    span_split(&rest, ' ');
    if (!span_parse_u64(span_split(&rest, ' '), &resident) ||
        !span_parse_u64(span_split(&rest, ' '), &shared) || shared > resident) {
        return false;
    }
    *ret_bytes = (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

/* What was freed is not always given back by itself, and then it would count as used: readers would
 * be closed for nothing. Each look where readers are, because it is them that it is about. */
static bool has_trimmed(struct budget *budget, enum budget_level level, uint64_t now_ms) {
    bool is_due = level == BUDGET_READERS || atomic_load(&budget->is_shedding) ||
                  now_ms - budget->trimmed_ms >= BUDGET_TRIM_MS;
    if (level == BUDGET_ENOUGH || !is_due) {
        return false;
    }
    budget->trimmed_ms = now_ms;
    return malloc_trim(0) != 0;
}

static void mind_shedding(struct budget *budget, enum budget_level level, uint64_t now_ms) {
    if (level == BUDGET_ENOUGH) {
        budget->short_since_ms = 0;
        atomic_store(&budget->is_shedding, false);
        return;
    }
    if (budget->short_since_ms == 0) {
        budget->short_since_ms = now_ms;
    }
    if (level == BUDGET_READERS || now_ms - budget->short_since_ms >= BUDGET_PATIENCE_MS) {
        atomic_store(&budget->is_shedding, true);
    }
}

static void tell(const struct budget *budget, enum budget_level before, enum budget_level level,
                 uint64_t used_bytes) {
    if (level > before) {
        log_event(MEMORY_SHORT, .stage = level, .used_bytes = used_bytes,
                  .bytes_max = budget->limit_bytes);
    } else if (level == BUDGET_ENOUGH && before != BUDGET_ENOUGH) {
        log_event(MEMORY_ENOUGH, .used_bytes = used_bytes, .bytes_max = budget->limit_bytes);
    }
}

void budget_look(struct budget *budget, struct metrics_shard *metrics, uint64_t now_ms) {
    uint64_t used_bytes = 0;
    bool is_unlimited = budget->limit_bytes == UINT64_MAX;
    if (now_ms - budget->looked_ms < BUDGET_INTERVAL_MS) {
        return;
    }
    budget->looked_ms = now_ms;
    metrics_set(metrics, METRIC_MEMORY_LIMIT, is_unlimited ? 0 : budget->limit_bytes);
    if (is_unlimited || !measure(&used_bytes)) {
        return;
    }
    enum budget_level before = budget_level(budget);
    enum budget_level level = budget_judge(before, used_bytes, budget->limit_bytes);
    if (has_trimmed(budget, level, now_ms) && measure(&used_bytes)) {
        level = budget_judge(before, used_bytes, budget->limit_bytes);
    }
    atomic_store_explicit(&budget->used_bytes, used_bytes, memory_order_relaxed);
    atomic_store_explicit(&budget->pledged_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&budget->level, level, memory_order_relaxed);
    mind_shedding(budget, level, now_ms);
    atomic_fetch_add(&budget->look, 1);
    metrics_set(metrics, METRIC_MEMORY_LEVEL, level);
    tell(budget, before, level, used_bytes);
}
