/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/ticket.h"

#include "broker/runtime/access.h"
#include "tests/protocols/fakes.h"
#include "tests/protocols/mqtt/gate.h"
#include "tests/unit.h"

static struct request *request;

static int begin(void **state) {
    fakes_begin(state);
    gate_begin();
    request = fakes_request("POST", "/token", NULL, "Host: localhost\n");
    return 0;
}

static int end(void **state) {
    request_destroy(request);
    gate_end();
    return fakes_end(state);
}

TEST(a_ticket_is_asked_for_without_a_body_and_publishes_nothing) {
    struct error why = {0};
    EXPECT_EQ(ticket_admit(request, &why), OK);
    EXPECT_EQ(request->body_bytes_max, 0);
    EXPECT_EQ(request->counted_as, METRICS_ROUTE_OTHER);
}

TEST(who_has_shown_nothing_gets_none) {
    struct identity_facts facts = {.kind = IDENTITY_ANONYMOUS};
    request->identity = identity_create(&facts, NULL, NULL);
    ticket_handle(request);
    EXPECT_EQ(request->reply.status, 401);
    EXPECT_SPAN(fakes_reply_header(request, "WWW-Authenticate"), "Bearer realm=\"tidings\"");
}

TEST(where_no_more_are_given_that_is_said) {
    request->identity = identity_ref(gate_make("alice", NULL));
    ticket_handle(request);
    EXPECT_EQ(request->reply.status, 501); /* as the gate says */
    EXPECT_EQ(fakes_replied(), 1);
}

#define ASKED(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(ASKED(a_ticket_is_asked_for_without_a_body_and_publishes_nothing),
           ASKED(who_has_shown_nothing_gets_none), ASKED(where_no_more_are_given_that_is_said))
