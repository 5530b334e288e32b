/* SPDX-License-Identifier: Apache-2.0 */
/* Those with the highest weight are found with a heap whose root is the least of them. Who holds
 * nothing and lags behind nothing is never closed, so that readers that do as they should stay. */
#include "broker/runtime/shed.h"

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/budget.h"
#include "broker/runtime/connection.h"
#include "broker/runtime/stream.h"
#include "broker/runtime/worker_private.h"
#include "broker/support/logger.h"

/* Of a weight: who has stalled comes first, then the magnitude of the bytes that are kept here,
 * then for how long the socket has been full, then the lag. The magnitude alone, for a reader in
 * the middle of what it takes holds for a moment about as much as one that takes nothing. */
#define LAG_BITS 20
#define FULL_BITS 36
#define MAGNITUDE_SHIFT (LAG_BITS + FULL_BITS)
#define STALLED (UINT64_C(1) << 63)

struct heavy {
    struct connection *connection;
    uint64_t weight;
};

struct heaviest {
    struct heavy rows[SHED_MAX];
    size_t count;
    size_t count_max;
};

/* Positions that its streams lack. */
static uint64_t lag_of(struct connection *connection, uint64_t head) {
    uint64_t lag = 0;
    for (struct stream *stream = stream_next(connection, NULL); stream != NULL;
         stream = stream_next(connection, stream)) {
        struct stream_status status;
        stream_get_status(stream, &status);
        uint64_t behind = stream_positions_behind(&status, head);
        lag = behind > lag && status.is_blocked ? behind : lag;
    }
    return lag;
}

static uint64_t at_most(uint64_t value, unsigned bits) {
    uint64_t max = (UINT64_C(1) << bits) - 1;
    return value < max ? value : max;
}

/* 0: it holds nothing and lags behind nothing. */
static uint64_t weight_of(const struct worker *worker, struct connection *connection,
                          uint64_t head) {
    uint64_t lag = lag_of(connection, head);
    uint64_t kept_bytes = connection_kept_bytes(connection);
    if (lag == 0 && kept_bytes == 0) {
        return 0;
    }
    uint64_t magnitude = kept_bytes == 0 ? 0 : 64 - (uint64_t)__builtin_clzll(kept_bytes);
    uint64_t full_ms =
        connection_is_blocked(connection) ? worker->now_ms - connection_sent_ms(connection) : 0;
    return (full_ms >= SHED_STALL_MS ? STALLED : 0) | magnitude << MAGNITUDE_SHIFT |
           at_most(full_ms, FULL_BITS) << LAG_BITS | at_most(lag, LAG_BITS);
}

static void sink(struct heaviest *heaviest) {
    struct heavy *rows = heaviest->rows;
    size_t at = 0;
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < heaviest->count; child++) {
            least = rows[child].weight < rows[least].weight ? child : least;
        }
        if (least == at) {
            return;
        }
        struct heavy row = rows[at];
        rows[at] = rows[least];
        rows[least] = row;
        at = least;
    }
}

static void rise(struct heaviest *heaviest, size_t at) {
    struct heavy *rows = heaviest->rows;
    while (at > 0 && rows[at].weight < rows[(at - 1) / 2].weight) {
        struct heavy row = rows[at];
        rows[at] = rows[(at - 1) / 2];
        rows[(at - 1) / 2] = row;
        at = (at - 1) / 2;
    }
}

static void put(struct heaviest *heaviest, struct connection *connection, uint64_t weight) {
    struct heavy row = {connection, weight};
    if (heaviest->count < heaviest->count_max) {
        heaviest->rows[heaviest->count] = row;
        rise(heaviest, heaviest->count++);
    } else if (weight >= heaviest->rows[0].weight) { /* of equals those that came last */
        heaviest->rows[0] = row;
        sink(heaviest);
    }
}

/* One whose socket is full cannot be told: a goodbye would wait behind what it does not take. */
static void close_one(struct worker *worker, struct connection *connection) {
    enum metrics_protocol protocol = metrics_find_protocol(connection_protocol_name(connection));
    metrics_add_at(worker->metrics, METRIC_MEMORY_SHED, protocol, 1);
    metrics_add_at(worker->metrics, METRIC_LIMITS_REFUSED,
                   METRICS_PAIR(METRIC_LIMITS_REFUSED, METRICS_LIMIT_MEMORY, protocol), 1);
    if (connection_is_blocked(connection)) {
        connection_abort(connection, CLOSE_MEMORY);
    } else {
        connection_dismiss(connection, CLOSE_MEMORY);
    }
}

static size_t share_of(const struct worker *worker) {
    size_t share = worker->connection_count / SHED_SHARE;
    share = share < SHED_MIN ? SHED_MIN : share;
    return share < SHED_MAX ? share : SHED_MAX;
}

void shed_readers(struct worker *worker) {
    const struct budget *budget = worker->broker->budget;
    if (budget == NULL || !atomic_load_explicit(&budget->is_shedding, memory_order_relaxed) ||
        atomic_load(&budget->look) == worker->shed_look) {
        return;
    }
    worker->shed_look = atomic_load(&budget->look);
    uint64_t head = log_position_readable(worker->broker->log);
    struct heaviest heaviest = {.count_max = share_of(worker)};
    uint64_t most = 0;
    for (struct connection *connection = connections_next(worker, NULL); connection != NULL;
         connection = connections_next(worker, connection)) {
        uint64_t weight =
            connection_is_closing(connection) ? 0 : weight_of(worker, connection, head);
        most = weight > most ? weight : most;
        if (weight > 0) {
            put(&heaviest, connection, weight);
        }
    }
    if (heaviest.count == 0) {
        return;
    }
    size_t count = 0;
    size_t kept_most_bytes = 0;
    for (size_t i = 0; i < heaviest.count; i++) {
        struct connection *connection = heaviest.rows[i].connection;
        if ((heaviest.rows[i].weight & STALLED) == (most & STALLED)) {
            size_t kept_bytes = connection_kept_bytes(connection);
            kept_most_bytes = kept_bytes > kept_most_bytes ? kept_bytes : kept_most_bytes;
            close_one(worker, connection);
            count++;
        }
    }
    log_event(MEMORY_SHED, .connections = count, .kept_most_bytes = kept_most_bytes);
}
