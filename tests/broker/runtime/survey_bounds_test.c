/* SPDX-License-Identifier: Apache-2.0 */
/* What a survey costs a turn, and what it may keep. */
#include "broker/runtime/survey.h"

#include <stdlib.h>

#include "tests/broker/runtime/crowd.h"

#define TEXT_BYTES 96
#define SELECTORS (SURVEY_ROW_BYTES_MAX / TEXT_BYTES) /* whose texts alone fill a row */

static uint8_t text[TEXT_BYTES];
static struct storage_selector selectors[SELECTORS];

static void fill_selectors(void) {
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < SELECTORS; i++) {
        selectors[i] = (struct storage_selector){span_of(text, sizeof(text)), false};
    }
}

static struct survey_question list_all(void) {
    return (struct survey_question){
        .kind = SURVEY_CONNECTIONS, .order = SURVEY_BY_AGE, .limit = SURVEY_ROWS_MAX};
}

/* --- claims: a turn --------------------------------------------------------------------------- */

/* How many turns of worker 0 a survey takes. */
static size_t count_turns(const struct survey_question *question) {
    size_t turns = 0;
    survey_destroy(crowd.survey);
    crowd.survey = NULL;
    EXPECT_EQ(crowd_begin_asking(question), OK);
    for (; !mailbox_is_empty(&crowd.workers[0].mailbox); turns++) {
        crowd_turn(0);
    }
    crowd_turn_all();
    EXPECT_NOT_NULL(crowd.survey);
    return turns;
}

TEST(a_turn_looks_at_a_bounded_number_of_connections) {
    struct survey_question question = list_all();
    question.id = UINT64_MAX; /* nobody's: looking costs a step */
    for (size_t i = 0; i < SURVEY_STEPS_MAX; i++) {
        crowd_come(0);
    }
    EXPECT_EQ(count_turns(&question), 1);
    crowd_come(0);
    EXPECT_EQ(count_turns(&question), 2);
    question.kind = SURVEY_DISMISS;
    EXPECT_EQ(count_turns(&question), 2);
}

TEST(rows_readers_and_selectors_take_steps_too) {
    struct survey_question question = list_all();
    fill_selectors();
    for (size_t i = 0; i < SURVEY_STEPS_MAX; i++) {
        crowd_come(0);
    }
    EXPECT_EQ(count_turns(&question), 2); /* a step to look, one for the row */
    for (size_t i = 0; i < SURVEY_STEPS_MAX; i++) {
        connection_read_channel(&crowd.connections[0][i], "a", 1);
    }
    EXPECT_EQ(count_turns(&question), 4);
    for (size_t i = 0; i < 8; i++) {
        connection_read(&crowd.connections[0][i], selectors, (size_t)SURVEY_STEPS_MAX * 8, 1);
    }
    EXPECT_TRUE(count_turns(&question) >= 4 + 8 - 1);
}

TEST(a_turn_counts_the_readers_of_a_bounded_number_of_channels) {
    static struct span channels[SURVEY_STEPS_MAX + 1];
    struct survey_question question = {.kind = SURVEY_READERS, .channels = channels};
    for (size_t i = 0; i < ARRAY_COUNT(channels); i++) {
        channels[i] = SPAN("a");
    }
    question.channel_count = SURVEY_STEPS_MAX / 4;
    EXPECT_EQ(count_turns(&question), 1);
    question.channel_count = SURVEY_STEPS_MAX / 4 + 1;
    EXPECT_EQ(count_turns(&question), 2);
    question.channel_count = SURVEY_STEPS_MAX;
    EXPECT_EQ(count_turns(&question), 4);
}

TEST(who_comes_behind_the_beginning_is_not_looked_at) {
    struct survey_question question = list_all();
    for (size_t i = 0; i < SURVEY_STEPS_MAX - 10; i++) {
        crowd_come(0);
    }
    EXPECT_EQ(crowd_begin_asking(&question), OK);
    crowd_turn(0);
    crowd_come(0);
    crowd_turn_all();
    EXPECT_EQ(survey_answer(crowd.survey)->row_count, SURVEY_STEPS_MAX - 10);
}

TEST(the_answer_waits_for_the_last_worker) {
    struct survey_question question = list_all();
    crowd_come(1);
    EXPECT_EQ(crowd_begin_asking(&question), OK);
    crowd_turn(0);
    EXPECT_TRUE(mailbox_is_empty(&crowd.mailbox));
    crowd_turn_all();
    EXPECT_EQ(crowd.answered_count, 1);
    EXPECT_EQ(survey_answer(crowd.survey)->row_count, 1);
}

TEST(the_walk_goes_on_behind_one_that_ends_where_it_stands) {
    struct survey_question question = list_all();
    for (size_t i = 0; i < SURVEY_STEPS_MAX; i++) {
        crowd_come(0);
    }
    EXPECT_EQ(crowd_begin_asking(&question), OK);
    crowd_turn(0);
    struct connection *next = &crowd.connections[0][SURVEY_STEPS_MAX / 2];
    crowd_go(&next[0]);
    crowd_go(&next[1]);
    crowd_go(&next[-1]); /* its row is there already */
    crowd_turn_all();
    const struct survey_answer *answer = survey_answer(crowd.survey);
    EXPECT_EQ(answer->row_count, SURVEY_STEPS_MAX - 2);
    EXPECT_EQ(answer->rows[SURVEY_STEPS_MAX / 2]->rank.id, next[2].id);
}

/* --- claims: memory --------------------------------------------------------------------------- */

TEST(selectors_that_a_row_has_no_room_for_are_counted_and_left_out) {
    fill_selectors();
    struct connection *connection = crowd_come(0);
    connection->client_id = SPAN("device-7");
    connection_read(connection, selectors, SELECTORS, 1);
    connection_read(connection, selectors, 1, 1);
    struct survey_question question = list_all();
    const struct survey_row *row = crowd_ask(&question)->rows[0];
    EXPECT_TRUE(row->size <= SURVEY_ROW_BYTES_MAX);
    EXPECT_TRUE(row->size > SURVEY_ROW_BYTES_MAX - 200);
    const struct survey_reader *reader = &row->readers[0];
    EXPECT_TRUE(reader->selectors_left_out > 0);
    EXPECT_EQ(reader->selector_count + reader->selectors_left_out, SELECTORS);
    EXPECT_EQ(reader->selectors[reader->selector_count - 1].text.length, TEXT_BYTES);
    EXPECT_EQ(row->reader_count + row->readers_left_out, 2);
    EXPECT_SPAN(row->client.client_id, "device-7");
}

TEST(readers_that_a_row_has_no_room_for_are_counted_and_left_out) {
    static uint8_t all_of_it[SURVEY_ROW_BYTES_MAX];
    size_t head = sizeof(struct survey_row) + sizeof(struct survey_reader);
    const struct storage_selector large = {
        span_of(all_of_it, sizeof(all_of_it) - head - sizeof(large)), false};
    struct connection *connection = crowd_come(0);
    connection_read(connection, &large, 1, 1);
    connection_read(connection, &large, 0, 9);
    struct survey_question question = list_all();
    question.order = SURVEY_BY_LAG;
    const struct survey_row *row = crowd_ask(&question)->rows[0];
    EXPECT_EQ(row->size, SURVEY_ROW_BYTES_MAX);
    EXPECT_EQ(row->reader_count, 1);
    EXPECT_EQ(row->readers_left_out, 1);
    EXPECT_EQ(row->rank.key, 9); /* it counts all the same */
}

TEST(what_the_workers_keep_is_bounded_and_pages_show_all_of_it_nevertheless) {
    enum { LARGE = SURVEY_BYTES_MAX / SURVEY_ROW_BYTES_MAX / WORKERS * 2 };
    fill_selectors();
    for (size_t i = 0; i < LARGE; i++) {
        connection_read(crowd_come(0), selectors, SELECTORS, i * 37 % LARGE);
        connection_read_channel(crowd_come(1), "a", i * 41 % LARGE);
    }
    struct survey_question question = list_all();
    question.order = SURVEY_BY_LAG;
    struct survey_rank last = {UINT64_MAX, 0};
    size_t seen = 0;
    size_t pages = 0;
    for (bool has_more = true; has_more; question.has_after = true, question.after = last) {
        const struct survey_answer *answer = crowd_ask(&question);
        size_t bytes = 0;
        EXPECT_EQ(answer->result, OK);
        EXPECT_TRUE(answer->row_count > 0);
        for (size_t i = 0; i < answer->row_count; i++, seen++) {
            EXPECT_TRUE(survey_rank_is_before(&last, &answer->rows[i]->rank));
            last = answer->rows[i]->rank;
            bytes += answer->rows[i]->size;
        }
        EXPECT_TRUE(bytes <= SURVEY_BYTES_MAX);
        has_more = answer->has_more;
        pages++;
    }
    EXPECT_EQ(pages, 2); /* a worker has room for half of the large rows */
    EXPECT_EQ(seen, (size_t)2 * LARGE);
}

/* --- claims: refusals ------------------------------------------------------------------------- */

TEST(so_many_surveys_are_under_way_at_a_time_and_each_is_until_it_is_destroyed) {
    struct survey_question question = list_all();
    struct survey *surveys[SURVEYS_MAX];
    for (size_t i = 0; i < SURVEYS_MAX; i++) {
        EXPECT_EQ(crowd_ask(&question)->result, OK);
        surveys[i] = crowd.survey;
        crowd.survey = NULL;
    }
    EXPECT_EQ(crowd_begin_asking(&question), ERR_BUSY);
    EXPECT_EQ(crowd_begin_asking(&question), ERR_BUSY);
    survey_destroy(surveys[0]);
    EXPECT_EQ(crowd_ask(&question)->result, OK);
    for (size_t i = 1; i < SURVEYS_MAX; i++) {
        survey_destroy(surveys[i]);
    }
}

TEST(a_place_that_was_taken_before_is_one_of_them_and_is_its_takers) {
    struct survey_question question = list_all();
    for (size_t i = 0; i < SURVEYS_MAX; i++) {
        EXPECT_EQ(survey_reserve(&crowd.broker), OK);
    }
    EXPECT_EQ(survey_reserve(&crowd.broker), ERR_BUSY);
    EXPECT_EQ(crowd_begin_asking(&question), ERR_BUSY);
    question.has_place = true;
    EXPECT_EQ(crowd_ask(&question)->result, OK);
    survey_destroy(crowd.survey);
    crowd.survey = NULL;
    crowd.allocation_failing = 0;
    EXPECT_EQ(crowd_begin_asking(&question), ERR_MEMORY);
    crowd.allocation_failing = SIZE_MAX;
    EXPECT_EQ(survey_reserve(&crowd.broker), ERR_BUSY);
    for (size_t i = 0; i < SURVEYS_MAX; i++) {
        survey_release(&crowd.broker);
    }
}

TEST(a_broker_that_stops_is_asked_nothing) {
    struct survey_question question = list_all();
    atomic_store(&crowd.broker.is_stopping, true);
    EXPECT_EQ(crowd_begin_asking(&question), ERR_DRAINING);
    crowd_turn_all();
    EXPECT_EQ(crowd.answered_count, 0);
}

static void on_other(struct letter *letter, void *consumer) {
    (void)letter;
    (void)consumer;
}

TEST(a_worker_whose_mailbox_is_full_is_the_answer) {
    struct survey_question question = list_all();
    struct letter letters[SURVEYS_MAX];
    crowd_come(0);
    for (size_t i = 0; i < SURVEYS_MAX; i++) {
        letters[i].on_delivered = on_other;
        mailbox_put_answer(&crowd.workers[0].mailbox, &letters[i]);
    }
    EXPECT_EQ(crowd_ask(&question)->result, ERR_BUSY);
    EXPECT_EQ(crowd.answered_count, 1);
    EXPECT_EQ(crowd_ask(&question)->result, OK);
}

TEST(without_memory_it_is_refused_or_the_answer_says_so) {
    const struct span channel = SPAN("a");
    struct survey_question question = list_all();
    question.channels = &channel;
    question.channel_count = 1;
    crowd_come(0);
    crowd_come(1);
    size_t refused = 0;
    size_t failed = 0;
    bool is_short = true;
    for (size_t allocations = 0; is_short; allocations++) {
        survey_destroy(crowd.survey);
        crowd.survey = NULL;
        crowd.answered_count = 0;
        crowd.allocation_failing = allocations;
        enum error_code code = crowd_begin_asking(&question);
        crowd_turn_all();
        crowd.allocation_failing = SIZE_MAX;
        EXPECT_TRUE(code == OK || code == ERR_MEMORY);
        EXPECT_EQ(crowd.answered_count, code == OK);
        refused += code != OK;
        is_short = code != OK || survey_answer(crowd.survey)->result == ERR_MEMORY;
        failed += is_short && code == OK;
    }
    EXPECT_EQ(survey_answer(crowd.survey)->row_count, 2);
    EXPECT_EQ(refused, 1 + 2 + WORKERS); /* the survey, what it copies, the rows of each worker */
    EXPECT_EQ(failed, 2 + 1);            /* a row of each, the rows of all */
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, crowd_begin, crowd_end)

UNIT_TESTS(CLAIM(a_turn_looks_at_a_bounded_number_of_connections),
           CLAIM(rows_readers_and_selectors_take_steps_too),
           CLAIM(a_turn_counts_the_readers_of_a_bounded_number_of_channels),
           CLAIM(who_comes_behind_the_beginning_is_not_looked_at),
           CLAIM(the_answer_waits_for_the_last_worker),
           CLAIM(the_walk_goes_on_behind_one_that_ends_where_it_stands),
           CLAIM(selectors_that_a_row_has_no_room_for_are_counted_and_left_out),
           CLAIM(readers_that_a_row_has_no_room_for_are_counted_and_left_out),
           CLAIM(what_the_workers_keep_is_bounded_and_pages_show_all_of_it_nevertheless),
           CLAIM(so_many_surveys_are_under_way_at_a_time_and_each_is_until_it_is_destroyed),
           CLAIM(a_place_that_was_taken_before_is_one_of_them_and_is_its_takers),
           CLAIM(a_broker_that_stops_is_asked_nothing),
           CLAIM(a_worker_whose_mailbox_is_full_is_the_answer),
           CLAIM(without_memory_it_is_refused_or_the_answer_says_so))
