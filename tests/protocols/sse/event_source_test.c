/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sse/event_source.h"

#include "broker/config/config.h"
#include "broker/limits.h"
#include "protocols/rest/routes.h"
#include "protocols/sse/framing.h"
#include "tests/protocols/fakes.h"
#include "tests/unit.h"

static size_t selector_count;

static void open_path(const char *path, const char *query) {
    struct request *request =
        fakes_request("GET", path, query, "Host: localhost\nAccept: text/event-stream");
    struct event_source *source = NULL;
    EXPECT_TRUE(routes_admit(request));
    EXPECT_EQ(event_source_create(fakes_connection(), request, &source), OK);
    selector_count = fakes.stream_options.selector_count;
    fakes.protocol = &event_source_protocol;
    fakes.state = source;
    event_source_start(source);
    request_destroy(request);
    fakes_forget_sent();
}

static void open_stream(const char *query) {
    open_path("/channels/a", query);
}

static int end(void **state) {
    fakes_hang_up();
    return fakes_end(state);
}

TEST(the_query_decides_start_and_framing) {
    open_stream("since=5&envelope=none");
    EXPECT_EQ(fakes.stream_options.start.place.offset, 5);
    EXPECT_TRUE(fakes.stream_options.framing == &sse_framing_bare);
}

TEST(one_reader_reads_all_that_the_query_names) {
    open_path("/stream", "channel=a&channel=b%2F**&channel=c");
    EXPECT_EQ(fakes.stream_count, 1);
    EXPECT_EQ(selector_count, 3);
    EXPECT_EQ(fakes.stream_options.on_lag, ON_LAG_CATCH_UP);
}

TEST(a_reader_that_wants_to_be_cut_off_is_told_to_come_back) {
    open_stream("on_lag=disconnect");
    EXPECT_EQ(fakes.stream_options.on_lag, ON_LAG_DISCONNECT);
    fakes.stream_options.on_failed(fakes.stream_options.context, ERR_SLOW);
    EXPECT_TRUE(fakes_has_sent("event: close\n"));
    EXPECT_TRUE(fakes_has_sent("\"code\":\"too-slow\",\"reconnect\":true"));
    EXPECT_EQ(fakes.reason, CLOSE_TOO_SLOW);
}

TEST(a_heartbeat_tells_progress_once_and_then_only_breathes) {
    open_stream(NULL);
    fakes.stream_place = (struct place){.log_id = 1, .generation = 1, .position = 9};
    fakes_pass(HEARTBEAT_MS);
    EXPECT_TRUE(fakes_has_sent("id: t1"));
    fakes_forget_sent();
    fakes_pass(HEARTBEAT_MS);
    EXPECT_FALSE(fakes_has_sent("id: "));
    EXPECT_TRUE(fakes_has_sent(":"));
}

TEST(a_peer_that_takes_nothing_gets_no_heartbeats_and_is_closed_in_the_end) {
    open_stream(NULL);
    fakes.is_blocked = true;
    uint64_t stall_ms = fakes.broker.config->stall_timeout_ms;
    for (uint64_t passed = 0; passed + HEARTBEAT_MS < stall_ms; passed += HEARTBEAT_MS) {
        fakes_pass(HEARTBEAT_MS);
        EXPECT_FALSE(fakes.is_closing);
    }
    EXPECT_EQ(fakes.sent.length, 0);
    fakes_pass(2 * HEARTBEAT_MS);
    EXPECT_EQ(fakes.reason, CLOSE_STALLED);
    EXPECT_TRUE(fakes.is_aborted);
}

TEST(going_down_it_says_when_to_come_back) {
    open_stream(NULL);
    fakes.protocol->on_drain(fakes_connection(), fakes.state);
    EXPECT_TRUE(fakes_has_sent("event: close\n"));
    EXPECT_TRUE(fakes_has_sent("\"code\":\"draining\",\"reconnect\":true"));
    EXPECT_EQ(fakes.reason, CLOSE_DRAINING);
}

TEST(binary_without_an_envelope_ends_it_for_good) {
    open_stream("envelope=none");
    fakes.stream_options.on_failed(fakes.stream_options.context, ERR_NOT_ACCEPTABLE);
    EXPECT_TRUE(fakes_has_sent("\"code\":\"not-acceptable\",\"reconnect\":false"));
    fakes.stream_options.on_failed(fakes.stream_options.context, ERR_IO);
    EXPECT_EQ(fakes.reason, CLOSE_NOT_ALLOWED);
}

TEST(what_the_client_still_says_means_nothing) {
    open_stream(NULL);
    fakes_receive("GET / HTTP/1.1\r\n\r\n");
    EXPECT_EQ(fakes.sent.length, 0);
    EXPECT_FALSE(fakes.is_closing);
}

#define SOURCE(name) cmocka_unit_test_setup_teardown(name, fakes_begin, end)

UNIT_TESTS(SOURCE(the_query_decides_start_and_framing),
           SOURCE(one_reader_reads_all_that_the_query_names),
           SOURCE(a_reader_that_wants_to_be_cut_off_is_told_to_come_back),
           SOURCE(a_heartbeat_tells_progress_once_and_then_only_breathes),
           SOURCE(a_peer_that_takes_nothing_gets_no_heartbeats_and_is_closed_in_the_end),
           SOURCE(going_down_it_says_when_to_come_back),
           SOURCE(binary_without_an_envelope_ends_it_for_good),
           SOURCE(what_the_client_still_says_means_nothing))
