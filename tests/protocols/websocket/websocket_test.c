/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/websocket.h"

#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/runtime/log.h"
#include "protocols/rest/routes.h"
#include "protocols/websocket/deflate.h"
#include "protocols/websocket/framing.h"
#include "protocols/websocket/handshake.h"
#include "protocols/websocket/publications.h"
#include "tests/protocols/fakes.h"
#include "tests/protocols/mqtt/gate.h"
#include "tests/unit.h"

static void open_socket(const char *path, const char *headers) {
    struct request *request = fakes_request("GET", path, NULL, headers);
    struct websocket *websocket = NULL;
    struct error why = {0};
    request->is_upgrade = true;
    EXPECT_TRUE(routes_admit(request));
    IGNORE_RESULT(handshake_accept(request, &why)); /* for the extension, where one is offered */
    EXPECT_EQ(websocket_create(fakes_connection(), request, &websocket), OK);
    fakes.protocol = &websocket_protocol;
    fakes.state = websocket;
    websocket_start(websocket);
    request_destroy(request);
}

static int begin(void **state) {
    fakes_begin(state);
    gate_begin();
    open_socket("/channels/a", "Host: localhost");
    return 0;
}

static int end(void **state) {
    fakes_hang_up();
    gate_end();
    return fakes_end(state);
}

/* Sends one masked frame (with a mask of zeros). */
static void send_bytes(uint8_t first_byte, struct span payload) {
    struct buffer frame;
    size_t length = payload.length;
    buffer_init(&frame, length + 16);
    EXPECT_EQ(buffer_put_byte(&frame, first_byte), OK);
    if (length < 126) {
        EXPECT_EQ(buffer_put_byte(&frame, (uint8_t)(0x80 | length)), OK);
    } else {
        EXPECT_EQ(buffer_put_byte(&frame, 0x80 | 126), OK);
        EXPECT_EQ(buffer_put_byte(&frame, (uint8_t)(length >> 8)), OK);
        EXPECT_EQ(buffer_put_byte(&frame, (uint8_t)length), OK);
    }
    EXPECT_EQ(buffer_put(&frame, SPAN("\0\0\0\0")), OK);
    EXPECT_EQ(buffer_put(&frame, payload), OK);
    fakes_receive_bytes(buffer_borrow(&frame));
    buffer_finish(&frame);
}

static void send_frame(uint8_t first_byte, const char *payload) {
    send_bytes(first_byte, span_of_string(payload));
}

static void send_text(const char *text) {
    send_frame(0x81, text);
}

/* The code of the close frame that was sent last; 0: none. */
static unsigned sent_close(void) {
    for (size_t i = fakes.sent.length; i >= 4; i--) {
        const uint8_t *frame = fakes.sent.bytes + i - 4;
        if (frame[0] == 0x88 && frame[1] >= 2 && frame[1] <= 125) {
            return (unsigned)frame[2] << 8 | frame[3];
        }
    }
    return 0;
}

TEST(a_publish_is_answered_with_its_ref) {
    send_text("{\"publish\":{\"data\":{\"a\":1},\"key\":\"k\"},\"ref\":7}");
    EXPECT_EQ(fakes.sent.length, 0);
    fakes_answer_publish(OK);
    EXPECT_TRUE(fakes_has_sent("{\"ref\":7,\"ok\":{\"offset\":1,\"id\":\"t1"));
}

TEST(answers_that_were_ready_leave_before_the_end_without_memory) {
    send_text("{\"publish\":{\"data\":1},\"ref\":1}");
    send_text("{\"publish\":{\"data\":2},\"ref\":\"1234567890123456789012345678901234567890\"}");
    buffer_finish(&fakes.scratch);
    buffer_init(&fakes.scratch, 100); /* one answer has room, and no second one */
    fakes_answer_all();
    EXPECT_TRUE(fakes_has_sent("{\"ref\":1,\"ok\":{\"offset\":1,"));
    EXPECT_EQ(fakes.reason, CLOSE_MEMORY);
}

TEST(a_publish_without_ref_is_not_answered_unless_it_fails) {
    send_text("{\"publish\":{\"data\":1}}");
    fakes_answer_publish(OK);
    EXPECT_EQ(fakes.sent.length, 0);
    send_text("{\"publish\":{\"data\":1}}");
    fakes_answer_publish(ERR_STORAGE_FULL);
    EXPECT_TRUE(fakes_has_sent("{\"error\":{\"code\":\"storage-full\""));
}

TEST(what_is_no_command_is_an_error_and_not_the_end) {
    static const char *const texts[] = {"x", "[]", "{}", "{\"publish\":1}", "{\"fly\":{}}"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        fakes_forget_sent();
        send_text(texts[i]);
        EXPECT_TRUE(fakes_has_sent("{\"error\":{\"code\":\""));
        EXPECT_FALSE(fakes.is_closing);
    }
}

TEST(commands_of_other_sockets_say_where_they_belong) {
    send_text("{\"subscribe\":\"b\",\"ref\":1}");
    EXPECT_TRUE(fakes_has_sent("\"ref\":1,\"error\""));
    EXPECT_TRUE(fakes_has_sent("/stream"));
    send_text("{\"auth\":\"x\",\"ref\":2}");
    EXPECT_TRUE(fakes_has_sent("{\"ref\":2,\"ok\":{}}"));
    send_text("{\"unsubscribe\":1,\"ref\":3}");
    EXPECT_TRUE(fakes_has_sent("\"ref\":3,\"error\""));
    EXPECT_EQ(fakes.publish_count, 0);
}

TEST(what_is_not_allowed_is_an_error_and_not_the_end) {
    gate_be(gate_make("alice", NULL));
    gate.forbidden = "publish a";
    send_text("{\"publish\":{\"data\":1},\"ref\":3}");
    EXPECT_TRUE(fakes_has_sent("\"ref\":3,\"error\":{\"code\":\"forbidden\""));
    EXPECT_EQ(fakes.publish_count, 0);
    EXPECT_FALSE(fakes.is_closing);
}

TEST(a_name_goes_on_in_the_scope_of_its_tenant_and_is_asked_about_without) {
    gate_be(gate_make("alice", "acme"));
    send_text("{\"publish\":{\"data\":1},\"ref\":3}");
    EXPECT_STRING(gate.asked, "publish a");
    EXPECT_SPAN(fakes.publish->messages[0]->fields.channel, "\001acme/a");
}

TEST(a_command_that_waits_for_a_yes_holds_back_those_behind_it) {
    gate_be(gate_make("alice", NULL));
    gate.is_slow = true;
    send_text("{\"publish\":{\"data\":1},\"ref\":3}");
    EXPECT_TRUE(fakes.is_paused);
    EXPECT_EQ(fakes.publish_count, 0);
    send_text("{\"unsubscribe\":1,\"ref\":4}"); /* was on its way already */
    EXPECT_FALSE(fakes_has_sent("\"ref\":4"));
    gate_answer(OK);
    EXPECT_EQ(fakes.publish_count, 1);
    EXPECT_EQ(gate.permit_count, 1);
    EXPECT_TRUE(fakes_has_sent("\"ref\":4"));
    EXPECT_FALSE(fakes.is_paused);
}

TEST(a_no_that_comes_late_is_told) {
    gate_be(gate_make("alice", NULL));
    gate.is_slow = true;
    send_text("{\"publish\":{\"data\":1},\"ref\":3}");
    gate_answer(ERR_FORBIDDEN);
    EXPECT_TRUE(fakes_has_sent("\"ref\":3,\"error\":{\"code\":\"forbidden\""));
    EXPECT_EQ(fakes.publish_count, 0);
    EXPECT_FALSE(fakes.is_paused);
}

TEST(an_answer_that_comes_after_the_end_of_the_socket_is_for_nobody) {
    gate_be(gate_make("alice", NULL));
    gate.is_slow = true;
    send_text("{\"publish\":{\"data\":1},\"ref\":3}");
    fakes_hang_up();
    gate_answer(OK);
    EXPECT_EQ(fakes.publish_count, 0);
    open_socket("/channels/a", "Host: localhost");
}

TEST(a_new_token_is_taken_in_place_from_the_same_client_alone) {
    struct identity *alice = gate_make("alice", NULL);
    gate_be(alice);
    gate.next = gate_make("alice", NULL);
    send_text("{\"auth\":\"new\",\"ref\":1}");
    EXPECT_STRING(gate.bearer, "new");
    EXPECT_TRUE(fakes_has_sent("{\"ref\":1,\"ok\":{}}"));
    EXPECT_TRUE(fakes.identity == gate.next);
    alice = gate.next;
    gate.next = gate_make("bob", NULL);
    send_text("{\"auth\":\"newer\",\"ref\":2}");
    EXPECT_TRUE(fakes_has_sent("\"ref\":2,\"error\":{\"code\":\"forbidden\""));
    EXPECT_TRUE(fakes.identity == alice);
    gate.next = gate_make("alice", "acme");
    send_text("{\"auth\":\"newest\",\"ref\":3}");
    EXPECT_TRUE(fakes_has_sent("\"ref\":3,\"error\":{\"code\":\"forbidden\""));
    EXPECT_FALSE(fakes.is_closing);
}

TEST(a_publish_with_an_idempotency_key_carries_its_hash) {
    send_text("{\"publish\":{\"data\":1,\"idempotency_key\":\"k\"},\"ref\":3}");
    EXPECT_EQ(fakes.publish_count, 1);
    EXPECT_EQ(fakes.publish->messages[0]->fields.idempotency_hash.length, 64);
}

TEST(a_pattern_is_read_and_a_publish_there_names_its_channel) {
    fakes_hang_up();
    fakes.is_closing = false;
    open_socket("/channels/a/**", "Host: localhost");
    EXPECT_STRING(fakes.stream_channel, "a/**");
    EXPECT_EQ(fakes.stream_options.subscription, 0);
    send_text("{\"publish\":{\"data\":1},\"ref\":1}");
    EXPECT_TRUE(fakes_has_sent("\"field\":\"channel\""));
    send_text("{\"publish\":{\"channel\":\"a/b\",\"data\":1},\"ref\":2}");
    EXPECT_EQ(fakes.publish_count, 1);
}

/* Another socket in place of the first: one that has agreed on permessage-deflate. */
static void open_deflating(void) {
    fakes_hang_up();
    fakes.is_closing = false;
    open_socket("/channels/a", "Host: localhost\n"
                               "Sec-WebSocket-Version: 13\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n"
                               "Sec-WebSocket-Extensions: permessage-deflate\n");
    EXPECT_EQ(fakes.stream_options.framing->slot, WEBSOCKET_SLOT_DEFLATED);
}

static void send_deflated(struct span plain, unsigned pieces) {
    struct deflate *codec = NULL;
    struct buffer packed;
    buffer_init(&packed, 1000000);
    EXPECT_EQ(deflate_create(&codec), OK);
    EXPECT_EQ(deflate_pack(codec, plain, &packed), OK);
    for (unsigned i = 0; i < pieces; i++) {
        size_t from = packed.length * i / pieces, to = packed.length * (i + 1) / pieces;
        send_bytes((uint8_t)((i == 0 ? 0x41 : 0) | (i + 1 == pieces ? 0x80 : 0)),
                   span_of(packed.bytes + from, to - from));
    }
    deflate_destroy(codec);
    buffer_finish(&packed);
}

#define BLANKS "                                                                               "

TEST(a_compressed_command_is_obeyed_in_one_piece_or_in_several) {
    open_deflating();
    send_deflated(SPAN("{\"publish\":{\"data\":1}," BLANKS "\"ref\":1}"), 1);
    EXPECT_EQ(fakes.publish_count, 1);
    send_deflated(SPAN("{\"publish\":{\"data\":1}," BLANKS "\"ref\":2}"), 3);
    EXPECT_EQ(fakes.publish_count, 2);
    send_text("{\"publish\":{\"data\":1}}");
    EXPECT_EQ(fakes.publish_count, 3);
}

TEST(compressed_text_that_is_not_utf8_ends_it_with_1007) {
    open_deflating();
    send_deflated(SPAN("\xff" BLANKS), 1);
    EXPECT_EQ(sent_close(), 1007);
}

TEST(what_is_no_compressed_data_ends_it_with_1007) {
    open_deflating();
    send_bytes(0xc1, SPAN("\xff\xff\xff"));
    EXPECT_EQ(sent_close(), 1007);
}

TEST(a_bomb_ends_it_with_1009) {
    static uint8_t zeros[8000000];
    open_deflating();
    send_deflated(span_of(zeros, 900000), 1); /* no command, and not too large */
    EXPECT_FALSE(fakes.is_closing);
    struct deflate *codec = NULL;
    struct buffer packed;
    buffer_init(&packed, 2 * sizeof(zeros));
    EXPECT_EQ(deflate_create(&codec), OK);
    EXPECT_EQ(deflate_pack(codec, span_of(zeros, sizeof(zeros)), &packed), OK);
    send_bytes(0xc1, buffer_borrow(&packed));
    EXPECT_EQ(sent_close(), 1009);
    deflate_destroy(codec);
    buffer_finish(&packed);
}

TEST(a_compressed_frame_where_that_was_not_agreed_on_ends_it_with_1002) {
    send_bytes(0xc1, SPAN("\x00"));
    EXPECT_EQ(sent_close(), 1002);
}

TEST(a_command_may_come_in_pieces_with_pings_between) {
    send_frame(0x01, "{\"publish\":");
    EXPECT_TRUE(fakes.body_room_bytes > 0);
    send_frame(0x89, "hi");
    EXPECT_TRUE(fakes_has_sent("\x8a\x02hi"));
    send_frame(0x80, "{\"data\":1}}");
    EXPECT_EQ(fakes.publish_count, 1);
    EXPECT_EQ(fakes.body_room_bytes, 0);
    fakes_answer_publish(OK);
}

TEST(bytes_where_text_is_spoken_end_it_with_1003) {
    send_frame(0x82, "x");
    EXPECT_EQ(sent_close(), 1003);
    EXPECT_TRUE(fakes.is_closing);
}

TEST(broken_frames_end_it_with_their_codes) {
    send_frame(0xc1, "{}");
    EXPECT_EQ(sent_close(), 1002);
    EXPECT_EQ(fakes.reason, CLOSE_PROTOCOL_ERROR);
}

TEST(text_that_is_not_utf8_ends_it_with_1007) {
    send_text("\xc0\x80");
    EXPECT_EQ(sent_close(), 1007);
}

TEST(a_length_above_the_limit_ends_it_with_1009_before_it_comes) {
    fakes_receive_bytes(SPAN("\x81\xff\0\0\0\x10\0\0\0\0\0\0\0\0"));
    EXPECT_EQ(sent_close(), 1009);
    EXPECT_EQ(fakes.body_room_bytes, 0);
}

TEST(a_close_is_answered_with_its_code) {
    send_frame(0x88, "\x0b\xb8"
                     "bye");
    EXPECT_EQ(sent_close(), 3000);
    EXPECT_EQ(fakes.reason, CLOSE_NORMAL);
}

TEST(reading_stops_at_the_bound_of_publishes_and_goes_on_after_an_answer) {
    for (unsigned i = 0; i < PUBLICATIONS_MAX + 2; i++) {
        send_text("{\"publish\":{\"data\":1}}");
    }
    EXPECT_EQ(fakes.publish_count, PUBLICATIONS_MAX);
    EXPECT_TRUE(fakes.is_paused);
    fakes_answer_publish(OK);
    EXPECT_EQ(fakes.publish_count, PUBLICATIONS_MAX + 1);
    EXPECT_TRUE(fakes.is_paused);
    fakes_answer_publish(OK);
    fakes_answer_publish(OK);
    EXPECT_EQ(fakes.publish_count, PUBLICATIONS_MAX + 2);
    EXPECT_FALSE(fakes.is_paused);
}

TEST(answers_that_do_not_go_out_stop_the_reading) {
    fakes.is_blocked = true;
    send_text("x");
    EXPECT_TRUE(fakes.is_paused);
    size_t sent = fakes.sent.length;
    send_text("y");
    EXPECT_EQ(fakes.sent.length, sent);
    fakes_drain_socket();
    EXPECT_TRUE(fakes.sent.length > sent);
    EXPECT_FALSE(fakes.is_paused);
}

TEST(a_peer_that_does_not_answer_its_ping_is_closed) {
    fakes_pass(PING_INTERVAL_MS);
    EXPECT_TRUE(fakes_has_sent("\x89"));
    fakes_pass(PONG_TIMEOUT_MS);
    EXPECT_EQ(fakes.reason, CLOSE_PONG_LATE);
}

TEST(a_pong_keeps_it_and_a_ping_that_waits_in_line_has_no_deadline) {
    fakes_pass(PING_INTERVAL_MS);
    send_frame(0x8a, "");
    fakes_pass(PONG_TIMEOUT_MS);
    EXPECT_FALSE(fakes.is_closing);
    fakes_pass(PING_INTERVAL_MS);
    fakes.is_blocked = true;
    fakes_pass(PONG_TIMEOUT_MS);
    fakes_pass(PONG_TIMEOUT_MS);
    EXPECT_FALSE(fakes.is_closing);
    fakes.is_blocked = false;
    fakes_pass(PONG_TIMEOUT_MS);
    fakes_pass(PONG_TIMEOUT_MS);
    EXPECT_EQ(fakes.reason, CLOSE_PONG_LATE);
}

TEST(a_ping_behind_bytes_that_get_fewer_has_time) {
    fakes.unsent_bytes = 200000;
    fakes_pass(PING_INTERVAL_MS);
    fakes.unsent_bytes = 100000;
    fakes_pass(PONG_TIMEOUT_MS);
    EXPECT_FALSE(fakes.is_closing);
    fakes_pass(PONG_TIMEOUT_MS); /* and not one byte fewer */
    fakes_pass(PONG_TIMEOUT_MS);
    EXPECT_EQ(fakes.reason, CLOSE_PONG_LATE);
}

TEST(a_peer_that_takes_nothing_is_closed_after_the_stall_timeout) {
    fakes.is_blocked = true;
    uint64_t stall_ms = fakes.broker.config->stall_timeout_ms;
    for (uint64_t passed = 0; passed <= stall_ms && !fakes.is_closing; passed += 5000) {
        fakes_pass(5000);
    }
    EXPECT_EQ(fakes.reason, CLOSE_STALLED);
}

TEST(a_stall_lasts_no_longer_than_its_timeout) {
    uint64_t stall_ms = fakes.broker.config->stall_timeout_ms;
    fakes_pass(1000);
    fakes.is_blocked = true;
    fakes.sent_ms = fakes.now_ms;
    for (uint64_t passed = 1000; passed < stall_ms; passed += 1000) {
        fakes_pass(1000);
    }
    EXPECT_FALSE(fakes.is_closing);
    fakes_pass(1000);
    EXPECT_EQ(fakes.reason, CLOSE_STALLED);
}

TEST(progress_is_told_where_the_log_went_on_without_this_channel) {
    struct place place = {.log_id = 1, .generation = 1, .position = 5};
    fakes.stream_options.on_started(fakes.stream_options.context, &place);
    fakes.stream_place = place;
    fakes_pass(HEARTBEAT_MS);
    EXPECT_FALSE(fakes_has_sent("\"at\""));
    fakes.stream_place.position = 9;
    fakes_pass(HEARTBEAT_MS);
    EXPECT_TRUE(fakes_has_sent("{\"at\":\"t1"));
}

TEST(going_down_it_says_1001) {
    fakes.protocol->on_drain(fakes_connection(), fakes.state);
    EXPECT_EQ(sent_close(), 1001);
    EXPECT_EQ(fakes.reason, CLOSE_DRAINING);
}

#define SOCKET(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(SOCKET(a_publish_is_answered_with_its_ref),
           SOCKET(answers_that_were_ready_leave_before_the_end_without_memory),
           SOCKET(a_publish_without_ref_is_not_answered_unless_it_fails),
           SOCKET(what_is_no_command_is_an_error_and_not_the_end),
           SOCKET(commands_of_other_sockets_say_where_they_belong),
           SOCKET(what_is_not_allowed_is_an_error_and_not_the_end),
           SOCKET(a_name_goes_on_in_the_scope_of_its_tenant_and_is_asked_about_without),
           SOCKET(a_command_that_waits_for_a_yes_holds_back_those_behind_it),
           SOCKET(a_no_that_comes_late_is_told),
           SOCKET(an_answer_that_comes_after_the_end_of_the_socket_is_for_nobody),
           SOCKET(a_new_token_is_taken_in_place_from_the_same_client_alone),
           SOCKET(a_publish_with_an_idempotency_key_carries_its_hash),
           SOCKET(a_pattern_is_read_and_a_publish_there_names_its_channel),
           SOCKET(a_compressed_command_is_obeyed_in_one_piece_or_in_several),
           SOCKET(compressed_text_that_is_not_utf8_ends_it_with_1007),
           SOCKET(what_is_no_compressed_data_ends_it_with_1007), SOCKET(a_bomb_ends_it_with_1009),
           SOCKET(a_compressed_frame_where_that_was_not_agreed_on_ends_it_with_1002),
           SOCKET(a_command_may_come_in_pieces_with_pings_between),
           SOCKET(bytes_where_text_is_spoken_end_it_with_1003),
           SOCKET(broken_frames_end_it_with_their_codes),
           SOCKET(text_that_is_not_utf8_ends_it_with_1007),
           SOCKET(a_length_above_the_limit_ends_it_with_1009_before_it_comes),
           SOCKET(a_close_is_answered_with_its_code),
           SOCKET(reading_stops_at_the_bound_of_publishes_and_goes_on_after_an_answer),
           SOCKET(answers_that_do_not_go_out_stop_the_reading),
           SOCKET(a_peer_that_does_not_answer_its_ping_is_closed),
           SOCKET(a_pong_keeps_it_and_a_ping_that_waits_in_line_has_no_deadline),
           SOCKET(a_ping_behind_bytes_that_get_fewer_has_time),
           SOCKET(a_peer_that_takes_nothing_is_closed_after_the_stall_timeout),
           SOCKET(a_stall_lasts_no_longer_than_its_timeout),
           SOCKET(progress_is_told_where_the_log_went_on_without_this_channel),
           SOCKET(going_down_it_says_1001))
