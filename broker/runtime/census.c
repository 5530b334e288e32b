/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/census.h"

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/stream.h"
#include "broker/runtime/worker_private.h"

#define STEPS_SELECTORS 8 /* selectors looked at for a step */

/* Returns how many steps it was: one at least. */
static size_t look_at(struct worker *worker, struct connection *connection, uint64_t head) {
    size_t steps = 0;
    for (struct stream *stream = stream_next(connection, NULL); stream != NULL;
         stream = stream_next(connection, stream)) {
        struct stream_status status;
        stream_get_status(stream, &status);
        uint64_t lag = stream_positions_behind(&status, head);
        worker->census.behind_count += lag > 0;
        metrics_observe(worker->metrics, METRIC_READER_LAG, lag);
        steps += 1 + status.selector_count / STEPS_SELECTORS;
    }
    return steps > 0 ? steps : 1;
}

static void tell_if_over(struct worker *worker) {
    if (worker->census.next == NULL) {
        metrics_set(worker->metrics, METRIC_READERS_BEHIND, worker->census.behind_count);
    }
}

static bool begin(struct worker *worker) {
    struct census *census = &worker->census;
    if (worker->now_ms - census->begin_ms < CENSUS_INTERVAL_MS) {
        return false;
    }
    *census = (struct census){.next = connections_next(worker, NULL),
                              .begin_ms = worker->now_ms,
                              .id_end = atomic_load(&worker->broker->connection_id_next)};
    return true;
}

void census_go_on(struct worker *worker) {
    struct census *census = &worker->census;
    if (census->next == NULL && !begin(worker)) {
        return;
    }
    uint64_t head = log_position_readable(worker->broker->log);
    size_t steps = 0;
    while (census->next != NULL && steps < CENSUS_STEPS_MAX) {
        struct connection *connection = census->next;
        bool is_younger = connection_id(connection) >= census->id_end;
        census->next = is_younger ? NULL : connections_next(worker, connection);
        steps += is_younger ? 0 : look_at(worker, connection, head);
    }
    tell_if_over(worker);
}

void census_on_gone(struct worker *worker, const struct connection *connection) {
    if (worker->census.next == connection) {
        worker->census.next = connections_next(worker, connection);
        tell_if_over(worker);
    }
}
