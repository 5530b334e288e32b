/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/sys.h"

#include "broker/channels/name.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "broker/support/buffer.h"
#include "broker/support/clock.h"
#include "tests/unit.h"

static void on_topic(void *context, struct span topic, struct span payload) {
    EXPECT_TRUE(payload.length < SYS_PAYLOAD_BYTES);
    EXPECT_EQ(buffer_printf(context, "%.*s=%.*s;", SPAN_PRINTF(topic), SPAN_PRINTF(payload)), OK);
}

static void expect_told(const struct broker *broker, const char *pattern, const char *expected) {
    struct buffer told;
    buffer_init(&told, 4096);
    sys_each(broker, span_of_string(pattern), on_topic, &told);
    EXPECT_SPAN(buffer_borrow(&told), expected);
    buffer_finish(&told);
}

TEST(a_topic_tells_what_the_counters_of_all_threads_say) {
    struct broker broker = {0};
    EXPECT_EQ(metrics_create(2, &broker.metrics), OK);
    struct metrics_shard *log = metrics_shard(broker.metrics, METRICS_LOG);
    struct metrics_shard *first = metrics_shard(broker.metrics, METRICS_WORKERS);
    struct metrics_shard *second = metrics_shard(broker.metrics, METRICS_WORKERS + 1);
    metrics_set(log, METRIC_SESSIONS_CONNECTED, 3);
    metrics_set(log, METRIC_SESSIONS_AWAY, 4);
    metrics_add_at(first, METRIC_MQTT_RECEIVED, METRICS_PACKET_PUBLISH, 5);
    metrics_add_at(second, METRIC_MQTT_RECEIVED, METRICS_PACKET_PUBLISH, 6);
    metrics_add_at(second, METRIC_MQTT_RECEIVED, METRICS_PACKET_AUTH, 1);
    metrics_add_at(first, METRIC_MQTT_SENT, METRICS_PACKET_CONNACK, 2);
    metrics_add_at(first, METRIC_DELIVERIES, METRICS_PROTOCOL_MQTT, 30);
    metrics_add_at(first, METRIC_DELIVERIES, METRICS_PROTOCOL_SSE, 1000);
    expect_told(&broker, "$SYS/broker/clients/total", "$SYS/broker/clients/total=7;");
    expect_told(&broker, "$SYS/broker/clients/*",
                "$SYS/broker/clients/connected=3;$SYS/broker/clients/disconnected=4;"
                "$SYS/broker/clients/total=7;$SYS/broker/clients/expired=0;");
    expect_told(&broker, "$SYS/broker/messages/*",
                "$SYS/broker/messages/received=12;$SYS/broker/messages/sent=32;"
                "$SYS/broker/messages/inflight=0;");
    expect_told(&broker, "$SYS/broker/publish/messages/**",
                "$SYS/broker/publish/messages/received=11;$SYS/broker/publish/messages/sent=30;"
                "$SYS/broker/publish/messages/dropped=0;");
    expect_told(&broker, "$SYS/broker/nothing", "");
    metrics_destroy(broker.metrics);
}

static void take_uptime(void *context, struct span topic, struct span payload) {
    (void)topic;
    EXPECT_TRUE(span_parse_u64(span_split(&payload, ' '), context));
    EXPECT_SPAN(payload, "seconds");
}

TEST(the_broker_tells_its_version_and_its_age) {
    struct broker broker = {.started_monotonic_ms = clock_monotonic_ms() - 5000};
    EXPECT_EQ(metrics_create(1, &broker.metrics), OK);
    expect_told(&broker, "$SYS/broker/version",
                "$SYS/broker/version=tidings version " TIDINGS_VERSION ";");
    uint64_t seconds = 0;
    sys_each(&broker, SPAN("$SYS/broker/uptime"), take_uptime, &seconds);
    EXPECT_TRUE(seconds >= 5);
    metrics_destroy(broker.metrics);
}

static void expect_reserved(void *context, struct span topic, struct span payload) {
    (void)payload;
    EXPECT_TRUE(channel_name_is_reserved(topic));
    EXPECT_TRUE(span_has_prefix(topic, SPAN("$SYS/broker/")));
    *(size_t *)context += 1;
}

TEST(everything_is_told_to_who_asks_for_all_and_nothing_to_a_plain_wildcard) {
    struct broker broker = {0};
    size_t count = 0;
    EXPECT_EQ(metrics_create(1, &broker.metrics), OK);
    sys_each(&broker, SPAN("$SYS/**"), expect_reserved, &count);
    EXPECT_TRUE(count > 10);
    count = 0;
    sys_each(&broker, SPAN("**"), expect_reserved, &count);
    EXPECT_EQ(count, 0);
    metrics_destroy(broker.metrics);
}

UNIT_TESTS(UNIT(a_topic_tells_what_the_counters_of_all_threads_say),
           UNIT(the_broker_tells_its_version_and_its_age),
           UNIT(everything_is_told_to_who_asks_for_all_and_nothing_to_a_plain_wildcard))
