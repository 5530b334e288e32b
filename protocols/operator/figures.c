/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/figures.h"

#include "broker/metrics/metrics.h"
#include "broker/metrics/process.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/runtime/reads.h"
#include "broker/runtime/worker.h"
#include "storage/storage.h"

/* A gap's reason is its label's index. */
static_assert((int)GAP_EXPIRED == METRICS_GAP_EXPIRED, "same order");
static_assert((int)GAP_DROPPED == METRICS_GAP_DROPPED, "same order");
static_assert((int)GAP_DELETED == METRICS_GAP_DELETED, "same order");
static_assert((int)GAP_AHEAD == METRICS_GAP_AHEAD, "same order");
static_assert((int)GAP_EPOCH == METRICS_GAP_EPOCH, "same order");

static void collect_storage(const struct storage *storage, struct metrics_shard *shard) {
    struct storage_figures figures;
    storage_get_figures(storage, &figures);
    const struct {
        enum metric metric;
        uint64_t value;
    } rows[] = {
        {METRIC_JOURNAL_BYTES, figures.journal_bytes},
        {METRIC_JOURNAL_FILES, figures.journal_file_count},
        {METRIC_JOURNAL_APPEND, figures.append_us_last},
        {METRIC_JOURNAL_SYNC, figures.sync_us_last},
        {METRIC_OPEN_BATCH_BYTES, figures.open_batch_bytes},
        {METRIC_OPEN_BATCH_MESSAGES, figures.open_batch_messages},
        {METRIC_STORE_USED, figures.lmdb_bytes_used},
        {METRIC_STORE_FILE, figures.lmdb_bytes_file},
        {METRIC_STORE_SEGMENTS, figures.segment_count},
        {METRIC_STORE_CHANNELS, figures.channel_count},
        {METRIC_FOLDS, figures.fold_count},
        {METRIC_FOLD_LAST, figures.fold_us_last},
        {METRIC_POSITION_READABLE, figures.position_readable},
        {METRIC_POSITION_FOLDED, figures.position_folded},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        metrics_set(shard, rows[i].metric, rows[i].value);
    }
}

static void collect_log(struct broker *broker, struct metrics_shard *shard) {
    struct log_figures figures;
    log_get_figures(broker->log, &figures);
    metrics_set(shard, METRIC_LOG_COMMITS, figures.commits);
    metrics_set(shard, METRIC_LOG_MESSAGES, figures.messages);
    metrics_set(shard, METRIC_LOG_REFUSED, figures.refused);
    metrics_set(shard, METRIC_LOG_SYNCS, figures.syncs);
    metrics_set(shard, METRIC_LOG_WAITING, figures.waiting);
    metrics_set(shard, METRIC_LOG_CHANNELS, figures.channels);
    metrics_set(shard, METRIC_LOG_REPEATS, figures.repeats);
    metrics_set(shard, METRIC_LOG_REPEATED, figures.repeated);
    metrics_set(metrics_shard(broker->metrics, METRICS_LOG), METRIC_MAILBOX_LETTERS,
                figures.waiting);
}

static void collect_workers(struct broker *broker) {
    for (size_t i = 0; i < broker->worker_count; i++) {
        const struct mailbox *mailbox = worker_mailbox(broker->workers[i]);
        metrics_set(metrics_shard(broker->metrics, METRICS_WORKERS + i), METRIC_MAILBOX_LETTERS,
                    atomic_load_explicit(&mailbox->letter_count, memory_order_relaxed));
    }
}

void figures_collect(struct broker *broker, struct metrics_shard *shard) {
    process_collect(shard);
    metrics_set(shard, METRIC_READY,
                atomic_load(&broker->is_ready) && !atomic_load(&broker->is_draining));
    metrics_set(shard, METRIC_DRAINING, atomic_load(&broker->is_draining));
    if (broker->storage != NULL) {
        collect_storage(broker->storage, shard);
    }
    if (broker->log != NULL) {
        collect_log(broker, shard);
    }
    if (broker->reads != NULL) {
        metrics_set(shard, METRIC_READS_WAITING, reads_waiting(broker->reads));
    }
    if (broker->workers != NULL) {
        collect_workers(broker);
    }
}
