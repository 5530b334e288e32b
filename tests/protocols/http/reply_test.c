/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/reply.h"

#include <stdio.h>

#include "broker/limits.h"
#include "protocols/rest/hardening.h"
#include "protocols/rest/request.h"
#include "tests/unit.h"

#define WALL_MS 784111777000 /* RFC 9110's example: Sun, 06 Nov 1994 08:49:37 GMT */

static void expect_head(struct request *request, enum reply_connection connection,
                        const char *expected) {
    struct buffer out;
    buffer_init(&out, HTTP_HEAD_BYTES_MAX);
    EXPECT_EQ(reply_put_head(&out, &request->reply, connection, WALL_MS), OK);
    EXPECT_SPAN(buffer_borrow(&out), expected);
    buffer_finish(&out);
    request_destroy(request);
}

TEST(a_date_is_in_the_form_of_rfc_9110) {
    char date[REPLY_DATE_BYTES];
    reply_format_date(WALL_MS, date);
    EXPECT_STRING(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    reply_format_date(0, date);
    EXPECT_STRING(date, "Thu, 01 Jan 1970 00:00:00 GMT");
    reply_format_date(951782400000, date);
    EXPECT_STRING(date, "Tue, 29 Feb 2000 00:00:00 GMT");
    reply_format_date(951868799999, date);
    EXPECT_STRING(date, "Tue, 29 Feb 2000 23:59:59 GMT");
    reply_format_date(4107542400000, date);
    EXPECT_STRING(date, "Mon, 01 Mar 2100 00:00:00 GMT");
    reply_format_date(1767225599000, date);
    EXPECT_STRING(date, "Wed, 31 Dec 2025 23:59:59 GMT");
}

TEST(a_reply_tells_its_length_and_headers) {
    struct request *request = request_create();
    request->reply.status = 200;
    reply_add_header(&request->reply, "Content-Type", "text/%s", "plain");
    EXPECT_EQ(buffer_put(&request->reply.body, SPAN("hello")), OK);
    expect_head(request, REPLY_KEEPS,
                "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" HARDENING_LINES
                "Content-Length: 5\r\nContent-Type: text/plain\r\n\r\n");
}

TEST(a_last_reply_says_close_and_one_of_http_1_0_says_keep_alive) {
    struct request *request = request_create();
    request->reply.status = 404;
    expect_head(request, REPLY_CLOSES,
                "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" HARDENING_LINES
                "Connection: close\r\nContent-Length: 0\r\n\r\n");
    request = request_create();
    request->reply.status = 404;
    expect_head(request, REPLY_KEEPS_AS_1_0,
                "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" HARDENING_LINES
                "Connection: keep-alive\r\nContent-Length: 0\r\n\r\n");
}

TEST(statuses_without_a_body_tell_no_length) {
    static const struct {
        uint16_t status;
        const char *line;
    } rows[] = {{204, "204 No Content"}, {304, "304 Not Modified"}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct request *request = request_create();
        char expected[128 + HARDENING_BYTES];
        snprintf(expected, sizeof(expected),
                 "HTTP/1.1 %s\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" HARDENING_LINES "\r\n",
                 rows[i].line);
        request->reply.status = rows[i].status;
        expect_head(request, REPLY_KEEPS, expected);
    }
}

TEST(an_upgrade_names_itself_as_the_connections_option) {
    struct request *request = request_create();
    request->reply.status = 101;
    reply_add_header(&request->reply, "Upgrade", "websocket");
    expect_head(request, REPLY_CLOSES,
                "HTTP/1.1 101 Switching Protocols\r\n"
                "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" HARDENING_LINES
                "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
}

TEST(a_stream_has_no_length) {
    struct request *request = request_create();
    request->reply.status = 200;
    request->reply.has_no_length = true;
    expect_head(request, REPLY_CLOSES,
                "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" HARDENING_LINES
                "Connection: close\r\n\r\n");
}

TEST(over_tls_the_browser_is_told_to_stay_there) {
    struct request *request = request_create();
    request->reply.status = 200;
    request->reply.is_secure = true;
    expect_head(request, REPLY_KEEPS,
                "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" HARDENING_LINES
                "Strict-Transport-Security: max-age=31536000\r\nContent-Length: 0\r\n\r\n");
}

TEST(every_status_of_the_error_table_has_its_reason) {
    for (int code = OK + 1; code < ERROR_CODE_COUNT; code++) {
        EXPECT_TRUE(reply_reason(error_row((enum error_code)code)->http_status)[0] != '\0');
    }
    EXPECT_STRING(reply_reason(299), "");
}

UNIT_TESTS(UNIT(a_date_is_in_the_form_of_rfc_9110), UNIT(a_reply_tells_its_length_and_headers),
           UNIT(a_last_reply_says_close_and_one_of_http_1_0_says_keep_alive),
           UNIT(statuses_without_a_body_tell_no_length),
           UNIT(an_upgrade_names_itself_as_the_connections_option), UNIT(a_stream_has_no_length),
           UNIT(over_tls_the_browser_is_told_to_stay_there),
           UNIT(every_status_of_the_error_table_has_its_reason))
