/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/renewal.h"

#include "broker/runtime/access.h"
#include "broker/runtime/worker.h"
#include "protocols/rest/routes.h"
#include "protocols/websocket/command.h"
#include "protocols/websocket/subscriptions.h"
#include "protocols/websocket/websocket.h"
#include "protocols/websocket/websocket_private.h"
#include "tests/protocols/fakes.h"
#include "tests/protocols/mqtt/gate.h"
#include "tests/unit.h"

static struct websocket *websocket;

static void open_socket(const char *path, const char *query) {
    struct request *request = fakes_request("GET", path, query, "Host: localhost");
    request->is_upgrade = true;
    EXPECT_TRUE(routes_admit(request));
    EXPECT_EQ(websocket_create(fakes_connection(), request, &websocket), OK);
    fakes.protocol = &websocket_protocol;
    fakes.state = websocket;
    websocket_start(websocket);
    request_destroy(request);
}

static int begin(void **state) {
    fakes_begin(state);
    gate_begin();
    return 0;
}

static int end(void **state) {
    fakes_hang_up();
    gate_end();
    return fakes_end(state);
}

static struct error why;

static enum error_code renew(const char *token) {
    struct command command = {
        .kind = COMMAND_AUTH, .auth = span_of_string(token), .ref = SPAN("9")};
    struct petition petition = {.access = (struct access *)&gate};
    why = (struct error){0};
    enum error_code code = renewal_obey(websocket, &command, &petition, &why);
    petition_finish(&petition);
    return code;
}

/* Alice, who may subscribe to one pattern. */
static struct identity *alice_with(const char *pattern) {
    struct identity_facts facts = {.kind = IDENTITY_TOKEN, .subject = SPAN("alice")};
    struct grants *grants = grants_create();
    EXPECT_EQ(grants_add(grants, ACTION_SUBSCRIBE, span_of_string(pattern), &why), OK);
    return identity_create(&facts, grants, NULL);
}

TEST(what_the_new_token_allows_goes_on) {
    open_socket("/channels/a", NULL);
    gate_be(gate_make("alice", NULL));
    gate.next = alice_with("a");
    EXPECT_EQ(renew("x"), OK);
    EXPECT_TRUE(fakes_has_sent("{\"ref\":9,\"ok\":{}}"));
    EXPECT_FALSE(fakes.is_closing);
    identity_unref(gate.next);
}

TEST(a_socket_whose_channel_it_does_not_allow_is_closed_behind_the_answer) {
    open_socket("/channels/a", NULL);
    gate_be(gate_make("alice", NULL));
    gate.next = alice_with("b");
    EXPECT_EQ(renew("x"), OK);
    EXPECT_TRUE(fakes_has_sent("{\"ref\":9,\"ok\":{}}"));
    EXPECT_TRUE(fakes.is_closing);
    EXPECT_EQ(fakes.reason, CLOSE_NOT_ALLOWED);
    identity_unref(gate.next);
}

TEST(subscriptions_that_it_does_not_allow_end_one_by_one) {
    open_socket("/stream", "channel=a&channel=b&channel=c");
    gate_be(gate_make("alice", NULL));
    gate.next = alice_with("b");
    EXPECT_EQ(renew("x"), OK);
    EXPECT_EQ(fakes.stream_count, 1);
    EXPECT_TRUE(fakes_has_sent("{\"sub\":1,\"closed\":{\"code\":\"forbidden\""));
    EXPECT_FALSE(fakes_has_sent("{\"sub\":2,"));
    EXPECT_TRUE(fakes_has_sent("{\"sub\":3,\"closed\":{\"code\":\"forbidden\""));
    EXPECT_FALSE(fakes.is_closing);
    identity_unref(gate.next);
}

TEST(a_bad_token_changes_nothing) {
    struct identity *alice = gate_make("alice", NULL);
    open_socket("/channels/a", NULL);
    gate_be(alice);
    gate.result = ERR_TOKEN_EXPIRED;
    EXPECT_EQ(renew("x"), ERR_TOKEN_EXPIRED);
    EXPECT_TRUE(fakes.identity == alice);
    EXPECT_FALSE(fakes.is_closing);
}

TEST(who_may_not_renew_is_told_why) {
    struct identity_facts facts = {.kind = IDENTITY_ANONYMOUS};
    open_socket("/channels/a", NULL);
    struct identity *anonymous = identity_create(&facts, NULL, NULL);
    gate_be(anonymous);
    gate.next = alice_with("a");
    EXPECT_EQ(renew("x"), ERR_FORBIDDEN);
    EXPECT_STRING(why.detail, "an anonymous connection takes no token: connect with it");
    gate_be(gate_make("bob", NULL));
    identity_unref(anonymous);
    EXPECT_EQ(renew("x"), ERR_FORBIDDEN);
    EXPECT_STRING(why.detail, "this token is of another client than the one that connected");
    EXPECT_FALSE(fakes.is_closing);
    identity_unref(gate.next);
}

TEST(who_has_no_place_for_the_new_token_goes_on_with_the_old_one) {
    struct identity *alice = gate_make("alice", NULL);
    open_socket("/channels/a", NULL);
    gate_be(alice);
    gate.next = alice_with("b");
    fakes.has_no_place = true;
    EXPECT_EQ(renew("x"), ERR_RATE);
    EXPECT_TRUE(fakes.identity == alice);
    EXPECT_FALSE(fakes_has_sent("\"ok\""));
    EXPECT_FALSE(fakes.is_closing);
    identity_unref(gate.next);
}

#define RENEWED(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(RENEWED(what_the_new_token_allows_goes_on),
           RENEWED(a_socket_whose_channel_it_does_not_allow_is_closed_behind_the_answer),
           RENEWED(subscriptions_that_it_does_not_allow_end_one_by_one),
           RENEWED(a_bad_token_changes_nothing), RENEWED(who_may_not_renew_is_told_why),
           RENEWED(who_has_no_place_for_the_new_token_goes_on_with_the_old_one))
