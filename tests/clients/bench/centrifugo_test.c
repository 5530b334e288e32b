/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/clients/bench/replay.h"
#include "tests/unit.h"

#define UPGRADED "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"

static const char *const two[] = {"a:0", "b"};

TEST(a_reader_connects_and_subscribes_in_one_frame) {
    struct protocol_link link = {
        .selectors = two, .selector_count = 2, .token = "eyJ", .path = "/x"};
    static const char bytes[] = UPGRADED "\x81\x18{\"id\":1,\"connect\":{}}\n{}"
                                         "\x81\x1b{\"id\":2,\"subscribe\":{}}\n{}\n"
                                         "\x81\x17{\"id\":3,\"subscribe\":{}}"
                                         "\x89\x01x"
                                         "\x81\x02{}";
    struct bytes output, text;
    replay_hello("centrifugo-websocket", link, &output);
    EXPECT_STRING(replay_text(&output),
                  "GET /x/connection/websocket HTTP/1.1\r\nHost: localhost:80\r\n"
                  "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    bytes_finish(&output);
    replay_expect("centrifugo-websocket", link, bytes, sizeof(bytes) - 1, "ready; ", &output);
    replay_unmask(&output, &text);
    EXPECT_STRING(replay_text(&text), "1 {\"id\":1,\"connect\":{\"token\":\"eyJ\"}}\n"
                                      "{\"id\":2,\"subscribe\":{\"channel\":\"a:0\"}}\n"
                                      "{\"id\":3,\"subscribe\":{\"channel\":\"b\"}}\n"
                                      "1 {}\n1 {}\n10 x\n1 {}\n");
    bytes_finish(&output);
    bytes_finish(&text);
}

TEST(the_key_of_the_http_api_is_no_token_of_a_reader) {
    static const char bytes[] = UPGRADED "\x81\x15{\"id\":1,\"connect\":{}}";
    struct protocol_link link = {.token = "key"};
    struct bytes output, text;
    replay_expect("centrifugo-websocket", link, bytes, sizeof(bytes) - 1, "ready; ", &output);
    replay_unmask(&output, &text);
    EXPECT_STRING(replay_text(&text), "1 {\"id\":1,\"connect\":{}}\n");
    bytes_finish(&output);
    bytes_finish(&text);
}

TEST(a_frame_has_many_publications) {
    REPLAY("centrifugo-websocket", (struct protocol_link){0},
           UPGRADED "\x81\x16{\"id\":1,\"connect\":{}}\n"
                    "\x81\x2c{\"push\":{\"pub\":{\"d\":1}}}\n{\"push\":{\"pub\":{}}}"
                    "\x81\x14{\"push\":{\"join\":{}}}",
           "ready; message {\"push\":{\"pub\":{\"d\":1}}}; message {\"push\":{\"pub\":{}}}; ");
}

TEST(refusals_have_a_word) {
    REPLAY("centrifugo-websocket", (struct protocol_link){0},
           UPGRADED "\x81\x15{\"id\":1,\"error\":{  }}",
           "refused: Centrifugo: the connection or a subscription was refused; ");
    REPLAY("centrifugo-websocket", (struct protocol_link){0}, UPGRADED "\x01\x01x",
           "refused: Centrifugo: a message comes in parts; ");
    REPLAY("centrifugo-websocket", (struct protocol_link){0}, UPGRADED "\x88\x02\x0d\xac",
           "refused: the server closed the WebSocket with 3500 (Centrifugo: invalid token); ");
}

UNIT_TESTS(UNIT(a_reader_connects_and_subscribes_in_one_frame),
           UNIT(the_key_of_the_http_api_is_no_token_of_a_reader),
           UNIT(a_frame_has_many_publications), UNIT(refusals_have_a_word))
