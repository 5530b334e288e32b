/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h — counting without contention: a shard of plain slots a thread, summed when asked.
 *
 * Place:   each thread of broker/runtime and of protocols/ counts into its own shard; the
 *          operator's port collects what others keep (figures) and writes the sums.
 * Thread:  create and destroy: main, while no thread runs. A slot of a shard has ONE writer: the
 *          shard's thread, or for figures the collector. Reading: any.
 * Bounds:  METRICS_SLOTS of 8 bytes a thread (about 10 KiB); METRICS_MATCHES_MAX patterns.
 *
 * An addition is a relaxed load and store, not a locked instruction: about 1 ns. A scrape may see
 * one counter a moment later than another; it never sees half a number.
 *
 *     metrics_add(shard, METRIC_PAGES_READ, 1);
 *     metrics_add_at(shard, METRIC_PUBLISHES, code, 1);                       one label: its index
 *     metrics_add_at(shard, METRIC_HTTP_REQUESTS,
 *                    METRICS_PAIR(METRIC_HTTP_REQUESTS, route, metrics_status_of(404)), 1);
 *     metrics_sub_at(shard, METRIC_CONNECTIONS_OPEN, protocol, 1);            gauges, any shard
 *     metrics_set(shard, METRIC_TAILS_BYTES, feeds_bytes);                    gauges: summed
 *     metrics_observe(shard, METRIC_PUBLISH_TO_WRITE, microseconds);
 *     metrics_observe_at(shard, METRIC_PUBLISH, protocol, microseconds);
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/limits.h"
#include "broker/metrics/table.h"
#include "broker/support/error.h"
#include "broker/support/invariant.h"
#include "broker/support/macros.h"

/* Which shard is whose. Worker i has METRICS_WORKERS + i, read thread i METRICS_READS + i. */
enum metrics_thread {
    METRICS_MAIN,
    METRICS_LOG,
    METRICS_SYNC,
    METRICS_STORE,
    METRICS_OPERATOR,
    METRICS_COURIER,
    METRICS_SINKS,
    METRICS_READS,
    METRICS_WORKERS = METRICS_READS + READ_THREADS,
};

/* The layout of a shard: one row's slots behind the other's. */
#define METRICS_COUNTER_SLOTS 1
#define METRICS_GAUGE_SLOTS 1

enum metrics_label_values {
#define METRICS_LABEL(label, name, count) METRICS_LABEL_VALUES_##label = (count),
    METRICS_LABEL_TABLE(METRICS_LABEL)
#undef METRICS_LABEL
};

enum metrics_slot {
#define METRICS_SLOT(metric, name, type, unit, first, second, help)                                \
    METRICS_SLOT_##metric,                                                                         \
        METRICS_SLOT_LAST_##metric =                                                               \
            METRICS_SLOT_##metric - 1 +                                                            \
            METRICS_##type##_SLOTS * METRICS_LABEL_VALUES_##first * METRICS_LABEL_VALUES_##second,
    METRICS_TABLE(METRICS_SLOT)
#undef METRICS_SLOT
        METRICS_SLOTS
};

/* Whole cache lines, so that no thread's counting slows another's. */
struct metrics_shard {
    _Alignas(64) atomic_uint_fast64_t slots[METRICS_SLOTS];
    size_t index;
    uint64_t woke_us; /* its thread's, as is_asleep is: see thread.h */
    bool is_asleep;
    atomic_int cpu_clock;  /* clockid_t of its thread … */
    atomic_bool has_clock; /* … once it runs */
};

struct metrics;

/* ERR_MEMORY. */
MUST_USE enum error_code metrics_create(size_t worker_count, struct metrics **ret_metrics);

/* Accepts NULL. */
void metrics_destroy(struct metrics *metrics);

/* The shard of METRICS_LOG, METRICS_WORKERS + 3, …; lives as long as `metrics`. */
struct metrics_shard *metrics_shard(struct metrics *metrics, size_t index);
size_t metrics_shard_count(const struct metrics *metrics);

/* "worker-3" and a NUL: the value of the label THREAD. */
#define METRICS_THREAD_NAME_BYTES 24
void metrics_thread_name(size_t shard_index, char ret_name[METRICS_THREAD_NAME_BYTES]);

/* The series of the label MATCH for a pattern that the configuration names: the same one each time.
 * METRICS_MATCHES_MAX: all are taken, and it is not counted. One thread, main; the text is copied.
 * A pattern that a reload took away keeps its series, so that counters go on if it comes back. */
size_t metrics_add_match(struct metrics *metrics, const char *pattern);
size_t metrics_match_count(const struct metrics *metrics);
const char *metrics_match(const struct metrics *metrics, size_t index);

/* The slot `index` of all shards together. */
uint64_t metrics_sum_slot(const struct metrics *metrics, uint32_t slot);
uint64_t metrics_read_slot(const struct metrics *metrics, size_t shard_index, uint32_t slot);

/* What one series of a counter or gauge holds, all shards together. For tests and the console. */
uint64_t metrics_sum(const struct metrics *metrics, enum metric metric, size_t series);

/* How many values one series of a histogram was given. For tests. */
uint64_t metrics_count_observed(const struct metrics *metrics, enum metric metric, size_t series);

/* The series of two label values. */
#define METRICS_PAIR(metric, first, second) ((first)*metrics_rows[metric].second_count + (second))

static inline atomic_uint_fast64_t *metrics_slot_of(struct metrics_shard *shard, enum metric metric,
                                                    size_t series) {
    const struct metrics_row *row = &metrics_rows[metric];
    INVARIANT(series < row->series_count);
    return &shard->slots[row->slot_first + series * row->series_slots];
}

static inline void metrics_bump(atomic_uint_fast64_t *slot, uint64_t amount) {
    uint64_t value = atomic_load_explicit(slot, memory_order_relaxed);
    atomic_store_explicit(slot, value + amount, memory_order_relaxed);
}

static inline void metrics_add_at(struct metrics_shard *shard, enum metric metric, size_t series,
                                  uint64_t amount) {
    metrics_bump(metrics_slot_of(shard, metric, series), amount);
}

static inline void metrics_add(struct metrics_shard *shard, enum metric metric, uint64_t amount) {
    metrics_add_at(shard, metric, 0, amount);
}

/* Gauges only. One shard may go below zero when another thread added: the sum counts. */
static inline void metrics_sub_at(struct metrics_shard *shard, enum metric metric, size_t series,
                                  uint64_t amount) {
    metrics_add_at(shard, metric, series, 0 - amount);
}

static inline void metrics_sub(struct metrics_shard *shard, enum metric metric, uint64_t amount) {
    metrics_sub_at(shard, metric, 0, amount);
}

/* For gauges, and for counters that somebody else keeps and the collector copies. */
static inline void metrics_set_at(struct metrics_shard *shard, enum metric metric, size_t series,
                                  uint64_t value) {
    atomic_store_explicit(metrics_slot_of(shard, metric, series), value, memory_order_relaxed);
}

static inline void metrics_set(struct metrics_shard *shard, enum metric metric, uint64_t value) {
    metrics_set_at(shard, metric, 0, value);
}

/* Histograms: one value in the row's unit. */
void metrics_observe_at(struct metrics_shard *shard, enum metric metric, size_t series,
                        uint64_t value);

static inline void metrics_observe(struct metrics_shard *shard, enum metric metric,
                                   uint64_t value) {
    metrics_observe_at(shard, metric, 0, value);
}

/* A reader is told of a gap; the offsets that it lacks count where they are known (not 0). */
void metrics_count_gap(struct metrics_shard *shard, size_t reason, uint64_t from, uint64_t to);
