/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a client id is. */
#include "broker/runtime/registry.h"
#include "tests/broker/runtime/client.h"

#define HOUR_MS 3600000u

enum { NOBODY = 0, ALICE = 1, BOB = 2 };

static void make(struct world *world) {
    faults = (struct faults){0};
    world_make(world);
}

TEST(a_session_that_is_away_is_its_owners) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_EQ(client_come_as(&world, &client, "one", ALICE), OK);
    client_leave(&client, HOUR_MS, "hers");
    EXPECT_EQ(client_come_as(&world, &client, "one", BOB), ERR_FORBIDDEN);
    EXPECT_EQ(client_come_as(&world, &client, "one", NOBODY), ERR_FORBIDDEN);
    EXPECT_EQ(client_come_as(&world, &client, "one", ALICE), OK);
    EXPECT_TRUE(client_has_state(&client, "hers"));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(a_clean_claim_of_another_ends_nothing) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_EQ(client_come_as(&world, &client, "one", ALICE), OK);
    client_leave(&client, HOUR_MS, "hers");
    client_claim_as(&world, &client, "one", true, BOB);
    client_await(&client, &client.is_granted);
    EXPECT_EQ(client.claim.result, ERR_FORBIDDEN);
    EXPECT_EQ(client_come_as(&world, &client, "one", ALICE), OK);
    EXPECT_TRUE(client_has_state(&client, "hers"));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(whoever_is_connected_hears_nothing_of_anothers_claim) {
    struct world world;
    struct client alice;
    struct client bob;
    make(&world);
    EXPECT_EQ(client_come_as(&world, &alice, "one", ALICE), OK);
    EXPECT_EQ(client_come_as(&world, &bob, "one", BOB), ERR_FORBIDDEN);
    world_turn(&world);
    EXPECT_FALSE(alice.is_told);
    client_leave(&alice, 0, NULL);
    EXPECT_EQ(client_come_as(&world, &bob, "one", BOB), OK); /* nothing of hers is left */
    client_leave(&bob, 0, NULL);
    world_remove(&world);
}

TEST(what_is_nobodys_is_the_first_ones_who_claims_it) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_EQ(client_come_as(&world, &client, "one", NOBODY), OK);
    client_leave(&client, HOUR_MS, "found");
    EXPECT_EQ(client_come_as(&world, &client, "one", BOB), OK);
    EXPECT_TRUE(client_has_state(&client, "found"));
    EXPECT_EQ(client.claim.owner.bytes[0], BOB);
    client_leave(&client, HOUR_MS, "his");
    EXPECT_EQ(client_come_as(&world, &client, "one", ALICE), ERR_FORBIDDEN);
    EXPECT_EQ(client_come_as(&world, &client, "one", BOB), OK);
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(where_there_are_no_credentials_there_are_no_owners_and_none_is_forgotten) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_EQ(client_come_as(&world, &client, "one", ALICE), OK);
    client_leave(&client, HOUR_MS, "hers");
    EXPECT_EQ(client_come_as(&world, &client, "one", CLIENT_EVERYONE), OK);
    EXPECT_TRUE(client_has_state(&client, "hers"));
    client_leave(&client, HOUR_MS, "still hers");
    EXPECT_EQ(client_come_as(&world, &client, "one", BOB), ERR_FORBIDDEN);
    EXPECT_EQ(client_come_as(&world, &client, "one", ALICE), OK);
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(who_waits_for_what_becomes_anothers_is_refused) {
    struct world world;
    struct client nobody;
    struct client alice;
    struct client bob;
    make(&world);
    EXPECT_EQ(client_come_as(&world, &nobody, "one", NOBODY), OK);
    client_claim_as(&world, &alice, "one", false, ALICE);
    client_claim_as(&world, &bob, "one", false, BOB);
    client_await(&nobody, &nobody.is_told);
    client_leave(&nobody, HOUR_MS, "found");
    client_await(&alice, &alice.is_granted);
    EXPECT_EQ(alice.claim.result, OK);
    client_await(&alice, &alice.is_told); /* bob may have had it when he came */
    client_leave(&alice, HOUR_MS, "hers");
    client_await(&bob, &bob.is_granted);
    EXPECT_EQ(bob.claim.result, ERR_FORBIDDEN);
    EXPECT_EQ(client_come_as(&world, &alice, "one", ALICE), OK);
    EXPECT_TRUE(client_has_state(&alice, "hers"));
    client_leave(&alice, 0, NULL);
    world_remove(&world);
}

TEST(an_owner_survives_the_process) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_EQ(client_come_as(&world, &client, "one", ALICE), OK);
    client_leave(&client, HOUR_MS, "hers");
    world_close(&world);
    world_open(&world);
    EXPECT_EQ(client_come_as(&world, &client, "one", BOB), ERR_FORBIDDEN);
    EXPECT_EQ(client_come_as(&world, &client, "one", ALICE), OK);
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(the_owner_of_a_session_that_was_held_survives_a_kill) {
    struct world world;
    struct client client;
    struct session_release release = {.expiry_ms = HOUR_MS,
                                      .state = (uint8_t *)(uintptr_t) "hers",
                                      .state_length = 4,
                                      .owner = {.bytes = {ALICE}}};
    make(&world);
    world_submit(&world, registry_put_message(SPAN("one"), &release));
    world_close(&world);
    world_open(&world);
    EXPECT_EQ(client_come_as(&world, &client, "one", BOB), ERR_FORBIDDEN);
    EXPECT_EQ(client_come_as(&world, &client, "one", ALICE), OK);
    EXPECT_TRUE(client_has_state(&client, "hers"));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

UNIT_TESTS(UNIT(a_session_that_is_away_is_its_owners), UNIT(a_clean_claim_of_another_ends_nothing),
           UNIT(whoever_is_connected_hears_nothing_of_anothers_claim),
           UNIT(what_is_nobodys_is_the_first_ones_who_claims_it),
           UNIT(where_there_are_no_credentials_there_are_no_owners_and_none_is_forgotten),
           UNIT(who_waits_for_what_becomes_anothers_is_refused),
           UNIT(an_owner_survives_the_process),
           UNIT(the_owner_of_a_session_that_was_held_survives_a_kill))
