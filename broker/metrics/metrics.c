/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/metrics/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(METRICS_SLOTS * sizeof(uint64_t) < 65536, "a shard stays in a core's own cache");
static_assert(sizeof(struct metrics_shard) % 64 == 0, "shards share no cache line");

struct metrics {
    size_t shard_count;
    struct metrics_shard *shards;
    atomic_size_t
        match_count; /* a scrape may run beside a reload: a text is there before it counts */
    char *matches[METRICS_MATCHES_MAX];
};

enum error_code metrics_create(size_t worker_count, struct metrics **ret_metrics) {
    struct metrics *metrics = calloc(1, sizeof(*metrics));
    if (metrics == NULL) {
        return ERR_MEMORY;
    }
    metrics->shard_count = METRICS_WORKERS + worker_count;
    size_t bytes = metrics->shard_count * sizeof(struct metrics_shard);
    metrics->shards = aligned_alloc(_Alignof(struct metrics_shard), bytes);
    if (metrics->shards == NULL) {
        free(metrics);
        return ERR_MEMORY;
    }
    memset(metrics->shards, 0, bytes);
    for (size_t i = 0; i < metrics->shard_count; i++) {
        metrics->shards[i].index = i;
    }
    *ret_metrics = metrics;
    return OK;
}

void metrics_destroy(struct metrics *metrics) {
    if (metrics == NULL) {
        return;
    }
    for (size_t i = 0; i < METRICS_MATCHES_MAX; i++) {
        free(metrics->matches[i]);
    }
    free(metrics->shards);
    free(metrics);
}

struct metrics_shard *metrics_shard(struct metrics *metrics, size_t index) {
    INVARIANT(index < metrics->shard_count);
    return &metrics->shards[index];
}

size_t metrics_shard_count(const struct metrics *metrics) {
    return metrics->shard_count;
}

void metrics_thread_name(size_t shard_index, char ret_name[METRICS_THREAD_NAME_BYTES]) {
    static const char *const names[METRICS_READS] = {
        [METRICS_MAIN] = "main",   [METRICS_LOG] = "log",           [METRICS_SYNC] = "sync",
        [METRICS_STORE] = "store", [METRICS_OPERATOR] = "operator", [METRICS_COURIER] = "courier",
        [METRICS_SINKS] = "sinks"};
    if (shard_index < METRICS_READS) {
        snprintf(ret_name, METRICS_THREAD_NAME_BYTES, "%s", names[shard_index]);
    } else if (shard_index < METRICS_WORKERS) {
        snprintf(ret_name, METRICS_THREAD_NAME_BYTES, "read-%u",
                 (unsigned)(shard_index - METRICS_READS));
    } else {
        snprintf(ret_name, METRICS_THREAD_NAME_BYTES, "worker-%u",
                 (unsigned)(shard_index - METRICS_WORKERS));
    }
}

size_t metrics_add_match(struct metrics *metrics, const char *pattern) {
    size_t count = metrics_match_count(metrics);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(metrics->matches[i], pattern) == 0) {
            return i;
        }
    }
    char *copy = count < METRICS_MATCHES_MAX ? strdup(pattern) : NULL;
    if (copy == NULL) {
        return METRICS_MATCHES_MAX;
    }
    metrics->matches[count] = copy;
    atomic_store(&metrics->match_count, count + 1);
    return count;
}

size_t metrics_match_count(const struct metrics *metrics) {
    return atomic_load(&metrics->match_count);
}

const char *metrics_match(const struct metrics *metrics, size_t index) {
    INVARIANT(index < metrics_match_count(metrics));
    return metrics->matches[index];
}

uint64_t metrics_sum_slot(const struct metrics *metrics, uint32_t slot) {
    uint64_t sum = 0; /* wraps on purpose: a shard of a gauge may be below zero */
    for (size_t i = 0; i < metrics->shard_count; i++) {
        sum += metrics_read_slot(metrics, i, slot);
    }
    return sum;
}

uint64_t metrics_read_slot(const struct metrics *metrics, size_t shard_index, uint32_t slot) {
    INVARIANT(shard_index < metrics->shard_count);
    INVARIANT(slot < METRICS_SLOTS);
    return atomic_load_explicit(&metrics->shards[shard_index].slots[slot], memory_order_relaxed);
}

uint64_t metrics_sum(const struct metrics *metrics, enum metric metric, size_t series) {
    const struct metrics_row *row = &metrics_rows[metric];
    INVARIANT(row->type != METRICS_HISTOGRAM);
    INVARIANT(series < row->series_count);
    return metrics_sum_slot(metrics, row->slot_first + (uint32_t)series);
}

uint64_t metrics_count_observed(const struct metrics *metrics, enum metric metric, size_t series) {
    const struct metrics_row *row = &metrics_rows[metric];
    INVARIANT(row->type == METRICS_HISTOGRAM);
    INVARIANT(series < row->series_count);
    uint64_t count = 0;
    for (uint32_t i = 0; i <= METRICS_BUCKETS; i++) {
        count +=
            metrics_sum_slot(metrics, row->slot_first + (uint32_t)series * row->series_slots + i);
    }
    return count;
}

void metrics_observe_at(struct metrics_shard *shard, enum metric metric, size_t series,
                        uint64_t value) {
    INVARIANT(metrics_rows[metric].type == METRICS_HISTOGRAM);
    atomic_uint_fast64_t *slots = metrics_slot_of(shard, metric, series);
    metrics_bump(&slots[metrics_bucket_of(metrics_rows[metric].unit, value)], 1);
    metrics_bump(&slots[METRICS_BUCKETS + 1], value);
}

void metrics_count_gap(struct metrics_shard *shard, size_t reason, uint64_t from, uint64_t to) {
    metrics_add_at(shard, METRIC_GAPS, reason, 1);
    if (from > 0 && to >= from) {
        metrics_add_at(shard, METRIC_GAP_MESSAGES, reason, to - from + 1);
    }
}
