/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets which commit, and which sink follows which. */
#include "protocols/sinks/sinks.h"

#include "tests/protocols/sinks/crew.h"

/* --- claims: commits -------------------------------------------------------------------------- */

TEST(a_commit_is_told_to_those_who_read_its_channels) {
    crew_follow(SINK("one", "a") SINK("two", "b"));
    crew_commit("aabc");
    crew_commit("B");
    const struct sink *one = &crew.made[0];
    const struct sink *two = &crew.made[1];
    EXPECT_EQ(one->message_count, 2);
    EXPECT_EQ(one->delete_count, 0);
    EXPECT_EQ(two->message_count, 1);
    EXPECT_EQ(two->delete_count, 1);
    EXPECT_EQ(one->missed_count + two->missed_count, 0);
}

TEST(what_was_readable_when_the_first_sink_came_is_not_told_again) {
    crew.readable = HEAD + 2; /* which that sink finds in the log */
    crew_follow(SINK("one", "a"));
    crew_commit("aa");
    EXPECT_EQ(crew.made[0].message_count, 0);
    crew_commit("a");
    EXPECT_EQ(crew.made[0].message_count, 1);
}

TEST(a_commit_that_begins_before_it_is_told_from_there_on) {
    crew.readable = HEAD + 1;
    crew_follow(SINK("one", "a"));
    crew_commit("aaa");
    EXPECT_EQ(crew.made[0].message_count, 2);
}

TEST(commits_that_were_missed_are_told_to_all_and_what_follows_is_not_lost) {
    crew_follow(SINK("one", "a") SINK("two", "b"));
    crew_commit("a");
    crew.position += 5; /* found no room */
    crew.readable = crew.position - 1;
    atomic_store(&sinks_listener(crew.broker.sinks)->has_missed, true);
    crew_commit("ab"); /* is readable, too: they find it in the log */
    EXPECT_EQ(crew.made[0].missed_count, 1);
    EXPECT_EQ(crew.made[1].missed_count, 1);
    EXPECT_FALSE(sinks_listener(crew.broker.sinks)->has_missed);
    EXPECT_EQ(metrics_sum(crew.broker.metrics, METRIC_COMMITS_MISSED, 0), 1);
    EXPECT_EQ(crew.made[1].message_count, 0);
    crew_commit("ab");
    EXPECT_EQ(crew.made[0].message_count, 2);
    EXPECT_EQ(crew.made[1].message_count, 1);
    EXPECT_EQ(crew.made[1].missed_count, 1);
}

TEST(without_a_sink_the_log_need_not_tell_anything) {
    struct log_listener *listener = sinks_listener(crew.broker.sinks);
    EXPECT_TRUE(listener->is_away);
    crew_follow(SINK("one", "a") SINK("two", "a"));
    EXPECT_FALSE(listener->is_away);
    crew_follow(SINK("two", "a"));
    crew_finish(&crew.made[0]);
    EXPECT_FALSE(listener->is_away);
    crew_follow("");
    crew_finish(&crew.made[1]);
    EXPECT_TRUE(listener->is_away);
}

/* --- claims: who follows whom ----------------------------------------------------------------- */

TEST(a_sink_that_is_as_it_was_is_left_alone) {
    crew_follow(SINK("one", "a"));
    crew_follow(SINK("one", "a") SINK("two", "a"));
    EXPECT_EQ(crew.made_count, 2);
    EXPECT_FALSE(sink_is_ending(&crew.made[0]));
    EXPECT_TRUE(crew.made[1].is_started);
}

TEST(one_that_changes_ends_first_and_its_successor_goes_on_from_its_ledger) {
    crew_follow(SINK("one", "a"));
    crew_follow(SINK("one", "b"));
    EXPECT_EQ(crew.made_count, 1);
    EXPECT_TRUE(crew.made[0].is_ledger_wanted);
    crew_follow(SINK("one", "c")); /* again, before it has ended */
    crew_finish(&crew.made[0]);
    EXPECT_EQ(crew.made_count, 2);
    EXPECT_STRING(crew.made[1].record, "+");
    EXPECT_STRING(crew.made[1].row->channels.items[0], "c");
}

TEST(one_that_changes_back_before_it_has_ended_is_made_anew) {
    crew_follow(SINK("one", "a"));
    crew_follow(SINK("one", "b"));
    crew_follow(SINK("one", "a"));
    crew_finish(&crew.made[0]);
    EXPECT_STRING(crew.made[1].row->channels.items[0], "a");
}

TEST(one_that_is_gone_leaves_what_it_knew_to_one_of_its_name) {
    crew_follow(SINK("one", "a"));
    crew_follow("");
    crew_finish(&crew.made[0]);
    EXPECT_EQ(crew.made_count, 1);
    crew_follow(SINK("two", "a"));
    EXPECT_STRING(crew.made[1].record, "");
    crew_follow(SINK("one", "a") SINK("two", "a"));
    EXPECT_STRING(crew.made[2].record, "+");
}

TEST(one_that_is_taken_out_while_it_changes_does_not_come_back) {
    crew_follow(SINK("one", "a"));
    crew_follow(SINK("one", "b"));
    crew_follow("");
    crew_finish(&crew.made[0]);
    EXPECT_EQ(crew.made_count, 1);
}

TEST(one_that_cannot_be_made_is_tried_again_with_what_it_knew) {
    crew.stored_name = "one";
    crew.stored_ledger = "ledger";
    crew_create();
    crew.making = ERR_MEMORY;
    crew_follow(SINK("one", "a") SINK("two", "a"));
    EXPECT_EQ(crew.made_count, 0);
    EXPECT_TRUE(sinks_listener(crew.broker.sinks)->is_away);
    crew.making = OK;
    crew_follow(SINK("one", "a"));
    EXPECT_EQ(crew.made_count, 1);
    EXPECT_STRING(crew.made[0].record, "ledger");
}

/* --- claims: what is stored ------------------------------------------------------------------- */

#define STORED_ROW "{\"name\":\"one\",\"channels\":[\"z\"],\"webhook\":{\"url\":\"https://a\"}}"

TEST(a_sink_that_was_declared_is_there_again_and_goes_on) {
    crew.stored_name = "one";
    crew.stored_row = STORED_ROW;
    crew.stored_ledger = "ledger";
    crew_create();
    crew_follow("");
    EXPECT_EQ(crew.made_count, 1);
    EXPECT_NOT_NULL(crew.made[0].owned);
    EXPECT_STRING(crew.made[0].record, "ledger");
    crew_follow(""); /* it is of no file */
    EXPECT_FALSE(sink_is_ending(&crew.made[0]));
}

TEST(a_row_of_the_file_stands_before_a_declared_one_which_comes_back) {
    crew.stored_name = "one";
    crew.stored_row = STORED_ROW;
    crew_create();
    crew_follow("");
    crew_follow(SINK("one", "a"));
    crew_finish(&crew.made[0]);
    EXPECT_STRING(crew.made[1].row->channels.items[0], "a");
    EXPECT_STRING(crew.made[1].record, "+");
    crew_follow("");
    crew_finish(&crew.made[1]);
    EXPECT_EQ(crew.made_count, 3);
    EXPECT_STRING(crew.made[2].row->channels.items[0], "z");
    EXPECT_STRING(crew.made[2].record, "++");
}

TEST(a_declared_one_that_comes_into_the_file_as_it_is_becomes_the_files) {
    crew.stored_name = "one";
    crew.stored_row = STORED_ROW;
    crew_create();
    crew_follow("");
    crew_follow(SINK("one", "z"));
    crew_finish(&crew.made[0]);
    EXPECT_NULL(crew.made[1].owned);
    EXPECT_STRING(crew.made[1].record, "+");
}

TEST(a_declared_row_that_waits_goes_with_the_sinks) {
    crew.stored_name = "one";
    crew.stored_row = STORED_ROW;
    crew_create();
    crew_follow(SINK("one", "a"));
    EXPECT_EQ(crew.made_count, 1);
    EXPECT_STRING(crew.made[0].row->channels.items[0], "a");
}

TEST(a_stored_row_that_cannot_be_read_stops_nobody_and_its_ledger_is_kept) {
    crew.stored_name = "one";
    crew.stored_row = "{";
    crew.stored_ledger = "ledger";
    crew_create();
    crew_follow("");
    EXPECT_EQ(crew.made_count, 0);
    crew_follow(SINK("one", "a"));
    EXPECT_STRING(crew.made[0].record, "ledger");
}

#define EMPTY(name) cmocka_unit_test_setup_teardown(name, crew_begin_empty, crew_end)
#define STORED(name) cmocka_unit_test_setup_teardown(name, crew_begin, crew_end)

UNIT_TESTS(EMPTY(a_commit_is_told_to_those_who_read_its_channels),
           EMPTY(what_was_readable_when_the_first_sink_came_is_not_told_again),
           EMPTY(a_commit_that_begins_before_it_is_told_from_there_on),
           EMPTY(commits_that_were_missed_are_told_to_all_and_what_follows_is_not_lost),
           EMPTY(without_a_sink_the_log_need_not_tell_anything),
           EMPTY(a_sink_that_is_as_it_was_is_left_alone),
           EMPTY(one_that_changes_ends_first_and_its_successor_goes_on_from_its_ledger),
           EMPTY(one_that_changes_back_before_it_has_ended_is_made_anew),
           EMPTY(one_that_is_gone_leaves_what_it_knew_to_one_of_its_name),
           EMPTY(one_that_is_taken_out_while_it_changes_does_not_come_back),
           STORED(one_that_cannot_be_made_is_tried_again_with_what_it_knew),
           STORED(a_sink_that_was_declared_is_there_again_and_goes_on),
           STORED(a_row_of_the_file_stands_before_a_declared_one_which_comes_back),
           STORED(a_declared_one_that_comes_into_the_file_as_it_is_becomes_the_files),
           STORED(a_declared_row_that_waits_goes_with_the_sinks),
           STORED(a_stored_row_that_cannot_be_read_stops_nobody_and_its_ledger_is_kept))
