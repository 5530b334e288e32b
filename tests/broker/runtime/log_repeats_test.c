/* SPDX-License-Identifier: Apache-2.0 */
/* Publishes with an idempotency key that come again: log.c and repeats.c together. */
#include <stdio.h>

#include "tests/broker/runtime/client.h"

/* What came before is ordered when this returns: a delete of nothing is refused at once. */
static void await_turn(struct world *world) {
    struct asked asked;
    for (int i = 0; i < 2;
         i++) { /* the second is in a later turn than what came before the first */
        world_ask(world, &asked, "D", NULL, "", 0);
        EXPECT_EQ(asked_await(&asked), ERR_NOT_FOUND);
        asked_finish(&asked);
    }
}

static void expect_repeated(const struct asked *first, const struct asked *again) {
    EXPECT_FALSE(first->publish.is_repeated);
    EXPECT_TRUE(again->publish.is_repeated);
    for (size_t i = 0; i < first->publish.count && i < again->publish.count; i++) {
        const struct place *left = &first->messages[i]->place;
        const struct place *right = &again->messages[i]->place;
        EXPECT_EQ(right->log_id, left->log_id);
        EXPECT_EQ(right->generation, left->generation);
        EXPECT_EQ(right->position, left->position);
        EXPECT_EQ(right->channel_id, left->channel_id);
        EXPECT_EQ(right->offset, left->offset);
        EXPECT_EQ(again->messages[i]->time_ms, first->messages[i]->time_ms);
    }
}

static void expect_figures(struct world *world, uint64_t messages, uint64_t keys,
                           uint64_t repeated) {
    struct log_figures figures;
    log_get_figures(world->log, &figures);
    EXPECT_EQ(metrics_sum(world->metrics, METRIC_LOG_MESSAGES, 0), messages);
    EXPECT_EQ(figures.repeats, keys);
    EXPECT_EQ(metrics_sum(world->metrics, METRIC_PUBLISHES_REPEATED, 0), repeated);
}

/* --- claims --- */

TEST(a_repeat_is_answered_as_the_first_and_stores_nothing) {
    struct world world;
    struct asked first;
    struct asked again;
    world_make(&world);
    world_ask(&world, &first, "aab", "k", "body", 0);
    EXPECT_EQ(asked_await(&first), OK);
    world_ask(&world, &again, "aab", "k", "body", 0);
    EXPECT_EQ(asked_await(&again), OK);
    expect_repeated(&first, &again);
    EXPECT_EQ(log_position_readable(world.log), 3);
    EXPECT_EQ(world_count_stored(&world, "a"), 2);
    expect_figures(&world, 3, 1, 1);
    asked_finish(&first);
    asked_finish(&again);
    world_remove(&world);
}

TEST(repeats_of_the_same_turn_are_answered_with_their_first) {
    struct world world;
    struct asked asked[4];
    world_make_waiting(&world);
    world_ask(&world, &asked[0], "ab", "k", "body", 0);
    world_ask(&world, &asked[1], "ab", "k", "body", 0);
    world_ask(&world, &asked[2], "ab", "k", "other", 0);
    world_ask(&world, &asked[3], "ab", "k", "body", MESSAGE_FSYNC);
    world_start(&world);
    EXPECT_EQ(asked_await(&asked[0]), OK);
    EXPECT_EQ(asked_await(&asked[1]), OK);
    EXPECT_EQ(asked_await(&asked[2]), ERR_UNPROCESSABLE);
    EXPECT_EQ(asked_await(&asked[3]), OK);
    expect_repeated(&asked[0], &asked[1]);
    expect_repeated(&asked[0], &asked[3]);
    EXPECT_STRING(asked[2].publish.why.field, "Idempotency-Key");
    expect_figures(&world, 2, 1, 2);
    for (size_t i = 0; i < ARRAY_COUNT(asked); i++) {
        asked_finish(&asked[i]);
    }
    world_remove(&world);
}

TEST(a_repeat_waits_until_its_first_is_on_the_disk) {
    struct world world;
    struct asked first;
    struct asked again;
    world_make(&world);
    EXPECT_EQ(sem_init(&faults.sync_gate, 0, 0), 0);
    atomic_store(&faults.is_sync_held, true);
    world_ask(&world, &first, "b", "k", "body", MESSAGE_FSYNC);
    await_turn(&world);
    world_ask(&world, &again, "b", "k", "body", 0);
    await_turn(&world);
    EXPECT_EQ(log_position_readable(world.log), 0);
    mailbox_deliver_all(&world.answers, NULL);
    EXPECT_FALSE(again.is_answered);
    atomic_store(&faults.is_sync_held, false);
    sem_post(&faults.sync_gate);
    EXPECT_EQ(asked_await(&again), OK);
    EXPECT_EQ(asked_await(&first), OK);
    expect_repeated(&first, &again);
    asked_finish(&first);
    asked_finish(&again);
    world_remove(&world);
    sem_destroy(&faults.sync_gate);
}

TEST(a_first_whose_write_failed_was_none_and_its_repeat_is_the_first) {
    struct world world;
    struct asked first;
    struct asked again;
    struct asked third;
    world_make_waiting(&world);
    atomic_store(&faults.appends_to_fail, 1);
    world_ask(&world, &first, "ab", "k", "body", 0);
    world_ask(&world, &again, "ab", "k", "body", 0);
    world_start(&world);
    EXPECT_EQ(asked_await(&first), ERR_STORAGE_FULL);
    EXPECT_EQ(asked_await(&again), OK);
    world_ask(&world, &third, "ab", "k", "body", 0);
    EXPECT_EQ(asked_await(&third), OK);
    expect_repeated(&again, &third);
    EXPECT_EQ(again.messages[1]->place.position, 2);
    expect_figures(&world, 2, 1, 1);
    asked_finish(&first);
    asked_finish(&again);
    asked_finish(&third);
    world_remove(&world);
}

/* Steps go behind what is there. */
static void put_session(struct world *world) {
    world_submit(world, storage_object_message(STORAGE_OBJECT_GROUP, STORAGE_OBJECT_PUT, SPAN("me"),
                                               SPAN("it: ")));
}

/* What the steps of the session `me` put behind one another. */
static void on_object(void *context, struct span name, struct span state) {
    char *text = context;
    (void)name;
    snprintf(text, 32, "%.*s", (int)state.length, (const char *)state.bytes);
}

static void expect_steps(struct world *world, const char *steps) {
    char text[32] = "";
    world_close(world);
    world_open(world);
    EXPECT_EQ(storage_each_object(world->storage, STORAGE_OBJECT_GROUP, on_object, text, NULL), OK);
    EXPECT_STRING(text, steps);
}

TEST(the_commands_of_a_repeat_are_written_and_nothing_else_of_it) {
    struct world world;
    struct asked asked[4];
    world_make(&world);
    put_session(&world);
    world_ask(&world, &asked[0], "aa", "k", "body", 0);
    EXPECT_EQ(asked_await(&asked[0]), OK);
    world_ask(&world, &asked[1], "aaS", "k", "body", 0);
    EXPECT_EQ(asked_await(&asked[1]), OK);
    expect_repeated(&asked[0], &asked[1]);
    world_ask(&world, &asked[2], "aaS", "k", "other", 0);
    EXPECT_EQ(asked_await(&asked[2]), ERR_UNPROCESSABLE);
    EXPECT_EQ(world_count_stored(&world, "a"), 2);
    expect_steps(&world, "it: body");
    world_ask(&world, &asked[3], "aaS", "k", "body", 0); /* what was stored is told alike */
    EXPECT_EQ(asked_await(&asked[3]), OK);
    expect_repeated(&asked[0], &asked[3]);
    EXPECT_EQ(world_count_stored(&world, "a"), 2);
    for (size_t i = 0; i < ARRAY_COUNT(asked); i++) {
        asked_finish(&asked[i]);
    }
    world_remove(&world);
}

TEST(the_key_of_a_publish_with_commands_is_stored_without_them) {
    struct world world;
    struct asked first;
    struct asked again;
    world_make(&world);
    put_session(&world);
    world_ask(&world, &first, "aS", "k", "body", 0);
    EXPECT_EQ(asked_await(&first), OK);
    expect_steps(&world, "it: body");
    world_ask(&world, &again, "a", "k", "body", 0);
    EXPECT_EQ(asked_await(&again), OK);
    expect_repeated(&first, &again);
    asked_finish(&first);
    asked_finish(&again);
    world_remove(&world);
}

TEST(commands_of_a_repeat_that_could_not_be_written_go_with_it_when_it_is_the_first) {
    struct world world;
    struct asked first;
    struct asked again;
    struct asked third;
    world_make_waiting(&world);
    atomic_store(&faults.appends_to_fail, 1);
    world_ask(&world, &first, "aS", "k", "body", 0);
    world_ask(&world, &again, "aS", "k", "body", 0);
    world_start(&world);
    EXPECT_EQ(asked_await(&first), ERR_STORAGE_FULL);
    EXPECT_EQ(asked_await(&again), OK);
    EXPECT_FALSE(again.publish.is_repeated);
    atomic_store(&faults.appends_to_fail, 1);
    world_ask(&world, &third, "aS", "k", "body", 0); /* nothing but a repeat, and it fails */
    EXPECT_EQ(asked_await(&third), ERR_STORAGE_FULL);
    EXPECT_EQ(again.messages[1]->place.position, 2);
    EXPECT_EQ(world_count_stored(&world, "a"), 1);
    asked_finish(&first);
    asked_finish(&again);
    asked_finish(&third);
    world_remove(&world);
}

TEST(a_full_disk_refuses_the_new_and_answers_the_known) {
    struct world world;
    struct asked first;
    struct asked fresh;
    struct asked again;
    world_make(&world);
    world_ask(&world, &first, "a", "k", "body", 0);
    EXPECT_EQ(asked_await(&first), OK);
    atomic_store(&faults.appends_to_fail, 100);
    world_ask(&world, &fresh, "a", "l", "body", 0);
    world_ask(&world, &again, "a", "k", "body", 0);
    EXPECT_EQ(asked_await(&fresh), ERR_STORAGE_FULL);
    EXPECT_EQ(asked_await(&again), OK);
    expect_repeated(&first, &again);
    expect_figures(&world, 1, 1, 1);
    EXPECT_EQ(metrics_count_observed(world.metrics, METRIC_JOURNAL_APPEND, 0), 1);
    EXPECT_EQ(metrics_sum(world.metrics, METRIC_JOURNAL_APPEND_FAILURES, 0), 1);
    atomic_store(&faults.appends_to_fail, 0);
    asked_finish(&first);
    asked_finish(&fresh);
    asked_finish(&again);
    world_remove(&world);
}

TEST(a_repeat_is_answered_as_the_first_though_its_messages_were_deleted) {
    struct world world;
    struct asked first;
    struct asked delete;
    struct asked again;
    world_make(&world);
    world_ask(&world, &first, "aa", "k", "body", 0);
    EXPECT_EQ(asked_await(&first), OK);
    world_ask(&world, &delete, "D", NULL, "", 0);
    EXPECT_EQ(asked_await(&delete), OK);
    world_ask(&world, &again, "aa", "k", "body", 0);
    EXPECT_EQ(asked_await(&again), OK);
    expect_repeated(&first, &again);
    asked_finish(&first);
    asked_finish(&delete);
    asked_finish(&again);
    world_remove(&world);
}

TEST(a_log_that_is_opened_again_knows_the_keys_that_storage_kept) {
    struct world world;
    struct asked first;
    struct asked again;
    struct storage_repeat_place places[ASKED_MAX];
    world_make(&world);
    world_ask(&world, &first, "aab", "k", "body", 0);
    EXPECT_EQ(asked_await(&first), OK);
    for (size_t i = 0; i < first.publish.count; i++) {
        const struct place *place = &first.messages[i]->place;
        places[i] = (struct storage_repeat_place){place->channel_id, place->offset};
    }
    faults.stored = (struct storage_repeat){.hash = first.messages[0]->fields.idempotency_hash,
                                            .time_ms = first.messages[0]->time_ms,
                                            .generation = first.messages[0]->place.generation,
                                            .position_first = first.messages[0]->place.position,
                                            .count = first.publish.count,
                                            .places = places};
    world_close(&world);
    world_open(&world);
    world_ask(&world, &again, "aab", "k", "body", 0);
    EXPECT_EQ(asked_await(&again), OK);
    expect_repeated(&first, &again);
    expect_figures(&world, 0, 1, 1);
    faults.stored = (struct storage_repeat){0};
    asked_finish(&first);
    asked_finish(&again);
    world_remove(&world);
}

UNIT_TESTS(UNIT(a_repeat_is_answered_as_the_first_and_stores_nothing),
           UNIT(repeats_of_the_same_turn_are_answered_with_their_first),
           UNIT(a_repeat_waits_until_its_first_is_on_the_disk),
           UNIT(a_first_whose_write_failed_was_none_and_its_repeat_is_the_first),
           UNIT(the_commands_of_a_repeat_are_written_and_nothing_else_of_it),
           UNIT(the_key_of_a_publish_with_commands_is_stored_without_them),
           UNIT(commands_of_a_repeat_that_could_not_be_written_go_with_it_when_it_is_the_first),
           UNIT(a_full_disk_refuses_the_new_and_answers_the_known),
           UNIT(a_repeat_is_answered_as_the_first_though_its_messages_were_deleted),
           UNIT(a_log_that_is_opened_again_knows_the_keys_that_storage_kept))
