/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/metrics/table.h"

#include <string.h>

#include "broker/metrics/metrics.h"
#include "broker/support/invariant.h"

#define LABEL_COUNT(label) METRICS_LABEL_VALUES_##label

const struct metrics_row metrics_rows[METRIC_COUNT] = {
#define METRICS_ROW(metric, name, type, unit, first, second, help)                                 \
    [METRIC_##metric] = {name,                                                                     \
                         METRICS_##type,                                                           \
                         METRICS_##unit,                                                           \
                         {METRICS_LABEL_##first, METRICS_LABEL_##second},                          \
                         help,                                                                     \
                         METRICS_SLOT_##metric,                                                    \
                         LABEL_COUNT(first) * LABEL_COUNT(second),                                 \
                         LABEL_COUNT(second),                                                      \
                         METRICS_##type##_SLOTS},
    METRICS_TABLE(METRICS_ROW)
#undef METRICS_ROW
};

struct label_row {
    const char *name;
    size_t count;
};

static const struct label_row label_rows[METRICS_LABEL_COUNT] = {
#define LABEL_ROW(label, name, count) [METRICS_LABEL_##label] = {name, count},
    METRICS_LABEL_TABLE(LABEL_ROW)
#undef LABEL_ROW
};

#define VALUE_NAME(value, name) [value] = name,
static const char *const protocol_names[] = {METRICS_PROTOCOL_TABLE(VALUE_NAME)};
static const char *const route_names[] = {METRICS_ROUTE_TABLE(VALUE_NAME)};
static const char *const status_names[] = {METRICS_STATUS_TABLE(VALUE_NAME)};
static const char *const gap_names[] = {METRICS_GAP_TABLE(VALUE_NAME)};
static const char *const lag_names[] = {METRICS_LAG_TABLE(VALUE_NAME)};
static const char *const command_names[] = {METRICS_COMMAND_TABLE(VALUE_NAME)};
static const char *const packet_names[] = {METRICS_PACKET_TABLE(VALUE_NAME)};
static const char *const handshake_names[] = {METRICS_HANDSHAKE_TABLE(VALUE_NAME)};
static const char *const tls_names[] = {METRICS_TLS_TABLE(VALUE_NAME)};
static const char *const credentials_names[] = {METRICS_CREDENTIALS_TABLE(VALUE_NAME)};
#undef VALUE_NAME

#define LIMIT_NAME(value, name, path) name,
static const char *const limit_names[] = {METRICS_LIMIT_TABLE(LIMIT_NAME)};
#undef LIMIT_NAME

#define LIMIT_PATH(value, name, path) path,
static const char *const limit_paths[] = {METRICS_LIMIT_TABLE(LIMIT_PATH)};
#undef LIMIT_PATH

const char *metrics_label_name(enum metrics_label label) {
    INVARIANT(label < METRICS_LABEL_COUNT);
    return label_rows[label].name;
}

size_t metrics_label_count(enum metrics_label label) {
    INVARIANT(label < METRICS_LABEL_COUNT);
    return label_rows[label].count;
}

const char *metrics_label_value(enum metrics_label label, size_t index) {
    INVARIANT(index < metrics_label_count(label));
    switch (label) {
    case METRICS_LABEL_PROTOCOL:
        return protocol_names[index];
    case METRICS_LABEL_REASON:
        return close_row((enum close_reason)index)->name;
    case METRICS_LABEL_RESULT:
        return error_row((enum error_code)index)->slug;
    case METRICS_LABEL_ROUTE:
        return route_names[index];
    case METRICS_LABEL_STATUS:
        return status_names[index];
    case METRICS_LABEL_GAP:
        return gap_names[index];
    case METRICS_LABEL_ON_LAG:
        return lag_names[index];
    case METRICS_LABEL_COMMAND:
        return command_names[index];
    case METRICS_LABEL_PACKET:
        return packet_names[index];
    case METRICS_LABEL_HANDSHAKE:
        return handshake_names[index];
    case METRICS_LABEL_TLS:
        return tls_names[index];
    case METRICS_LABEL_CREDENTIALS:
        return credentials_names[index];
    case METRICS_LABEL_LIMIT:
        return limit_names[index];
    case METRICS_LABEL_MATCH:
    case METRICS_LABEL_NONE:
    case METRICS_LABEL_THREAD:
    case METRICS_LABEL_COUNT:
        break;
    }
    invariant_failed("the label has a closed list of values", __FILE__, __LINE__);
}

const char *metrics_limit_path(enum metrics_limit limit) {
    INVARIANT(limit < METRICS_LIMIT_COUNT);
    return limit_paths[limit];
}

enum metrics_protocol metrics_find_protocol(const char *name) {
    for (size_t i = 0; i < METRICS_PROTOCOL_COUNT; i++) {
        if (strcmp(protocol_names[i], name) == 0) {
            return (enum metrics_protocol)i;
        }
    }
    return METRICS_PROTOCOL_OTHER;
}

/* Bucket i holds values up to 1 << (first + i * step). */
static const struct {
    uint32_t first;
    uint32_t step;
} buckets[] = {
    [METRICS_COUNT] = {0, 2},        /* 1 to 17 thousand million: a reader's lag has no bound */
    [METRICS_BYTES] = {9, 1},        /* 512 bytes to 64 MiB, a full open batch */
    [METRICS_MICROSECONDS] = {6, 1}, /* 64 us to 8.4 s */
};

uint64_t metrics_bucket_bound(enum metrics_unit unit, uint32_t bucket) {
    INVARIANT(bucket < METRICS_BUCKETS);
    return UINT64_C(1) << (buckets[unit].first + bucket * buckets[unit].step);
}

uint32_t metrics_bucket_of(enum metrics_unit unit, uint64_t value) {
    uint32_t first = buckets[unit].first;
    uint32_t step = buckets[unit].step;
    uint32_t bits = value <= 1 ? 0 : 64 - (uint32_t)__builtin_clzll(value - 1); /* <= 1 << bits */
    uint32_t bucket = bits <= first ? 0 : (bits - first + step - 1) / step;
    return bucket < METRICS_BUCKETS ? bucket : METRICS_BUCKETS;
}

enum metrics_status metrics_status_of(unsigned status) {
    return status >= 100 && status < 600 ? (enum metrics_status)(status / 100 - 1)
                                         : METRICS_STATUS_5XX;
}
