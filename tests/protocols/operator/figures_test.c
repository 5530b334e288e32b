/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/figures.h"

#include "broker/metrics/metrics.h"
#include "tests/protocols/operator/fakes.h"
#include "tests/unit.h"

TEST(figures_of_all_parts_become_metrics) {
    struct broker *broker = fakes_create(NULL);
    struct metrics *metrics = broker->metrics;
    figures_collect(broker, metrics_shard(metrics, METRICS_OPERATOR));
    EXPECT_EQ(metrics_sum(metrics, METRIC_JOURNAL_BYTES, 0), 101);
    EXPECT_EQ(metrics_sum(metrics, METRIC_READ_TRANSACTION_AGE, 0), 2500000);
    EXPECT_EQ(metrics_sum(metrics, METRIC_LOG_CHANNELS, 0), 102);
    EXPECT_EQ(metrics_sum(metrics, METRIC_PUBLISHES_WAITING, 0), 103);
    EXPECT_EQ(metrics_sum(metrics, METRIC_READS_WAITING, 0), 104);
    EXPECT_EQ(metrics_sum(metrics, METRIC_READY, 0), 1);
    uint32_t depth = metrics_rows[METRIC_MAILBOX_LETTERS].slot_first;
    EXPECT_EQ(metrics_read_slot(metrics, METRICS_WORKERS, depth), 105);
    EXPECT_EQ(metrics_read_slot(metrics, METRICS_WORKERS + 1, depth), 106);
    EXPECT_EQ(metrics_read_slot(metrics, METRICS_LOG, depth), 107);
    uint32_t waiting = metrics_rows[METRIC_COMMITS_WAITING].slot_first;
    EXPECT_EQ(metrics_read_slot(metrics, METRICS_WORKERS + 1, waiting), 201);
    fakes_destroy(broker);
}

TEST(collecting_twice_counts_once) {
    struct broker *broker = fakes_create(NULL);
    for (size_t i = 0; i < 2; i++) {
        figures_collect(broker, metrics_shard(broker->metrics, METRICS_OPERATOR));
    }
    EXPECT_EQ(metrics_sum(broker->metrics, METRIC_JOURNAL_BYTES, 0), 101);
    fakes_destroy(broker);
}

TEST(broker_that_starts_has_figures_of_what_is_there) {
    struct broker *broker = fakes_create(NULL);
    broker->storage = NULL;
    broker->log = NULL;
    broker->reads = NULL;
    broker->workers = NULL;
    atomic_store(&broker->is_ready, false);
    figures_collect(broker, metrics_shard(broker->metrics, METRICS_OPERATOR));
    EXPECT_EQ(metrics_sum(broker->metrics, METRIC_READY, 0), 0);
    EXPECT_EQ(metrics_sum(broker->metrics, METRIC_JOURNAL_BYTES, 0), 0);
    EXPECT_TRUE(metrics_sum(broker->metrics, METRIC_PROCESS_OPEN_FDS, 0) > 0);
    fakes_destroy(broker);
}

TEST(broker_whose_store_takes_nothing_is_not_ready) {
    struct broker *broker = fakes_create(NULL);
    fakes_set_health(ERR_STORAGE_FULL);
    figures_collect(broker, metrics_shard(broker->metrics, METRICS_OPERATOR));
    EXPECT_EQ(metrics_sum(broker->metrics, METRIC_READY, 0), 0);
    fakes_set_health(OK);
    figures_collect(broker, metrics_shard(broker->metrics, METRICS_OPERATOR));
    EXPECT_EQ(metrics_sum(broker->metrics, METRIC_READY, 0), 1);
    fakes_destroy(broker);
}

UNIT_TESTS(UNIT(figures_of_all_parts_become_metrics), UNIT(collecting_twice_counts_once),
           UNIT(broker_that_starts_has_figures_of_what_is_there),
           UNIT(broker_whose_store_takes_nothing_is_not_ready))
