/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/rider.h"

#include "broker/limits.h"
#include "tests/broker/runtime/stage.h"
#include "tests/unit.h"

#define HEAD 1000
#define RIDERS 3

/* Readers of one feed, as streams have them, and what their riders were brought. */
struct passenger {
    struct rider rider;
    struct reader reader;
    size_t page_count;
    enum error_code result;
    uint64_t from; /* of the last page … */
    uint64_t end;  /* … and its end */
    bool asks_again;
    struct passenger *drops; /* leaves when this one's page comes */
};

static struct {
    struct stage stage;
    struct passenger passengers[RIDERS];
} world;

static void on_touched(struct reader *reader) {
    (void)reader;
}

static void ask(struct passenger *passenger);

static void on_page(struct rider *rider, const struct read *read) {
    struct passenger *passenger = CONTAINER_OF(rider, struct passenger, rider);
    EXPECT_FALSE(rider_is_waiting(rider));
    passenger->page_count++;
    passenger->result = read->result;
    passenger->from = read->query.place.position;
    passenger->end = read->page.end.position;
    if (passenger->drops != NULL) {
        rider_leave(&passenger->drops->rider);
        reader_finish(&passenger->drops->reader);
    }
    if (passenger->asks_again) {
        passenger->asks_again = false;
        passenger->reader.place = read->page.end;
        ask(passenger);
    }
}

static struct passenger *board(size_t index, const struct storage_selector *selectors, size_t count,
                               uint64_t position) {
    struct passenger *passenger = &world.passengers[index];
    rider_init(&passenger->rider);
    EXPECT_EQ(
        reader_init(&passenger->reader, &world.stage.worker.feeds, selectors, count, on_touched),
        OK);
    passenger->reader.place = (struct place){.log_id = 1, .generation = 1, .position = position};
    return passenger;
}

/* A reader of the channel a that stands there. */
static struct passenger *come(size_t index, uint64_t position) {
    struct storage_selector selector = {SPAN("a"), false};
    return board(index, &selector, 1, position);
}

static void ask_for(struct passenger *passenger, struct storage_query query, bool may_share) {
    query.place = passenger->reader.place;
    EXPECT_EQ(rider_ask(&passenger->rider, &passenger->reader, &world.stage.worker, &query,
                        may_share, on_page),
              OK);
    EXPECT_TRUE(rider_is_waiting(&passenger->rider));
}

static void ask(struct passenger *passenger) {
    ask_for(passenger, (struct storage_query){.start = STORAGE_AFTER_PLACE}, true);
}

static void leave(struct passenger *passenger) {
    rider_leave(&passenger->rider);
    reader_finish(&passenger->reader);
}

static size_t count_reads(void) {
    return stage_count_reads(&world.stage);
}

/* The oldest page comes, from its place to `end`. */
static void bring(uint64_t end, bool at_head) {
    stage_answer(&world.stage, stage_find_read(&world.stage, 0), 0, 0, end, at_head);
}

static int begin(void **state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    stage_init(&world.stage, HEAD);
    return 0;
}

static int end(void **state) {
    (void)state;
    stage_finish(&world.stage);
    return 0;
}

TEST(a_page_is_asked_for_as_its_reader_reads) {
    const struct storage_selector selectors[] = {{SPAN("a"), false}, {SPAN("b/*"), true}};
    struct passenger *one = come(0, 5);
    struct passenger *several = board(1, selectors, 2, 6);
    struct passenger *pattern = board(2, &selectors[1], 1, 7);
    struct storage_query query = {
        .start = STORAGE_AFTER_PLACE, .is_conflated = true, .limit = 3, .bytes_max = 1};
    ask_for(one, query, false);
    query.limit = 0;
    ask_for(several, query, false);
    ask(pattern);
    const struct storage_query *asked = &stage_find_read(&world.stage, 5)->query;
    EXPECT_SPAN(asked->channel, "a");
    EXPECT_EQ(asked->selector_count, 0);
    EXPECT_EQ(asked->place.position, 5);
    EXPECT_EQ(asked->limit, 3);
    EXPECT_EQ(asked->bytes_max, CATCH_UP_PAGE_BYTES_MAX);
    EXPECT_TRUE(asked->is_conflated);
    asked = &stage_find_read(&world.stage, 6)->query;
    EXPECT_EQ(asked->channel.length, 0);
    EXPECT_EQ(asked->selector_count, 2);
    EXPECT_SPAN(asked->selectors[0].text, "a");
    EXPECT_FALSE(asked->selectors[0].is_pattern);
    EXPECT_SPAN(asked->selectors[1].text, "b/*");
    EXPECT_TRUE(asked->selectors[1].is_pattern);
    EXPECT_EQ(asked->limit, CATCH_UP_PAGE_MESSAGES_MAX);
    asked = &stage_find_read(&world.stage, 7)->query;
    EXPECT_EQ(asked->selector_count, 1);
    EXPECT_TRUE(asked->selectors[0].is_pattern);
    leave(one);
    leave(several);
    leave(pattern);
}

TEST(who_comes_while_a_page_is_under_way_rides_on_it) {
    struct passenger *first = come(0, 100);
    struct passenger *second = come(1, 100);
    struct passenger *third = come(2, 150);
    ask(first);
    ask(second);
    ask(third);
    EXPECT_EQ(count_reads(), 1);
    stage_answer(&world.stage, stage_find_read(&world.stage, 0), 101, 103, 200, false);
    for (size_t i = 0; i < RIDERS; i++) {
        EXPECT_EQ(world.passengers[i].page_count, 1);
        EXPECT_EQ(world.passengers[i].from, 100);
        EXPECT_EQ(world.passengers[i].end, 200);
        leave(&world.passengers[i]);
    }
}

TEST(nobody_rides_on_a_page_that_begins_behind_his_place) {
    struct passenger *first = come(0, 100);
    struct passenger *second = come(1, 99);
    ask(first);
    ask(second);
    EXPECT_EQ(count_reads(), 2);
    bring(200, true);
    EXPECT_EQ(second->page_count, 0);
    bring(200, true);
    EXPECT_EQ(second->from, 99);
    leave(first);
    leave(second);
}

TEST(nobody_waits_for_pages_that_would_not_reach_his_place) {
    struct passenger *first = come(0, 0);
    struct passenger *second = come(1, 0);
    ask(first);
    bring(10, false);
    ask(second);
    bring(10, false); /* ten positions a page, as far as he knows */
    first->reader.place.position = 10;
    ask(first);
    second->reader.place.position = 21;
    ask(second);
    EXPECT_EQ(count_reads(), 2);
    bring(20, true);
    bring(22, true); /* one that came to the head would have come there from anywhere */
    first->reader.place.position = 10;
    ask(first);
    ask(second);
    EXPECT_EQ(count_reads(), 1);
    bring(HEAD, true);
    EXPECT_EQ(second->from, 10);
    leave(first);
    leave(second);
}

TEST(who_would_be_reached_by_such_a_page_rides) {
    struct passenger *first = come(0, 0);
    struct passenger *second = come(1, 0);
    ask(first);
    ask(second);
    bring(10, false);
    first->reader.place.position = 10;
    ask(first);
    second->reader.place.position = 20;
    ask(second);
    EXPECT_EQ(count_reads(), 1);
    leave(first);
    leave(second);
}

TEST(a_page_that_is_not_a_plain_one_is_nobody_elses) {
    struct passenger *first = come(0, 100);
    struct passenger *second = come(1, 100);
    struct passenger *third = come(2, 100);
    ask_for(first, (struct storage_query){.start = STORAGE_AFTER_PLACE, .limit = 1}, false);
    ask(second);
    ask_for(third, (struct storage_query){.start = STORAGE_AFTER_PLACE, .limit = 1}, false);
    EXPECT_EQ(count_reads(), 3);
    for (size_t i = 0; i < RIDERS; i++) {
        leave(&world.passengers[i]);
    }
}

TEST(readers_of_several_feeds_or_of_others_ask_for_themselves) {
    const struct storage_selector selectors[] = {{SPAN("a"), false}, {SPAN("b"), false}};
    struct passenger *one = come(0, 100);
    struct passenger *several = board(1, selectors, 2, 100);
    struct passenger *other = board(2, &selectors[1], 1, 100);
    ask(one);
    ask(several);
    ask(other);
    EXPECT_EQ(count_reads(), 3);
    leave(one);
    leave(several);
    leave(other);
}

TEST(who_left_is_brought_nothing_and_those_who_stay_are) {
    struct passenger *first = come(0, 100);
    struct passenger *second = come(1, 100);
    ask(first);
    ask(second);
    leave(first);
    EXPECT_FALSE(rider_is_waiting(&first->rider));
    rider_leave(&first->rider);
    bring(200, true);
    EXPECT_EQ(first->page_count, 0);
    EXPECT_EQ(second->page_count, 1);
    leave(second);
}

TEST(a_page_that_all_have_left_outlives_them_and_their_feed) {
    struct passenger *first = come(0, 100);
    ask(first);
    leave(first);
    struct passenger *second = come(1, 100);
    ask(second);
    EXPECT_EQ(count_reads(), 2);
    EXPECT_SPAN(stage_find_read(&world.stage, 0)->query.channel, "a");
    bring(200, true);
    EXPECT_EQ(second->page_count, 0);
    bring(200, true);
    EXPECT_EQ(second->page_count, 1);
    leave(second);
}

TEST(who_is_brought_a_page_may_ask_for_the_next_or_let_another_go) {
    struct passenger *first = come(0, 100);
    struct passenger *second = come(1, 100);
    struct passenger *third = come(2, 100);
    ask(first);
    ask(second);
    ask(third);
    first->asks_again = true;
    first->drops = second;
    bring(200, false);
    EXPECT_EQ(first->page_count, 1);
    EXPECT_EQ(second->page_count, 0);
    EXPECT_EQ(third->page_count, 1);
    EXPECT_TRUE(rider_is_waiting(&first->rider));
    EXPECT_EQ(stage_find_read(&world.stage, 0)->query.place.position, 200);
    first->drops = NULL;
    leave(first);
    leave(third);
}

TEST(a_page_that_failed_is_told_to_all_and_says_nothing_of_how_far_one_reaches) {
    struct passenger *first = come(0, 0);
    struct passenger *second = come(1, 0);
    ask(first);
    ask(second);
    bring(10, false);
    ask(first);
    ask(second);
    stage_refuse(&world.stage, stage_find_read(&world.stage, 0), ERR_DRAINING);
    EXPECT_EQ(first->result, ERR_DRAINING);
    EXPECT_EQ(second->result, ERR_DRAINING);
    second->reader.place.position = 100;
    ask(first);
    ask(second);
    EXPECT_EQ(count_reads(), 1);
    leave(first);
    leave(second);
}

#define RIDER(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(RIDER(a_page_is_asked_for_as_its_reader_reads),
           RIDER(who_comes_while_a_page_is_under_way_rides_on_it),
           RIDER(nobody_rides_on_a_page_that_begins_behind_his_place),
           RIDER(nobody_waits_for_pages_that_would_not_reach_his_place),
           RIDER(who_would_be_reached_by_such_a_page_rides),
           RIDER(a_page_that_is_not_a_plain_one_is_nobody_elses),
           RIDER(readers_of_several_feeds_or_of_others_ask_for_themselves),
           RIDER(who_left_is_brought_nothing_and_those_who_stay_are),
           RIDER(a_page_that_all_have_left_outlives_them_and_their_feed),
           RIDER(who_is_brought_a_page_may_ask_for_the_next_or_let_another_go),
           RIDER(a_page_that_failed_is_told_to_all_and_says_nothing_of_how_far_one_reaches))
