/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/sys.h"

#include <stdio.h>

#include "broker/channels/pattern.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "broker/support/clock.h"

#define ALL_SERIES SIZE_MAX
#define NO_TERM                                                                                    \
    { .series_count = 0 }

/* One figure of the metrics: some series of a row, from the first on. */
struct term {
    enum metric metric;
    size_t series;
    size_t series_count; /* 0: there is no such term; ALL_SERIES: all of the row's */
};

#define OF_ROW(row)                                                                                \
    { METRIC_##row, 0, ALL_SERIES }
#define OF_SERIES(row, index)                                                                      \
    { METRIC_##row, index, 1 }
#define OF_MQTT(row) OF_SERIES(row, METRICS_PROTOCOL_MQTT)

/* What a topic tells is the sum of its terms. */
static const struct sys_row {
    const char *topic;
    struct term terms[2];
} rows[] = {
    {"$SYS/broker/clients/connected", {OF_ROW(SESSIONS_CONNECTED), NO_TERM}},
    {"$SYS/broker/clients/disconnected", {OF_ROW(SESSIONS_AWAY), NO_TERM}},
    {"$SYS/broker/clients/total", {OF_ROW(SESSIONS_CONNECTED), OF_ROW(SESSIONS_AWAY)}},
    {"$SYS/broker/clients/expired", {OF_ROW(SESSIONS_EXPIRED), NO_TERM}},
    {"$SYS/broker/messages/received", {OF_ROW(MQTT_RECEIVED), NO_TERM}},
    {"$SYS/broker/messages/sent", {OF_ROW(MQTT_SENT), OF_MQTT(DELIVERIES)}},
    {"$SYS/broker/messages/inflight", {OF_ROW(MQTT_IN_FLIGHT), NO_TERM}},
    {"$SYS/broker/publish/messages/received",
     {OF_SERIES(MQTT_RECEIVED, METRICS_PACKET_PUBLISH), NO_TERM}},
    {"$SYS/broker/publish/messages/sent",
     {OF_SERIES(MQTT_SENT, METRICS_PACKET_PUBLISH), OF_MQTT(DELIVERIES)}},
    {"$SYS/broker/publish/messages/dropped",
     {OF_SERIES(GAP_MESSAGES, METRICS_GAP_DROPPED), NO_TERM}},
    {"$SYS/broker/publish/bytes/received", {OF_MQTT(PUBLISHED_BYTES), NO_TERM}},
    {"$SYS/broker/publish/bytes/sent", {OF_MQTT(DELIVERED_BYTES), NO_TERM}},
    {"$SYS/broker/bytes/received", {OF_MQTT(RECEIVED_BYTES), NO_TERM}},
    {"$SYS/broker/bytes/sent", {OF_MQTT(SENT_BYTES), NO_TERM}},
    {"$SYS/broker/subscriptions/count", {OF_ROW(MQTT_SUBSCRIPTIONS), NO_TERM}},
    {"$SYS/broker/shared_subscriptions/count", {OF_ROW(MQTT_SHARED), NO_TERM}},
};

static uint64_t sum_of(const struct metrics *metrics, const struct term *term) {
    size_t count = term->series_count == ALL_SERIES ? metrics_rows[term->metric].series_count
                                                    : term->series_count;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += metrics_sum(metrics, term->metric, term->series + i);
    }
    return sum;
}

static void tell(struct span pattern, const char *topic, const char *payload,
                 sys_on_topic *on_topic, void *context) {
    if (pattern_matches(pattern, span_of_string(topic))) {
        on_topic(context, span_of_string(topic), span_of_string(payload));
    }
}

void sys_each(const struct broker *broker, struct span pattern, sys_on_topic *on_topic,
              void *context) {
    char payload[SYS_PAYLOAD_BYTES];
    uint64_t uptime_ms = clock_monotonic_ms() - broker->started_monotonic_ms;
    tell(pattern, "$SYS/broker/version", "tidings version " TIDINGS_VERSION, on_topic, context);
    snprintf(payload, sizeof(payload), "%llu seconds", (unsigned long long)(uptime_ms / 1000));
    tell(pattern, "$SYS/broker/uptime", payload, on_topic, context);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        uint64_t sum =
            sum_of(broker->metrics, &rows[i].terms[0]) + sum_of(broker->metrics, &rows[i].terms[1]);
        snprintf(payload, sizeof(payload), "%llu", (unsigned long long)sum);
        tell(pattern, rows[i].topic, payload, on_topic, context);
    }
}
