/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/clients/bench/replay.h"
#include "tests/unit.h"

#define DONE "HTTP/1.1 204 No Content\r\n\r\n"
#define POST(length) "POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: " length "\r\n\r\n"

static void expect_requests(const char *bytes, size_t length, const char *told, const char *put) {
    struct bytes output;
    replay_expect("webhook", (struct protocol_link){0}, bytes, length, told, &output);
    EXPECT_STRING(replay_text(&output), put);
    bytes_finish(&output);
}

#define EXPECT_REQUESTS(text, told, put) expect_requests(text, sizeof(text) - 1, told, put)

TEST(a_body_has_one_message_or_an_array_or_lines) {
    EXPECT_REQUESTS(POST("7") "{\"s\":1}" POST("19") "[{\"s\":1} , {\"s\":2}]" POST(
                        "16") "{\"s\":1}\n{\"s\":2}\n",
                    "message {\"s\":1}; message {\"s\":1}; message {\"s\":2}; message {\"s\":1}; "
                    "message {\"s\":2}; ",
                    DONE DONE DONE);
}

TEST(messages_may_nest_and_have_brackets_in_their_strings) {
    EXPECT_REQUESTS(POST("37") "[{\"a\":[{\"b\":\"}]\\\\\"},\"\\\"{\"]}, {\"c\":1}]",
                    "message {\"a\":[{\"b\":\"}]\\\\\"},\"\\\"{\"]}; message {\"c\":1}; ", DONE);
}

TEST(a_body_may_come_in_chunks_and_a_client_may_wait) {
    EXPECT_REQUESTS("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
                    "3\r\n[{\"\r\n8\r\ns\":1},{\"\r\n6\r\nt\":2}]\r\n0\r\n\r\n" POST("2") "{}",
                    "message {\"s\":1}; message {\"t\":2}; message {}; ",
                    "HTTP/1.1 100 Continue\r\n\r\n" DONE DONE);
}

TEST(what_has_no_message_is_answered_too) {
    EXPECT_REQUESTS("OPTIONS / HTTP/1.1\r\n\r\n" POST("0")
                        POST("5") "hello" POST("2") "{\"" POST("2") "{}",
                    "message {}; ", DONE DONE DONE DONE DONE);
}

TEST(what_is_no_request_is_refused) {
    EXPECT_REQUESTS("HTTP/1.1 200 OK\r\n\r\n", "refused: what came is no HTTP request; ", "");
    EXPECT_REQUESTS("\x16\x03\x01\r\n\r\n", "refused: what came is no HTTP request; ", "");
}

UNIT_TESTS(UNIT(a_body_has_one_message_or_an_array_or_lines),
           UNIT(messages_may_nest_and_have_brackets_in_their_strings),
           UNIT(a_body_may_come_in_chunks_and_a_client_may_wait),
           UNIT(what_has_no_message_is_answered_too), UNIT(what_is_no_request_is_refused))
