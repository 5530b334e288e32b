/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/head.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit.h"

#define HOST "Host: localhost:8080\r\n"

static struct head head;

/* Of bytes that are a head and nothing else. */
static enum error_code parse_bytes(struct span bytes, struct error *why) {
    struct head_search search = {0};
    size_t length = bytes.length;
    enum error_code code = head_take(&search, bytes, &head, &length, why);
    return code == ERR_AGAIN || length != bytes.length ? ERR_BAD_REQUEST : code;
}

static enum error_code parse(const char *text) {
    return parse_bytes(span_of_string(text), NULL);
}

TEST(a_plain_request_is_taken_apart) {
    EXPECT_EQ(parse("POST /channels/a%20b?since=1&x HTTP/1.1\r\n" HOST
                    "content-length: 17\r\nX-Empty:\r\nX-Blanks: \t a b \t\r\n\r\n"),
              OK);
    EXPECT_EQ(head.method, HEAD_METHOD_POST);
    EXPECT_SPAN(head.method_text, "POST");
    EXPECT_SPAN(head.path, "/channels/a%20b");
    EXPECT_SPAN(head.query, "since=1&x");
    EXPECT_SPAN(head.host, "localhost:8080");
    EXPECT_EQ(head.version_minor, 1);
    EXPECT_TRUE(head.keep_alive);
    EXPECT_TRUE(head.has_content_length);
    EXPECT_EQ(head.content_length, 17);
    EXPECT_FALSE(head.is_chunked);
    EXPECT_EQ(head.header_count, 4);
    EXPECT_SPAN(head.headers[2].name, "X-Empty");
    EXPECT_EQ(head.headers[2].value.length, 0);
    EXPECT_SPAN(head.headers[3].name, "X-Blanks");
    EXPECT_SPAN(head.headers[3].value, "a b");
}

TEST(what_two_parties_could_read_differently_is_refused) {
    static const char *const bad[] = {
        "GET / HTTP/1.1\n" HOST "\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\rHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "\tX: a\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "X : a\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "X\x01: a\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "X: a\x02\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "X: a\x7F\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "G\xC3\xBC: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST "Host: b\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST HOST "\r\n",
        "GET / HTTP/1.0\r\n" HOST HOST "\r\n",
        "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\n",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 1 1\r\n\r\n",
        "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct error why = {0};
        EXPECT_EQ(parse_bytes(span_of_string(bad[i]), &why), ERR_BAD_REQUEST);
        EXPECT_TRUE(why.detail[0] != '\0');
    }
    static const char nul[] = "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n";
    EXPECT_EQ(parse_bytes(span_of(nul, sizeof(nul) - 1), NULL), ERR_BAD_REQUEST);
}

TEST(broken_request_lines_are_refused) {
    static const char *const bad[] = {
        "GET /\r\n" HOST "\r\n",
        "GET  / HTTP/1.1\r\n" HOST "\r\n",
        "GET /  HTTP/1.1\r\n" HOST "\r\n",
        " GET / HTTP/1.1\r\n" HOST "\r\n",
        "GET / HTTP/1.1 \r\n" HOST "\r\n",
        "GET /a b HTTP/1.1\r\n" HOST "\r\n",
        "GET\t/ HTTP/1.1\r\n" HOST "\r\n",
        "G(T / HTTP/1.1\r\n" HOST "\r\n",
        "GET / http/1.1\r\n" HOST "\r\n",
        "GET / HTTP/1.10\r\n" HOST "\r\n",
        "GET / HTTP/11\r\n" HOST "\r\n",
        "GET a HTTP/1.1\r\n" HOST "\r\n",
        "GET * HTTP/1.1\r\n" HOST "\r\n",
        "GET /a#b HTTP/1.1\r\n" HOST "\r\n",
        "GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n",
        "GET http:///a HTTP/1.1\r\n" HOST "\r\n",
        "GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
        "\x16\x03\x01\x02",
        "GET / HTTP/1.1\r\n" HOST,
        "GET / HTTP/1.1\r\n" HOST "\r\nmore",
        "",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_EQ(parse(bad[i]), ERR_BAD_REQUEST);
    }
    EXPECT_EQ(parse("PRI * HTTP/2.0\r\n\r\n"), ERR_HTTP_VERSION);
    EXPECT_EQ(parse("GET / HTTP/1.2\r\n" HOST "\r\n"), ERR_HTTP_VERSION);
    EXPECT_EQ(parse("CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n"), ERR_NOT_IMPLEMENTED);
}

TEST(each_form_of_target_has_its_path) {
    EXPECT_EQ(parse("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), OK);
    EXPECT_TRUE(head.is_asterisk);
    EXPECT_EQ(parse("GET HTTP://a.example:81/b?c=d HTTP/1.1\r\n" HOST "\r\n"), OK);
    EXPECT_SPAN(head.path, "/b");
    EXPECT_SPAN(head.query, "c=d");
    EXPECT_SPAN(head.host, "a.example:81");
    EXPECT_EQ(parse("GET https://a?c HTTP/1.1\r\n" HOST "\r\n"), OK);
    EXPECT_SPAN(head.path, "/");
    EXPECT_SPAN(head.query, "c");
    EXPECT_EQ(parse("GET /? HTTP/1.1\r\n" HOST "\r\n"), OK);
    EXPECT_SPAN(head.path, "/");
    EXPECT_EQ(head.query.length, 0);
    EXPECT_EQ(parse("GET /gr\xC3\xBC HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), OK);
    EXPECT_SPAN(head.path, "/gr\xC3\xBC");
}

TEST(codings_and_expectations_are_told_apart) {
    EXPECT_EQ(parse("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"), OK);
    EXPECT_TRUE(head.is_chunked);
    EXPECT_EQ(parse("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"),
              ERR_NOT_IMPLEMENTED);
    EXPECT_EQ(parse("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n"),
              ERR_NOT_IMPLEMENTED);
    EXPECT_EQ(parse("POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\n\r\n"), OK);
    EXPECT_TRUE(head.expects_continue);
    EXPECT_EQ(parse("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), OK);
    EXPECT_FALSE(head.expects_continue);
    EXPECT_EQ(parse("POST / HTTP/1.1\r\n" HOST "Expect: tea\r\n\r\n"), ERR_EXPECTATION);
    EXPECT_EQ(parse("POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n"), OK);
    EXPECT_TRUE(head.content_length == UINT64_MAX);
}

TEST(the_connection_lives_as_its_version_and_header_say) {
    EXPECT_EQ(parse("GET / HTTP/1.1\r\n" HOST "Connection: keep-alive, Close\r\n\r\n"), OK);
    EXPECT_FALSE(head.keep_alive);
    EXPECT_EQ(parse("GET / HTTP/1.0\r\n\r\n"), OK);
    EXPECT_FALSE(head.keep_alive);
    EXPECT_EQ(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), OK);
    EXPECT_TRUE(head.keep_alive);
}

TEST(an_upgrade_needs_both_headers) {
    EXPECT_EQ(parse("GET / HTTP/1.1\r\n" HOST
                    "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n"),
              OK);
    EXPECT_TRUE(head.upgrades_to_websocket);
    EXPECT_EQ(parse("GET / HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n\r\n"), OK);
    EXPECT_FALSE(head.upgrades_to_websocket);
    EXPECT_EQ(parse("GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"), OK);
    EXPECT_FALSE(head.upgrades_to_websocket);
    EXPECT_EQ(parse("POST / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
              OK);
    EXPECT_FALSE(head.upgrades_to_websocket);
}

TEST(one_empty_line_before_the_request_is_forgiven) {
    EXPECT_EQ(parse("\r\nGET /a HTTP/1.1\r\n" HOST "\r\n"), OK);
    EXPECT_SPAN(head.path, "/a");
}

TEST(the_end_is_found_however_the_bytes_come) {
    static const char text[] = "\r\nPOST /a HTTP/1.1\r\n" HOST "X: y\r\n\r\nbody";
    size_t end = sizeof(text) - 1 - 4;
    struct head_search search = {0};
    for (size_t i = 0; i < end; i++) {
        size_t length;
        EXPECT_EQ(head_find_end(&search, span_of(text, i), &length, NULL), ERR_AGAIN);
    }
    size_t length = 0;
    EXPECT_EQ(head_find_end(&search, span_of(text, sizeof(text) - 1), &length, NULL), OK);
    EXPECT_EQ(length, end);
}

TEST(too_much_is_refused_before_it_has_all_come) {
    static char text[HTTP_HEAD_BYTES_MAX + 100];
    size_t length;
    memset(text, 'a', sizeof(text));
    struct head_search search = {0};
    EXPECT_EQ(head_find_end(&search, span_of(text, 40), &length, NULL), ERR_BAD_REQUEST);
    memcpy(text, "GET /", 5);
    search = (struct head_search){0};
    EXPECT_EQ(head_find_end(&search, span_of(text, 4 + HTTP_TARGET_BYTES_MAX), &length, NULL),
              ERR_AGAIN);
    EXPECT_EQ(head_find_end(&search, span_of(text, 5 + HTTP_TARGET_BYTES_MAX), &length, NULL),
              ERR_URI_TOO_LONG);
    memcpy(text, "GET / HTTP/1.1\r\n", 16);
    search = (struct head_search){0};
    EXPECT_EQ(head_find_end(&search, span_of(text, HTTP_HEAD_BYTES_MAX), &length, NULL), ERR_AGAIN);
    EXPECT_EQ(head_find_end(&search, span_of(text, HTTP_HEAD_BYTES_MAX + 1), &length, NULL),
              ERR_HEADERS_TOO_LARGE);
}

/* The line ends around the bound, so that the next one begins behind it. */
TEST(nothing_behind_the_bound_is_looked_at) {
    for (size_t line = HTTP_HEAD_BYTES_MAX - 12; line <= HTTP_HEAD_BYTES_MAX; line++) {
        size_t count = line + 12;
        char *text = malloc(count); /* of its own, so that a read behind it is seen */
        EXPECT_TRUE(text != NULL);
        memset(text, 'a', count);
        memcpy(text, "GET / HTTP/1.1\r\n", 16);
        memcpy(text + line - 1, "\r\n", 2);
        struct head_search search = {0};
        size_t length;
        EXPECT_EQ(head_find_end(&search, span_of(text, count), &length, NULL),
                  count > HTTP_HEAD_BYTES_MAX ? ERR_HEADERS_TOO_LARGE : ERR_AGAIN);
        free(text);
    }
}

TEST(the_number_of_headers_is_bounded) {
    char text[4096];
    for (size_t count = HTTP_HEADERS_MAX; count <= HTTP_HEADERS_MAX + 1; count++) {
        int length = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" HOST);
        for (size_t i = 1; i < count; i++) {
            length += snprintf(text + length, sizeof(text) - (size_t)length, "X%zu: y\r\n", i);
        }
        snprintf(text + length, sizeof(text) - (size_t)length, "\r\n");
        EXPECT_EQ(parse(text), count == HTTP_HEADERS_MAX ? OK : ERR_HEADERS_TOO_LARGE);
    }
}

TEST(lists_are_split_at_commas_outside_quotes) {
    struct span rest = SPAN(" a, ,b;c=\"x,\\\"y\" ,, d,"), element;
    EXPECT_TRUE(head_list_next(&rest, &element));
    EXPECT_SPAN(element, "a");
    EXPECT_TRUE(head_list_next(&rest, &element));
    EXPECT_SPAN(element, "b;c=\"x,\\\"y\"");
    EXPECT_TRUE(head_list_next(&rest, &element));
    EXPECT_SPAN(element, "d");
    EXPECT_FALSE(head_list_next(&rest, &element));
}

TEST(tokens_are_found_in_all_headers_of_a_name) {
    EXPECT_EQ(parse("GET / HTTP/1.1\r\n" HOST "Sec-WebSocket-Protocol: mqtt\r\n"
                    "sec-websocket-protocol: chat, tidings.v1\r\n\r\n"),
              OK);
    EXPECT_TRUE(head_has_token(&head, "Sec-WebSocket-Protocol", "tidings.v1"));
    EXPECT_FALSE(head_has_token(&head, "Sec-WebSocket-Protocol", "tidings"));
}

UNIT_TESTS(UNIT(a_plain_request_is_taken_apart),
           UNIT(what_two_parties_could_read_differently_is_refused),
           UNIT(broken_request_lines_are_refused), UNIT(each_form_of_target_has_its_path),
           UNIT(codings_and_expectations_are_told_apart),
           UNIT(the_connection_lives_as_its_version_and_header_say),
           UNIT(an_upgrade_needs_both_headers), UNIT(one_empty_line_before_the_request_is_forgiven),
           UNIT(the_end_is_found_however_the_bytes_come),
           UNIT(too_much_is_refused_before_it_has_all_come), UNIT(the_number_of_headers_is_bounded),
           UNIT(nothing_behind_the_bound_is_looked_at),
           UNIT(lists_are_split_at_commas_outside_quotes),
           UNIT(tokens_are_found_in_all_headers_of_a_name))
