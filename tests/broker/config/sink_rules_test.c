/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/sink_rules.h"

#include "tests/broker/config/load.h"

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define SINK(more) "sinks: [\n{name: a, channels: [\"a/**\"], " more "}]"
#define WEBHOOK(more) SINK("webhook: {url: \"https://a\"}, " more)
#define KAFKA(more) SINK("kafka: {brokers: \"k:9092\"" more "}")
#define MQTT(more) SINK("mqtt: {url: \"mqtt://m\"" more "}")
#define SOURCE(more) "sources: [\n{name: a, " more "}]"

/* The text has exactly one fault, of its first row and with these words. */
static void expect_row_fault(const char *text, const char *key, const char *words) {
    expect_fault((struct config_sources){.text = span_of_string(text)}, "text", key, words);
    EXPECT_EQ(faults.rows[0].line, 2);
}

static void expect_good(const char *text) {
    config_destroy(load((struct config_sources){.text = span_of_string(text)}));
}

TEST(a_sink_is_of_exactly_one_kind) {
    expect_row_fault("sinks: [\n{name: a, channels: [b]}]", "sinks[0]", "needs one of");
    expect_row_fault(SINK("webhook: {url: \"https://a\"}, mqtt: {url: \"mqtt://b\"}"), "sinks[0]",
                     "has more than one of");
    expect_row_fault(SOURCE("kafka: {topics: [a]}"), "sources[0]", "needs one of");
    expect_good(WEBHOOK(""));
    expect_good(KAFKA(""));
    expect_good(MQTT(""));
    expect_good(SOURCE("kafka: {brokers: k, topics: [a]}"));
    expect_good(SOURCE("mqtt: {url: \"mqtt://m\", topics: [\"a/#\"]}"));
}

TEST(a_key_of_another_kind_would_be_ignored_and_is_refused) {
    expect_row_fault(WEBHOOK("kafka: {topic: x}"), "sinks[0]", "has `kafka.topic`, and is a");
    expect_row_fault(KAFKA("}, batch: {count: 2"), "sinks[0]", "has `batch.count`");
    expect_row_fault(SINK("concurrency: 2, mqtt: {url: \"mqtt://m\"}"), "sinks[0]",
                     "has `concurrency`");
    expect_row_fault(SOURCE("start: now, mqtt: {url: \"mqtt://m\", topics: [a]}"), "sources[0]",
                     "has `start`");
}

TEST(the_brokers_of_kafka_are_hosts_and_ports) {
    expect_row_fault(SINK("kafka: {brokers: \"a:1,h:99999\"}"), "sinks[0]",
                     "has \"h:99999\" in `kafka.brokers`");
    expect_row_fault(SOURCE("kafka: {brokers: \"a:b\", topics: [a]}"), "sources[0]",
                     "has \"a:b\" in `kafka.brokers`");
    expect_good(SINK("kafka: {brokers: \"ssl://a:9093, b_c,[::1]:65535\"}"));
}

TEST(the_kind_is_known_of_a_faulty_key_too) {
    expect_fault((struct config_sources){.text = SPAN(SINK("webhook: {url: \"https://me:x@a\"}"))},
                 "text", "sinks[0].webhook.url", "has a user");
    EXPECT_EQ(faults.rows[0].line, 2);
}

TEST(batches_wait_only_for_what_may_come) {
    expect_row_fault(WEBHOOK("batch: {age: 1s}"), "sinks[0]", "waits `batch.age`");
    expect_row_fault(WEBHOOK("format: cloudevents, batch: {count: 2, form: ndjson}"), "sinks[0]",
                     "is a JSON array");
    expect_good(WEBHOOK("batch: {age: 1s, count: 2}"));
    expect_good(WEBHOOK("format: cloudevents, batch: {count: 2}"));
}

TEST(order_is_for_ordered_sinks) {
    expect_row_fault(WEBHOOK("mode: parallel, order: key"), "sinks[0]", "keeps no `order`");
    expect_good(WEBHOOK("mode: ordered, order: key"));
}

TEST(a_secret_has_its_other_half) {
    expect_row_fault(SINK("webhook: {url: \"https://a\", secret_previous: \"" SECRET "\"}"),
                     "sinks[0]", "without `webhook.secret`");
    expect_row_fault(KAFKA(", username: u"), "sinks[0]", "without `kafka.password`");
    expect_row_fault(KAFKA(", password: p"), "sinks[0]", "without `kafka.username`");
    expect_row_fault(MQTT(", password: p"), "sinks[0]", "without `mqtt.username`");
    expect_good(KAFKA(", username: u, password: p"));
    expect_good(MQTT(", username: u"));
}

TEST(a_sink_has_channels_and_a_source_topics) {
    expect_row_fault("sinks: [\n{name: a, channels: [], webhook: {url: \"https://a\"}}]",
                     "sinks[0]", "has no channel");
    expect_row_fault(SOURCE("kafka: {brokers: k}"), "sources[0]", "has no topic in `kafka.topics`");
    expect_row_fault(SOURCE("mqtt: {url: \"mqtt://m\", topics: []}"), "sources[0]",
                     "has no topic in `mqtt.topics`");
}

static enum error_code refuse(struct span pattern, struct error *why) {
    return span_is_equal(pattern, SPAN("bad")) ? error_set(why, ERR_CONFIG, "is bad") : OK;
}

TEST(channels_are_checked_as_the_patterns_that_they_are) {
    expect_fault((struct config_sources){.text = SPAN("sinks: [\n{name: a, channels: [good, bad], "
                                                      "mqtt: {url: \"mqtt://m\"}}]"),
                                         .check_pattern = refuse},
                 "text", "sinks[0].channels", "is bad");
}

TEST(names_are_given_once_a_list) {
    static const char twice[] =
        "sinks:\n- {name: a, channels: [b], webhook: {url: \"https://a\"}}\n"
        "- {name: b, channels: [b], webhook: {url: \"https://a\"}}\n"
        "- {name: a, channels: [b], webhook: {url: \"https://a\"}}\n";
    expect_fault((struct config_sources){.text = SPAN(twice)}, "text", "sinks[2]",
                 "has the `name` of sinks[0]");
    EXPECT_EQ(faults.rows[0].line, 4);
    expect_good("sinks: [{name: a, channels: [b], webhook: {url: \"https://a\"}}]\n"
                "sources: [{name: a, kafka: {brokers: k, topics: [a]}}]");
}

TEST(every_fault_of_every_row_is_told_at_once) {
    static const char text[] = "sinks:\n"
                               "- name: A\n"
                               "  channels: [\"a/**\"]\n"
                               "  concurrency: 0\n"
                               "  webhook: {url: \"ftp://a\", secret: guess, timeuot: 1s}\n"
                               "- {name: b, format: xml}\n";
    struct config *config = NULL;
    EXPECT_EQ(config_load(&(struct config_sources){.text = SPAN(text)}, &config, &faults),
              ERR_CONFIG);
    static const struct {
        unsigned line;
        const char *key;
    } expected[] = {{2, "sinks[0].name"},
                    {4, "sinks[0].concurrency"},
                    {5, "sinks[0].webhook.url"},
                    {5, "sinks[0].webhook.secret"},
                    {5, "sinks[0].webhook.timeuot"},
                    {6, "sinks[1].format"},
                    {6, "sinks[1]"},
                    {6, "sinks[1]"}};
    EXPECT_EQ(faults.count, ARRAY_COUNT(expected));
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        EXPECT_EQ(faults.rows[i].line, expected[i].line);
        EXPECT_STRING(faults.rows[i].key, expected[i].key);
    }
}

UNIT_TESTS(UNIT(a_sink_is_of_exactly_one_kind),
           UNIT(a_key_of_another_kind_would_be_ignored_and_is_refused),
           UNIT(the_brokers_of_kafka_are_hosts_and_ports),
           UNIT(the_kind_is_known_of_a_faulty_key_too), UNIT(batches_wait_only_for_what_may_come),
           UNIT(order_is_for_ordered_sinks), UNIT(a_secret_has_its_other_half),
           UNIT(a_sink_has_channels_and_a_source_topics),
           UNIT(channels_are_checked_as_the_patterns_that_they_are),
           UNIT(names_are_given_once_a_list), UNIT(every_fault_of_every_row_is_told_at_once))
