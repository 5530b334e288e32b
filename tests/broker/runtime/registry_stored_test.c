/* SPDX-License-Identifier: Apache-2.0 */
/* What of the registry outlives the process. */
#include <stdlib.h>

#include "broker/runtime/registry.h"
#include "tests/broker/runtime/client.h"

#define HOUR_MS 3600000u

static void make(struct world *world) {
    faults = (struct faults){0};
    world_make(world);
}

static void open_again(struct world *world) {
    world_close(world);
    world_open(world);
}

TEST(sessions_that_are_away_survive_the_process) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, HOUR_MS, "kept");
    open_again(&world);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    EXPECT_TRUE(client_has_state(&client, "kept"));
    client_leave(&client, 0, NULL);
    open_again(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false)); /* its end survived too */
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(the_time_without_a_process_counts_for_the_expiry) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, HOUR_MS, "kept");
    EXPECT_FALSE(client_come(&world, &client, "two", false));
    client_leave(&client, 3 * HOUR_MS, "kept");
    world_close(&world);
    atomic_fetch_add(&faults.ahead_ms, 2 * HOUR_MS);
    world_open(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, 0, NULL);
    EXPECT_TRUE(client_come(&world, &client, "two", false));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(the_time_of_a_session_runs_on_behind_a_claim_that_opened_nothing_and_a_kill) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, HOUR_MS, "kept");
    world_pass(&world, HOUR_MS / 3);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    free(client.claim.state);
    open_again(&world); /* while it had opened nothing */
    world_pass(&world, HOUR_MS / 3);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    EXPECT_TRUE(client_has_state(&client, "kept"));
    client_leave_unopened(&client);
    open_again(&world);
    world_pass(&world, HOUR_MS / 3 + 1);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(a_session_that_expired_under_a_claim_that_opened_nothing_ends_once_over_kills) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave_will(&client, 60000, HOUR_MS);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    world_pass(&world, 61000);
    EXPECT_EQ(world_count_stored(&world, "a"), 0);
    free(client.claim.state);
    message_unref(client.claim.will);
    open_again(&world); /* before it was given back */
    world_turn(&world);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave_will(&client, 60000, HOUR_MS);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    world_pass(&world, 61000);
    client_leave_unopened(&client);
    world_turn(&world);
    EXPECT_EQ(world_count_stored(&world, "a"), 2);
    open_again(&world); /* and behind that */
    world_pass(&world, HOUR_MS);
    EXPECT_EQ(world_count_stored(&world, "a"), 2);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

/* The store of what was left fails, and is tried again while somebody has the session. */
TEST(an_end_under_a_claim_that_opened_nothing_is_stored_behind_what_could_not_be) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave_will(&client, 60000, HOUR_MS);
    world_turn(&world);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    atomic_store(&faults.appends_to_fail, 1);
    client_leave_unopened(&client);
    world_await_failures(&world);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    world_pass(&world, 61000);
    client_leave_unopened(&client);
    world_pass(&world, 5000);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    open_again(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, 0, NULL);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    world_remove(&world);
}

TEST(a_clean_claim_takes_what_was_stored_away) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, HOUR_MS, "old");
    EXPECT_FALSE(client_come(&world, &client, "one", true));
    open_again(&world); /* while somebody has it */
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

/* As a worker does it for its connection. */
static void put_state(struct world *world, struct client *client, uint64_t expiry_ms,
                      const char *state) {
    struct session_release release = {
        .expiry_ms = expiry_ms, .state = (uint8_t *)state, .state_length = strlen(state)};
    world_submit(world, registry_put_message(SPAN("one"), &release));
    client->claim.is_stored = true;
}

static void append_state(struct world *world, const char *step) {
    world_submit(world, storage_object_message(STORAGE_OBJECT_SESSION, STORAGE_OBJECT_APPEND,
                                               SPAN("one"), span_of_string(step)));
}

TEST(a_session_that_somebody_had_at_a_kill_is_released_at_the_next_start) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    put_state(&world, &client, HOUR_MS, "filters");
    append_state(&world, ", a step");
    open_again(&world); /* nothing was released: for the storage that is a kill */
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    EXPECT_TRUE(client_has_state(&client, "filters, a step"));
    free(client.claim.state);
    open_again(&world);
    world_pass(&world, HOUR_MS - 60000); /* its expiry began at the start */
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    free(client.claim.state);
    open_again(&world);
    world_pass(&world, HOUR_MS + 1);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(a_time_that_began_at_the_start_after_a_kill_does_not_begin_anew_at_the_next) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    put_state(&world, &client, HOUR_MS, "filters");
    for (size_t i = 0; i < 3; i++) {
        open_again(&world);
        world_turn(&world);
        atomic_fetch_add(&faults.ahead_ms, HOUR_MS / 2 - 60000);
    }
    open_again(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(groups_hear_of_the_end_of_a_session_that_had_shares_and_of_no_other) {
    struct world world;
    struct client one;
    struct client two;
    make(&world);
    EXPECT_FALSE(client_come(&world, &one, "one", false));
    EXPECT_FALSE(client_come(&world, &two, "two", false));
    one.has_shares = true;
    client_leave(&one, HOUR_MS, "kept");
    client_leave(&two, HOUR_MS, "kept");
    open_again(&world);
    atomic_store(&world.is_over_busy, true);
    world_pass(&world, HOUR_MS + 1);
    EXPECT_EQ(metrics_sum(world.metrics, METRIC_SESSIONS_EXPIRED, 0), 0);
    atomic_store(&world.is_over_busy, false);
    while (metrics_sum(world.metrics, METRIC_SESSIONS_EXPIRED, 0) < 2) {
        world_turn(&world);
    }
    EXPECT_EQ(atomic_load(&world.over_count), 1);
    world_remove(&world);
}

TEST(the_end_of_what_a_worker_stored_is_stored) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    put_state(&world, &client, HOUR_MS, "filters");
    client_leave(&client, 0, NULL); /* it changed its mind when it left */
    open_again(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(a_session_that_never_had_an_expiry_is_written_nowhere) {
    struct world world;
    struct client client;
    make(&world);
    uint64_t position = log_position_readable(world.log);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, 0, "state");
    world_turn(&world);
    EXPECT_EQ(log_position_readable(world.log), position + 2); /* of world_turn() */
    world_remove(&world);
}

TEST(what_is_released_before_the_log_stops_is_written) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_release(&client, HOUR_MS, "kept", NULL, 0);
    log_stop(world.log);
    mailbox_deliver_all(&world.answers, NULL);
    EXPECT_TRUE(client.is_released);
    open_again(&world);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    EXPECT_TRUE(client_has_state(&client, "kept"));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(a_will_that_waits_survives_the_process_and_goes_out_once) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave_will(&client, 3 * HOUR_MS, 60000);
    open_again(&world);
    world_turn(&world);
    EXPECT_EQ(world_count_stored(&world, "a"), 0);
    world_pass(&world, 61000);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    open_again(&world);
    world_pass(&world, HOUR_MS);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(a_session_that_cannot_be_read_does_not_stop_the_broker) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "two", false));
    client_leave(&client, HOUR_MS, "kept");
    world_submit(&world, storage_object_message(STORAGE_OBJECT_SESSION, STORAGE_OBJECT_PUT,
                                                SPAN("one"), SPAN("\x02 a later version")));
    open_again(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, HOUR_MS, "new");
    open_again(&world);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    EXPECT_TRUE(client_has_state(&client, "new"));
    client_leave(&client, 0, NULL);
    EXPECT_TRUE(client_come(&world, &client, "two", false));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

/* --- a disk that fails ---------------------------------------------------------------------- */

TEST(what_could_not_be_stored_is_tried_again_as_it_is_by_then) {
    struct world world;
    struct client one;
    struct client two;
    make(&world);
    EXPECT_FALSE(client_come(&world, &one, "one", false));
    client_leave(&one, HOUR_MS, "old");
    EXPECT_FALSE(client_come(&world, &two, "two", false));
    world_turn(&world);
    atomic_store(&faults.appends_to_fail, 2);
    client_leave_will(&two, HOUR_MS, 0); /* its state and its will fail */
    EXPECT_TRUE(client_come(&world, &one, "one", false));
    client_leave(&one, 0, NULL); /* its end fails */
    world_await_failures(&world);
    world_pass(&world, 5000);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    open_again(&world);
    EXPECT_FALSE(client_come(&world, &one, "one", false));
    EXPECT_TRUE(client_come(&world, &two, "two", false));
    EXPECT_TRUE(client_has_state(&two, "state"));
    client_leave(&one, 0, NULL);
    client_leave(&two, 0, NULL);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    world_remove(&world);
}

TEST(an_end_that_could_not_be_stored_spares_the_session_that_came_after_it) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, HOUR_MS, "old");
    world_turn(&world);
    atomic_store(&faults.appends_to_fail, 1);
    EXPECT_FALSE(client_come(&world, &client, "one", true)); /* the end of the old one fails */
    world_await_failures(&world);
    put_state(&world, &client, HOUR_MS, "new");
    world_pass(&world, 5000); /* tried again */
    open_again(&world);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    EXPECT_TRUE(client_has_state(&client, "new"));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(a_will_that_no_channel_takes_does_not_hold_up_its_session) {
    struct world world;
    struct client client;
    make(&world);
    atomic_store(&faults.are_channels_full, true);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave_will(&client, HOUR_MS, 0);
    world_turn(&world);
    open_again(&world);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    EXPECT_TRUE(client_has_state(&client, "state"));
    client_leave_will(&client, 0, 0); /* its end is stored too */
    world_turn(&world);
    atomic_store(&faults.are_channels_full, false);
    open_again(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, 0, NULL);
    world_pass(&world, 5000);
    EXPECT_EQ(world_count_stored(&world, "a"), 0); /* they are given up */
    world_remove(&world);
}

UNIT_TESTS(UNIT(sessions_that_are_away_survive_the_process),
           UNIT(the_time_without_a_process_counts_for_the_expiry),
           UNIT(the_time_of_a_session_runs_on_behind_a_claim_that_opened_nothing_and_a_kill),
           UNIT(a_session_that_expired_under_a_claim_that_opened_nothing_ends_once_over_kills),
           UNIT(an_end_under_a_claim_that_opened_nothing_is_stored_behind_what_could_not_be),
           UNIT(a_clean_claim_takes_what_was_stored_away),
           UNIT(a_session_that_somebody_had_at_a_kill_is_released_at_the_next_start),
           UNIT(a_time_that_began_at_the_start_after_a_kill_does_not_begin_anew_at_the_next),
           UNIT(groups_hear_of_the_end_of_a_session_that_had_shares_and_of_no_other),
           UNIT(the_end_of_what_a_worker_stored_is_stored),
           UNIT(a_session_that_never_had_an_expiry_is_written_nowhere),
           UNIT(what_is_released_before_the_log_stops_is_written),
           UNIT(a_will_that_waits_survives_the_process_and_goes_out_once),
           UNIT(a_session_that_cannot_be_read_does_not_stop_the_broker),
           UNIT(what_could_not_be_stored_is_tried_again_as_it_is_by_then),
           UNIT(a_will_that_no_channel_takes_does_not_hold_up_its_session),
           UNIT(an_end_that_could_not_be_stored_spares_the_session_that_came_after_it))
