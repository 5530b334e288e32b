/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/opening.h"

#include <stdlib.h>

#include "tests/unit.h"

static struct opening read_whole(const char *text) {
    struct opening opening = {0};
    for (size_t length = 0; length < strlen(text); length++) {
        EXPECT_EQ(opening_read((const uint8_t *)text, length, &opening), OPENING_CUT);
    }
    EXPECT_EQ(opening_read((const uint8_t *)text, strlen(text), &opening), OPENING_READ);
    EXPECT_EQ(opening.length, strlen(text));
    return opening;
}

static void expect_bad(const char *text) {
    struct opening opening;
    EXPECT_EQ(opening_read((const uint8_t *)text, strlen(text), &opening), OPENING_BAD);
}

TEST(names_and_words_are_known_in_any_case) {
    struct opening opening = read_whole("HTTP/1.1 200 OK\r\ncONTENT-lENGTH: \t 42 \r\n"
                                        "transfer-encoding: gzip, Chunked\r\nconnection: Close\r\n"
                                        "upgrade: WebSocket\r\nexpect: 100-Continue\r\n\r\n");
    EXPECT_EQ(opening.status, 200);
    EXPECT_EQ(opening.content_length, 42);
    EXPECT_TRUE(opening.has_length);
    EXPECT_TRUE(opening.is_chunked);
    EXPECT_TRUE(opening.is_closing);
    EXPECT_TRUE(opening.is_upgrade);
    EXPECT_TRUE(opening.is_expecting);
}

TEST(what_is_not_said_is_not_so) {
    struct opening opening = read_whole("HTTP/1.1 204 No Content\r\nX-Content-Length: 9\r\n"
                                        "Content-Lengths: 9\r\n\r\n");
    EXPECT_EQ(opening.status, 204);
    EXPECT_FALSE(opening.has_length);
    EXPECT_FALSE(opening.is_chunked);
    EXPECT_FALSE(opening.is_closing);
    EXPECT_FALSE(opening.is_upgrade);
    EXPECT_FALSE(opening.is_expecting);
}

TEST(a_connection_of_http_1_0_closes_unless_it_says_that_it_stays) {
    EXPECT_TRUE(read_whole("HTTP/1.0 200 OK\r\n\r\n").is_closing);
    EXPECT_FALSE(read_whole("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n").is_closing);
}

TEST(a_request_has_no_status) {
    EXPECT_EQ(read_whole("POST /a HTTP/1.1\r\nHost: b\r\n\r\n").status, 0);
}

TEST(bad_heads_are_told) {
    expect_bad("HTTP/1.1 20\r\n\r\n");
    expect_bad("HTTP/1.1-200 OK\r\n\r\n");
    expect_bad("HTTP/1.1 000 OK\r\n\r\n");
    expect_bad("HTTP/2 200\r\n\r\n");
    expect_bad("hello\r\n\r\n");
    expect_bad("\r\n\r\n");
    expect_bad("HTTP/1.1 200 OK\r\nno colon\r\n\r\n");
    expect_bad("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n");
    expect_bad("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n");
    expect_bad("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n");
    expect_bad("HTTP/1.1 200 OK\rX: y\r\n\r\n");
}

TEST(a_head_has_a_bound) {
    struct opening opening;
    uint8_t *bytes = malloc(OPENING_BYTES_MAX);
    memset(bytes, 'x', OPENING_BYTES_MAX);
    EXPECT_EQ(opening_read(bytes, OPENING_BYTES_MAX - 1, &opening), OPENING_CUT);
    EXPECT_EQ(opening_read(bytes, OPENING_BYTES_MAX, &opening), OPENING_BAD);
    free(bytes);
}

UNIT_TESTS(UNIT(names_and_words_are_known_in_any_case), UNIT(what_is_not_said_is_not_so),
           UNIT(a_connection_of_http_1_0_closes_unless_it_says_that_it_stays),
           UNIT(a_request_has_no_status), UNIT(bad_heads_are_told), UNIT(a_head_has_a_bound))
