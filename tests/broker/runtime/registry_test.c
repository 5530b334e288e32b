/* SPDX-License-Identifier: Apache-2.0 */
/* Who has which client id, while the log runs; registry_stored_test.c is about what outlives it. */
#include "broker/runtime/registry.h"

#include <pthread.h>
#include <stdio.h>

#include "tests/broker/runtime/client.h"

#define HOUR_MS 3600000u

static void make(struct world *world) {
    faults = (struct faults){0};
    world_make_waiting(world);
    world_start(world);
}

/* --- claims --------------------------------------------------------------------------------- */

TEST(an_id_that_is_new_is_granted_without_a_session) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    EXPECT_FALSE(client.is_told);
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(a_session_with_an_expiry_comes_back_with_its_state) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, HOUR_MS, "what it knew");
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    EXPECT_TRUE(client_has_state(&client, "what it knew"));
    client_leave(&client, 0, NULL);
    EXPECT_FALSE(client_come(&world, &client, "one", false)); /* it had ended */
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(a_clean_claim_begins_anew) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, SESSION_EXPIRY_NEVER, "old");
    EXPECT_FALSE(client_come(&world, &client, "one", true));
    EXPECT_NULL(client.claim.state);
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(who_has_the_id_is_told_and_the_claim_waits_until_it_is_released) {
    struct world world;
    struct client old;
    struct client young;
    make(&world);
    EXPECT_FALSE(client_come(&world, &old, "one", false));
    client_claim(&world, &young, "one", false);
    client_await(&old, &old.is_told);
    EXPECT_FALSE(old.claim.is_dismissed);
    world_turn(&world);
    EXPECT_FALSE(young.is_granted);
    client_leave(&old, HOUR_MS, "kept");
    client_await(&young, &young.is_granted);
    EXPECT_TRUE(client_has_state(&young, "kept"));
    client_leave(&young, 0, NULL);
    world_remove(&world);
}

TEST(claims_of_one_id_are_granted_in_order_and_each_is_told_of_the_next) {
    struct world world;
    struct client clients[4];
    make(&world);
    for (size_t i = 0; i < 4; i++) {
        client_claim(&world, &clients[i], "one", false);
    }
    for (size_t i = 0; i < 4; i++) {
        client_await(&clients[i], &clients[i].is_granted);
        EXPECT_EQ(clients[i].claim.is_present, i > 0);
        EXPECT_EQ(clients[i].claim.expiry_ms, i > 0 ? HOUR_MS : 0);
        if (i < 3) {
            client_await(&clients[i], &clients[i].is_told);
            EXPECT_FALSE(clients[i + 1].is_granted);
        }
        client_leave(&clients[i], i < 3 ? HOUR_MS : 0, "state");
    }
    EXPECT_FALSE(clients[3].is_told);
    world_remove(&world);
}

TEST(a_release_that_crosses_the_notice_is_not_told_to_go) {
    struct world world;
    struct client old;
    struct client young;
    make(&world);
    EXPECT_FALSE(client_come(&world, &old, "one", false));
    client_claim(&world, &young, "one", false);
    client_release(&old, 0, NULL, NULL, 0); /* nothing was delivered in between */
    client_await(&young, &young.is_granted);
    EXPECT_TRUE(old.is_released);
    EXPECT_FALSE(old.is_told);
    client_leave(&young, 0, NULL);
    world_remove(&world);
}

TEST(new_ids_are_refused_above_the_limit_and_known_ones_are_not) {
    struct world world;
    struct client first;
    struct client second;
    struct client third;
    faults = (struct faults){0};
    world_make_waiting(&world);
    world_close(&world);
    world.sessions_max = 2;
    world_open(&world);
    EXPECT_FALSE(client_come(&world, &first, "one", false));
    client_leave(&first, HOUR_MS, "kept");
    EXPECT_FALSE(client_come(&world, &second, "two", false));
    client_claim(&world, &third, "three", false);
    client_await(&third, &third.is_granted);
    EXPECT_EQ(third.claim.result, ERR_FULL);
    EXPECT_TRUE(client_come(&world, &first, "one", false));
    client_leave(&first, 0, NULL);
    EXPECT_FALSE(client_come(&world, &third, "three", false));
    client_leave(&second, 0, NULL);
    client_leave(&third, 0, NULL);
    EXPECT_EQ(metrics_sum(world.metrics, METRIC_SESSIONS_REFUSED, 0), 1);
    world_remove(&world);
}

/* --- bytes ---------------------------------------------------------------------------------- */

static void make_small(struct world *world, size_t bytes_max) {
    make(world);
    world_close(world);
    world->sessions_bytes_max = bytes_max;
    world_open(world);
}

/* Comes, leaves a state of so many bytes, and says whether there was a session. */
static bool come_and_leave(struct world *world, const char *client_id, size_t state_bytes) {
    static char state[16384];
    struct client client;
    bool is_present = client_come(world, &client, client_id, false);
    memset(state, 'x', state_bytes);
    state[state_bytes] = '\0';
    client_leave(&client, HOUR_MS, state);
    return is_present;
}

TEST(above_the_bound_of_bytes_a_session_is_kept_as_it_was_but_not_larger) {
    struct world world;
    make_small(&world, 10000);
    EXPECT_FALSE(come_and_leave(&world, "one", 9500));
    EXPECT_FALSE(come_and_leave(&world, "two", 9500)); /* no room */
    EXPECT_FALSE(come_and_leave(&world, "two", SESSION_BYTES_ALWAYS));
    EXPECT_TRUE(come_and_leave(&world, "one", 9500)); /* above the bound now, as before */
    EXPECT_TRUE(come_and_leave(&world, "two", SESSION_BYTES_ALWAYS));
    EXPECT_TRUE(come_and_leave(&world, "one", 9501));
    EXPECT_FALSE(come_and_leave(&world, "one", 8000));
    EXPECT_TRUE(come_and_leave(&world, "one", 8500));
    EXPECT_TRUE(come_and_leave(&world, "one", 100));
    world_remove(&world);
}

TEST(what_a_session_was_granted_with_stays_its_own_while_it_is_connected) {
    struct world world;
    struct client one;
    make_small(&world, 10000);
    EXPECT_FALSE(come_and_leave(&world, "one", 9500));
    EXPECT_TRUE(client_come(&world, &one, "one", false));
    EXPECT_FALSE(come_and_leave(&world, "two", 9500));
    EXPECT_FALSE(come_and_leave(&world, "two", 100)); /* it was not kept */
    client_leave(&one, 0, NULL);
    world_remove(&world);
}

TEST(a_will_counts_while_it_waits_and_does_not_wait_above_the_bound) {
    struct message_fields fields = {
        .kind = MESSAGE_DATA, .channel = SPAN("a"), .payload = SPAN("gone")};
    struct message *will = message_create(&fields);
    struct world world;
    struct client client;
    make_small(&world, message_size(will) * 3 / 2);
    message_unref(will);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave_will(&client, HOUR_MS, 60000);
    EXPECT_FALSE(client_come(&world, &client, "two", false));
    client_leave_will(&client, HOUR_MS, 60000); /* no room for a second one */
    world_turn(&world);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    EXPECT_TRUE(client_come(&world, &client, "one", false)); /* and its will is not any more */
    client_leave_will(&client, HOUR_MS, 60000);
    world_turn(&world);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    world_pass(&world, 61000);
    EXPECT_EQ(world_count_stored(&world, "a"), 2);
    world_remove(&world);
}

/* --- time ----------------------------------------------------------------------------------- */

TEST(a_session_ends_once_its_expiry_is_over_also_in_a_log_of_nothing_else) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, HOUR_MS, "kept");
    world_pass(&world, HOUR_MS - 60000);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    client_leave(&client, HOUR_MS, "kept");
    uint64_t position = log_position_readable(world.log);
    atomic_fetch_add(&faults.ahead_ms, HOUR_MS + 1);
    while (metrics_sum(world.metrics, METRIC_SESSIONS_EXPIRED, 0) == 0) {
        mailbox_wait(&world.answers, 10); /* nothing is sent: the log thread wakes by itself */
    }
    world_turn(&world);
    EXPECT_TRUE(log_position_readable(world.log) > position + 2); /* its end is stored too */
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(a_claim_that_opened_nothing_does_not_put_off_the_end_of_a_session) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, HOUR_MS, "kept");
    for (int i = 0; i < 2; i++) {
        world_pass(&world, HOUR_MS / 3);
        EXPECT_TRUE(client_come(&world, &client, "one", false));
        EXPECT_EQ(client.claim.expiry_ms, HOUR_MS);
        client_leave_unopened(&client);
    }
    world_pass(&world, HOUR_MS / 3 + 1);
    EXPECT_EQ(metrics_sum(world.metrics, METRIC_SESSIONS_EXPIRED, 0), 1);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(a_session_that_expired_under_a_claim_that_opened_nothing_ends_behind_it) {
    struct world world;
    struct client client;
    struct client next;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave_will(&client, 60000, HOUR_MS);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    client_claim_as(&world, &next, "one", false, 1); /* it is nobody's, and then somebody's */
    world_pass(&world, 61000);
    EXPECT_EQ(world_count_stored(&world, "a"), 0);
    client_leave_unopened(&client);
    client_await(&next, &next.is_granted);
    EXPECT_FALSE(next.claim.is_present);
    EXPECT_NULL(next.claim.will);
    world_turn(&world);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    EXPECT_EQ(metrics_sum(world.metrics, METRIC_SESSIONS_EXPIRED, 0), 1);
    client_leave(&next, 0, NULL);
    world_remove(&world);
}

TEST(a_session_that_never_expires_stays) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, SESSION_EXPIRY_NEVER, "kept");
    world_pass(&world, 100ull * 365 * 24 * HOUR_MS);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(sessions_that_expire_together_all_end) {
    enum { COUNT = SESSIONS_A_TURN + 100 }; /* more than in one turn */
    static struct client clients[COUNT];
    struct world world;
    make(&world);
    for (size_t i = 0; i < COUNT; i++) {
        char client_id[16];
        snprintf(client_id, sizeof(client_id), "c%zu", i);
        EXPECT_FALSE(client_come(&world, &clients[i], client_id, false));
        client_release(&clients[i], 1000 + i % 7, "state", NULL, 0);
    }
    for (size_t i = 0; i < COUNT; i++) {
        client_await(&clients[i], &clients[i].is_released);
    }
    world_pass(&world, HOUR_MS);
    while (metrics_sum(world.metrics, METRIC_SESSIONS_EXPIRED, 0) < COUNT) {
        world_turn(&world);
    }
    EXPECT_EQ(metrics_sum(world.metrics, METRIC_SESSIONS_EXPIRED, 0), COUNT);
    world_remove(&world);
}

/* --- wills ---------------------------------------------------------------------------------- */

TEST(a_will_goes_out_when_its_delay_is_over) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave_will(&client, HOUR_MS, 60000);
    world_pass(&world, 30000);
    EXPECT_EQ(world_count_stored(&world, "a"), 0);
    world_pass(&world, 31000);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    EXPECT_EQ(metrics_sum(world.metrics, METRIC_PUBLISHED_MESSAGES, METRICS_PROTOCOL_MQTT), 1);
    world_pass(&world, 2 * HOUR_MS); /* the session's end does not bring it again */
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    world_remove(&world);
}

TEST(a_will_without_delay_goes_out_at_once) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave_will(&client, HOUR_MS, 0);
    world_turn(&world);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    world_remove(&world);
}

TEST(a_will_does_not_outlast_its_session) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave_will(&client, 0, HOUR_MS);
    world_turn(&world);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave_will(&client, 60000, HOUR_MS);
    world_pass(&world, 61000);
    EXPECT_EQ(world_count_stored(&world, "a"), 2);
    world_remove(&world);
}

TEST(a_client_that_is_back_in_time_leaves_no_will) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave_will(&client, HOUR_MS, 60000);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    world_pass(&world, 61000);
    EXPECT_EQ(world_count_stored(&world, "a"), 0);
    client_leave(&client, 0, NULL);
    world_turn(&world);
    EXPECT_EQ(world_count_stored(&world, "a"), 0);
    world_remove(&world);
}

TEST(a_will_waits_on_behind_a_claim_that_opened_nothing) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave_will(&client, HOUR_MS, 60000);
    for (int i = 0; i < 2; i++) {
        world_pass(&world, 20000);
        EXPECT_TRUE(client_come(&world, &client, "one", false));
        EXPECT_TRUE(client_has_state(&client, "state"));
        client_leave_unopened(&client);
        EXPECT_EQ(world_count_stored(&world, "a"), 0);
    }
    world_pass(&world, 21000); /* when it was due: those that came meanwhile did not put it off */
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    client_leave_unopened(&client);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    world_remove(&world);
}

TEST(who_waits_behind_a_claim_that_opened_nothing_has_the_will) {
    struct world world;
    struct client client;
    struct client next;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave_will(&client, HOUR_MS, 60000);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    client_claim(&world, &next, "one", false);
    client_await(&client, &client.is_told);
    client_leave_unopened(&client);
    client_await(&next, &next.is_granted);
    EXPECT_TRUE(client_has_state(&next, "state"));
    EXPECT_NOT_NULL(next.claim.will);
    client_leave(&next, HOUR_MS, NULL); /* it had opened it */
    world_pass(&world, 61000);
    EXPECT_EQ(world_count_stored(&world, "a"), 0);
    world_remove(&world);
}

TEST(a_will_that_became_due_under_a_claim_that_opened_nothing_goes_out_behind_it) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave_will(&client, HOUR_MS, 60000);
    EXPECT_TRUE(client_come(&world, &client, "one", false));
    world_pass(&world, 61000);
    EXPECT_EQ(world_count_stored(&world, "a"), 0);
    client_leave_unopened(&client);
    world_turn(&world);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    world_pass(&world, 61000);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    world_remove(&world);
}

TEST(a_client_that_begins_anew_ends_the_session_with_its_will) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave_will(&client, HOUR_MS, 60000);
    EXPECT_FALSE(client_come(&world, &client, "one", true));
    world_turn(&world);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

/* --- many threads --------------------------------------------------------------------------- */

#define RIVALS 4
#define ROUNDS 100

/* One of those who fight for a client id. */
struct rival {
    pthread_t thread;
    struct log *log;
    struct mailbox mailbox;
    struct session_claim claim;
    atomic_int *holders;
    bool is_granted, is_over;
    bool was_alone;
};

static void on_rival_granted(struct session_claim *claim) {
    struct rival *rival = claim->context;
    rival->is_granted = true;
    rival->was_alone &= claim->result == OK && atomic_fetch_add(rival->holders, 1) == 0;
}

static void on_rival_told(struct session_claim *claim) {
    (void)claim; /* it goes anyway */
}

static void on_rival_released(struct session_claim *claim) {
    ((struct rival *)claim->context)->is_over = true;
}

static const struct session_claim_calls rival_calls = {.on_granted = on_rival_granted,
                                                       .on_taken_over = on_rival_told,
                                                       .on_released = on_rival_released};

static void await(struct rival *rival, const bool *flag) {
    while (!*flag) {
        mailbox_wait(&rival->mailbox, -1);
        mailbox_deliver_all(&rival->mailbox, NULL);
    }
}

static void *rival_thread(void *argument) {
    struct rival *rival = argument;
    for (int i = 0; i < ROUNDS; i++) {
        rival->is_granted = rival->is_over = false;
        rival->claim = (struct session_claim){.reply_to = &rival->mailbox,
                                              .calls = &rival_calls,
                                              .context = rival,
                                              .client_id_length = 1,
                                              .client_id = (const uint8_t *)"x"};
        rival->was_alone &= registry_claim(rival->log, &rival->claim) == OK;
        await(rival, &rival->is_granted);
        struct session_release release = {.expiry_ms = HOUR_MS,
                                          .state = rival->claim.state,
                                          .state_length = rival->claim.state_length};
        atomic_fetch_sub(rival->holders, 1);
        registry_release(rival->log, &rival->claim, &release);
        await(rival, &rival->is_over);
    }
    return NULL;
}

TEST(an_id_is_had_by_one_at_a_time_whoever_asks) {
    struct world world;
    struct rival rivals[RIVALS] = {0};
    atomic_int holders = 0;
    make(&world);
    for (size_t i = 0; i < RIVALS; i++) {
        rivals[i].log = world.log;
        rivals[i].holders = &holders;
        rivals[i].was_alone = true;
        EXPECT_EQ(mailbox_init(&rivals[i].mailbox, 16), OK);
        EXPECT_EQ(pthread_create(&rivals[i].thread, NULL, rival_thread, &rivals[i]), 0);
    }
    for (size_t i = 0; i < RIVALS; i++) {
        pthread_join(rivals[i].thread, NULL);
        EXPECT_TRUE(rivals[i].was_alone);
        mailbox_finish(&rivals[i].mailbox);
    }
    world_remove(&world);
}

/* --- the end -------------------------------------------------------------------------------- */

TEST(claims_that_wait_when_the_log_stops_are_refused) {
    struct world world;
    struct client old;
    struct client young;
    make(&world);
    EXPECT_FALSE(client_come(&world, &old, "one", false));
    client_claim(&world, &young, "one", false);
    log_stop(world.log);
    mailbox_deliver_all(&world.answers, NULL);
    EXPECT_TRUE(young.is_granted);
    EXPECT_EQ(young.claim.result, ERR_DRAINING);
    EXPECT_EQ(registry_claim(world.log, &young.claim), ERR_DRAINING);
    client_release(&old, HOUR_MS, "state", "a", 0); /* after the end: dropped and answered */
    mailbox_deliver_all(&world.answers, NULL);
    EXPECT_TRUE(old.is_released);
    world_remove(&world);
}

UNIT_TESTS(UNIT(an_id_that_is_new_is_granted_without_a_session),
           UNIT(a_session_with_an_expiry_comes_back_with_its_state),
           UNIT(a_clean_claim_begins_anew),
           UNIT(who_has_the_id_is_told_and_the_claim_waits_until_it_is_released),
           UNIT(claims_of_one_id_are_granted_in_order_and_each_is_told_of_the_next),
           UNIT(a_release_that_crosses_the_notice_is_not_told_to_go),
           UNIT(new_ids_are_refused_above_the_limit_and_known_ones_are_not),
           UNIT(above_the_bound_of_bytes_a_session_is_kept_as_it_was_but_not_larger),
           UNIT(what_a_session_was_granted_with_stays_its_own_while_it_is_connected),
           UNIT(a_will_counts_while_it_waits_and_does_not_wait_above_the_bound),
           UNIT(a_session_ends_once_its_expiry_is_over_also_in_a_log_of_nothing_else),
           UNIT(a_claim_that_opened_nothing_does_not_put_off_the_end_of_a_session),
           UNIT(a_session_that_expired_under_a_claim_that_opened_nothing_ends_behind_it),
           UNIT(a_session_that_never_expires_stays), UNIT(sessions_that_expire_together_all_end),
           UNIT(a_will_goes_out_when_its_delay_is_over),
           UNIT(a_will_without_delay_goes_out_at_once), UNIT(a_will_does_not_outlast_its_session),
           UNIT(a_client_that_is_back_in_time_leaves_no_will),
           UNIT(a_will_waits_on_behind_a_claim_that_opened_nothing),
           UNIT(who_waits_behind_a_claim_that_opened_nothing_has_the_will),
           UNIT(a_will_that_became_due_under_a_claim_that_opened_nothing_goes_out_behind_it),
           UNIT(a_client_that_begins_anew_ends_the_session_with_its_will),
           UNIT(an_id_is_had_by_one_at_a_time_whoever_asks),
           UNIT(claims_that_wait_when_the_log_stops_are_refused))
