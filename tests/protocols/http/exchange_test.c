/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/exchange.h"

#include "tests/protocols/fakes.h"
#include "tests/unit.h"

#define HOST "Host: localhost\r\n"

static struct exchange *exchange;
static struct head_search search;
static unsigned replied;

static void on_replied(struct exchange_owner *self) {
    (void)self;
    replied++;
}

static struct exchange_owner owner = {on_replied};

static int begin(void **state) {
    replied = 0;
    search = (struct head_search){0};
    exchange = NULL;
    return fakes_begin(state);
}

static int end(void **state) {
    exchange_destroy(exchange);
    return fakes_end(state);
}

/* Begins with these bytes; what is left of them. */
static struct span start(const char *text) {
    struct span rest = span_of_string(text);
    EXPECT_EQ(exchange_begin(fakes_connection(), &search, &rest, &owner, &exchange), OK);
    return rest;
}

TEST(half_a_head_is_looked_at_once) {
    struct span half = SPAN("GET /channels/a HTTP/1.1\r\nHost: lo");
    EXPECT_EQ(exchange_begin(fakes_connection(), &search, &half, &owner, &exchange), ERR_AGAIN);
    EXPECT_EQ(search.scanned, half.length);
    EXPECT_NULL(exchange);
}

TEST(the_head_is_taken_and_its_spans_are_our_own) {
    char text[] = "POST /channels/a?x=1 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcdef";
    struct span rest = start(text);
    EXPECT_SPAN(rest, "abcdef");
    memset(text, '?', sizeof(text) - 8);
    struct request *request = exchange_request(exchange);
    struct span value = {0};
    EXPECT_SPAN(request->path, "/channels/a");
    EXPECT_SPAN(request->query, "x=1");
    EXPECT_TRUE(request_find_header(request, "content-length", &value));
    EXPECT_SPAN(value, "3");
    EXPECT_EQ(exchange_phase(exchange), EXCHANGE_BODY);
    EXPECT_FALSE(exchange_must_close(exchange));
}

TEST(a_body_that_comes_whole_is_not_copied) {
    struct span rest =
        start("POST /channels/a HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcdef");
    const uint8_t *body = rest.bytes;
    IGNORE_RESULT(exchange_take_body(exchange, &rest)); /* whether enough came does not matter */
    EXPECT_EQ(exchange_phase(exchange), EXCHANGE_WHOLE);
    EXPECT_TRUE(exchange_request(exchange)->body.bytes == body);
    EXPECT_EQ(fakes.body_room_bytes, 0);
    EXPECT_SPAN(rest, "def");
}

TEST(only_much_of_a_body_gives_more_time) {
    static uint8_t many[4096];
    start("POST /channels/a HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n");
    struct span few = SPAN("x");
    EXPECT_FALSE(exchange_take_body(exchange, &few));
    struct span rest = span_of(many, sizeof(many));
    EXPECT_TRUE(exchange_take_body(exchange, &rest));
    EXPECT_EQ(exchange_phase(exchange), EXCHANGE_BODY);
}

TEST(chunks_above_the_limit_are_refused) {
    static uint8_t many[0x20000];
    start("POST /channels/a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 20 && exchange_phase(exchange) == EXCHANGE_BODY; i++) {
        struct span line = SPAN("20000\r\n"), rest = span_of(many, sizeof(many)),
                    last = SPAN("\r\n");
        exchange_take_body(exchange, &line);
        if (exchange_phase(exchange) == EXCHANGE_BODY) {
            exchange_take_body(exchange, &rest);
        }
        if (exchange_phase(exchange) == EXCHANGE_BODY) {
            exchange_take_body(exchange, &last);
        }
    }
    EXPECT_EQ(exchange_phase(exchange), EXCHANGE_REPLIED);
    EXPECT_EQ(exchange_request(exchange)->reply.status, 413);
    EXPECT_TRUE(exchange_must_close(exchange));
}

TEST(a_refusal_without_a_head_ends_the_connection) {
    EXPECT_EQ(exchange_begin_refused(fakes_connection(), ERR_REQUEST_TIMEOUT, NULL, &exchange), OK);
    EXPECT_EQ(exchange_request(exchange)->reply.status, 408);
    EXPECT_TRUE(exchange_must_close(exchange));
    exchange_destroy(NULL);
}

#define EXCHANGE(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(EXCHANGE(half_a_head_is_looked_at_once),
           EXCHANGE(the_head_is_taken_and_its_spans_are_our_own),
           EXCHANGE(a_body_that_comes_whole_is_not_copied),
           EXCHANGE(only_much_of_a_body_gives_more_time),
           EXCHANGE(chunks_above_the_limit_are_refused),
           EXCHANGE(a_refusal_without_a_head_ends_the_connection))
