/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/muster.h"

#include <stdio.h>

#include "tests/broker/runtime/client.h"

#define HOUR_MS 3600000u

static void make(struct world *world) {
    faults = (struct faults){0};
    world_make(world);
}

static void on_answered(void *context, struct muster *muster) {
    *(struct muster **)context = muster;
}

static struct muster *await(struct world *world, struct muster *const *muster) {
    while (*muster == NULL) {
        mailbox_wait(&world->answers, -1);
        mailbox_deliver_all(&world->answers, NULL);
    }
    EXPECT_EQ(muster_answer(*muster)->result, OK);
    return *muster;
}

static struct muster *ask(struct world *world, const char *after, size_t limit) {
    struct muster *muster = NULL;
    EXPECT_EQ(
        muster_ask(world->log, span_of_string(after), limit, &world->answers, on_answered, &muster),
        OK);
    return await(world, &muster);
}

static bool dismiss(struct world *world, const char *client_id) {
    struct muster *muster = NULL;
    EXPECT_EQ(muster_dismiss(world->log, span_of_string(client_id), &world->answers, on_answered,
                             &muster),
              OK);
    bool was_found = muster_answer(await(world, &muster))->was_found;
    muster_destroy(muster);
    return was_found;
}

static void expect_id(const struct muster *muster, size_t row, const char *client_id) {
    const struct muster_row *found = muster_answer(muster)->rows[row];
    EXPECT_SPAN(span_of(found->client_id, found->client_id_length), client_id);
}

/* Away, in an order that is not that of their names. */
static void leave_many(struct world *world, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char client_id[32];
        struct client client;
        snprintf(client_id, sizeof(client_id), "c%05zu", i * 7919 % count);
        EXPECT_FALSE(client_come(world, &client, client_id, false));
        client_leave(&client, HOUR_MS, "state");
    }
}

TEST(pages_hold_each_session_once_in_order_of_client_id) {
    enum { COUNT = SESSIONS_A_TURN + 500, LIMIT = 400 }; /* a walk takes two turns */
    struct world world;
    make(&world);
    leave_many(&world, COUNT);
    char after[32] = "";
    size_t seen = 0;
    for (bool has_more = true; has_more;) {
        struct muster *muster = ask(&world, after, LIMIT);
        const struct muster_answer *answer = muster_answer(muster);
        for (size_t i = 0; i < answer->row_count; i++) {
            snprintf(after, sizeof(after), "c%05zu", seen++);
            expect_id(muster, i, after);
        }
        has_more = answer->has_more;
        EXPECT_EQ(answer->row_count, has_more ? LIMIT : COUNT % LIMIT);
        muster_destroy(muster);
    }
    EXPECT_EQ(seen, COUNT);
    world_remove(&world);
}

TEST(a_row_says_who_is_there_and_until_when_the_others_are_kept) {
    struct world world;
    struct client here;
    struct client away;
    make(&world);
    EXPECT_FALSE(client_come(&world, &here, "here", false));
    EXPECT_FALSE(client_come(&world, &away, "away", false));
    client_leave_will(&away, HOUR_MS, 60000);
    struct muster *muster = ask(&world, "", 10);
    const struct muster_answer *answer = muster_answer(muster);
    EXPECT_EQ(answer->row_count, 2);
    EXPECT_FALSE(answer->has_more);
    expect_id(muster, 0, "away");
    EXPECT_FALSE(answer->rows[0]->is_connected);
    EXPECT_EQ(answer->rows[0]->expires_ms - answer->rows[0]->away_since_ms, HOUR_MS);
    EXPECT_EQ(answer->rows[0]->state_bytes, strlen("state"));
    EXPECT_TRUE(answer->rows[0]->has_will);
    expect_id(muster, 1, "here");
    EXPECT_TRUE(answer->rows[1]->is_connected);
    EXPECT_EQ(answer->rows[1]->connection_id, 17);
    muster_destroy(muster);
    client_leave(&here, 0, NULL);
    world_remove(&world);
}

TEST(a_session_that_is_away_ends_when_the_operator_says_so) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(dismiss(&world, "one"));
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave_will(&client, HOUR_MS, 60000);
    EXPECT_TRUE(dismiss(&world, "one"));
    EXPECT_FALSE(dismiss(&world, "one"));
    world_turn(&world);
    EXPECT_EQ(world_count_stored(&world, "a"), 1); /* its will */
    world_close(&world);
    world_open(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(a_session_that_somebody_has_ends_when_that_one_has_gone) {
    struct world world;
    struct client client;
    make(&world);
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    EXPECT_TRUE(dismiss(&world, "one"));
    client_await(&client, &client.is_told);
    EXPECT_TRUE(client.claim.is_dismissed);
    client_leave(&client, HOUR_MS, "state"); /* would be kept */
    EXPECT_FALSE(client_come(&world, &client, "one", false));
    client_leave(&client, 0, NULL);
    world_remove(&world);
}

TEST(a_walk_goes_on_when_the_session_that_it_stands_at_goes) {
    enum { COUNT = 3 * SESSIONS_A_TURN };
    struct world world;
    make(&world);
    leave_many(&world, COUNT);
    struct muster *muster = NULL;
    EXPECT_EQ(muster_ask(world.log, (struct span){0}, 10, &world.answers, on_answered, &muster),
              OK);
    atomic_fetch_add(&faults.ahead_ms, 2 * HOUR_MS); /* they expire while it walks */
    muster_destroy(await(&world, &muster));
    world_remove(&world);
}

TEST(more_questions_than_the_bound_are_told_to_come_back) {
    struct world world;
    struct muster *musters[MUSTERS_MAX] = {NULL};
    struct muster *one_more = NULL;
    faults = (struct faults){0};
    world_make_waiting(&world);
    for (size_t i = 0; i < MUSTERS_MAX; i++) {
        EXPECT_EQ(
            muster_ask(world.log, (struct span){0}, 1, &world.answers, on_answered, &musters[i]),
            OK);
    }
    EXPECT_EQ(muster_ask(world.log, (struct span){0}, 1, &world.answers, on_answered, &one_more),
              ERR_BUSY);
    world_start(&world);
    for (size_t i = 0; i < MUSTERS_MAX; i++) {
        muster_destroy(await(&world, &musters[i]));
    }
    muster_destroy(ask(&world, "", 1));
    world_remove(&world);
}

UNIT_TESTS(UNIT(pages_hold_each_session_once_in_order_of_client_id),
           UNIT(a_row_says_who_is_there_and_until_when_the_others_are_kept),
           UNIT(a_session_that_is_away_ends_when_the_operator_says_so),
           UNIT(a_session_that_somebody_has_ends_when_that_one_has_gone),
           UNIT(a_walk_goes_on_when_the_session_that_it_stands_at_goes),
           UNIT(more_questions_than_the_bound_are_told_to_come_back))
