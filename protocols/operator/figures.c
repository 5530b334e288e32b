/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/figures.h"

#include "broker/admission/accounts.h"
#include "broker/admission/addresses.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/metrics/process.h"
#include "broker/metrics/thread.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/runtime/reads.h"
#include "broker/runtime/worker.h"
#include "broker/support/logger.h"
#include "protocols/operator/pages.h"
#include "storage/storage.h"

/* A gap's reason is its label's index. */
static_assert((int)GAP_EXPIRED == METRICS_GAP_EXPIRED, "same order");
static_assert((int)GAP_DROPPED == METRICS_GAP_DROPPED, "same order");
static_assert((int)GAP_DELETED == METRICS_GAP_DELETED, "same order");
static_assert((int)GAP_AHEAD == METRICS_GAP_AHEAD, "same order");
static_assert((int)GAP_EPOCH == METRICS_GAP_EPOCH, "same order");

/* A policy likewise: ON_LAG_AUTO is none of a reader's. */
static_assert((int)ON_LAG_CATCH_UP == METRICS_LAG_CATCH_UP, "same order");
static_assert((int)ON_LAG_CONFLATE == METRICS_LAG_CONFLATE, "same order");
static_assert((int)ON_LAG_DROP == METRICS_LAG_DROP, "same order");
static_assert((int)ON_LAG_DISCONNECT == METRICS_LAG_DISCONNECT, "same order");
static_assert((int)ON_LAG_AUTO == METRICS_LAG_COUNT, "no other");

static void collect_storage(struct storage *storage, struct metrics_shard *shard) {
    struct storage_figures figures;
    storage_get_figures(storage, &figures);
    const struct {
        enum metric metric;
        uint64_t value;
    } rows[] = {
        {METRIC_JOURNAL_BYTES, figures.journal_bytes},
        {METRIC_JOURNAL_FILES, figures.journal_file_count},
        {METRIC_OPEN_BATCH_BYTES, figures.open_batch_bytes},
        {METRIC_OPEN_BATCH_LIMIT, figures.open_batch_bytes_max},
        {METRIC_OPEN_BATCH_MESSAGES, figures.open_batch_messages},
        {METRIC_STORE_USED, figures.lmdb_bytes_used},
        {METRIC_STORE_FILE, figures.lmdb_bytes_file},
        {METRIC_STORE_LIMIT, figures.bytes_max},
        {METRIC_STORE_SEGMENTS, figures.segment_count},
        {METRIC_STORE_CHANNELS, figures.channel_count},
        {METRIC_DISK_FREE, figures.disk_bytes_free},
        {METRIC_DISK_SIZE, figures.disk_bytes},
        {METRIC_READ_TRANSACTIONS, figures.snapshot_count},
        {METRIC_READ_TRANSACTION_AGE, figures.snapshot_us_oldest},
        {METRIC_POSITION_READABLE, figures.position_readable},
        {METRIC_POSITION_FOLDED, figures.position_folded},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        metrics_set(shard, rows[i].metric, rows[i].value);
    }
}

static void collect_mailbox(struct broker *broker, size_t thread, uint64_t letters) {
    struct metrics_shard *shard = metrics_shard(broker->metrics, thread);
    metrics_set(shard, METRIC_MAILBOX_LETTERS, letters);
    metrics_set(shard, METRIC_MAILBOX_LIMIT, MAILBOX_NODES_MAX);
}

static void collect_log(struct broker *broker, struct metrics_shard *shard) {
    struct log_figures figures;
    log_get_figures(broker->log, &figures);
    metrics_set(shard, METRIC_PUBLISHES_TURNED_AWAY, figures.turned_away);
    metrics_set(shard, METRIC_PUBLISHES_WAITING, figures.waiting);
    metrics_set(shard, METRIC_PUBLISHES_WAITING_BYTES, figures.waiting_bytes);
    metrics_set(shard, METRIC_LOG_CHANNELS, figures.channels);
    metrics_set(shard, METRIC_LOG_REPEATS, figures.repeats);
    collect_mailbox(broker, METRICS_LOG, figures.letters);
}

static void collect_workers(struct broker *broker) {
    for (size_t i = 0; i < broker->worker_count; i++) {
        struct worker *worker = broker->workers[i];
        collect_mailbox(
            broker, METRICS_WORKERS + i,
            atomic_load_explicit(&worker_mailbox(worker)->letter_count, memory_order_relaxed));
        metrics_set(
            metrics_shard(broker->metrics, METRICS_WORKERS + i), METRIC_COMMITS_WAITING,
            atomic_load_explicit(&worker_listener(worker)->bytes_waiting, memory_order_relaxed));
    }
}

void figures_collect(struct broker *broker, struct metrics_shard *shard) {
    process_collect(shard);
    threads_collect(broker->metrics);
    metrics_set(shard, METRIC_READY, pages_check_ready(broker, NULL) == OK);
    metrics_set(shard, METRIC_LOG_SUPPRESSED, logger_suppressed_total());
    metrics_set(shard, METRIC_DRAINING, atomic_load(&broker->is_draining));
    metrics_set(shard, METRIC_ACCOUNTS, accounts_count(broker->accounts));
    metrics_set(shard, METRIC_ADDRESSES, addresses_count(broker->addresses));
    metrics_set(shard, METRIC_CONNECTIONS_LIMIT, broker->config->connections_max);
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
