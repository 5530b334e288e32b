/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "tests/clients/bench/replay.h"
#include "tests/unit.h"

#define UPGRADED                                                                                   \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"            \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
#define ASK                                                                                        \
    "Host: localhost:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                          \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static const char *const one[] = {"a b/0"};
static const char *const three[] = {"a", "b/*", "c\""};

/* What was put behind the hello, as text. */
static void expect_put(const char *protocol, struct protocol_link link, const void *bytes,
                       size_t length, const char *told, const char *put) {
    struct bytes output, text;
    replay_expect(protocol, link, bytes, length, told, &output);
    replay_unmask(&output, &text);
    EXPECT_STRING(replay_text(&text), put);
    bytes_finish(&output);
    bytes_finish(&text);
}

static void expect_hello(const char *protocol, struct protocol_link link, const char *hello) {
    struct bytes output;
    replay_hello(protocol, link, &output);
    EXPECT_STRING(replay_text(&output), hello);
    bytes_finish(&output);
}

TEST(a_reader_asks_for_its_channel) {
    expect_hello("websocket", (struct protocol_link){.selectors = one, .selector_count = 1},
                 "GET /channels/a%20b/0 HTTP/1.1\r\n" ASK);
    expect_hello("websocket",
                 (struct protocol_link){.selectors = one, .selector_count = 1, .since = "-5 m"},
                 "GET /channels/a%20b/0?since=-5%20m HTTP/1.1\r\n" ASK);
    expect_hello("websocket", (struct protocol_link){.is_publisher = true},
                 "GET /stream HTTP/1.1\r\n" ASK);
    expect_hello("stream", (struct protocol_link){.selectors = one, .selector_count = 1},
                 "GET /stream HTTP/1.1\r\n" ASK);
    expect_hello("nchan-websocket",
                 (struct protocol_link){.selectors = one, .selector_count = 1, .path = "/sub"},
                 "GET /sub/a%20b/0 HTTP/1.1\r\n" ASK);
}

TEST(an_envelope_is_a_message_and_what_the_broker_says_is_none) {
    struct protocol_link link = {.selectors = one, .selector_count = 1};
    REPLAY("websocket", link,
           UPGRADED "\x81\x10{\"channel\":\"a\"}x"
                    "\x81\x0c{\"at\":\"t1x\"}"
                    "\x81\x0b{\"gap\":{ }}"
                    "\x81\x16{\"sub\":1,\"channel\":1}x"
                    "\x81\x13{\"sub\":12,\"at\":\"x\"}"
                    "\x82\x10{\"channel\":\"b\"}x"
                    "\x81\x00"
                    "\x81\x02{}",
           "ready; message {\"channel\":\"a\"}x; message {\"sub\":1,\"channel\":1}x; "
           "message {\"channel\":\"b\"}x; ");
}

TEST(a_frame_may_have_a_longer_length) {
    static const char head[] = UPGRADED "\x81\x7e\x00\x80{\"channel\":\"";
    char bytes[sizeof(head) + 256];
    char told[256];
    size_t length = sizeof(head) - 1;
    memcpy(bytes, head, length);
    memset(bytes + length, 'x', 128 - 12);
    length += 128 - 12;
    int used = snprintf(told, sizeof(told), "ready; message {\"channel\":\"");
    memset(told + used, 'x', 128 - 12);
    memcpy(told + used + 128 - 12, "; ", 3);
    replay_expect("websocket", (struct protocol_link){0}, bytes, length, told, NULL);
}

TEST(a_ping_is_answered_and_a_close_too) {
    expect_put("websocket", (struct protocol_link){.index = 7},
               UPGRADED "\x89\x04ping\x8a\x00\x88\x04\x0f\xa8no", sizeof(UPGRADED) - 1 + 14,
               "ready; refused: the server closed the WebSocket with 4008 (too slow); ",
               "10 ping\n8 \x0f\xa8no\n");
    expect_put("websocket", (struct protocol_link){0}, UPGRADED "\x88\x00",
               sizeof(UPGRADED) - 1 + 2, "ready; refused: the server closed the WebSocket; ",
               "8 \n");
}

TEST(parts_are_put_together) {
    struct protocol_link link = {.selectors = one, .selector_count = 1};
    REPLAY("nchan-websocket", link,
           UPGRADED "\x01\x02he\x89\x00\x00\x02ll\x80\x01o\x81\x02on\x01\x01x\x80\x01y",
           "ready; message hello; message on; message xy; ");
    REPLAY("nchan-websocket", link, UPGRADED "\x80\x01o",
           "ready; refused: the parts of a WebSocket message are mixed up; ");
    REPLAY("nchan-websocket", link, UPGRADED "\x01\x01o\x81\x01p",
           "ready; refused: the parts of a WebSocket message are mixed up; ");
}

TEST(a_stream_is_ready_with_its_last_subscription) {
    struct protocol_link link = {.selectors = three, .selector_count = 3, .since = "earliest"};
    static const char bytes[] = UPGRADED "\x81\x12{\"ref\":1,\"ok\":{}}x"
                                         "\x81\x16{\"sub\":1,\"channel\":1}x"
                                         "\x81\x11{\"ref\":2,\"ok\":{}}"
                                         "\x81\x11{\"ref\":3,\"ok\":{}}"
                                         "\x81\x11{\"ref\":3,\"ok\":{}}";
    expect_put("stream", link, bytes, sizeof(bytes) - 1,
               "message {\"sub\":1,\"channel\":1}x; ready; ",
               "1 {\"subscribe\":\"a\",\"since\":\"earliest\",\"ref\":1}\n"
               "1 {\"subscribe\":\"b/*\",\"since\":\"earliest\",\"ref\":2}\n"
               "1 {\"subscribe\":\"c\\u0022\",\"since\":\"earliest\",\"ref\":3}\n");
    REPLAY("stream", link,
           UPGRADED "\x81\x19{\"ref\":1,\"error\":{\"c\":1}}"
                    "\x81\x11{\"ref\":2,\"ok\":{}}",
           "refused: a subscription was refused; ");
}

TEST(a_publisher_counts_answers) {
    struct protocol_link link = {.is_publisher = true};
    REPLAY("websocket", link,
           UPGRADED "\x81\x11{\"ref\":1,\"ok\":{}}"
                    "\x81\x19{\"ref\":2,\"error\":{\"c\":1}}",
           "ready; answer; refused answer: the server answered: "
           "{\"ref\":2,\"error\":{\"c\":1}}; ");
}

TEST(a_publish_is_a_masked_frame_with_a_reference) {
    static const struct protocol_message message = {"a/\"", (const uint8_t *)"{\"s\":\"123\"}", 11};
    struct protocol_link link = {.index = 41};
    struct bytes output = {0}, text;
    protocol_find("websocket")->put_publish(&link, &message, 1, &output);
    protocol_find("websocket")->put_publish(&link, &message, 1, &output);
    replay_unmask(&output, &text);
    EXPECT_STRING(
        replay_text(&text),
        "1 {\"publish\":{\"channel\":\"a/\\u0022\",\"data\":{\"s\":\"123\"}},\"ref\":1}\n"
        "1 {\"publish\":{\"channel\":\"a/\\u0022\",\"data\":{\"s\":\"123\"}},\"ref\":2}\n");
    bytes_finish(&output);
    bytes_finish(&text);
}

TEST(payloads_of_all_lengths_are_framed) {
    static uint8_t payload[70000];
    static const size_t lengths[] = {0, 1, 7, 8, 80, 81, 82, 1000, 65535, 70000};
    memset(payload, 'x', sizeof(payload));
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct protocol_link link = {0};
        struct protocol_message message = {"a", payload, lengths[i]};
        struct bytes output = {0}, text;
        protocol_find("websocket")->put_publish(&link, &message, 1, &output);
        replay_unmask(&output, &text);
        EXPECT_EQ(text.length,
                  strlen("1 {\"publish\":{\"channel\":\"a\",\"data\":},\"ref\":1}\n") + lengths[i]);
        bytes_finish(&output);
        bytes_finish(&text);
    }
}

TEST(what_is_no_websocket_is_refused) {
    struct protocol_link link = {.selectors = one, .selector_count = 1};
    REPLAY("websocket", link, "HTTP/1.1 403 Forbidden\r\n\r\n",
           "refused: the server answered 403 Forbidden; ");
    REPLAY("websocket", link, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
           "refused: the server switched to something that is no WebSocket; ");
    REPLAY("stream", link, "hello\r\n\r\n",
           "refused: the answer to the WebSocket's handshake is no HTTP; ");
    REPLAY("websocket", link, UPGRADED "\x81\x80xxxx",
           "ready; refused: the server masks its frames; ");
    REPLAY("websocket", link, UPGRADED "\xc1\x00",
           "ready; refused: a WebSocket frame has a bit of an extension; ");
    REPLAY("websocket", link, UPGRADED "\x83\x00",
           "ready; refused: a WebSocket frame has an unknown opcode; ");
    REPLAY("websocket", link, UPGRADED "\x89\x7e\x00\xff",
           "ready; refused: a WebSocket control frame is too long or in parts; ");
    REPLAY("websocket", link, UPGRADED "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
           "ready; refused: a WebSocket frame is longer than the load takes; ");
}

UNIT_TESTS(UNIT(a_reader_asks_for_its_channel),
           UNIT(an_envelope_is_a_message_and_what_the_broker_says_is_none),
           UNIT(a_frame_may_have_a_longer_length), UNIT(a_ping_is_answered_and_a_close_too),
           UNIT(parts_are_put_together), UNIT(a_stream_is_ready_with_its_last_subscription),
           UNIT(a_publisher_counts_answers), UNIT(a_publish_is_a_masked_frame_with_a_reference),
           UNIT(payloads_of_all_lengths_are_framed), UNIT(what_is_no_websocket_is_refused))
