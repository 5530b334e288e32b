/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/petition.h"

#include "broker/runtime/access.h"
#include "broker/support/span.h"
#include "tests/protocols/mqtt/gate.h"
#include "tests/unit.h"

static struct petition petition;
static unsigned answered_count;

static void on_answered(struct petition *self) {
    EXPECT_TRUE(self == &petition);
    answered_count++;
}

static int begin(void **state) {
    (void)state;
    gate_begin();
    answered_count = 0;
    petition = (struct petition){.access = (struct access *)&petition, .on_answered = on_answered};
    return 0;
}

static int end(void **state) {
    (void)state;
    petition_finish(&petition);
    gate_end();
    return 0;
}

static enum error_code permit(struct identity *identity, const char *text) {
    struct error why = {0};
    return petition_permit(&petition, identity, ACTION_PUBLISH, span_of_string(text), &why);
}

TEST(everyone_is_not_asked_about) {
    EXPECT_EQ(permit(NULL, "a"), OK);
    EXPECT_EQ(gate.permit_count, 0);
}

TEST(what_is_known_is_answered_at_once) {
    struct identity *alice = gate_make("alice", NULL);
    gate.forbidden = "publish b";
    EXPECT_EQ(permit(alice, "a"), OK);
    EXPECT_EQ(permit(alice, "b"), ERR_FORBIDDEN);
    EXPECT_FALSE(petition_is_under_way(&petition));
}

TEST(who_has_said_nothing_may_still_say_who_they_are) {
    struct identity_facts facts = {.kind = IDENTITY_ANONYMOUS};
    struct identity *nobody = identity_create(&facts, NULL, NULL);
    gate.forbidden = "publish a";
    EXPECT_EQ(permit(nobody, "a"), ERR_UNAUTHORIZED);
    identity_unref(nobody);
}

TEST(what_was_answered_in_one_round_is_not_asked_in_the_next) {
    struct identity *alice = gate_make("alice", NULL);
    EXPECT_EQ(permit(alice, "a"), OK);
    gate.is_slow = true;
    EXPECT_EQ(permit(alice, "b"), ERR_AGAIN);
    EXPECT_TRUE(petition_is_under_way(&petition));
    EXPECT_EQ(permit(alice, "c"), ERR_AGAIN);
    gate_answer(OK);
    EXPECT_EQ(answered_count, 1);
    EXPECT_EQ(gate.permit_count, 2);
    petition_begin_round(&petition);
    EXPECT_EQ(permit(alice, "a"), OK);
    EXPECT_EQ(permit(alice, "b"), OK);
    EXPECT_EQ(gate.permit_count, 2);
    EXPECT_EQ(permit(alice, "c"), ERR_AGAIN);
    gate_answer(ERR_FORBIDDEN);
    petition_begin_round(&petition);
    EXPECT_EQ(permit(alice, "a"), OK);
    EXPECT_EQ(permit(alice, "b"), OK);
    EXPECT_EQ(permit(alice, "c"), ERR_FORBIDDEN);
    EXPECT_EQ(gate.permit_count, 3);
}

TEST(who_it_is_may_come_late_and_is_taken_once) {
    const struct credentials credentials = {.bearer = SPAN("x")};
    struct identity *identity = NULL;
    struct error why = {0};
    gate.is_slow = true;
    gate.next = gate_make("alice", NULL);
    EXPECT_EQ(petition_identify(&petition, &credentials, &identity, &why), ERR_AGAIN);
    EXPECT_EQ(petition_identify(&petition, &credentials, &identity, &why), ERR_AGAIN);
    gate_answer(OK);
    EXPECT_EQ(petition_identify(&petition, &credentials, &identity, &why), OK);
    EXPECT_TRUE(identity == gate.next);
    EXPECT_EQ(gate.identify_count, 1);
    EXPECT_EQ(permit(identity, "a"), ERR_AGAIN);
    gate_answer(OK);
    petition_begin_round(&petition);
    EXPECT_EQ(permit(identity, "a"), OK);
    identity_unref(identity);
}

TEST(one_that_moved_is_told_where_it_is) {
    struct petition first = petition;
    struct identity *alice = gate_make("alice", NULL);
    struct error why = {0};
    gate.is_slow = true;
    EXPECT_EQ(petition_permit(&first, alice, ACTION_PUBLISH, SPAN("a"), &why), ERR_AGAIN);
    petition_move(&petition, &first);
    EXPECT_FALSE(petition_is_under_way(&first));
    petition_finish(&first);
    gate_answer(OK);
    EXPECT_EQ(answered_count, 1);
}

TEST(who_goes_is_not_told) {
    struct identity *alice = gate_make("alice", NULL);
    gate.is_slow = true;
    EXPECT_EQ(permit(alice, "a"), ERR_AGAIN);
    petition_finish(&petition);
    gate_answer(OK);
    EXPECT_EQ(answered_count, 0);
}

#define ASKED(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(ASKED(everyone_is_not_asked_about), ASKED(what_is_known_is_answered_at_once),
           ASKED(who_has_said_nothing_may_still_say_who_they_are),
           ASKED(what_was_answered_in_one_round_is_not_asked_in_the_next),
           ASKED(who_it_is_may_come_late_and_is_taken_once),
           ASKED(one_that_moved_is_told_where_it_is), ASKED(who_goes_is_not_told))
