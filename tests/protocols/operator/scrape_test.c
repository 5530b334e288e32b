/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/scrape.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/metrics/exposition.h"
#include "broker/metrics/families.h"
#include "broker/support/mailbox.h"
#include "protocols/operator/pages.h"
#include "protocols/rest/request.h"
#include "protocols/sinks/sinks.h"
#include "tests/broker/metrics/exposition_checker.h"
#include "tests/protocols/operator/fakes.h"
#include "tests/unit.h"

static bool is_replied;

static void on_replied(struct request *request) {
    (void)request;
    is_replied = true;
}

static void expect_number(struct span text, const char *series, double expected) {
    double number = 0;
    if (!exposition_find(text, series, &number)) {
        fail_msg("no %s", series);
    }
    EXPECT_TRUE(number == expected);
}

static void expect_clean(struct span text) {
    char fault[CHECKER_FAULT_BYTES] = "";
    if (!exposition_is_clean(text, fault)) {
        fail_msg("%s", fault);
    }
}

TEST(a_scrape_waits_for_the_sinks_and_has_their_series) {
    struct broker *broker = fakes_create(NULL);
    struct mailbox mailbox;
    struct request *request = request_create();
    struct request_header header = {SPAN("Host"), SPAN("localhost:8081")};
    EXPECT_EQ(mailbox_init(&mailbox, 16), OK);
    request->broker = broker;
    request->reply_to = &mailbox;
    request->method = SPAN("GET");
    request->path = SPAN("/metrics");
    request->headers = &header;
    request->header_count = 1;
    request->is_operator = true;
    request->on_replied = on_replied;
    pages_handle(request);
    EXPECT_FALSE(is_replied);
    request->header_count = 0;
    EXPECT_EQ(mailbox_deliver_all(&mailbox, NULL), 1);
    EXPECT_TRUE(is_replied);
    EXPECT_EQ(request->reply.status, 200);
    struct span text = reply_body(&request->reply);
    expect_clean(text);
    expect_number(text, "tidings_journal_bytes", 101);
    expect_number(text, "tidings_sink_lag_messages{sink=\"orders\"}", 3);
    expect_number(text, "tidings_sink_lag_seconds{sink=\"orders\"}", 1.5);
    expect_number(text, "tidings_sink_state{sink=\"orders\",state=\"retrying\"}", 1);
    expect_number(text, "tidings_sink_state{sink=\"audit\",state=\"retrying\"}", 0);
    expect_number(text, "tidings_sink_breaker_open{sink=\"audit\"}", 1);
    expect_number(text, "tidings_sink_attempts_total{sink=\"orders\",outcome=\"throttled\"}", 2);
    expect_number(text,
                  "tidings_sink_request_duration_seconds_bucket{sink=\"orders\",le=\"0.002\"}", 90);
    expect_number(text, "tidings_sink_request_duration_seconds_count{sink=\"orders\"}", 100);
    expect_number(text, "tidings_source_messages_total{source=\"lake\"}", 5);
    double number = 0;
    EXPECT_TRUE(exposition_find(text, "tidings_source_lag_messages{source=\"lake\"}", &number));
    EXPECT_FALSE(exposition_find(text, "tidings_source_lag_messages{source=\"site\"}", &number));
    request_destroy(request);
    mailbox_finish(&mailbox);
    fakes_destroy(broker);
}

TEST(beyond_the_first_the_rest_is_summed) {
    size_t count = FAMILIES_SUBJECTS_MAX + 3;
    struct sink_figures *sinks = calloc(count, sizeof(*sinks));
    struct source_figures *sources = calloc(count, sizeof(*sources));
    EXPECT_TRUE(sinks != NULL && sources != NULL);
    for (size_t i = 0; i < count; i++) {
        size_t last = count - 1 - i; /* in no order */
        snprintf(sinks[last].name, sizeof(sinks[last].name), "s%04zu", i);
        snprintf(sources[last].name, sizeof(sources[last].name), "s%04zu", i);
        sinks[last].lag_messages = i;
        sinks[last].lag_ms = i;
        sinks[last].messages = 1;
        sinks[last].next_attempt_ms = i % 2 == 0 ? 0 : 1000 * i;
        sinks[last].state = SINK_PAUSED;
        sinks[last].breaker = LEDGER_OPEN;
        sinks[last].latency_us[1] = 2;
        sources[last].lag_messages = i % 2 == 0 ? UINT64_MAX : 4;
        sources[last].messages = 2;
    }
    struct buffer body;
    buffer_init(&body, EXPOSITION_BYTES_MAX);
    EXPECT_EQ(scrape_put_sinks(&body, sinks, count), OK);
    EXPECT_EQ(scrape_put_sources(&body, sources, count), OK);
    struct span text = buffer_borrow(&body);
    expect_clean(text);
    expect_number(text, "tidings_sink_lag_messages{sink=\"s0199\"}", 199);
    expect_number(text, "tidings_sink_lag_messages{sink=\"(other)\"}", 200 + 201 + 202);
    expect_number(text, "tidings_sink_lag_seconds{sink=\"(other)\"}", 0.202);
    expect_number(text, "tidings_sink_messages_total{sink=\"(other)\"}", 3);
    expect_number(text, "tidings_sink_next_attempt_timestamp_seconds{sink=\"(other)\"}", 201);
    expect_number(text, "tidings_sink_state{sink=\"(other)\",state=\"paused\"}", 3);
    expect_number(text, "tidings_sink_breaker_open{sink=\"(other)\"}", 3);
    expect_number(text, "tidings_sink_request_duration_seconds_count{sink=\"(other)\"}", 6);
    expect_number(text, "tidings_source_lag_messages{source=\"(other)\"}", 4);
    expect_number(text, "tidings_source_messages_total{source=\"(other)\"}", 6);
    buffer_finish(&body);
    free(sinks);
    free(sources);
}

UNIT_TESTS(UNIT(a_scrape_waits_for_the_sinks_and_has_their_series),
           UNIT(beyond_the_first_the_rest_is_summed))
