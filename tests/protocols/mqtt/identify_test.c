/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/log.h"
#include "protocols/mqtt/session.h"
#include "tests/protocols/mqtt/peer.h"

#define CONNECT_5_PASSWORD "0004 'MQTT' 05 c2 003c 00 0001 'a' 0002 'me' 0006 'secret'"
#define CONNECT_311_PASSWORD "0004 'MQTT' 04 c2 003c 0001 'a' 0002 'me' 0006 'secret'"
#define CONNECT_5_WILL "0004 'MQTT' 05 06 003c 00 0001 'a' 00 0003 'w/x' 0002 'hi'"
#define CONNECT_311_WILL "0004 'MQTT' 04 06 003c 0001 'a' 0003 'w/x' 0002 'hi'"
#define CONNECT_5_STAYS "0004 'MQTT' 05 00 003c 05 11 00000e10 0001 'a'"

/* The reason of a CONNACK of 5.0. */
static uint8_t refused_with(void) {
    EXPECT_EQ(fakes.sent.bytes[0], 0x20);
    EXPECT_TRUE(fakes.is_closing);
    EXPECT_EQ(peer.claim_count, 0);
    return fakes.sent.bytes[3];
}

/* A session that subscribes to these. */
static void put_session(const char *const *filters, size_t count, struct buffer *ret_state) {
    struct session *session = session_create();
    buffer_init(ret_state, SESSION_STATE_BYTES_MAX);
    for (size_t i = 0; i < count; i++) {
        struct filter_options options = {.kind = filters[i][0] == '$' ? FILTER_SHARED : FILTER_LOG};
        struct filter *filter = NULL;
        EXPECT_EQ(
            filter_create(span_of_string(filters[i]), (struct span){0}, &options, &filter, NULL),
            OK);
        EXPECT_EQ(filters_put(&session->filters, filter), OK);
    }
    EXPECT_EQ(session_encode(session, ret_state), OK);
    session_destroy(session);
}

TEST(user_name_and_password_are_presented) {
    peer_send(0x10, CONNECT_5_PASSWORD);
    EXPECT_STRING(gate.bearer, "secret");
    EXPECT_STRING(gate.user, "me");
    EXPECT_STRING(gate.client_id, "a");
    EXPECT_EQ(peer.claim_count, 1);
    EXPECT_TRUE(peer.claim->may_have_any); /* everyone */
    peer_grant(OK, (struct span){0});
    EXPECT_SENT(CONNACK_5);
}

TEST(a_user_name_alone_is_presented_where_it_is_a_token) {
    peer_send(0x10, "0004 'MQTT' 05 82 003c 00 0001 'a' 0007 'eyJ.a.b'");
    EXPECT_STRING(gate.bearer, "eyJ.a.b");
    EXPECT_STRING(gate.user, "");
}

TEST(a_certificate_is_presented_too) {
    fakes.certificate = SPAN("CN=device-7");
    peer_send(0x10, CONNECT_5);
    EXPECT_STRING(gate.certificate, "CN=device-7");
    EXPECT_STRING(gate.bearer, "");
}

TEST(a_user_name_alone_proves_nothing) {
    peer_send(0x10, "0004 'MQTT' 05 82 003c 00 0001 'a' 0004 'root'");
    EXPECT_STRING(gate.bearer, "");
    EXPECT_STRING(gate.user, "");
    EXPECT_EQ(gate.identify_count, 1);
}

TEST(bad_credentials_are_told_from_none) {
    static const struct {
        enum error_code code;
        const char *connect;
        uint8_t reason;
    } rows[] = {
        {ERR_UNAUTHORIZED, CONNECT_5_PASSWORD, 0x86},  {ERR_UNAUTHORIZED, CONNECT_5, 0x87},
        {ERR_TOKEN_EXPIRED, CONNECT_5_PASSWORD, 0x86}, {ERR_REVOKED, CONNECT_5_PASSWORD, 0x87},
        {ERR_FORBIDDEN, CONNECT_5_PASSWORD, 0x87},     {ERR_RATE, CONNECT_5_PASSWORD, 0x9F},
        {ERR_BUSY, CONNECT_5_PASSWORD, 0x89},          {ERR_INTERNAL, CONNECT_5, 0x80}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        gate.result = rows[i].code;
        peer_send(0x10, rows[i].connect);
        EXPECT_EQ(refused_with(), rows[i].reason);
        peer_end(NULL);
        peer_begin(NULL);
    }
}

TEST(a_bad_password_counts_and_too_many_are_not_looked_at) {
    gate.result = ERR_UNAUTHORIZED;
    peer_send(0x10, CONNECT_5_PASSWORD);
    EXPECT_EQ(fakes.bad_login_count, 1);
    peer_end(NULL);
    peer_begin(NULL);
    fakes.is_login_refused = true;
    peer_send(0x10, CONNECT_5_PASSWORD);
    EXPECT_EQ(refused_with(), 0x9F);
    EXPECT_EQ(gate.identify_count, 0);
    peer_end(NULL);
    peer_begin(NULL);
    gate.result = ERR_UNAUTHORIZED;
    peer_send(0x10, CONNECT_5); /* no password is none that is bad */
    EXPECT_EQ(refused_with(), 0x87);
    EXPECT_EQ(fakes.bad_login_count, 0);
}

TEST(who_has_no_place_is_told_the_quota_and_gave_no_bad_password) {
    gate.next = gate_make("alice", NULL);
    fakes.has_no_place = true;
    peer_send(0x10, CONNECT_5_PASSWORD);
    EXPECT_EQ(refused_with(), 0x97);
    EXPECT_EQ(fakes.bad_login_count, 0);
    EXPECT_NULL(fakes.identity);
    peer_end(NULL);
    peer_begin(NULL);
    gate.next = gate_make("alice", NULL);
    fakes.has_no_place = true;
    gate.is_slow = true;
    peer_send(0x10, CONNECT_5_PASSWORD);
    gate_answer(OK);
    EXPECT_EQ(refused_with(), 0x97);
}

TEST(in_3_1_1_they_are_return_codes_4_and_5) {
    gate.result = ERR_UNAUTHORIZED;
    peer_send(0x10, CONNECT_311_PASSWORD);
    EXPECT_SENT("20 02 00 04");
    peer_end(NULL);
    peer_begin(NULL);
    gate.result = ERR_UNAUTHORIZED;
    peer_send(0x10, CONNECT_311);
    EXPECT_SENT("20 02 00 05");
}

TEST(nothing_behind_a_connect_is_taken_before_the_answer) {
    gate.is_slow = true;
    peer_send(0x10, CONNECT_5_PASSWORD);
    EXPECT_TRUE(fakes.is_paused);
    EXPECT_EQ(peer.claim_count, 0);
    gate.is_slow = false;
    gate_answer(OK);
    EXPECT_EQ(peer.claim_count, 1);
    peer_grant(OK, (struct span){0});
    EXPECT_SENT(CONNACK_5);
    EXPECT_FALSE(fakes.is_paused);
}

TEST(a_late_refusal_is_told_like_one_at_once) {
    gate.is_slow = true;
    peer_send(0x10, CONNECT_5_PASSWORD);
    gate_answer(ERR_UNAUTHORIZED);
    fakes_turn();
    EXPECT_EQ(refused_with(), 0x86);
}

TEST(a_client_that_goes_meanwhile_is_asked_no_more_for) {
    gate.is_slow = true;
    peer_send(0x10, CONNECT_5_PASSWORD);
    fakes_hang_up();
    fakes.state = NULL;
    EXPECT_TRUE(gate.inquiry->is_abandoned);
    gate_answer(OK);
    EXPECT_EQ(peer.claim_count, 0);
}

TEST(a_websocket_is_who_its_http_request_was) {
    gate_be(gate_make("alice", NULL));
    fakes_receive_bytes(packet_of(0x10, CONNECT_5));
    fakes_turn();
    EXPECT_EQ(gate.identify_count, 0);
    EXPECT_FALSE(peer.claim->may_have_any);
}

TEST(credentials_of_the_connect_beat_those_of_the_http_request) {
    gate_be(gate_make("alice", NULL));
    gate.next = gate_make("bob", NULL);
    peer_send(0x10, CONNECT_5_PASSWORD);
    EXPECT_EQ(gate.identify_count, 1);
    EXPECT_TRUE(fakes.identity == gate.next);
}

TEST(a_client_id_is_its_tenants) {
    gate.next = gate_make("alice", "acme");
    peer_send(0x10, "0004 'MQTT' 05 82 003c 00 0000 0007 'eyJ.a.b'");
    EXPECT_TRUE(span_has_prefix(span_of(peer.claim->client_id, peer.claim->client_id_length),
                                SPAN("\001acme/auto-")));
    peer_grant(OK, (struct span){0});
    EXPECT_TRUE(fakes_has_sent("auto-")); /* as the client is to call it */
    EXPECT_FALSE(fakes_has_sent("acme"));
}

TEST(a_client_id_cannot_name_another_tenant) {
    peer_send(0x10, "0004 'MQTT' 05 02 003c 00 0007 01 'acme/a'");
    EXPECT_EQ(refused_with(), 0x85);
}

TEST(a_will_needs_the_right_to_publish) {
    gate.next = gate_make("alice", NULL);
    gate.forbidden = "publish w/x";
    peer_send(0x10, CONNECT_5_WILL);
    EXPECT_EQ(refused_with(), 0x87);
    peer_end(NULL);
    peer_begin(NULL);
    gate.next = gate_make("alice", NULL);
    gate.forbidden = "publish w/x";
    peer_send(0x10, CONNECT_311_WILL);
    EXPECT_SENT("20 02 00 05");
}

TEST(a_will_is_its_tenants) {
    gate.next = gate_make("alice", "acme");
    peer_connect(CONNECT_5_WILL);
    EXPECT_STRING(gate.asked, "publish w/x");
    fakes_hang_up();
    fakes.state = NULL;
    EXPECT_SPAN(fakes.publish->messages[0]->fields.channel, "\001acme/w/x");
    EXPECT_SPAN(fakes.publish->messages[0]->fields.publisher, "\001acme/a");
    peer_answer(OK);
}

TEST(a_token_that_ends_while_the_session_is_waited_for_is_refused) {
    gate.next = gate_make("bob", NULL);
    peer_send(0x10, CONNECT_5_PASSWORD);
    mqtt_protocol.on_dismissed(fakes_connection(), fakes.state, CLOSE_TOKEN_EXPIRED);
    EXPECT_EQ(fakes.sent.bytes[0], 0x20);
    EXPECT_EQ(fakes.sent.bytes[3], 0x87);
    EXPECT_EQ(fakes.reason, CLOSE_TOKEN_EXPIRED);
}

TEST(a_session_of_another_is_refused) {
    gate.next = gate_make("bob", NULL);
    peer_send(0x10, CONNECT_5_PASSWORD);
    EXPECT_FALSE(session_owner_is_nobody(&peer.claim->owner));
    peer_grant(ERR_FORBIDDEN, (struct span){0});
    EXPECT_EQ(fakes.sent.bytes[3], 0x87);
    EXPECT_TRUE(fakes.is_closing);
}

TEST(a_session_that_comes_back_loses_what_it_may_not_read) {
    static const char *const texts[] = {"a/#", "b", "$share/g/c"};
    struct buffer state;
    put_session(texts, 3, &state);
    gate.next = gate_make("alice", NULL);
    gate.forbidden = "subscribe a/**";
    peer_send(0x10, CONNECT_5_STAYS);
    peer_grant(OK, buffer_borrow(&state));
    EXPECT_EQ(peer_mqtt()->session->filters.count, 2);
    EXPECT_NULL(filters_find(&peer_mqtt()->session->filters, SPAN("a/#")));
    EXPECT_EQ(peer.forget_count, 0);
    EXPECT_EQ(peer.start_count, 1);
    buffer_finish(&state);
}

TEST(the_group_of_a_filter_that_is_taken_off_waits_no_longer) {
    static const char *const texts[] = {"$share/g/c"};
    struct buffer state;
    put_session(texts, 1, &state);
    gate.next = gate_make("alice", NULL);
    gate.forbidden = "subscribe c";
    peer_send(0x10, CONNECT_5_STAYS);
    peer_grant(OK, buffer_borrow(&state));
    EXPECT_EQ(peer_mqtt()->session->filters.count, 0);
    EXPECT_EQ(peer.forget_count, 1);
    buffer_finish(&state);
}

TEST(the_connack_waits_for_all_filters) {
    static const char *const texts[] = {"a", "b"};
    struct buffer state;
    put_session(texts, 2, &state);
    gate.next = gate_make("alice", NULL);
    peer_send(0x10, CONNECT_5_STAYS);
    gate.is_slow = true;
    peer_grant(OK, buffer_borrow(&state));
    EXPECT_STRING(gate.asked, "subscribe a");
    EXPECT_EQ(fakes.sent.length, 0);
    gate_answer(ERR_FORBIDDEN);
    EXPECT_STRING(gate.asked, "subscribe b");
    gate_answer(OK);
    EXPECT_EQ(peer_mqtt()->session->filters.count, 1);
    fakes_turn();
    EXPECT_EQ(fakes.sent.bytes[0], 0x20);
    EXPECT_EQ(fakes.sent.bytes[2], 1); /* the session is there */
    buffer_finish(&state);
}

TEST(a_session_loses_nothing_where_nobody_can_say_what_it_may_read) {
    static const char *const texts[] = {"a", "b"};
    struct buffer state;
    put_session(texts, 2, &state);
    gate.next = gate_make("alice", NULL);
    peer_send(0x10, CONNECT_5_STAYS);
    gate.is_slow = true;
    peer_grant(OK, buffer_borrow(&state));
    gate_answer(OK);
    gate_answer(ERR_BUSY);
    EXPECT_EQ(fakes.sent.bytes[0], 0x20);
    EXPECT_EQ(fakes.sent.bytes[3], MQTT_REASON_SERVER_BUSY);
    EXPECT_TRUE(fakes.is_closing);
    EXPECT_EQ(peer.start_count, 0);
    fakes_hang_up();
    fakes.state = NULL;
    fakes_turn();
    EXPECT_EQ(peer.release_count, 1);
    EXPECT_EQ(peer.release.state_length, state.length);
    EXPECT_EQ(peer.release.expiry_ms, PEER_KEPT_MS); /* whatever the CONNECT asked for */
    EXPECT_TRUE(peer.release.is_unopened);
    buffer_finish(&state);
}

TEST(a_client_that_goes_before_the_connack_leaves_no_will) {
    static const char *const texts[] = {"a"};
    struct buffer state;
    put_session(texts, 1, &state);
    gate.next = gate_make("alice", NULL);
    peer_send(0x10, CONNECT_5_WILL);
    gate.is_slow = true;
    peer_grant(OK, buffer_borrow(&state));
    fakes_hang_up();
    fakes.state = NULL;
    gate_answer(OK);
    EXPECT_EQ(fakes.publish_count, 0);
    EXPECT_EQ(peer.release_count, 1);
    EXPECT_NULL(peer.release.will);
    buffer_finish(&state);
}

UNIT_TESTS(PEER(user_name_and_password_are_presented),
           PEER(a_user_name_alone_is_presented_where_it_is_a_token),
           PEER(a_certificate_is_presented_too), PEER(a_user_name_alone_proves_nothing),
           PEER(bad_credentials_are_told_from_none),
           PEER(a_bad_password_counts_and_too_many_are_not_looked_at),
           PEER(who_has_no_place_is_told_the_quota_and_gave_no_bad_password),
           PEER(in_3_1_1_they_are_return_codes_4_and_5),
           PEER(nothing_behind_a_connect_is_taken_before_the_answer),
           PEER(a_late_refusal_is_told_like_one_at_once),
           PEER(a_client_that_goes_meanwhile_is_asked_no_more_for),
           PEER(a_websocket_is_who_its_http_request_was),
           PEER(credentials_of_the_connect_beat_those_of_the_http_request),
           PEER(a_client_id_is_its_tenants), PEER(a_client_id_cannot_name_another_tenant),
           PEER(a_will_needs_the_right_to_publish), PEER(a_will_is_its_tenants),
           PEER(a_token_that_ends_while_the_session_is_waited_for_is_refused),
           PEER(a_session_of_another_is_refused),
           PEER(a_session_that_comes_back_loses_what_it_may_not_read),
           PEER(the_group_of_a_filter_that_is_taken_off_waits_no_longer),
           PEER(the_connack_waits_for_all_filters),
           PEER(a_session_loses_nothing_where_nobody_can_say_what_it_may_read),
           PEER(a_client_that_goes_before_the_connack_leaves_no_will))
