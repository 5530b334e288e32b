/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/server.h"
#include "tests/protocols/fakes.h"
#include "tests/protocols/mqtt/gate.h"
#include "tests/unit.h"

#define HOST "Host: localhost\r\n"
#define BY_ALICE "Authorization: Bearer x\r\n\r\n"
#define POLL "GET /channels/a?wait=30s HTTP/1.1\r\n" HOST BY_ALICE

static void come(void) {
    fakes.is_closing = false;
    fakes.protocol = http_protocol();
    fakes.state = http_on_accepted(fakes_connection());
    EXPECT_NOT_NULL(fakes.state);
}

/* The credentials are those of Alice. */
static int begin(void **state) {
    fakes_begin(state);
    gate_begin();
    gate_guard();
    gate.next = gate_make("alice", NULL);
    come();
    return 0;
}

static int end(void **state) {
    fakes_hang_up();
    gate_end();
    return fakes_end(state);
}

TEST(a_long_poll_has_its_identitys_place_until_it_is_answered) {
    fakes_receive("POST /channels/a HTTP/1.1\r\n" HOST "Content-Length: 1\r\n" BY_ALICE "1" POLL);
    EXPECT_NULL(fakes.identity); /* the publish before it is under way */
    fakes_answer_publish(OK);
    EXPECT_TRUE(fakes.identity == gate.next);
    fakes_answer_read(ERR_IO);
    EXPECT_NULL(fakes.identity);
    fakes_receive("GET /channels/a HTTP/1.1\r\n" HOST BY_ALICE);
    EXPECT_NULL(fakes.identity); /* it does not wait */
    fakes_answer_read(OK);
}

TEST(a_long_poll_that_is_left_gives_its_place_back) {
    fakes_receive(POLL);
    EXPECT_TRUE(fakes.identity == gate.next);
    fakes_hang_up();
    EXPECT_NULL(fakes.identity);
    fakes_answer_read(OK);
    come(); /* for the end of the test */
}

TEST(a_long_poll_without_a_place_is_refused_and_its_connection_stays) {
    fakes.has_no_place = true;
    fakes_receive(POLL);
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 429 "));
    EXPECT_NULL(fakes.read);
    EXPECT_FALSE(fakes.is_closing);
    fakes_receive("GET /channels/a HTTP/1.1\r\n" HOST BY_ALICE);
    EXPECT_NOT_NULL(fakes.read);
    fakes_answer_read(OK);
}

TEST(a_stream_without_a_place_is_not_opened_and_one_that_is_not_opened_has_none) {
    const char *stream =
        "GET /channels/a HTTP/1.1\r\n" HOST "Accept: text/event-stream\r\n" BY_ALICE;
    fakes.has_no_place = true;
    fakes_receive(stream);
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 429 "));
    EXPECT_EQ(fakes.stream_total, 0);
    fakes.has_no_place = false;
    fakes.stream_result = ERR_MEMORY;
    fakes_receive(stream);
    EXPECT_TRUE(fakes_has_sent("HTTP/1.1 503 "));
    EXPECT_NULL(fakes.identity);
    fakes.stream_result = OK;
    fakes_receive(stream);
    EXPECT_STRING(fakes.protocol->name, "sse");
    EXPECT_TRUE(fakes.identity == gate.next);
}

#define PLACE(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(PLACE(a_long_poll_has_its_identitys_place_until_it_is_answered),
           PLACE(a_long_poll_that_is_left_gives_its_place_back),
           PLACE(a_long_poll_without_a_place_is_refused_and_its_connection_stays),
           PLACE(a_stream_without_a_place_is_not_opened_and_one_that_is_not_opened_has_none))
