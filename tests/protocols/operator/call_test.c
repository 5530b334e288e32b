/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes in, bytes out, over a real connection: what libmicrohttpd and the calls make of them. */
#include "protocols/operator/call.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/config/config.h"
#include "broker/support/clock.h"
#include "protocols/operator/operator.h"
#include "tests/protocols/operator/client.h"
#include "tests/protocols/operator/fakes.h"
#include "tests/unit.h"

static struct broker *broker;
static struct operator_server *server;

static int open_port(void **state) {
    struct error why = {0};
    struct config_address address = {.length = sizeof(struct sockaddr_in)};
    struct sockaddr_in *socket = (void *)&address.socket;
    (void)state;
    socket->sin_family = AF_INET;
    socket->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    broker = fakes_create(&address);
    EXPECT_EQ(operator_create(broker, &server, &why), OK);
    EXPECT_EQ(operator_start(server, &why), OK);
    return 0;
}

static int close_port(void **state) {
    (void)state;
    operator_destroy(server);
    fakes_destroy(broker);
    return 0;
}

/* Sends the request and expects each of the texts (up to NULL) in the reply. */
static void expect_reply(const char *request, const char *const *expected) {
    struct buffer text = {0};
    client_ask(operator_port(server), request, &text);
    for (; *expected != NULL; expected++) {
        const char *reply = text.length == 0 ? "" : (const char *)text.bytes;
        if (strstr(reply, *expected) == NULL) {
            fail_msg("no \"%s\" in the reply \"%.500s\" to \"%.80s\"", *expected, reply, request);
        }
    }
    buffer_finish(&text);
}

#define EXPECT_REPLY(request, ...) expect_reply(request, (const char *const[]){__VA_ARGS__, NULL})

#define HOST "Host: localhost\r\n"

TEST(target_reaches_the_routes_as_it_was_written) {
    EXPECT_REPLY("GET /channels/a%20b?since=%2B1&x HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 204 ",
                 "X-Path: /channels/a%20b?since=%2B1&x\r\n");
}

TEST(body_comes_whole) {
    EXPECT_REPLY("POST /channels/echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
                 "HTTP/1.1 200 ", "Content-Length: 5\r\n", "\r\n\r\nhello");
    EXPECT_REPLY("POST /channels/echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                 "3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nTrailer: x\r\n\r\n",
                 "HTTP/1.1 200 ", "\r\n\r\nhello");
}

TEST(peer_that_waits_for_continue_is_told) {
    int client = client_connect(operator_port(server), false);
    struct buffer text = {0};
    static const char head[] =
        "POST /channels/echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    client_send(client, head);
    EXPECT_TRUE(client_read_reply(client, &text));
    EXPECT_STRING((const char *)text.bytes, "HTTP/1.1 100 Continue\r\n\r\n");
    buffer_clear(&text);
    client_send(client, "hello");
    EXPECT_TRUE(client_read_reply(client, &text));
    EXPECT_NOT_NULL(strstr((const char *)text.bytes, "\r\n\r\nhello"));
    close(client);
    buffer_finish(&text);
}

TEST(peer_that_waits_for_continue_is_refused_without_its_body) {
    EXPECT_REPLY("POST /channels/none HTTP/1.1\r\n" HOST
                 "Expect: 100-continue\r\nContent-Length: 500000\r\n\r\n",
                 "HTTP/1.1 404 ", "application/problem+json", "Connection: close");
}

TEST(body_above_the_limit_is_refused_with_an_answer) {
    static char request[400000];
    int length = snprintf(request, sizeof(request),
                          "POST /channels/echo HTTP/1.1\r\n" HOST "Content-Length: 300000\r\n\r\n");
    memset(request + length, 'a', 300000);
    EXPECT_REPLY(request, "HTTP/1.1 413 ", "application/problem+json", "too-large",
                 "the body is larger than is taken here");
    length = snprintf(request, sizeof(request),
                      "POST /channels/echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                      "493E0\r\n");
    memset(request + length, 'a', 300000);
    snprintf(request + length + 300000, 20, "\r\n0\r\n\r\n");
    EXPECT_REPLY(request, "HTTP/1.1 413 ", "too-large");
}

TEST(body_where_none_is_taken_is_refused) {
    EXPECT_REPLY("POST /channels/now HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
                 "HTTP/1.1 413 ", "no body is taken here");
}

TEST(refused_body_leaves_the_connection_usable) {
    static const char requests[] =
        "POST /channels/none HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
        "GET /channels/now HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
    int client = client_connect(operator_port(server), false);
    struct buffer text = {0};
    client_send(client, requests);
    EXPECT_TRUE(client_read_to_end(client, &text));
    EXPECT_NOT_NULL(strstr((const char *)text.bytes, "HTTP/1.1 404 "));
    EXPECT_NOT_NULL(strstr((const char *)text.bytes, "\r\n\r\nnow\n"));
    close(client);
    buffer_finish(&text);
}

TEST(head_that_two_parties_may_read_differently_is_refused) {
    EXPECT_REPLY("POST /channels/echo HTTP/1.1\r\n" HOST
                 "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 "HTTP/1.1 400 ", "Connection: close");
    EXPECT_REPLY("POST /channels/echo HTTP/1.1\r\n" HOST
                 "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
                 "HTTP/1.1 400 ", "Connection: close");
    EXPECT_REPLY("POST /channels/echo HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\nhello",
                 "HTTP/1.1 400 ");
    EXPECT_REPLY("POST /channels/echo HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\nhello",
                 "HTTP/1.1 501 ", "Connection: close");
    EXPECT_REPLY("GET /channels/now HTTP/1.1\r\n" HOST "Host: example.org\r\n\r\n",
                 "HTTP/1.1 400 ");
    EXPECT_REPLY("GET /channels/now HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ");
}

TEST(expectation_that_nobody_can_meet_is_refused) {
    EXPECT_REPLY("POST /channels/echo HTTP/1.1\r\n" HOST
                 "Expect: wonders\r\nContent-Length: 5\r\n\r\nhello",
                 "HTTP/1.1 417 ");
}

TEST(socket_for_streams_is_on_the_public_port) {
    EXPECT_REPLY("GET /channels/now HTTP/1.1\r\n" HOST
                 "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                 "HTTP/1.1 406 ", "they are on the public port");
}

TEST(address_that_is_too_long_is_refused) {
    static char request[12000];
    int length = snprintf(request, sizeof(request), "GET /channels/now?");
    memset(request + length, 'a', 9000);
    snprintf(request + length + 9000, 100, " HTTP/1.1\r\n" HOST "\r\n");
    EXPECT_REPLY(request, "HTTP/1.1 414 ", "application/problem+json");
}

TEST(head_that_is_too_large_is_refused) {
    static char request[30000];
    int length = snprintf(request, sizeof(request), "GET /channels/now HTTP/1.1\r\n" HOST);
    for (unsigned i = 0; i < 90; i++) {
        length +=
            snprintf(request + length, sizeof(request) - (size_t)length, "X-%u: %0200u\r\n", i, i);
    }
    snprintf(request + length, sizeof(request) - (size_t)length, "\r\n");
    EXPECT_REPLY(request, "HTTP/1.1 431 ", "application/problem+json");
    length = snprintf(request, sizeof(request), "GET /channels/now HTTP/1.1\r\n" HOST);
    for (unsigned i = 0; i < 120; i++) {
        length += snprintf(request + length, sizeof(request) - (size_t)length, "X-%u: y\r\n", i);
    }
    snprintf(request + length, sizeof(request) - (size_t)length, "\r\n");
    EXPECT_REPLY(request, "HTTP/1.1 431 ", "application/problem+json");
}

TEST(length_of_the_body_is_told_without_it) {
    struct buffer text = {0};
    client_ask(operator_port(server),
               "HEAD /channels/now HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", &text);
    EXPECT_NOT_NULL(strstr((const char *)text.bytes, "HTTP/1.1 200 "));
    EXPECT_NOT_NULL(strstr((const char *)text.bytes, "Content-Length: 4\r\n"));
    EXPECT_STRING(strstr((const char *)text.bytes, "\r\n\r\n"), "\r\n\r\n");
    buffer_finish(&text);
}

TEST(large_reply_comes_whole) {
    struct buffer text = {0};
    client_ask(operator_port(server), "GET /channels/large HTTP/1.1\r\n" HOST "\r\n", &text);
    EXPECT_TRUE(text.length > FAKES_LARGE_BYTES);
    EXPECT_EQ(text.bytes[text.length - 1], 'x');
    buffer_finish(&text);
}

TEST(bytes_that_are_no_request_are_refused_and_nobody_else_is_disturbed) {
    static const char *const requests[] = {
        "\r\n\r\n\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET / HTTP/9.9\r\n" HOST "\r\n",
        "GET /channels/now HTTP/1.1\r\nno colon\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "POST /channels/echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        "POST /channels/echo HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(requests); i++) {
        struct buffer text = {0};
        int client = client_connect(operator_port(server), false);
        client_send(client, requests[i]);
        shutdown(client, SHUT_WR);
        client_read_to_end(client, &text);
        EXPECT_TRUE(text.length == 0 || strstr((const char *)text.bytes, "HTTP/1.1 200") == NULL);
        close(client);
        buffer_finish(&text);
    }
    EXPECT_REPLY("GET /channels/now HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 ");
}

TEST(peer_that_never_ends_its_head_is_cut_off) {
    struct buffer text = {0};
    uint64_t before_ms = clock_monotonic_ms();
    int client = client_connect(operator_port(server), false);
    client_send(client, "GET / HTTP/1.1\r\n");
    EXPECT_TRUE(client_read_to_end(client, &text)); /* in CLIENT_SECONDS_MAX */
    EXPECT_TRUE(clock_monotonic_ms() - before_ms >= HANDSHAKE_TIMEOUT_MS);
    close(client);
    buffer_finish(&text);
}

#define PORT_UNIT(name) cmocka_unit_test_setup_teardown(name, open_port, close_port)

UNIT_TESTS(PORT_UNIT(target_reaches_the_routes_as_it_was_written), PORT_UNIT(body_comes_whole),
           PORT_UNIT(peer_that_waits_for_continue_is_told),
           PORT_UNIT(peer_that_waits_for_continue_is_refused_without_its_body),
           PORT_UNIT(body_above_the_limit_is_refused_with_an_answer),
           PORT_UNIT(body_where_none_is_taken_is_refused),
           PORT_UNIT(refused_body_leaves_the_connection_usable),
           PORT_UNIT(head_that_two_parties_may_read_differently_is_refused),
           PORT_UNIT(expectation_that_nobody_can_meet_is_refused),
           PORT_UNIT(socket_for_streams_is_on_the_public_port),
           PORT_UNIT(address_that_is_too_long_is_refused),
           PORT_UNIT(head_that_is_too_large_is_refused),
           PORT_UNIT(length_of_the_body_is_told_without_it), PORT_UNIT(large_reply_comes_whole),
           PORT_UNIT(bytes_that_are_no_request_are_refused_and_nobody_else_is_disturbed),
           PORT_UNIT(peer_that_never_ends_its_head_is_cut_off))
