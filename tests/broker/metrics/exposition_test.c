/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/metrics/exposition.h"

#include "tests/broker/metrics/exposition_checker.h"
#include "tests/unit.h"

static void expose(struct metrics *metrics, struct buffer *ret_text) {
    buffer_init(ret_text, EXPOSITION_BYTES_MAX);
    EXPECT_EQ(exposition_put(ret_text, metrics), OK);
}

static void expect_clean(const struct buffer *text) {
    char fault[CHECKER_FAULT_BYTES] = "";
    if (!exposition_is_clean(buffer_borrow(text), fault)) {
        fail_msg("%s", fault);
    }
}

static void expect_sample(const struct buffer *text, const char *series, double expected) {
    double number = -1;
    if (!exposition_find(buffer_borrow(text), series, &number)) {
        fail_msg("no sample %s", series);
    }
    if (number != expected) {
        fail_msg("%s is %f, expected %f", series, number, expected);
    }
}

TEST(text_of_a_fresh_broker_is_clean) {
    struct metrics *metrics;
    struct buffer text;
    EXPECT_EQ(metrics_create(2, &metrics), OK);
    expose(metrics, &text);
    expect_clean(&text);
    expect_sample(&text, "tidings_build_info{version=\"" TIDINGS_VERSION "\"}", 1);
    expect_sample(&text, "tidings_pages_read_total", 0);
    buffer_finish(&text);
    metrics_destroy(metrics);
}

TEST(text_stays_clean_when_every_slot_counts) {
    struct metrics *metrics;
    struct buffer text;
    EXPECT_EQ(metrics_create(256, &metrics), OK);
    for (size_t shard = 0; shard < metrics_shard_count(metrics); shard++) {
        for (size_t slot = 0; slot < METRICS_SLOTS; slot++) {
            metrics_bump(&metrics_shard(metrics, shard)->slots[slot], UINT64_C(1) << 40);
        }
    }
    expose(metrics, &text);
    expect_clean(&text);
    buffer_finish(&text);
    metrics_destroy(metrics);
}

TEST(shards_are_summed_and_labels_told) {
    struct metrics *metrics;
    struct buffer text;
    EXPECT_EQ(metrics_create(2, &metrics), OK);
    struct metrics_shard *first = metrics_shard(metrics, METRICS_WORKERS);
    struct metrics_shard *second = metrics_shard(metrics, METRICS_WORKERS + 1);
    metrics_add_at(first, METRIC_PUBLISHES,
                   METRICS_PAIR(METRIC_PUBLISHES, METRICS_PROTOCOL_HTTP, OK), 2);
    metrics_add_at(second, METRIC_PUBLISHES,
                   METRICS_PAIR(METRIC_PUBLISHES, METRICS_PROTOCOL_HTTP, OK), 3);
    metrics_add_at(second, METRIC_PUBLISHES,
                   METRICS_PAIR(METRIC_PUBLISHES, METRICS_PROTOCOL_SSE, ERR_TOO_LARGE), 1);
    metrics_add_at(first, METRIC_CONNECTIONS_CLOSED,
                   METRICS_PAIR(METRIC_CONNECTIONS_CLOSED, METRICS_PROTOCOL_SSE, CLOSE_DRAINING),
                   7);
    metrics_add_at(first, METRIC_HTTP_REQUESTS,
                   METRICS_PAIR(METRIC_HTTP_REQUESTS, METRICS_ROUTE_PAGE, metrics_status_of(404)),
                   4);
    metrics_add(first, METRIC_TURNS, 11);
    metrics_set(second, METRIC_TURNS, 12);
    expose(metrics, &text);
    expect_clean(&text);
    expect_sample(&text, "tidings_publishes_total{protocol=\"http\",result=\"ok\"}", 5);
    expect_sample(&text, "tidings_publishes_total{protocol=\"sse\",result=\"too-large\"}", 1);
    expect_sample(&text, "tidings_connections_closed_total{protocol=\"sse\",reason=\"draining\"}",
                  7);
    expect_sample(&text, "tidings_http_requests_total{route=\"page\",status=\"4xx\"}", 4);
    expect_sample(&text, "tidings_thread_turns_total{thread=\"worker-0\"}", 11);
    expect_sample(&text, "tidings_thread_turns_total{thread=\"worker-1\"}", 12);
    expect_sample(&text, "tidings_thread_turns_total{thread=\"log\"}", 0);
    buffer_finish(&text);
    metrics_destroy(metrics);
}

TEST(times_are_told_in_seconds) {
    struct metrics *metrics;
    struct buffer text;
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    struct metrics_shard *shard = metrics_shard(metrics, METRICS_OPERATOR);
    metrics_set(shard, METRIC_READ_TRANSACTION_AGE, 1500000);
    metrics_observe(shard, METRIC_JOURNAL_SYNC, 42);
    metrics_set(shard, METRIC_PROCESS_CPU, 20);
    metrics_set(shard, METRIC_PROCESS_START, 1700000000000);
    expose(metrics, &text);
    expect_clean(&text);
    struct span all = buffer_borrow(&text);
    EXPECT_NOT_NULL(
        memmem(all.bytes, all.length, "\ntidings_read_transaction_oldest_seconds 1.5\n", 45));
    EXPECT_NOT_NULL(memmem(all.bytes, all.length,
                           "\ntidings_journal_sync_duration_seconds_sum 0.000042\n", 51));
    EXPECT_NOT_NULL(memmem(all.bytes, all.length, "\nprocess_cpu_seconds_total 0.02\n", 32));
    EXPECT_NOT_NULL(memmem(all.bytes, all.length, "\nprocess_start_time_seconds 1700000000\n", 39));
    buffer_finish(&text);
    metrics_destroy(metrics);
}

TEST(buckets_are_cumulative_and_end_with_the_count) {
    struct metrics *metrics;
    struct buffer text;
    EXPECT_EQ(metrics_create(2, &metrics), OK);
    metrics_observe(metrics_shard(metrics, METRICS_WORKERS), METRIC_PUBLISH_TO_WRITE, 64);
    metrics_observe(metrics_shard(metrics, METRICS_WORKERS + 1), METRIC_PUBLISH_TO_WRITE, 65);
    metrics_observe(metrics_shard(metrics, METRICS_WORKERS), METRIC_PUBLISH_TO_WRITE, 60000000);
    expose(metrics, &text);
    expect_clean(&text);
    expect_sample(&text, "tidings_publish_to_write_seconds_bucket{le=\"0.000064\"}", 1);
    expect_sample(&text, "tidings_publish_to_write_seconds_bucket{le=\"0.000128\"}", 2);
    expect_sample(&text, "tidings_publish_to_write_seconds_bucket{le=\"8.388608\"}", 2);
    expect_sample(&text, "tidings_publish_to_write_seconds_bucket{le=\"+Inf\"}", 3);
    expect_sample(&text, "tidings_publish_to_write_seconds_count", 3);
    expect_sample(&text, "tidings_publish_to_write_seconds_sum", 60.000129);
    buffer_finish(&text);
    metrics_destroy(metrics);
}

TEST(buckets_of_bytes_and_of_numbers_are_their_own) {
    struct metrics *metrics;
    struct buffer text;
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    struct metrics_shard *shard = metrics_shard(metrics, METRICS_LOG);
    metrics_observe(shard, METRIC_COMMIT_BYTES, 1024);
    metrics_observe(shard, METRIC_COMMIT_RECORDS, 5);
    metrics_observe_at(shard, METRIC_PUBLISH, METRICS_PROTOCOL_WEBSOCKET, 100);
    expose(metrics, &text);
    expect_clean(&text);
    expect_sample(&text, "tidings_commit_bytes_bucket{le=\"512\"}", 0);
    expect_sample(&text, "tidings_commit_bytes_bucket{le=\"1024\"}", 1);
    expect_sample(&text, "tidings_commit_records_bucket{le=\"4\"}", 0);
    expect_sample(&text, "tidings_commit_records_bucket{le=\"16\"}", 1);
    expect_sample(&text, "tidings_publish_duration_seconds_count{protocol=\"http\"}", 0);
    expect_sample(&text,
                  "tidings_publish_duration_seconds_bucket{protocol=\"websocket\",le=\"0.000128\"}",
                  1);
    buffer_finish(&text);
    metrics_destroy(metrics);
}

TEST(patterns_of_rules_are_the_only_names_from_outside) {
    struct metrics *metrics;
    struct buffer text;
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    expose(metrics, &text);
    struct span all = buffer_borrow(&text);
    EXPECT_NULL(memmem(all.bytes, all.length, "tidings_match_", 14));
    buffer_finish(&text);
    EXPECT_EQ(metrics_add_match(metrics, "tennis/**"), 0);
    EXPECT_EQ(metrics_add_match(metrics, "a\"b\\"), 1);
    metrics_add_at(metrics_shard(metrics, METRICS_LOG), METRIC_MATCH_MESSAGES, 1, 3);
    expose(metrics, &text);
    expect_clean(&text);
    expect_sample(&text, "tidings_match_published_messages_total{match=\"tennis/**\"}", 0);
    expect_sample(&text, "tidings_match_published_messages_total{match=\"a\\\"b\\\\\"}", 3);
    buffer_finish(&text);
    metrics_destroy(metrics);
}

TEST(gauge_may_stand_below_zero) {
    struct metrics *metrics;
    struct buffer text;
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    metrics_sub(metrics_shard(metrics, METRICS_MAIN), METRIC_FEEDS_OPEN, 2);
    expose(metrics, &text);
    expect_clean(&text);
    expect_sample(&text, "tidings_feeds_open", -2);
    buffer_finish(&text);
    metrics_destroy(metrics);
}

TEST(label_values_are_escaped) {
    struct buffer text;
    buffer_init(&text, 64);
    EXPECT_EQ(exposition_put_label_value(&text, "a\"b\\c\nd"), OK);
    EXPECT_SPAN(buffer_borrow(&text), "a\\\"b\\\\c\\nd");
    buffer_finish(&text);
}

TEST(buffer_that_is_too_small_is_an_error) {
    struct metrics *metrics;
    struct buffer text;
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    buffer_init(&text, 4096);
    EXPECT_EQ(exposition_put(&text, metrics), ERR_TOO_LARGE);
    buffer_finish(&text);
    metrics_destroy(metrics);
}

/* The checker's own claims: what would pass it by mistake passes everywhere. */
TEST(checker_refuses_what_breaks_the_format) {
    static const char *const texts[] = {
        "",
        "a_total 1",
        "a_total 1\n",
        "# HELP a_total x\n# TYPE a_total counter\n",
        "# HELP a_total x\n# TYPE a_total counter\na_total 1\na_total 1\n",
        "# HELP a_total x\n# TYPE a_total counter\na_total -1\n",
        "# HELP a_total x\n# TYPE a_total gauge\na_total 1\n",
        "# HELP a x\n# TYPE a counter\na 1\n",
        "# HELP a_ms x\n# TYPE a_ms gauge\na_ms 1\n",
        "# HELP a x\n# TYPE a gauge\nb 1\n",
        "# HELP a x\n# TYPE a gauge\na one\n",
        "# HELP a x\n# TYPE a gauge\na  1\n",
        "# HELP a x\n# TYPE a gauge\na{b=c} 1\n",
        "# HELP a x\n# TYPE a gauge\na{b=\"c\\d\"} 1\n",
        "# HELP a x\n# TYPE a gauge\na{b=\"c\" 1\n",
        "# HELP a \n# TYPE a gauge\na 1\n",
        "# HELP a x\n# TYPE a gauge\na 1\n\n",
        "# HELP a x\n# TYPE a gauge\na 1\n# HELP a x\n# TYPE a gauge\na 1\n",
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n",
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\n",
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 2\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        char fault[CHECKER_FAULT_BYTES];
        if (exposition_is_clean(span_of_string(texts[i]), fault)) {
            fail_msg("passed: %s", texts[i]);
        }
    }
    char fault[CHECKER_FAULT_BYTES];
    EXPECT_TRUE(exposition_is_clean(
        SPAN("# HELP a x\n# TYPE a histogram\na_bucket{le=\"0.5\"} 1\na_bucket{le=\"+Inf\"} 1\n"
             "a_sum 0.25\na_count 1\n# HELP b_total \\\\ y\n# TYPE b_total counter\n"
             "b_total{c=\"d\\\"\",e=\"\"} 1.5\n"),
        fault));
}

UNIT_TESTS(UNIT(text_of_a_fresh_broker_is_clean), UNIT(text_stays_clean_when_every_slot_counts),
           UNIT(shards_are_summed_and_labels_told), UNIT(times_are_told_in_seconds),
           UNIT(buckets_are_cumulative_and_end_with_the_count),
           UNIT(buckets_of_bytes_and_of_numbers_are_their_own),
           UNIT(patterns_of_rules_are_the_only_names_from_outside),
           UNIT(gauge_may_stand_below_zero), UNIT(label_values_are_escaped),
           UNIT(buffer_that_is_too_small_is_an_error), UNIT(checker_refuses_what_breaks_the_format))
