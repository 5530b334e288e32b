/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/survey.h"

#include <stdlib.h>

#include "tests/broker/runtime/crowd.h"

#define SOME 50

static const struct identity acme = {
    .facts = {.kind = IDENTITY_TOKEN, .subject = SPAN_ROW("alice"), .tenant = SPAN_ROW("acme")}};
static const struct identity nobody = {.facts = {.kind = IDENTITY_EVERYONE}};

/* All, in the order of age, unless a test says otherwise. */
static struct survey_question list(enum survey_order order) {
    return (struct survey_question){
        .kind = SURVEY_CONNECTIONS, .order = order, .limit = SURVEY_ROWS_MAX};
}

static struct connection *come_reading(size_t worker, const char *channel, uint64_t behind) {
    struct connection *connection = crowd_come(worker);
    connection_read_channel(connection, channel, behind);
    return connection;
}

/* Connections of both workers whose keys are in no order, and of which some are the same. */
static void come_mixed(void) {
    for (size_t i = 0; i < SOME; i++) {
        struct connection *connection = come_reading(i % 3 % WORKERS, "a", i * 37 % 20);
        connection->bytes_sent = i * 13 % 20;
    }
}

static void expect_ids(const struct survey_answer *answer, const uint64_t *ids, size_t count) {
    EXPECT_EQ(answer->result, OK);
    EXPECT_EQ(answer->row_count, count);
    for (size_t i = 0; i < count; i++) {
        EXPECT_EQ(answer->rows[i]->rank.id, ids[i]);
    }
}

#define EXPECT_IDS(answer, ...)                                                                    \
    expect_ids(answer, (const uint64_t[]){__VA_ARGS__},                                            \
               ARRAY_COUNT(((const uint64_t[]){__VA_ARGS__})))

/* --- claims: a page --------------------------------------------------------------------------- */

TEST(greater_keys_come_first_and_of_the_same_key_smaller_ids) {
    const struct survey_rank great = {2, 9};
    const struct survey_rank small = {1, 1};
    const struct survey_rank later = {2, 10};
    EXPECT_TRUE(survey_rank_is_before(&great, &small));
    EXPECT_FALSE(survey_rank_is_before(&small, &great));
    EXPECT_TRUE(survey_rank_is_before(&great, &later));
    EXPECT_FALSE(survey_rank_is_before(&later, &great));
    EXPECT_FALSE(survey_rank_is_before(&great, &great));
}

TEST(the_key_is_the_furthest_readers_lag_or_the_bytes_sent_or_nothing) {
    struct connection *connection = come_reading(0, "a", 9);
    connection_read_channel(connection, "b", 5);
    connection->bytes_sent = 1234;
    const struct survey_question questions[] = {list(SURVEY_BY_LAG), list(SURVEY_BY_BYTES),
                                                list(SURVEY_BY_AGE)};
    const uint64_t keys[] = {9, 1234, 0};
    for (size_t i = 0; i < ARRAY_COUNT(questions); i++) {
        const struct survey_answer *answer = crowd_ask(&questions[i]);
        EXPECT_EQ(answer->row_count, 1);
        EXPECT_EQ(answer->rows[0]->rank.key, keys[i]);
        EXPECT_EQ(answer->rows[0]->rank.id, connection->id);
        EXPECT_FALSE(answer->has_more);
    }
}

/* Each connection comes once, in order; only the last page has no more behind it. */
static void expect_pages(struct survey_question question, size_t count) {
    struct survey_rank last = {UINT64_MAX, 0};
    bool has_more = true;
    size_t seen = 0;
    while (has_more) {
        const struct survey_answer *answer = crowd_ask(&question);
        EXPECT_EQ(answer->result, OK);
        EXPECT_TRUE(answer->row_count > 0);
        EXPECT_TRUE(answer->row_count <= question.limit);
        for (size_t i = 0; i < answer->row_count; i++, seen++) {
            EXPECT_TRUE(survey_rank_is_before(&last, &answer->rows[i]->rank));
            last = answer->rows[i]->rank;
        }
        has_more = answer->has_more;
        EXPECT_EQ(has_more, seen < count);
        question.has_after = true;
        question.after = last;
    }
    EXPECT_EQ(seen, count);
}

TEST(pages_show_each_connection_of_all_workers_once_and_in_order) {
    come_mixed();
    for (enum survey_order order = SURVEY_BY_LAG; order <= SURVEY_BY_BYTES; order++) {
        struct survey_question question = list(order);
        for (question.limit = 1; question.limit <= SOME + 1; question.limit += 6) {
            expect_pages(question, SOME);
        }
    }
}

TEST(a_page_that_one_worker_fills_has_more_behind_it) {
    struct survey_question question = list(SURVEY_BY_AGE);
    question.limit = 2;
    for (size_t i = 0; i < 5; i++) {
        crowd_come(1);
    }
    expect_pages(question, 5);
}

TEST(one_that_is_closing_is_not_shown) {
    crowd_come(0);
    crowd_come(0)->is_closing = true;
    struct survey_question question = list(SURVEY_BY_AGE);
    EXPECT_IDS(crowd_ask(&question), 1);
}

TEST(an_id_asks_for_that_connection_alone) {
    crowd_come(0);
    crowd_come(1);
    struct survey_question question = list(SURVEY_BY_AGE);
    question.id = 2;
    EXPECT_IDS(crowd_ask(&question), 2);
    question.id = 3;
    EXPECT_EQ(crowd_ask(&question)->row_count, 0);
}

TEST(a_tenant_asks_for_its_connections_alone_and_an_empty_one_for_those_of_none) {
    crowd_come(0);
    crowd_come(1)->identity = &acme;
    crowd_come(0)->identity = &nobody;
    struct survey_question question = list(SURVEY_BY_AGE);
    question.has_tenant = true;
    EXPECT_IDS(crowd_ask(&question), 1, 3);
    snprintf(question.tenant, sizeof(question.tenant), "acme");
    EXPECT_IDS(crowd_ask(&question), 2);
    snprintf(question.tenant, sizeof(question.tenant), "acm");
    EXPECT_EQ(crowd_ask(&question)->row_count, 0);
}

TEST(a_channel_asks_for_who_reads_it_and_shows_those_readers_alone) {
    static const struct storage_selector several[] = {{SPAN_ROW("b"), false},
                                                      {SPAN_ROW("a/*"), true}};
    crowd_come(0);
    come_reading(0, "a/b", 3);
    struct connection *both = come_reading(1, "other", 900);
    connection_read(both, several, ARRAY_COUNT(several), 4);
    come_reading(1, "a/*", 1); /* a name, whatever it looks like */
    struct survey_question question = list(SURVEY_BY_LAG);
    char channel[] = "a/b";
    question.channel = span_of_string(channel);
    EXPECT_EQ(crowd_begin_asking(&question), OK);
    memset(channel, 'x', 3); /* the survey has its own */
    crowd_turn_all();
    const struct survey_answer *answer = survey_answer(crowd.survey);
    EXPECT_IDS(answer, 3, 2);
    EXPECT_EQ(answer->rows[0]->rank.key, 4);
    EXPECT_EQ(answer->rows[0]->reader_count, 1);
    EXPECT_EQ(answer->rows[0]->readers[0].subscription, 2);
    EXPECT_EQ(answer->rows[0]->readers_left_out, 0);
}

/* --- claims: a row ---------------------------------------------------------------------------- */

TEST(a_row_says_who_it_is) {
    char client_id[] = "device-7";
    struct connection *connection = crowd_come(0);
    connection->identity = &acme;
    connection->client_id = span_of_string(client_id);
    connection->bytes_sent = 1234;
    crowd_come(0)->identity = &nobody;
    struct survey_question question = list(SURVEY_BY_AGE);
    const struct survey_answer *answer = crowd_ask(&question);
    client_id[0] = 'x'; /* the row has its own */
    const struct survey_row *row = answer->rows[0];
    EXPECT_STRING(row->peer, "192.0.2.1:1000");
    EXPECT_STRING(row->identity, "token alice");
    EXPECT_STRING(row->tenant, "acme");
    EXPECT_STRING(row->protocol, "mqtt");
    EXPECT_SPAN(row->client.client_id, "device-7");
    EXPECT_EQ(row->client.unacknowledged, 3);
    EXPECT_EQ(row->client.unacknowledged_ms, 40);
    EXPECT_TRUE(row->client.is_window_full);
    EXPECT_EQ(row->opened_ms, 1000000 + 5001 - 4000); /* on the wall's clock */
    EXPECT_EQ(row->bytes_sent, 1234);
    EXPECT_EQ(row->bytes_unsent, 77);
    EXPECT_TRUE(row->is_blocked);
    EXPECT_STRING(answer->rows[1]->identity, "");
    EXPECT_STRING(answer->rows[1]->tenant, "");
}

TEST(a_row_says_how_each_reader_does) {
    char texts[] = "ab";
    const struct storage_selector selectors[] = {{span_of(texts, 1), false},
                                                 {span_of(texts + 1, 1), true}};
    struct connection *connection = crowd_come(0);
    connection->client_id = SPAN("c");
    connection_read(connection, selectors, 2, 30)->is_live = true;
    connection_read(connection, &selectors[1], 1, HEAD);
    struct survey_question question = list(SURVEY_BY_AGE);
    const struct survey_row *row = crowd_ask(&question)->rows[0];
    memset(texts, 'x', 2); /* the row has its own */
    EXPECT_EQ(row->reader_count, 2);
    const struct survey_reader *reader = &row->readers[0];
    EXPECT_EQ(reader->subscription, 1);
    EXPECT_EQ(reader->on_lag, ON_LAG_CONFLATE);
    EXPECT_EQ(reader->place.position, HEAD - 30);
    EXPECT_TRUE(reader->is_live);
    EXPECT_EQ(reader->lag_positions, 30);
    EXPECT_EQ(reader->lag_messages, 5);
    EXPECT_EQ(reader->lag_bytes, 600);
    EXPECT_EQ(reader->skipped, 7);
    EXPECT_EQ(reader->selector_count, 2);
    EXPECT_EQ(reader->selectors_left_out, 0);
    EXPECT_SPAN(reader->selectors[0].text, "a");
    EXPECT_FALSE(reader->selectors[0].is_pattern);
    EXPECT_SPAN(reader->selectors[1].text, "b");
    EXPECT_TRUE(reader->selectors[1].is_pattern);
    EXPECT_FALSE(row->readers[1].is_live);
    EXPECT_EQ(row->readers[1].selector_count, 1);
    EXPECT_SPAN(row->readers[1].selectors[0].text, "b");
}

/* --- claims: other questions ------------------------------------------------------------------ */

TEST(readers_are_the_sums_of_all_workers_in_the_order_of_the_channels) {
    enum { COUNT = 2 * SURVEY_STEPS_MAX };
    static char texts[COUNT][8];
    static struct span channels[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(texts[i], sizeof(texts[i]), "c%zu", i);
        channels[i] = span_of_string(texts[i]);
    }
    struct survey_question question = {
        .kind = SURVEY_READERS, .channels = channels, .channel_count = COUNT};
    EXPECT_EQ(crowd_begin_asking(&question), OK);
    for (size_t i = 0; i < COUNT; i++) {
        texts[i][0] = 'x'; /* the survey has its own */
        channels[i] = SPAN("y");
    }
    crowd_turn_all();
    const struct survey_answer *answer = survey_answer(crowd.survey);
    EXPECT_EQ(answer->result, OK);
    for (size_t i = 0; i < COUNT; i++) {
        texts[i][0] = 'c';
        EXPECT_EQ(answer->counts[i], crowd_count_readers(0, span_of_string(texts[i])) +
                                         crowd_count_readers(1, span_of_string(texts[i])));
    }
}

TEST(one_is_dismissed_by_its_id_and_no_other) {
    const struct connection *first = crowd_come(0);
    const struct connection *second = crowd_come(0);
    struct survey_question question = {.kind = SURVEY_DISMISS, .id = second->id};
    EXPECT_TRUE(crowd_ask(&question)->was_found);
    EXPECT_EQ(first->dismissed, CLOSE_NORMAL);
    EXPECT_EQ(second->dismissed, CLOSE_OPERATOR);
    EXPECT_FALSE(crowd_ask(&question)->was_found); /* it is closing */
    question.id = 77;
    EXPECT_FALSE(crowd_ask(&question)->was_found);
    EXPECT_EQ(first->dismissed, CLOSE_NORMAL);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, crowd_begin, crowd_end)

UNIT_TESTS(CLAIM(greater_keys_come_first_and_of_the_same_key_smaller_ids),
           CLAIM(the_key_is_the_furthest_readers_lag_or_the_bytes_sent_or_nothing),
           CLAIM(pages_show_each_connection_of_all_workers_once_and_in_order),
           CLAIM(a_page_that_one_worker_fills_has_more_behind_it),
           CLAIM(one_that_is_closing_is_not_shown), CLAIM(an_id_asks_for_that_connection_alone),
           CLAIM(a_tenant_asks_for_its_connections_alone_and_an_empty_one_for_those_of_none),
           CLAIM(a_channel_asks_for_who_reads_it_and_shows_those_readers_alone),
           CLAIM(a_row_says_who_it_is), CLAIM(a_row_says_how_each_reader_does),
           CLAIM(readers_are_the_sums_of_all_workers_in_the_order_of_the_channels),
           CLAIM(one_is_dismissed_by_its_id_and_no_other))
