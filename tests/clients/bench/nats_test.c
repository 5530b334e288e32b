/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/clients/bench/replay.h"
#include "tests/unit.h"

#define INFO "INFO {\"server_id\":\"X\",\"max_payload\":1048576} \r\n"
#define UPGRADED "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"

static const char *const three[] = {"a/0", "b/*", "c/**"};
static const struct protocol_message message = {"a/0", (const uint8_t *)"{\"s\":1}", 7};

TEST(a_reader_subscribes_and_pings) {
    struct bytes output;
    struct protocol_link link = {.selectors = three, .selector_count = 3, .token = "key"};
    replay_hello("nats", link, &output);
    EXPECT_STRING(replay_text(&output),
                  "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\","
                  "\"auth_token\":\"key\"}\r\n"
                  "SUB a.0 1\r\nSUB b.* 2\r\nSUB c.> 3\r\nPING\r\n");
    bytes_finish(&output);
}

TEST(a_publish_is_a_line_and_a_payload) {
    struct protocol_link link = {0};
    REPLAY_PUBLISH("nats", &link, &message, 1, "PUB a.0 7\r\n{\"s\":1}\r\n");
}

TEST(messages_are_told_and_pings_answered) {
    struct protocol_link link = {.selectors = three, .selector_count = 3};
    static const char bytes[] = INFO "PONG\r\nMSG a.0 1 7\r\n{\"s\":1}\r\nPING\r\n+OK\r\n"
                                     "MSG a.0 1 _INBOX.x 0\r\n\r\nMSG a 9 2\r\n\n\n\r\nPONG\r\n";
    struct bytes output;
    replay_expect("nats", link, bytes, sizeof(bytes) - 1,
                  "ready; message {\"s\":1}; message ; message \n\n; ", &output);
    EXPECT_STRING(replay_text(&output), "PONG\r\n");
    bytes_finish(&output);
}

TEST(frames_cut_where_they_like) {
    struct protocol_link link = {.selectors = three, .selector_count = 1};
    static const char bytes[] = UPGRADED "\x82\x09INFO {}\r\n"
                                         "\x82\x09PONG\r\nMSG"
                                         "\x89\x01p"
                                         "\x02\x0d a.0 1 3\r\nabc"
                                         "\x80\x02\r\n"
                                         "\x82\x18MSG a 1 1\r\nd\r\nPING\r\nMSG "
                                         "\x82\x00"
                                         "\x82\x0b"
                                         "a 1 1\r\ne\r\nP"
                                         "\x82\x05ONG\r\n";
    struct bytes output, text;
    replay_expect("nats-websocket", link, bytes, sizeof(bytes) - 1,
                  "ready; message abc; message d; message e; ", &output);
    replay_unmask(&output, &text);
    EXPECT_STRING(replay_text(&text),
                  "2 CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\"}\r\n"
                  "SUB a.0 1\r\nPING\r\n\n"
                  "10 p\n2 PONG\r\n\n");
    bytes_finish(&output);
    bytes_finish(&text);
}

TEST(a_publish_over_websocket_is_a_binary_frame) {
    struct protocol_link link = {.is_framed = true};
    struct bytes output = {0}, text;
    protocol_find("nats-websocket")->put_publish(&link, &message, 1, &output);
    replay_unmask(&output, &text);
    EXPECT_STRING(replay_text(&text), "2 PUB a.0 7\r\n{\"s\":1}\r\n\n");
    bytes_finish(&output);
    bytes_finish(&text);
}

TEST(refusals_have_a_word) {
    struct protocol_link link = {0};
    REPLAY("nats", link, INFO "-ERR 'Authorization Violation'\r\n",
           "refused: NATS: -ERR Authorization Violation; ");
    REPLAY("nats", link, "-ERR 'x'\r\n", "refused: NATS: -ERR; ");
    REPLAY("nats", link, "HTTP/1.1 400 Bad Request\r\n",
           "refused: NATS: the server says something unknown; ");
    REPLAY("nats", link, "MSG a 1 x\r\n",
           "refused: NATS: a MSG's length is none, or more than the load takes; ");
    REPLAY("nats", link, "MSG \n",
           "refused: NATS: a MSG's length is none, or more than the load takes; ");
    REPLAY("nats", link, "MSG a 1 99999999\r\n",
           "refused: NATS: a MSG's length is none, or more than the load takes; ");
    REPLAY("nats", link, "MSG a 1 99999999999999999999999999\r\n",
           "refused: NATS: a MSG's length is none, or more than the load takes; ");
}

UNIT_TESTS(UNIT(a_reader_subscribes_and_pings), UNIT(a_publish_is_a_line_and_a_payload),
           UNIT(messages_are_told_and_pings_answered), UNIT(frames_cut_where_they_like),
           UNIT(a_publish_over_websocket_is_a_binary_frame), UNIT(refusals_have_a_word))
