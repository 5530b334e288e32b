/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/server.h"

#include "broker/limits.h"
#include "tests/protocols/fakes.h"
#include "tests/unit.h"

#define HOST "Host: localhost\r\n"
#define POST(length) "POST /channels/a HTTP/1.1\r\n" HOST "Content-Length: " length "\r\n\r\n"

static int begin(void **state) {
    fakes_begin(state);
    fakes.protocol = http_protocol();
    fakes.state = http_on_accepted(fakes_connection());
    EXPECT_NOT_NULL(fakes.state);
    return 0;
}

static int end(void **state) {
    fakes_hang_up();
    return fakes_end(state);
}

static unsigned count_sent(const char *text) {
    unsigned count = 0;
    struct span rest = buffer_borrow(&fakes.sent);
    while (rest.length > 0) {
        const uint8_t *found = memmem(rest.bytes, rest.length, text, strlen(text));
        if (found == NULL) {
            break;
        }
        count++;
        size_t used = (size_t)(found - rest.bytes) + 1;
        rest = span_of(rest.bytes + used, rest.length - used);
    }
    return count;
}

TEST(a_publish_is_answered_when_the_log_has_it_and_the_connection_stays) {
    fakes_receive(POST("7") "{\"a\":1}");
    EXPECT_EQ(fakes.sent.length, 0);
    EXPECT_TRUE(fakes.is_paused);
    fakes_answer_publish(OK);
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 200 OK\r\n"));
    EXPECT_TRUE(fakes_has_sent("\"offset\":1"));
    EXPECT_FALSE(fakes.is_paused);
    EXPECT_FALSE(fakes.is_closing);
}

TEST(pipelined_publishes_overlap_and_what_reads_waits) {
    fakes_receive(POST("1") "1" POST("1") "2GET /nothing HTTP/1.1\r\n" HOST "\r\n" POST("1") "3");
    EXPECT_EQ(fakes.publish_count, 2);
    fakes_answer_publish(OK);
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), 1);
    EXPECT_FALSE(fakes_has_sent("404"));
    fakes_answer_publish(OK);
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), 2);
    EXPECT_TRUE(fakes_has_sent("404"));
    EXPECT_EQ(fakes.publish_count, 3);
    fakes_answer_publish(OK);
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), 3);
}

TEST(a_request_that_reads_waits_for_the_publishes_before_it) {
    fakes_receive(POST("1") "1GET /channels/a HTTP/1.1\r\n" HOST "\r\n" POST("1") "2");
    EXPECT_NULL(fakes.read);
    fakes_answer_publish(OK);
    EXPECT_NOT_NULL(fakes.read);
    EXPECT_EQ(fakes.publish_count, 1);
    fakes_answer_read(OK);
    EXPECT_EQ(fakes.publish_count, 2);
    fakes_answer_publish(OK);
}

TEST(the_answers_of_a_turn_leave_with_one_write) {
    fakes_receive(POST("1") "1" POST("1") "2" POST("1") "3");
    fakes_answer_all();
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), 3);
    EXPECT_EQ(fakes.write_count, 1);
}

TEST(a_refusal_between_publishes_keeps_its_place) {
    fakes_receive(
        POST("1") "1POST /channels/a HTTP/1.1\r\n" HOST
                  "Content-Type: application/json\r\nContent-Length: 1\r\n\r\n}" POST("1") "3");
    EXPECT_EQ(fakes.publish_count, 2);
    EXPECT_EQ(fakes.sent.length, 0);
    fakes_answer_all();
    const char *first = memmem(fakes.sent.bytes, fakes.sent.length, "HTTP/1.1 200", 12);
    const char *second = memmem(fakes.sent.bytes, fakes.sent.length, "HTTP/1.1 400", 12);
    EXPECT_TRUE(first < second);
    size_t rest = fakes.sent.length - (size_t)(second - (const char *)fakes.sent.bytes);
    EXPECT_NOT_NULL(memmem(second, rest, "HTTP/1.1 200", 12));
}

TEST(a_bad_request_ends_the_connection_behind_the_answers_before_it) {
    fakes_receive(POST("1") "1" POST("1") "2BAD\r\n\r\n" POST("1") "3");
    EXPECT_EQ(fakes.publish_count, 2);
    EXPECT_EQ(fakes.sent.length, 0);
    EXPECT_FALSE(fakes.is_closing);
    fakes_answer_all();
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), 2);
    EXPECT_EQ(count_sent("HTTP/1.1 400"), 1);
    EXPECT_EQ(count_sent("Connection: close"), 1);
    EXPECT_TRUE(fakes.is_closing);
}

TEST(a_body_too_large_in_the_middle_ends_the_connection_behind_the_answers_before_it) {
    fakes_receive(POST("1") "1" POST("99999999") "2");
    fakes_answer_all();
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), 1);
    EXPECT_EQ(count_sent("HTTP/1.1 413"), 1);
    EXPECT_TRUE(fakes.is_closing);
}

TEST(who_waits_to_be_asked_is_asked_behind_the_answers_before_it) {
    fakes_receive(POST("1") "1POST /channels/a HTTP/1.1\r\n" HOST
                            "Content-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(fakes.sent.length, 0);
    fakes_answer_all();
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), 1);
    EXPECT_EQ(count_sent("HTTP/1.1 100 Continue"), 1);
    fakes_receive("2");
    fakes_answer_all();
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), 2);
}

TEST(so_many_requests_are_under_way_and_no_more) {
    for (unsigned i = 0; i < HTTP_REQUESTS_MAX + 10; i++) {
        fakes_receive(POST("1") "1"); /* also what comes after reading was paused */
    }
    EXPECT_EQ(fakes.publish_count, 1);
    fakes_answer_all();
    EXPECT_EQ(fakes.publish_count, 1 + HTTP_REQUESTS_MAX);
    fakes_answer_all();
    EXPECT_EQ(fakes.publish_count, HTTP_REQUESTS_MAX + 10);
    fakes_answer_all();
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), HTTP_REQUESTS_MAX + 10);
    EXPECT_FALSE(fakes.is_paused);
}

TEST(a_body_behind_publishes_has_its_own_time) {
    fakes_receive(POST("1") "1" POST("10") "\"");
    fakes_pass(BODY_TIMEOUT_MS * 2);
    EXPECT_FALSE(fakes.is_closing);
    fakes_answer_all();
    fakes_pass(BODY_TIMEOUT_MS);
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 408 "));
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), 1);
    EXPECT_TRUE(fakes.is_closing);
}

/* The peer's end may stand behind it, and would be seen. */
TEST(no_more_is_read_of_a_body_before_the_publishes_before_it_are_answered) {
    fakes_receive(POST("1") "1" POST("10") "\"");
    EXPECT_TRUE(fakes.is_paused);
    fakes_answer_all();
    EXPECT_FALSE(fakes.is_paused);
}

TEST(publishes_wait_for_each_other_while_the_log_is_short) {
    fakes.is_log_short = true;
    fakes_receive(POST("1") "1" POST("1") "2" POST("1") "3");
    EXPECT_EQ(fakes.publish_count, 1);
    fakes_answer_publish(OK);
    EXPECT_EQ(fakes.publish_count, 2);
    fakes.is_log_short = false;
    fakes_answer_all();
    fakes_answer_all();
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), 3);
}

TEST(publishes_wait_for_each_other_while_pipelines_keep_too_much) {
    fakes.pipelines_max = 1;
    fakes_receive(POST("1") "1" POST("1") "2" POST("1") "3");
    EXPECT_EQ(fakes.publish_count, 2); /* the room was passed with this one */
    fakes_answer_publish(OK);
    EXPECT_EQ(fakes.publish_count, 3); /* the one before it is alone now */
    fakes_answer_all();
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), 3);
}

TEST(what_a_pipeline_keeps_counts_until_its_answers_have_left) {
    fakes_receive(POST("1") "1" POST("1") "2" POST("1") "3" POST("1") "4");
    size_t bytes = fakes.pipelines_bytes;
    EXPECT_TRUE(bytes > sizeof(struct request) * 4);
    fakes.is_blocked = true;
    fakes_answer_publish(OK);
    fakes_answer_all(); /* these wait for the socket */
    EXPECT_EQ(fakes.pipelines_bytes, bytes / 4 * 3);
    fakes_drain_socket();
    EXPECT_EQ(fakes.pipelines_bytes, 0);
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), 4);
}

TEST(a_request_that_is_alone_is_no_pipeline) {
    fakes_receive(POST("1") "1");
    EXPECT_EQ(fakes.pipelines_bytes, 0);
    fakes_answer_publish(OK);
}

TEST(publishes_of_a_turn_leave_the_log_asleep_until_it_ends) {
    fakes_receive(POST("1") "1" POST("1") "2");
    EXPECT_EQ(fakes.quiet_count, 2);
    fakes_answer_all();
}

TEST(half_a_head_behind_publishes_has_its_own_time) {
    fakes_receive(POST("1") "1POST /chan");
    fakes_pass(HANDSHAKE_TIMEOUT_MS * 2);
    EXPECT_FALSE(fakes.is_closing);
    fakes_answer_all();
    fakes_pass(HANDSHAKE_TIMEOUT_MS);
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 408 "));
}

TEST(publishes_under_way_are_all_answered_before_a_drain_ends_the_connection) {
    fakes_receive(POST("1") "1" POST("1") "2");
    fakes.protocol->on_drain(fakes_connection(), fakes.state);
    fakes_answer_publish(OK);
    EXPECT_FALSE(fakes.is_closing);
    fakes_answer_publish(OK);
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), 2);
    EXPECT_EQ(count_sent("Connection: close"), 1);
    EXPECT_EQ(fakes.reason, CLOSE_DRAINING);
}

TEST(the_last_of_a_connection_says_so_and_the_others_are_answered) {
    fakes_receive(POST("1") "1POST /channels/a HTTP/1.1\r\n" HOST
                            "Connection: close\r\nContent-Length: 1\r\n\r\n2" POST("1") "3");
    EXPECT_EQ(fakes.publish_count, 2);
    fakes_answer_all();
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), 2);
    EXPECT_EQ(count_sent("Connection: close"), 1);
    EXPECT_EQ(fakes.reason, CLOSE_REPLIED);
}

TEST(answers_that_come_while_the_socket_is_full_wait_for_it) {
    fakes_receive(POST("1") "1" POST("1") "2");
    fakes.is_blocked = true;
    fakes_answer_publish(OK);
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), 1);
    fakes_answer_publish(OK);
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), 1);
    fakes_drain_socket();
    EXPECT_EQ(count_sent("HTTP/1.1 200 OK"), 2);
    EXPECT_FALSE(fakes.is_paused);
}

TEST(a_client_that_leaves_its_publishes_behind_disturbs_nobody) {
    fakes_receive(POST("1") "1" POST("1") "2");
    fakes_hang_up();
    fakes_answer_all();
    EXPECT_EQ(fakes.sent.length, 0);
    fakes.is_closing = false;
    fakes.state = http_on_accepted(fakes_connection()); /* for the end of the test */
}

TEST(a_request_may_come_byte_by_byte) {
    const char *text = "POST /channels/a HTTP/1.1\r\n" HOST
                       "Transfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n";
    for (size_t i = 0; text[i] != '\0'; i++) {
        fakes_receive_bytes(span_of(text + i, 1));
    }
    EXPECT_EQ(fakes.publish_count, 1);
    EXPECT_EQ(fakes.body_room_bytes, 0);
    fakes_answer_publish(OK);
    EXPECT_TRUE(fakes_has_sent("200 OK"));
}

TEST(a_bad_head_is_refused_and_ends_the_connection) {
    fakes_receive("GET /channels/a HTTP/1.1\nHost: x\n\n");
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 400 Bad Request\r\n"));
    EXPECT_TRUE(fakes_has_sent("Connection: close\r\n"));
    EXPECT_TRUE(fakes_has_sent("application/problem+json"));
    EXPECT_TRUE(fakes.is_closing);
}

TEST(a_head_without_end_is_refused_before_it_ends) {
    char line[1024];
    memset(line, 'x', sizeof(line));
    fakes_receive("GET / HTTP/1.1\r\nX-Long: ");
    for (int i = 0; i < 20 && !fakes.is_closing; i++) {
        fakes_receive_bytes(span_of(line, sizeof(line)));
    }
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 431 "));
    EXPECT_TRUE(fakes.is_closing);
}

TEST(a_body_over_the_limit_is_refused_before_it_comes) {
    fakes_receive("POST /channels/a HTTP/1.1\r\n" HOST
                  "Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_FALSE(fakes_has_sent("100 Continue"));
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 413 "));
    EXPECT_TRUE(fakes.is_closing);
}

TEST(a_peer_that_waits_to_be_asked_is_asked) {
    fakes_receive("POST /channels/a HTTP/1.1\r\n" HOST
                  "Content-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 100 Continue\r\n\r\n"));
    fakes_receive("1");
    fakes_answer_publish(OK);
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 200 OK"));
}

TEST(a_refused_request_whose_body_is_here_keeps_the_connection) {
    fakes_receive("POST /nothing HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc" POST("1") "1");
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 404 "));
    EXPECT_FALSE(fakes.is_closing);
    EXPECT_EQ(fakes.publish_count, 1);
    fakes_answer_publish(OK);
}

TEST(a_refused_request_whose_body_is_to_come_ends_it) {
    fakes_receive("POST /nothing HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nab");
    EXPECT_TRUE(fakes_has_sent("Connection: close\r\n"));
    EXPECT_TRUE(fakes.is_closing);
}

TEST(a_worker_without_room_for_bodies_says_503) {
    fakes.body_room_max = 10;
    fakes_receive(POST("100") "{");
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 503 "));
    EXPECT_TRUE(fakes_has_sent("Retry-After: "));
    EXPECT_TRUE(fakes.is_closing);
}

TEST(the_room_of_a_body_is_given_back) {
    fakes_receive(POST("10") "\"12345");
    EXPECT_TRUE(fakes.body_room_bytes > 0);
    fakes_receive("678\"");
    EXPECT_EQ(fakes.body_room_bytes, 0);
    fakes_answer_publish(OK);
    fakes_receive(POST("10") "\"12345");
    EXPECT_TRUE(fakes.body_room_bytes > 0); /* and by hanging up, as the end of the test checks */
}

TEST(a_silent_peer_is_closed_without_a_word) {
    fakes_pass(HANDSHAKE_TIMEOUT_MS);
    EXPECT_EQ(fakes.reason, CLOSE_HANDSHAKE_TIMEOUT);
    EXPECT_EQ(fakes.sent.length, 0);
}

TEST(half_a_head_is_told_that_it_was_too_slow) {
    fakes_receive("GET /channels/a HT");
    fakes_pass(HANDSHAKE_TIMEOUT_MS / 2);
    fakes_receive("TP/1.1");
    fakes_pass(HANDSHAKE_TIMEOUT_MS / 2);
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 408 "));
    EXPECT_TRUE(fakes_has_sent("\"detail\":\"the head did not come in time\""));
    EXPECT_TRUE(fakes.is_closing);
}

TEST(a_body_that_drips_is_told_that_it_was_too_slow) {
    fakes_receive(POST("100") "{");
    for (int i = 0; i < 4 && !fakes.is_closing; i++) {
        fakes_pass(BODY_TIMEOUT_MS / 3);
        if (!fakes.is_closing) {
            fakes_receive(" ");
        }
    }
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 408 "));
}

TEST(a_kept_connection_is_closed_when_it_stays_idle) {
    fakes_receive("GET /nothing HTTP/1.1\r\n" HOST "\r\n");
    fakes_pass(HANDSHAKE_TIMEOUT_MS);
    EXPECT_FALSE(fakes.is_closing);
    fakes_pass(KEEP_ALIVE_TIMEOUT_MS);
    EXPECT_EQ(fakes.reason, CLOSE_IDLE);
}

TEST(a_peer_that_does_not_read_its_answers_is_not_asked_for_more) {
    fakes.is_blocked = true;
    fakes_receive("GET /nothing HTTP/1.1\r\n" HOST "\r\n" POST("1") "1");
    EXPECT_EQ(count_sent("HTTP/1.1 404"), 1);
    EXPECT_EQ(fakes.publish_count, 0);
    EXPECT_TRUE(fakes.is_paused);
    fakes_drain_socket();
    EXPECT_EQ(fakes.publish_count, 1);
    fakes_answer_publish(OK);
}

TEST(a_client_that_leaves_while_it_waits_disturbs_nobody) {
    fakes_receive(POST("1") "1");
    EXPECT_NOT_NULL(fakes.publish);
    fakes_hang_up();
    fakes_answer_publish(OK);
    fakes.is_closing = false;
    fakes.state = http_on_accepted(fakes_connection()); /* for the end of the test */
}

TEST(http_1_0_is_closed_unless_it_asks_otherwise) {
    fakes_receive("GET /nothing HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_TRUE(fakes_has_sent("Connection: keep-alive\r\n"));
    EXPECT_FALSE(fakes.is_closing);
    fakes_receive("GET /nothing HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(fakes_has_sent("Connection: close\r\n"));
    EXPECT_TRUE(fakes.is_closing);
}

TEST(head_tells_the_length_and_sends_no_body) {
    fakes_receive("HEAD /nothing HTTP/1.1\r\n" HOST "\r\n");
    EXPECT_TRUE(fakes_has_sent("Content-Length: "));
    EXPECT_FALSE(fakes_has_sent("Content-Length: 0"));
    EXPECT_FALSE(fakes_has_sent("\"status\""));
}

TEST(an_absolute_address_counts_for_host) {
    fakes_receive("GET http://evil.example/channels/a HTTP/1.1\r\n" HOST "\r\n");
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 421 "));
    fakes_forget_sent();
    fakes_receive("GET http://localhost HTTP/1.1\r\n" HOST "\r\n");
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 404 "));
}

TEST(going_down_an_idle_connection_closes_and_a_busy_one_answers_first) {
    fakes_receive(POST("1") "1");
    fakes.protocol->on_drain(fakes_connection(), fakes.state);
    EXPECT_FALSE(fakes.is_closing);
    fakes_answer_publish(OK);
    EXPECT_TRUE(fakes_has_sent("Connection: close\r\n"));
    EXPECT_EQ(fakes.reason, CLOSE_DRAINING);
}

TEST(a_broker_that_drains_ends_what_is_idle_and_answers_what_asks) {
    fakes.protocol->on_drain(fakes_connection(), fakes.state);
    EXPECT_FALSE(fakes.is_closing); /* it has not asked yet */
    fakes_receive("GET /nothing HTTP/1.1\r\n" HOST "\r\n");
    EXPECT_TRUE(fakes_has_sent("Connection: close\r\n"));
    EXPECT_EQ(fakes.reason, CLOSE_DRAINING);
}

TEST(an_idle_connection_ends_when_the_broker_drains) {
    fakes_receive("GET /nothing HTTP/1.1\r\n" HOST "\r\n");
    EXPECT_FALSE(fakes.is_closing);
    fakes.protocol->on_drain(fakes_connection(), fakes.state);
    EXPECT_TRUE(fakes.is_closing);
    EXPECT_EQ(fakes.reason, CLOSE_DRAINING);
}

TEST(answers_of_a_broker_that_drains_end_their_connections) {
    atomic_store(&fakes.broker.is_draining, true);
    fakes_receive("GET /nothing HTTP/1.1\r\n" HOST "\r\n");
    EXPECT_TRUE(fakes_has_sent("Connection: close\r\n"));
    EXPECT_TRUE(fakes.is_closing);
}

/* An EventSource would take a 503 for good; `event: close` brings it back. */
TEST(a_stream_that_was_asked_for_too_late_begins_and_says_goodbye) {
    fakes.protocol->on_drain(fakes_connection(), fakes.state);
    fakes_receive("GET /channels/a HTTP/1.1\r\n" HOST "Accept: text/event-stream\r\n\r\n");
    EXPECT_TRUE(fakes_has_sent("Content-Type: text/event-stream\r\n"));
    EXPECT_TRUE(fakes_has_sent("event: close\n"));
    EXPECT_EQ(fakes.reason, CLOSE_DRAINING);
}

TEST(a_broker_that_ends_opens_no_stream) {
    fakes_receive("GET /channels/a HTTP/1.1\r\n" HOST "Accept: text/event-stream");
    atomic_store(&fakes.broker.is_stopping, true);
    fakes_receive("\r\n\r\n");
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 503 "));
}

TEST(an_event_stream_takes_the_connection_over) {
    fakes_receive("GET /channels/a HTTP/1.1\r\n" HOST "Accept: text/event-stream\r\n\r\n");
    EXPECT_STRING(fakes.protocol->name, "sse");
    EXPECT_TRUE(fakes_has_sent("Content-Type: text/event-stream\r\n"));
    EXPECT_FALSE(fakes_has_sent("Content-Length"));
    EXPECT_TRUE(fakes_has_sent("retry: "));
    EXPECT_EQ(fakes.stream_count, 1);
}

TEST(frames_behind_the_handshake_reach_the_websocket) {
    fakes_receive_bytes(SPAN("GET /channels/a HTTP/1.1\r\n" HOST
                             "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                             "Sec-WebSocket-Version: 13\r\n"
                             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                             "\x89\x80\0\0\0\0"));
    EXPECT_STRING(fakes.protocol->name, "websocket");
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 101 Switching Protocols\r\n"));
    EXPECT_TRUE(fakes_has_sent("\r\n\r\n\x8a")); /* the pong, and no message before it */
}

#define SERVER(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(SERVER(a_publish_is_answered_when_the_log_has_it_and_the_connection_stays),
           SERVER(pipelined_publishes_overlap_and_what_reads_waits),
           SERVER(a_request_that_reads_waits_for_the_publishes_before_it),
           SERVER(the_answers_of_a_turn_leave_with_one_write),
           SERVER(a_refusal_between_publishes_keeps_its_place),
           SERVER(a_bad_request_ends_the_connection_behind_the_answers_before_it),
           SERVER(a_body_too_large_in_the_middle_ends_the_connection_behind_the_answers_before_it),
           SERVER(who_waits_to_be_asked_is_asked_behind_the_answers_before_it),
           SERVER(so_many_requests_are_under_way_and_no_more),
           SERVER(a_body_behind_publishes_has_its_own_time),
           SERVER(no_more_is_read_of_a_body_before_the_publishes_before_it_are_answered),
           SERVER(publishes_wait_for_each_other_while_the_log_is_short),
           SERVER(publishes_wait_for_each_other_while_pipelines_keep_too_much),
           SERVER(what_a_pipeline_keeps_counts_until_its_answers_have_left),
           SERVER(a_request_that_is_alone_is_no_pipeline),
           SERVER(publishes_of_a_turn_leave_the_log_asleep_until_it_ends),
           SERVER(half_a_head_behind_publishes_has_its_own_time),
           SERVER(publishes_under_way_are_all_answered_before_a_drain_ends_the_connection),
           SERVER(the_last_of_a_connection_says_so_and_the_others_are_answered),
           SERVER(answers_that_come_while_the_socket_is_full_wait_for_it),
           SERVER(a_client_that_leaves_its_publishes_behind_disturbs_nobody),
           SERVER(a_request_may_come_byte_by_byte),
           SERVER(a_bad_head_is_refused_and_ends_the_connection),
           SERVER(a_head_without_end_is_refused_before_it_ends),
           SERVER(a_body_over_the_limit_is_refused_before_it_comes),
           SERVER(a_peer_that_waits_to_be_asked_is_asked),
           SERVER(a_refused_request_whose_body_is_here_keeps_the_connection),
           SERVER(a_refused_request_whose_body_is_to_come_ends_it),
           SERVER(a_worker_without_room_for_bodies_says_503),
           SERVER(the_room_of_a_body_is_given_back), SERVER(a_silent_peer_is_closed_without_a_word),
           SERVER(half_a_head_is_told_that_it_was_too_slow),
           SERVER(a_body_that_drips_is_told_that_it_was_too_slow),
           SERVER(a_kept_connection_is_closed_when_it_stays_idle),
           SERVER(a_peer_that_does_not_read_its_answers_is_not_asked_for_more),
           SERVER(a_client_that_leaves_while_it_waits_disturbs_nobody),
           SERVER(http_1_0_is_closed_unless_it_asks_otherwise),
           SERVER(head_tells_the_length_and_sends_no_body),
           SERVER(an_absolute_address_counts_for_host),
           SERVER(going_down_an_idle_connection_closes_and_a_busy_one_answers_first),
           SERVER(a_broker_that_drains_ends_what_is_idle_and_answers_what_asks),
           SERVER(an_idle_connection_ends_when_the_broker_drains),
           SERVER(answers_of_a_broker_that_drains_end_their_connections),
           SERVER(a_stream_that_was_asked_for_too_late_begins_and_says_goodbye),
           SERVER(a_broker_that_ends_opens_no_stream),
           SERVER(an_event_stream_takes_the_connection_over),
           SERVER(frames_behind_the_handshake_reach_the_websocket))
