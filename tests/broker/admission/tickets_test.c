/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/tickets.h"

#include <stdio.h>

#include "broker/limits.h"
#include "tests/unit.h"

TEST(a_ticket_is_good_once) {
    struct tickets *tickets = tickets_create();
    struct identity *identity = identity_create_everyone();
    char text[TICKET_TEXT_BYTES];
    EXPECT_EQ(tickets_issue(tickets, identity, 0, text), OK);
    EXPECT_EQ(strlen(text), TICKET_TEXT_BYTES - 1);
    struct identity *redeemed = tickets_redeem(tickets, span_of_string(text), 1);
    EXPECT_TRUE(redeemed == identity);
    EXPECT_NULL(tickets_redeem(tickets, span_of_string(text), 2));
    identity_unref(redeemed);
    EXPECT_EQ(atomic_load(&identity->reference_count), 1);
    identity_unref(identity);
    tickets_destroy(tickets);
}

TEST(a_ticket_ends_after_a_minute) {
    struct tickets *tickets = tickets_create();
    struct identity *identity = identity_create_everyone();
    char first[TICKET_TEXT_BYTES];
    char second[TICKET_TEXT_BYTES];
    EXPECT_EQ(tickets_issue(tickets, identity, 0, first), OK);
    EXPECT_EQ(tickets_issue(tickets, identity, 1, second), OK);
    EXPECT_NULL(tickets_redeem(tickets, span_of_string(first), TICKET_AGE_MS));
    EXPECT_EQ(tickets_count(tickets), 1);
    struct identity *redeemed = tickets_redeem(tickets, span_of_string(second), TICKET_AGE_MS);
    EXPECT_NOT_NULL(redeemed);
    identity_unref(redeemed);
    identity_unref(identity);
    tickets_destroy(tickets);
}

TEST(what_is_no_ticket_is_none) {
    struct tickets *tickets = tickets_create();
    EXPECT_NULL(tickets_redeem(tickets, SPAN("x"), 0));
    EXPECT_NULL(tickets_redeem(tickets, SPAN("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), 0));
    EXPECT_NULL(tickets_redeem(tickets, SPAN("!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"), 0));
    tickets_destroy(tickets);
}

static struct identity *somebody(size_t number) {
    char subject[24];
    snprintf(subject, sizeof(subject), "%zu", number);
    struct identity_facts facts = {.kind = IDENTITY_TOKEN, .subject = span_of_string(subject)};
    return identity_create(&facts, NULL, NULL);
}

TEST(one_identity_does_not_take_the_places_of_others) {
    struct tickets *tickets = tickets_create();
    struct identity *one = somebody(1);
    struct identity *same = somebody(1); /* of another token */
    struct identity *other = somebody(2);
    char text[TICKET_TEXT_BYTES];
    for (size_t i = 0; i < TICKETS_HELD_MAX; i++) {
        EXPECT_EQ(tickets_issue(tickets, i % 2 == 0 ? one : same, 0, text), OK);
    }
    EXPECT_EQ(tickets_issue(tickets, same, 0, text), ERR_RATE);
    EXPECT_EQ(tickets_issue(tickets, other, 0, text), OK);
    EXPECT_EQ(tickets_count(tickets), TICKETS_HELD_MAX + 1);
    EXPECT_EQ(tickets_issue(tickets, one, TICKET_AGE_MS, text), OK);
    identity_unref(tickets_redeem(tickets, span_of_string(text), TICKET_AGE_MS));
    EXPECT_EQ(tickets_count(tickets), 0);
    identity_unref(one);
    identity_unref(same);
    identity_unref(other);
    tickets_destroy(tickets);
}

TEST(the_table_is_bounded_and_those_that_ended_make_room) {
    struct tickets *tickets = tickets_create();
    char text[TICKET_TEXT_BYTES];
    for (size_t number = 0; number <= TICKETS_MAX / TICKETS_HELD_MAX; number++) {
        struct identity *identity = somebody(number);
        bool has_room = number < TICKETS_MAX / TICKETS_HELD_MAX;
        for (size_t i = 0; i < (has_room ? TICKETS_HELD_MAX : 1); i++) {
            EXPECT_EQ(tickets_issue(tickets, identity, 5, text), has_room ? OK : ERR_FULL);
        }
        identity_unref(identity);
    }
    struct identity *identity = somebody(0);
    EXPECT_EQ(tickets_issue(tickets, identity, 5 + TICKET_AGE_MS, text), OK);
    EXPECT_EQ(tickets_count(tickets), 1);
    tickets_destroy(tickets);
    EXPECT_EQ(atomic_load(&identity->reference_count), 1);
    identity_unref(identity);
}

UNIT_TESTS(UNIT(a_ticket_is_good_once), UNIT(a_ticket_ends_after_a_minute),
           UNIT(what_is_no_ticket_is_none), UNIT(one_identity_does_not_take_the_places_of_others),
           UNIT(the_table_is_bounded_and_those_that_ended_make_room))
