/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/clients/bench/replay.h"
#include "tests/unit.h"

#define MESSAGE(name, text)                                                                        \
    { .channel = name, .payload = (const uint8_t *)(text), sizeof(text) - 1 }

static const struct protocol_message two[] = {MESSAGE("a b/c", "{\"s\":\"1\"}"),
                                              MESSAGE("d\"", "{\"s\":\"2\"}")};

TEST(rest_posts_one_message_to_its_channel) {
    struct protocol_link link = {0};
    REPLAY_PUBLISH("rest", &link, two, 1,
                   "POST /channels/a%20b/c HTTP/1.1\r\n"
                   "Host: localhost:80\r\n"
                   "Content-Type: application/json\r\n"
                   "Content-Length:          9\r\n"
                   "\r\n"
                   "{\"s\":\"1\"}");
}

TEST(a_path_and_a_token_go_into_the_head) {
    struct protocol_link link = {.path = "/api", .host = "example.org", .token = "secret"};
    REPLAY_PUBLISH("rest", &link, two, 1,
                   "POST /api/channels/a%20b/c HTTP/1.1\r\n"
                   "Host: example.org\r\n"
                   "Authorization: Bearer secret\r\n"
                   "Content-Type: application/json\r\n"
                   "Content-Length:          9\r\n"
                   "\r\n"
                   "{\"s\":\"1\"}");
}

TEST(ndjson_has_a_line_a_message) {
    struct protocol_link link = {0};
    REPLAY_PUBLISH("ndjson", &link, two, 2,
                   "POST /channels/a%20b/c HTTP/1.1\r\n"
                   "Host: localhost:80\r\n"
                   "Content-Type: application/x-ndjson\r\n"
                   "Content-Length:         20\r\n"
                   "\r\n"
                   "{\"s\":\"1\"}\n{\"s\":\"2\"}\n");
}

TEST(publish_has_an_array_for_several_channels) {
    struct protocol_link link = {0};
    REPLAY_PUBLISH("publish", &link, two, 2,
                   "POST /publish HTTP/1.1\r\n"
                   "Host: localhost:80\r\n"
                   "Content-Type: application/json\r\n"
                   "Content-Length:         77\r\n"
                   "\r\n"
                   "[{\"channel\":\"a b/c\",\"data\":{\"s\":\"1\"}},"
                   "{\"channel\":\"d\\u0022\",\"data\":{\"s\":\"2\"}}]");
}

TEST(nchan_has_the_channel_right_behind_the_path) {
    struct protocol_link link = {.path = "/pub"};
    REPLAY_PUBLISH("nchan-rest", &link, two, 1,
                   "POST /pub/a%20b/c HTTP/1.1\r\n"
                   "Host: localhost:80\r\n"
                   "Content-Type: application/json\r\n"
                   "Content-Length:          9\r\n"
                   "\r\n"
                   "{\"s\":\"1\"}");
}

TEST(centrifugo_has_a_command_and_a_batch_and_a_key) {
    struct protocol_link link = {.token = "key"};
    REPLAY_PUBLISH("centrifugo-rest", &link, two, 1,
                   "POST /api/publish HTTP/1.1\r\n"
                   "Host: localhost:80\r\n"
                   "X-API-Key: key\r\n"
                   "Content-Type: application/json\r\n"
                   "Content-Length:         36\r\n"
                   "\r\n"
                   "{\"channel\":\"a b/c\",\"data\":{\"s\":\"1\"}}");
    REPLAY_PUBLISH("centrifugo-rest", &link, two, 2,
                   "POST /api/batch HTTP/1.1\r\n"
                   "Host: localhost:80\r\n"
                   "X-API-Key: key\r\n"
                   "Content-Type: application/json\r\n"
                   "Content-Length:        114\r\n"
                   "\r\n"
                   "{\"commands\":[{\"publish\":{\"channel\":\"a b/c\",\"data\":{\"s\":\"1\"}}},"
                   "{\"publish\":{\"channel\":\"d\\u0022\",\"data\":{\"s\":\"2\"}}}]}");
}

TEST(mercure_posts_a_form) {
    struct protocol_link link = {.token = "jwt"};
    REPLAY_PUBLISH("mercure-rest", &link, two, 1,
                   "POST /.well-known/mercure HTTP/1.1\r\n"
                   "Host: localhost:80\r\n"
                   "Authorization: Bearer jwt\r\n"
                   "Content-Type: application/x-www-form-urlencoded\r\n"
                   "Content-Length:         44\r\n"
                   "\r\n"
                   "topic=a%20b%2Fc&data=%7B%22s%22%3A%221%22%7D");
}

TEST(each_answer_counts_by_its_status) {
    struct protocol_link link = {.is_publisher = true};
    REPLAY("rest", link,
           "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{\"a\"}"
           "HTTP/1.1 204 No Content\r\n\r\n"
           "HTTP/1.1 100 Continue\r\n\r\n"
           "HTTP/1.1 201 Created\r\ncontent-length:0\r\n\r\n"
           "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\nno"
           "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
           "answer; answer; answer; "
           "refused answer: the server answered 429 Too Many Requests: no; "
           "refused answer: the server answered 503 Service Unavailable: ; ");
}

TEST(an_answer_in_chunks_ends_with_the_last) {
    struct protocol_link link = {.is_publisher = true};
    REPLAY("ndjson", link,
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n"
           "5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
           "HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n"
           "4\r\nbusy\r\n3\r\n, b\r\n0\r\n\r\n",
           "answer; refused answer: the server answered 503 Service Unavailable: busy, b; ");
}

TEST(an_answer_without_a_length_is_one_for_the_rest_of_the_connection) {
    struct protocol_link link = {.is_publisher = true};
    REPLAY("rest", link, "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
           "answer; ");
}

TEST(a_server_that_closes_behind_an_answer_is_noted) {
    static const char stays[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    static const char ends[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    struct protocol_link link = {.is_publisher = true};
    struct protocol_unit unit;
    struct bytes output = {0};
    const struct protocol *rest = protocol_find("rest");
    EXPECT_EQ(rest->take(&link, (const uint8_t *)stays, sizeof(stays) - 1, &output, &unit),
              PROTOCOL_ANSWER);
    EXPECT_FALSE(link.is_ending);
    EXPECT_EQ(rest->take(&link, (const uint8_t *)ends, sizeof(ends) - 1, &output, &unit),
              PROTOCOL_ANSWER);
    EXPECT_TRUE(link.is_ending);
}

TEST(what_is_no_answer_is_refused) {
    struct protocol_link link = {.is_publisher = true};
    REPLAY("rest", link, "SSH-2.0-x\r\n\r\n", "refused: the answer to a publish is no HTTP; ");
    REPLAY("rest", link, "HTTP/1.1 2x0 OK\r\n\r\n",
           "refused: the answer to a publish is no HTTP; ");
    REPLAY("rest", link, "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
           "refused: the answer to a publish is no HTTP; ");
    REPLAY("rest", link, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
           "refused: the answer to a publish is no HTTP; ");
    REPLAY("rest", link, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
           "refused: a chunk's line is not one; ");
    REPLAY("rest", link, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n123456789\r\n",
           "refused: a chunk's line is not one; ");
    REPLAY("rest", link, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n",
           "refused: a chunk is longer than it says; ");
}

TEST(an_error_inside_of_200_is_a_refusal_of_centrifugo) {
    struct protocol_link link = {.is_publisher = true};
    REPLAY(
        "centrifugo-rest", link,
        "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"result\":{}}"
        "HTTP/1.1 200 OK\r\nContent-Length: 41\r\n\r\n"
        "{\"error\":{\"code\":102,\"message\":\"\\\"erro\"}}"
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "f\r\n{\"replies\":[{\"e\r\n9\r\nrror\":{}}\r\n0\r\n\r\n"
        "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"errors\":\"err\"}"
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
        "answer; "
        "refused answer: the server answered: {\"error\":{\"code\":102,\"message\":\"\\\"erro\"}}; "
        "refused answer: the server answered: {\"replies\":[{\"error\":{}}; "
        "answer; refused answer: the server answered 401 Unauthorized: ; ");
}

UNIT_TESTS(UNIT(rest_posts_one_message_to_its_channel), UNIT(a_path_and_a_token_go_into_the_head),
           UNIT(ndjson_has_a_line_a_message), UNIT(publish_has_an_array_for_several_channels),
           UNIT(nchan_has_the_channel_right_behind_the_path),
           UNIT(centrifugo_has_a_command_and_a_batch_and_a_key), UNIT(mercure_posts_a_form),
           UNIT(each_answer_counts_by_its_status), UNIT(an_answer_in_chunks_ends_with_the_last),
           UNIT(an_answer_without_a_length_is_one_for_the_rest_of_the_connection),
           UNIT(a_server_that_closes_behind_an_answer_is_noted), UNIT(what_is_no_answer_is_refused),
           UNIT(an_error_inside_of_200_is_a_refusal_of_centrifugo))
