/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/revoking.h"

#include "broker/limits.h"
#include "tests/broker/runtime/court.h"

static const struct identity alice = {
    .facts = {.kind = IDENTITY_TOKEN, .subject = SPAN_ROW("alice")}};
static const struct identity bob = {.facts = {.kind = IDENTITY_TOKEN, .subject = SPAN_ROW("bob")}};

/* --- claims: a change ------------------------------------------------------------------------- */

TEST(a_revocation_is_on_the_disk_before_anybody_is_told_and_told_before_it_is_answered) {
    struct revocation it = court_make(REVOCATION_SUBJECT, "alice", "acme", LATER_S);
    EXPECT_EQ(court_ask(&it, false), OK);
    EXPECT_EQ(court.asked_count, 1);
    EXPECT_FALSE(court_has(revoking_borrow(court.revoking), &it));
    EXPECT_EQ(court.sift_count, 0);
    court_answer(OK);
    EXPECT_EQ(court.object_count, 1);
    EXPECT_TRUE(court_has(revoking_borrow(court.revoking), &it));
    EXPECT_EQ(court.sift_count, 1);
    EXPECT_EQ(court.answered_count, 0);
    court_tell();
    EXPECT_TRUE(court_has(court.workers[0].access.set, &it));
    EXPECT_TRUE(court_has(court.workers[1].access.set, &it));
    EXPECT_EQ(court.answered_count, 1);
    EXPECT_EQ(court.answered, OK);
    court.sift.on_over(court.sift.context, 0);
    EXPECT_EQ(court.answered_count, 1);
}

TEST(the_spans_of_the_question_are_copied) {
    char text[] = "alice";
    struct revocation it = court_make(REVOCATION_SUBJECT, text, NULL, LATER_S);
    EXPECT_EQ(court_ask(&it, false), OK);
    memset(text, 'x', sizeof(text) - 1);
    court_settle(1);
    struct revocation copy = court_make(REVOCATION_SUBJECT, "alice", NULL, 0);
    EXPECT_TRUE(court_has(revoking_borrow(court.revoking), &copy));
    EXPECT_TRUE(court_has(court.workers[1].access.set, &copy));
}

TEST(connections_of_what_is_revoked_go_and_those_of_others_stay) {
    struct revocation it = court_make(REVOCATION_SUBJECT, "alice", NULL, LATER_S);
    EXPECT_EQ(court_ask(&it, false), OK);
    court_answer(OK);
    court_tell();
    EXPECT_TRUE(court.sift.must_go(court.sift.context, &alice));
    EXPECT_FALSE(court.sift.must_go(court.sift.context, &bob));
    EXPECT_FALSE(court.sift.includes_nobody);
    EXPECT_EQ(court.sift.reason, CLOSE_REVOKED);
    EXPECT_TRUE(court.sift.reply_to == &court.mailbox);
    court.sift.on_over(court.sift.context, 1);
}

TEST(a_lifted_one_is_deleted_and_told_and_ends_no_connection) {
    struct revocation it = court_make(REVOCATION_SUBJECT, "alice", NULL, LATER_S);
    court_change(&it, false);
    EXPECT_EQ(court_ask(&it, true), OK);
    EXPECT_TRUE(court_has(revoking_borrow(court.revoking), &it));
    court_answer(OK);
    EXPECT_EQ(court.object_count, 0);
    EXPECT_FALSE(court_has(revoking_borrow(court.revoking), &it));
    EXPECT_FALSE(court.sift.must_go(court.sift.context, &alice));
    court_tell();
    court.sift.on_over(court.sift.context, 0);
    EXPECT_FALSE(court_has(court.workers[0].access.set, &it));
    EXPECT_FALSE(court_has(court.workers[1].access.set, &it));
    EXPECT_EQ(court.answered_count, 2);
}

TEST(what_could_not_be_stored_is_answered_so_and_changes_nothing) {
    struct revocation it = court_make_token("t");
    EXPECT_EQ(court_ask(&it, false), OK);
    court_answer(ERR_STORAGE_FULL);
    EXPECT_EQ(court.answered_count, 1);
    EXPECT_EQ(court.answered, ERR_STORAGE_FULL);
    EXPECT_STRING(court.why.detail, "the disk");
    EXPECT_EQ(court.sift_count, 0);
    EXPECT_EQ(revocations_count(revoking_borrow(court.revoking)), 0);
    court_change(&it, false);
    EXPECT_EQ(court_ask(&it, true), OK);
    court_answer(ERR_IO);
    EXPECT_TRUE(court_has(revoking_borrow(court.revoking), &it));
}

TEST(what_nobody_can_be_told_any_more_is_answered_so_and_stored) {
    struct revocation it = court_make_token("t");
    court.sift_refusal = ERR_DRAINING;
    EXPECT_EQ(court_ask(&it, false), OK);
    court_answer(OK);
    EXPECT_EQ(court.answered_count, 1);
    EXPECT_EQ(court.answered, ERR_DRAINING);
    court_restart();
    EXPECT_TRUE(court_has(court.workers[0].access.set, &it));
}

TEST(a_question_that_the_log_does_not_take_is_not_answered_and_changes_nothing) {
    struct revocation it = court_make_token("t");
    court.refusal = ERR_BUSY;
    for (size_t i = 0; i < 2 * REVOKINGS_MAX; i++) {
        EXPECT_EQ(court_ask(&it, false), ERR_BUSY);
    }
    court.refusal = OK;
    court.is_memory_short = true;
    EXPECT_EQ(court_ask(&it, false), ERR_MEMORY);
    court.is_memory_short = false;
    EXPECT_EQ(court.answered_count, 0);
    EXPECT_EQ(revocations_count(revoking_borrow(court.revoking)), 0);
    court_change(&it, false);
    EXPECT_TRUE(court_has(revoking_borrow(court.revoking), &it));
}

TEST(a_revocation_that_is_not_enough_memory_for_is_refused_and_changes_nothing) {
    struct revocation it = court_make_token("t");
    size_t refused = 0;
    enum error_code code = ERR_MEMORY;
    while (code == ERR_MEMORY) {
        court.allocation_count = 0;
        court.allocation_failing = refused + 1;
        code = court_ask(&it, false);
        refused += code != OK;
        EXPECT_EQ(court.asked_count, code == OK);
        EXPECT_EQ(revocations_count(revoking_borrow(court.revoking)), 0);
    }
    court.allocation_failing = 0;
    EXPECT_EQ(code, OK);
    EXPECT_TRUE(refused >=
                3 + WORKERS); /* the change, the sift, an entry here and of each worker */
    court_settle(1);
    EXPECT_EQ(court.answered_count, 1);
}

TEST(what_the_log_has_taken_comes_to_all_workers_without_any_memory) {
    struct revocation it = court_make_token("t");
    EXPECT_EQ(court_ask(&it, false), OK);
    court.is_memory_short = true;
    court_settle(1);
    court.is_memory_short = false;
    EXPECT_EQ(court.answered_count, 1);
    EXPECT_EQ(court.answered, OK);
    EXPECT_TRUE(court_has(revoking_borrow(court.revoking), &it));
    for (size_t i = 0; i < WORKERS; i++) {
        EXPECT_TRUE(court_has(court.workers[i].access.set, &it));
    }
}

TEST(of_two_changes_of_one_entry_the_later_one_counts) {
    struct revocation it = court_make_token("t");
    EXPECT_EQ(court_ask(&it, false), OK);
    EXPECT_EQ(court_ask(&it, true), OK);
    court_settle(2);
    EXPECT_EQ(court.object_count, 0);
    EXPECT_FALSE(court_has(revoking_borrow(court.revoking), &it));
    EXPECT_FALSE(court_has(court.workers[0].access.set, &it));
}

/* --- claims: a start -------------------------------------------------------------------------- */

TEST(a_start_knows_all_that_was_revoked_and_tells_all_workers) {
    const struct revocation all[] = {
        court_make(REVOCATION_TOKEN, "t", NULL, LATER_S),
        court_make(REVOCATION_SUBJECT, "alice", "acme", LATER_S + 1),
        court_make(REVOCATION_TENANT, "acme", NULL, LATER_S + 2),
    };
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        court_change(&all[i], false);
    }
    court_restart();
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        for (size_t j = 0; j < WORKERS; j++) {
            struct revocation known;
            EXPECT_TRUE(revocations_find(court.workers[j].access.set, &all[i], &known));
            EXPECT_EQ(known.revoked_s, NOW_S);
            EXPECT_EQ(known.until_s, LATER_S + i);
        }
    }
    EXPECT_EQ(revocations_count(revoking_borrow(court.revoking)), ARRAY_COUNT(all));
}

TEST(an_object_is_two_moments_in_little_endian) {
    struct object expected;
    struct revocation it = court_make_token("t");
    court_change(&it, false);
    court_fill_object(&expected, &it);
    EXPECT_EQ(court.objects[0].state_length, expected.state_length);
    assert_memory_equal(court.objects[0].state, expected.state, expected.state_length);
}

TEST(a_start_takes_the_objects_of_a_later_version_that_have_more) {
    struct revocation it = court_make_token("t");
    revoking_destroy(court.revoking);
    court_fill_object(&court.objects[court.object_count++], &it);
    court.objects[0].state_length += 8;
    court_start();
    EXPECT_TRUE(court_has(court.workers[0].access.set, &it));
}

static void expect_no_start(enum error_code code) {
    struct error why;
    struct revoking *revoking = NULL;
    EXPECT_EQ(revoking_create(&court.broker, &revoking, &why), code);
    EXPECT_NULL(revoking);
}

TEST(a_start_fails_that_would_not_know_all) {
    struct revocation it = court_make_token("t");
    court_fill_object(&court.objects[court.object_count++], &it);
    court.objects[0].state_length--;
    expect_no_start(ERR_CORRUPT);
    court.objects[0].state_length++;
    court.objects[0].name[0] = REVOCATION_COUNT;
    expect_no_start(ERR_CORRUPT);
    court.object_count = 0;
    court.reading = ERR_IO;
    expect_no_start(ERR_IO);
    court.reading = OK;
    court.is_memory_short = true;
    expect_no_start(ERR_MEMORY);
    court.is_memory_short = false;
}

TEST(a_start_fails_that_cannot_tell_a_worker) {
    struct revocation it = court_make_token("t");
    revoking_destroy(court.revoking);
    court.revoking = NULL;
    court_fill_object(&court.objects[court.object_count++], &it);
    court.allocation_count = 0;
    court_start();
    revoking_destroy(court.revoking);
    court.revoking = NULL;
    size_t allocations = court.allocation_count;
    for (size_t i = 1; i <= allocations; i++) {
        court.allocation_count = 0;
        court.allocation_failing = i;
        expect_no_start(ERR_MEMORY);
    }
    court.allocation_failing = 0;
}

#define EMPTY(name) cmocka_unit_test_setup_teardown(name, court_begin_empty, court_end)
#define STORED(name) cmocka_unit_test_setup_teardown(name, court_begin, court_end)

UNIT_TESTS(EMPTY(a_revocation_is_on_the_disk_before_anybody_is_told_and_told_before_it_is_answered),
           EMPTY(the_spans_of_the_question_are_copied),
           EMPTY(connections_of_what_is_revoked_go_and_those_of_others_stay),
           EMPTY(a_lifted_one_is_deleted_and_told_and_ends_no_connection),
           EMPTY(what_could_not_be_stored_is_answered_so_and_changes_nothing),
           EMPTY(what_nobody_can_be_told_any_more_is_answered_so_and_stored),
           EMPTY(a_question_that_the_log_does_not_take_is_not_answered_and_changes_nothing),
           EMPTY(a_revocation_that_is_not_enough_memory_for_is_refused_and_changes_nothing),
           EMPTY(what_the_log_has_taken_comes_to_all_workers_without_any_memory),
           EMPTY(of_two_changes_of_one_entry_the_later_one_counts),
           EMPTY(a_start_knows_all_that_was_revoked_and_tells_all_workers),
           EMPTY(an_object_is_two_moments_in_little_endian),
           EMPTY(a_start_takes_the_objects_of_a_later_version_that_have_more),
           STORED(a_start_fails_that_would_not_know_all),
           EMPTY(a_start_fails_that_cannot_tell_a_worker))
