/* SPDX-License-Identifier: Apache-2.0 */
/* What has ended, and what there is room for. */
#include "broker/runtime/revoking.h"

#include "broker/limits.h"
#include "tests/broker/runtime/court.h"

/* --- claims: what has ended ------------------------------------------------------------------- */

TEST(what_has_ended_is_told_to_nobody_at_a_start_and_deleted_with_the_next_change) {
    struct revocation it = court_make_token("t");
    court_store_ended(2);
    court_start();
    EXPECT_EQ(revocations_count(court.workers[0].access.set), 0);
    court_change(&it, false);
    EXPECT_EQ(court.object_count, 1);
    EXPECT_EQ(revocations_count(revoking_borrow(court.revoking)), 1);
}

TEST(more_ends_than_one_change_has_room_for_are_deleted_with_those_behind_it) {
    struct revocation it = court_make_token("t");
    court_store_ended(REVOKING_ENDS_MAX + 10);
    court_start();
    court_change(&it, false);
    EXPECT_EQ(court.object_count, 1 + 10);
    court_change(&it, true);
    EXPECT_EQ(court.object_count, 0);
    EXPECT_EQ(revocations_count(revoking_borrow(court.revoking)), 0);
}

TEST(an_ended_one_that_is_revoked_anew_does_not_end_with_that_change) {
    court_store_ended(3);
    court_start();
    struct revocation it = court_make_token("ended 1");
    court_change(&it, false);
    EXPECT_EQ(court.object_count, 1);
    court_restart();
    EXPECT_TRUE(court_has(court.workers[0].access.set, &it));
}

TEST(an_ended_one_that_is_revoked_anew_does_not_end_with_a_change_behind_that) {
    court_store_ended(REVOKING_ENDS_MAX + 3);
    court_start();
    struct revocation anew =
        court_make_token("ended 65"); /* for whose end the change has no room */
    struct revocation other = court_make_token("t");
    EXPECT_EQ(court_ask(&anew, false), OK);
    EXPECT_EQ(court_ask(&other, false), OK);
    court_settle(2);
    EXPECT_EQ(court.object_count, 2);
    court_restart();
    EXPECT_TRUE(court_has(court.workers[0].access.set, &anew));
}

TEST(one_that_ends_while_it_is_revoked_anew_does_not_end_with_a_change_behind_that) {
    struct revocation it = court_make(REVOCATION_TOKEN, "a", NULL, NOW_S + 1);
    struct revocation other = court_make_token("b");
    court_change(&it, false);
    it.until_s = LATER_S;
    EXPECT_EQ(court_ask(&it, false), OK);
    court.later_s = 2;
    EXPECT_EQ(court_ask(&other, false), OK);
    court_settle(2);
    EXPECT_EQ(court.object_count, 2);
    court_restart();
    EXPECT_TRUE(court_has(court.workers[0].access.set, &it));
}

TEST(ends_that_were_not_stored_are_given_back_while_another_change_is_under_way) {
    struct revocation it = court_make_token("t");
    struct revocation anew = court_make_token("ended 1");
    court_store_ended(3);
    court_start();
    EXPECT_EQ(court_ask(&it, false), OK);
    EXPECT_EQ(court_ask(&anew, false), OK);
    court_answer(ERR_STORAGE_FULL);
    court_settle(1);
    court_change(&it, false);
    EXPECT_EQ(court.object_count, 2);
    court_restart();
    EXPECT_TRUE(court_has(court.workers[0].access.set, &anew));
}

TEST(ends_that_the_log_did_not_take_are_deleted_with_a_change_that_it_takes) {
    struct revocation it = court_make_token("t");
    court_store_ended(3);
    court_start();
    court.refusal = ERR_BUSY;
    EXPECT_EQ(court_ask(&it, false), ERR_BUSY);
    court.refusal = OK;
    EXPECT_EQ(court_ask(&it, false), OK);
    court_answer(ERR_STORAGE_FULL);
    EXPECT_EQ(court.object_count, 3);
    court_change(&it, false);
    EXPECT_EQ(court.object_count, 1);
}

TEST(an_end_that_was_not_stored_does_not_take_the_place_of_what_was_revoked_meanwhile) {
    struct revocation it = court_make(REVOCATION_TOKEN, "a", NULL, NOW_S + 1);
    court_change(&it, false);
    it.until_s = LATER_S;
    EXPECT_EQ(court_ask(&it, false), OK);
    court.later_s = 2;
    EXPECT_EQ(court_ask(&it, true), OK); /* takes out the one that has ended */
    court_settle(1);
    court_answer(ERR_STORAGE_FULL);
    struct revocation known;
    EXPECT_TRUE(revocations_find(revoking_borrow(court.revoking), &it, &known));
    EXPECT_EQ(known.until_s, LATER_S);
}

/* One that has ended, which the change of `other` takes out, and the next one puts anew: both wait
 * for the log. */
static struct revocation put_anew_beside(const struct revocation *other) {
    struct revocation it = court_make(REVOCATION_TOKEN, "a", NULL, NOW_S + 1);
    court_change(&it, false);
    court.later_s = 2;
    it.until_s = LATER_S;
    EXPECT_EQ(court_ask(other, false), OK);
    EXPECT_EQ(court_ask(&it, false), OK);
    return it;
}

/* Both changes are refused by the disk: whoever would have put it anew has its end to tell. */
TEST(an_end_that_was_not_stored_goes_to_whoever_changes_it_and_is_deleted_with_a_later_one) {
    struct revocation other = court_make_token("b");
    struct revocation it = put_anew_beside(&other);
    EXPECT_EQ(court_ask(&it, true), OK);
    court_answer(ERR_STORAGE_FULL);
    court_answer(ERR_STORAGE_FULL);
    court_answer(ERR_STORAGE_FULL);
    EXPECT_EQ(revocations_count(revoking_borrow(court.revoking)), 1);
    court_change(&other, false);
    EXPECT_EQ(court.object_count, 1);
    EXPECT_FALSE(court_has(court.workers[0].access.set, &it));
    EXPECT_FALSE(court_has(court.workers[1].access.set, &it));
}

TEST(an_end_that_went_to_whoever_changes_it_does_not_end_what_that_puts) {
    struct revocation other = court_make_token("b");
    struct revocation it = put_anew_beside(&other);
    court_answer(ERR_STORAGE_FULL);
    court_settle(1);
    EXPECT_EQ(court.object_count, 1);
    EXPECT_TRUE(court_has(court.workers[0].access.set, &it));
    EXPECT_TRUE(court_has(court.workers[1].access.set, &it));
    court_restart();
    EXPECT_TRUE(court_has(court.workers[0].access.set, &it));
}

TEST(an_end_that_was_not_stored_is_nobodys_behind_a_lift_that_is_stored_and_walks) {
    struct revocation it = court_make(REVOCATION_TOKEN, "a", NULL, NOW_S + 1);
    court_change(&it, false);
    EXPECT_EQ(court_ask(&it, true), OK);
    court.later_s = 2;
    EXPECT_EQ(court_ask(&it, false), OK); /* takes out the one that has ended */
    court_answer(OK);
    court_answer(ERR_STORAGE_FULL);
    court_tell();
    court.sift.on_over(court.sift.context, 0);
    EXPECT_EQ(court.object_count, 0);
    EXPECT_EQ(revocations_count(revoking_borrow(court.revoking)), 0);
    EXPECT_EQ(revocations_count(court.workers[0].access.set), 0);
}

TEST(a_worker_is_told_what_has_ended_and_so_has_room_whatever_its_clock_says) {
    struct revocation it = court_make(REVOCATION_TOKEN, "a", NULL, NOW_S + 1);
    struct revocation other = court_make_token("b");
    court_change(&it, false);
    court.later_s = 2;
    court_change(&other, false);
    EXPECT_FALSE(court_has(court.workers[0].access.set, &it));
    EXPECT_FALSE(court_has(court.workers[1].access.set, &it));
    EXPECT_EQ(revocations_count(court.workers[0].access.set), 1);
}

/* --- claims: bounds --------------------------------------------------------------------------- */

TEST(so_many_changes_are_under_way_at_a_time_and_each_is_until_its_sift_is_over) {
    struct revocation it = court_make_token("t");
    for (size_t i = 0; i < REVOKINGS_MAX; i++) {
        EXPECT_EQ(court_ask(&it, false), OK);
    }
    EXPECT_EQ(court_ask(&it, false), ERR_BUSY);
    court_answer(OK);
    court_tell();
    EXPECT_EQ(court_ask(&it, false), ERR_BUSY);
    court.sift.on_over(court.sift.context, 0);
    EXPECT_EQ(court_ask(&it, false), OK);
    court_settle(REVOKINGS_MAX);
}

TEST(a_full_set_takes_what_it_has_and_lifts_and_nothing_new) {
    char text[TEXT_BYTES];
    court.crowd_count = REVOCATIONS_MAX;
    court.crowd_until_s = LATER_S;
    court_start();
    struct revocation it = court_make_token("t");
    struct revocation known = court_crowd_member(7, text);
    EXPECT_EQ(court_ask(&it, false), ERR_FULL);
    court_change(&known, false);
    EXPECT_EQ(court_ask(&it, true), OK);
    court_answer(ERR_IO);
    court_change(&known, true);
    EXPECT_EQ(court_ask(&it, false), OK);
    EXPECT_EQ(court_ask(&known, false), ERR_FULL); /* the one under way has the last place */
    court_settle(1);
    EXPECT_EQ(court.answered, OK);
    EXPECT_EQ(revocations_count(revoking_borrow(court.revoking)), REVOCATIONS_MAX);
}

TEST(a_set_that_is_full_of_what_has_ended_takes_new_ones) {
    struct revocation it = court_make_token("t");
    court.crowd_count = REVOCATIONS_MAX;
    court.crowd_until_s = NOW_S;
    court_start();
    court_change(&it, false);
    EXPECT_EQ(court.answered, OK);
    EXPECT_TRUE(court_has(revoking_borrow(court.revoking), &it));
    EXPECT_EQ(revocations_count(revoking_borrow(court.revoking)),
              REVOCATIONS_MAX - REVOKING_ENDS_MAX + 1);
}

TEST(what_is_given_back_finds_its_place_though_others_were_asked_for_meanwhile) {
    struct revocation it = court_make_token("t");
    struct revocation other = court_make_token("u");
    court_store_ended(1);
    court.crowd_count = REVOCATIONS_MAX - 1;
    court.crowd_until_s = LATER_S;
    court_start();
    EXPECT_EQ(court_ask(&it, false), OK); /* in the place of the one that has ended */
    EXPECT_EQ(court_ask(&other, false), ERR_FULL);
    court_answer(ERR_STORAGE_FULL);
    EXPECT_EQ(revocations_count(revoking_borrow(court.revoking)), REVOCATIONS_MAX);
    court_change(&it, false);
    EXPECT_EQ(court.answered, OK);
    EXPECT_EQ(revocations_count(revoking_borrow(court.revoking)), REVOCATIONS_MAX);
}

TEST(more_that_has_ended_than_there_is_room_for_is_no_reason_not_to_start) {
    struct revocation it = court_make_token("t");
    court_fill_object(&court.objects[court.object_count++], &it);
    court_store_ended(1);
    court.crowd_count = REVOCATIONS_MAX;
    court.crowd_until_s = NOW_S;
    court_start();
    EXPECT_TRUE(court_has(court.workers[0].access.set, &it));
    EXPECT_EQ(revocations_count(revoking_borrow(court.revoking)), REVOCATIONS_MAX);
}

#define EMPTY(name) cmocka_unit_test_setup_teardown(name, court_begin_empty, court_end)
#define STORED(name) cmocka_unit_test_setup_teardown(name, court_begin, court_end)

UNIT_TESTS(
    STORED(what_has_ended_is_told_to_nobody_at_a_start_and_deleted_with_the_next_change),
    STORED(more_ends_than_one_change_has_room_for_are_deleted_with_those_behind_it),
    STORED(an_ended_one_that_is_revoked_anew_does_not_end_with_that_change),
    STORED(an_ended_one_that_is_revoked_anew_does_not_end_with_a_change_behind_that),
    EMPTY(one_that_ends_while_it_is_revoked_anew_does_not_end_with_a_change_behind_that),
    STORED(ends_that_were_not_stored_are_given_back_while_another_change_is_under_way),
    STORED(ends_that_the_log_did_not_take_are_deleted_with_a_change_that_it_takes),
    EMPTY(an_end_that_was_not_stored_does_not_take_the_place_of_what_was_revoked_meanwhile),
    EMPTY(an_end_that_was_not_stored_goes_to_whoever_changes_it_and_is_deleted_with_a_later_one),
    EMPTY(an_end_that_went_to_whoever_changes_it_does_not_end_what_that_puts),
    EMPTY(an_end_that_was_not_stored_is_nobodys_behind_a_lift_that_is_stored_and_walks),
    EMPTY(a_worker_is_told_what_has_ended_and_so_has_room_whatever_its_clock_says),
    EMPTY(so_many_changes_are_under_way_at_a_time_and_each_is_until_its_sift_is_over),
    STORED(a_full_set_takes_what_it_has_and_lifts_and_nothing_new),
    STORED(a_set_that_is_full_of_what_has_ended_takes_new_ones),
    STORED(what_is_given_back_finds_its_place_though_others_were_asked_for_meanwhile),
    STORED(more_that_has_ended_than_there_is_room_for_is_no_reason_not_to_start))
