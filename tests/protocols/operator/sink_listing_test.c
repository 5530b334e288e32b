/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/sink_listing.h"

#include "tests/unit.h"

TEST(a_sink_is_shown_with_its_place_lag_and_attempts) {
    static char row[] = "{\"name\":\"orders\"}";
    struct sink_figures figures = {.name = "orders",
                                   .kind = "webhook",
                                   .is_configured = true,
                                   .state = SINK_RETRYING,
                                   .breaker = LEDGER_HALF_OPEN,
                                   .detail = "503: \"slow\"",
                                   .status_last = 503,
                                   .lag_messages = 3,
                                   .is_lag_exact = true,
                                   .lag_ms = 1500,
                                   .in_flight = 1,
                                   .waiting = 2,
                                   .window = 4,
                                   .memory_bytes = 9,
                                   .messages = 100,
                                   .bytes = 1000,
                                   .attempts = {[OUTCOME_DELIVERED] = 90, [OUTCOME_THROTTLED] = 2},
                                   .dead = 1,
                                   .gaps = 2,
                                   .failing_since_ms = 1,
                                   .row_json = row};
    struct buffer body;
    buffer_init(&body, 4096);
    EXPECT_EQ(sink_listing_put(&body, &figures), OK);
    EXPECT_SPAN(
        buffer_borrow(&body),
        "{\"name\":\"orders\",\"kind\":\"webhook\",\"origin\":\"configuration\","
        "\"state\":\"retrying\",\"breaker\":\"half_open\",\"detail\":\"503: \\\"slow\\\"\","
        "\"status\":503,\"place\":null,\"lag_messages\":3,\"lag_exact\":true,"
        "\"lag_ms\":1500,\"in_flight\":1,\"waiting\":2,\"window\":4,\"memory_bytes\":9,"
        "\"messages\":100,"
        "\"bytes\":1000,\"rate\":0,\"attempts\":{\"delivered\":90,\"failed\":0,\"refused\":0,"
        "\"throttled\":2,\"unreached\":0,\"gone\":0,\"abandoned\":0},"
        "\"latency_ms\":{\"p50\":0.0,\"p95\":0.0,\"p99\":0.0},\"dead_letters\":1,"
        "\"gaps\":2,\"failing_since\":\"1970-01-01T00:00:00.001Z\",\"next_attempt\":null,"
        "\"sink\":{\"name\":\"orders\"}}");
    buffer_clear(&body);
    figures.floor = (struct place){.log_id = 1, .generation = 1, .position = 7};
    figures.row_json = NULL;
    EXPECT_EQ(sink_listing_put(&body, &figures), OK);
    EXPECT_EQ(buffer_put_byte(&body, '\0'), OK);
    EXPECT_NULL(strstr((char *)body.bytes, "\"place\":null"));
    EXPECT_NULL(strstr((char *)body.bytes, "\"sink\""));
    buffer_finish(&body);
}

TEST(percentiles_lie_straight_between_the_bounds_of_a_bucket) {
    uint64_t counts[SINK_LATENCY_BUCKETS + 1] = {0};
    EXPECT_EQ(sink_listing_percentile_us(counts, 50), 0);
    counts[0] = 100;
    EXPECT_EQ(sink_listing_percentile_us(counts, 50), sink_latency_bounds_us[0] / 2);
    EXPECT_EQ(sink_listing_percentile_us(counts, 100), sink_latency_bounds_us[0]);
    counts[1] = 100;
    EXPECT_EQ(sink_listing_percentile_us(counts, 50), sink_latency_bounds_us[0]);
    EXPECT_EQ(sink_listing_percentile_us(counts, 75),
              (sink_latency_bounds_us[0] + sink_latency_bounds_us[1]) / 2);
    counts[SINK_LATENCY_BUCKETS] = 10000;
    EXPECT_EQ(sink_listing_percentile_us(counts, 99),
              sink_latency_bounds_us[SINK_LATENCY_BUCKETS - 1]);
    uint64_t one[SINK_LATENCY_BUCKETS + 1] = {0, 1};
    EXPECT_EQ(sink_listing_percentile_us(one, 50), sink_latency_bounds_us[1]);
}

UNIT_TESTS(UNIT(a_sink_is_shown_with_its_place_lag_and_attempts),
           UNIT(percentiles_lie_straight_between_the_bounds_of_a_bucket))
