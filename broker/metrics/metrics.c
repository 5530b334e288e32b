/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/metrics/metrics.h"

#include <stdio.h>
#include <stdlib.h>

static_assert(METRICS_SLOTS * sizeof(uint64_t) < 65536, "a shard stays in a core's own cache");
static_assert(sizeof(struct metrics_shard) % 64 == 0, "shards share no cache line");

struct metrics {
    size_t shard_count;
    struct metrics_shard *shards;
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
    for (size_t i = 0; i < metrics->shard_count; i++) {
        for (size_t slot = 0; slot < METRICS_SLOTS; slot++) {
            atomic_init(&metrics->shards[i].slots[slot], 0);
        }
    }
    *ret_metrics = metrics;
    return OK;
}

void metrics_destroy(struct metrics *metrics) {
    if (metrics == NULL) {
        return;
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
    static const char *const names[METRICS_READS] = {[METRICS_MAIN] = "main",
                                                     [METRICS_LOG] = "log",
                                                     [METRICS_SYNC] = "sync",
                                                     [METRICS_STORE] = "store",
                                                     [METRICS_OPERATOR] = "operator"};
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

/* The first bucket whose bound is not below `value`; METRICS_BUCKETS: above all of them. */
static uint32_t bucket_of(uint64_t value) {
    if (value <= UINT64_C(1) << METRICS_BUCKET_SHIFT) {
        return 0;
    }
    uint32_t bits = 64 - (uint32_t)__builtin_clzll(value - 1); /* value <= 1 << bits */
    uint32_t bucket = bits - METRICS_BUCKET_SHIFT;
    return bucket < METRICS_BUCKETS ? bucket : METRICS_BUCKETS;
}

void metrics_observe(struct metrics_shard *shard, enum metric metric, uint64_t value) {
    INVARIANT(metrics_rows[metric].type == METRICS_HISTOGRAM);
    atomic_uint_fast64_t *slots = metrics_slot_of(shard, metric, 0);
    metrics_bump(&slots[bucket_of(value)], 1);
    metrics_bump(&slots[METRICS_BUCKETS + 1], value);
}
