/* SPDX-License-Identifier: Apache-2.0 */
/* Where a read begins, and which gap it is told. Each case is run with the messages in the open
 * batch, folded, and folded with the dead ones swept off the index. */
#include <stdio.h>

#include "tests/storage/fixture.h"

#define AFTER_OFFSET(number) .start = STORAGE_AFTER_OFFSET, .place = {.offset = (number)}
#define AFTER_PLACE(at) .start = STORAGE_AFTER_PLACE, .place = (at)
#define CHANNEL(name) .channel = SPAN(name)
#define QUERY(...) ((struct storage_query){__VA_ARGS__})

enum where { IN_BATCH, FOLDED, SWEPT, WHERE_COUNT };

static void settle(struct fixture *fixture, enum where where) {
    if (where != IN_BATCH) {
        fixture_fold(fixture);
    }
    if (where == SWEPT) {
        fixture_retain(fixture);
    }
}

/* 300 messages of "a" in positions 1, 3, 5, …, the others of "b"; the newest ten are kept. */
static void begin(struct fixture *fixture, enum where where, struct place *ret_places) {
    fixture_init(fixture);
    fixture->retention.messages_max = 10;
    fixture_open(fixture);
    for (size_t i = 1; i <= 300; i++) {
        ret_places[i] = fixture_publish(fixture, "a", "x");
        fixture_publish(fixture, "b", "y");
        fixture->time_ms += 10;
    }
    settle(fixture, where);
}

TEST(offsets_that_are_gone_are_told_exactly) {
    for (enum where where = IN_BATCH; where < WHERE_COUNT; where++) {
        struct fixture fixture;
        struct place places[301];
        begin(&fixture, where, places);
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_OFFSET(0), .limit = 2),
                       "expired 1-290 290<291,292>292");
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_OFFSET(288), .limit = 2),
                       "expired 289-290 290<291,292>292");
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_OFFSET(289), .limit = 2),
                       "expired 290-290 290<291,292>292");
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_OFFSET(290), .limit = 2),
                       "290<291,292>292");
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_OFFSET(300)), "300<>300 head");
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_OFFSET(305)),
                       "ahead 301-305 300<>300 head");
        fixture_expect(&fixture, QUERY(CHANNEL("a"), .limit = 2), "290<291,292>292");
        fixture_finish(&fixture);
    }
}

TEST(ids_of_the_channel_are_told_the_exact_gap) {
    for (enum where where = IN_BATCH; where < WHERE_COUNT; where++) {
        struct fixture fixture;
        struct place places[301];
        begin(&fixture, where, places);
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(places[44]), .limit = 1),
                       "expired 45-290 290<291>291");
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(places[290]), .limit = 1),
                       "290<291>291");
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(places[295])),
                       "295<296,297,298,299,300>300 head");
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(places[300])), "300<>300 head");
        fixture_finish(&fixture);
    }
}

TEST(ids_of_other_channels_resume_by_position) {
    for (enum where where = IN_BATCH; where < WHERE_COUNT; where++) {
        struct fixture fixture;
        struct place places[301];
        begin(&fixture, where, places);
        struct place other = {.log_id = fixture.log_id, .generation = 1, .channel_id = 2};
        other.position = 2 * 296; /* "b" 296, right behind "a" 296 */
        other.offset = 296;
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(other)),
                       "296<297,298,299,300>300 head");
        other.position = 2 * 290;
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(other), .limit = 1),
                       "290<291>291");
        other.position = 2 * 289;
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(other), .limit = 1),
                       "expired 290-290 290<291>291");
        other.position = 0;
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(other), .limit = 1),
                       "expired 1-290 290<291>291");
        fixture_finish(&fixture);
    }
}

TEST(where_offsets_are_no_longer_known_the_gap_has_no_beginning) {
    struct fixture fixture;
    struct place places[301];
    begin(&fixture, SWEPT, places);
    struct place other = {fixture.log_id, 1, 100, 2, 50};
    fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(other), .limit = 1),
                   "expired 0-290 290<291>291");
    fixture_finish(&fixture);
}

TEST(a_quiet_channel_of_which_nothing_was_lost_has_no_gap) {
    for (enum where where = IN_BATCH; where < WHERE_COUNT; where++) {
        struct fixture fixture;
        fixture_init(&fixture);
        fixture.retention.messages_max = 10;
        fixture_open(&fixture);
        fixture_publish_many(&fixture, "quiet", 12);
        struct place seen = fixture_publish(&fixture, "other", "x");
        fixture_publish_many(&fixture, "other", 500);
        settle(&fixture, where);
        fixture_expect(&fixture, QUERY(CHANNEL("quiet"), AFTER_PLACE(seen)), "12<>12 head");
        seen.position = 4;
        fixture_expect(&fixture, QUERY(CHANNEL("quiet"), AFTER_PLACE(seen), .limit = 1), "4<5>5");
        fixture_finish(&fixture);
    }
}

TEST(a_channel_born_later_is_read_from_its_first_message) {
    for (enum where where = IN_BATCH; where < WHERE_COUNT; where++) {
        struct fixture fixture;
        fixture_init(&fixture);
        fixture_open(&fixture);
        struct place seen = fixture_publish(&fixture, "old", "x");
        fixture_publish_many(&fixture, "new", 2);
        settle(&fixture, where);
        fixture_expect(&fixture, QUERY(CHANNEL("new"), AFTER_PLACE(seen)), "0<1,2>2 head");
        fixture_expect(&fixture, QUERY(CHANNEL("none"), AFTER_PLACE(seen)), "0<>0 head");
        fixture_expect(&fixture, QUERY(CHANNEL("none")), "0<>0 head");
        fixture_expect(&fixture, QUERY(CHANNEL("none"), AFTER_OFFSET(3)), "ahead 1-3 0<>0 head");
        fixture_finish(&fixture);
    }
}

TEST(an_emptied_channel_tells_all_that_was_missed) {
    for (enum where where = IN_BATCH; where < WHERE_COUNT; where++) {
        struct fixture fixture;
        fixture_init(&fixture);
        fixture.retention.age_ms_max = 1000;
        fixture_open(&fixture);
        struct place seen = fixture_publish(&fixture, "a", "x");
        fixture_publish_many(&fixture, "a", 4);
        fixture.time_ms += 1000;
        fixture_tick(&fixture);
        settle(&fixture, where);
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(seen)), "expired 2-5 5<>5 head");
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_OFFSET(0)), "expired 1-5 5<>5 head");
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_OFFSET(5)), "5<>5 head");
        fixture_expect(&fixture, QUERY(CHANNEL("a")), "5<>5 head");
        struct storage_query query = QUERY(CHANNEL("a"), AFTER_PLACE(seen), .limit = 5);
        struct storage_page page = fixture_read(&fixture, &query);
        EXPECT_EQ(page.first, 0);
        EXPECT_EQ(page.last, 0);
        EXPECT_EQ(page.offset_last, 5);
        EXPECT_EQ(page.end.position, 6);
        storage_page_finish(&page);
        fixture_finish(&fixture);
    }
}

TEST(ids_of_another_log_are_an_epoch) {
    for (enum where where = IN_BATCH; where < WHERE_COUNT; where++) {
        struct fixture fixture;
        struct place places[301];
        begin(&fixture, where, places);
        struct place other = places[295];
        other.log_id++;
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(other), .limit = 1),
                       "epoch 0-0 290<291>291");
        other = places[295];
        other.generation = 9;
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(other), .limit = 1),
                       "epoch 0-0 290<291>291");
        other = places[300];
        other.position = 10000;
        other.offset = 310;
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(other)),
                       "ahead 301-310 300<>300 head");
        other.log_id = 0; /* an internal cursor */
        other.generation = 0;
        other.position = places[299].position;
        fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(other)), "299<300>300 head");
        fixture_finish(&fixture);
    }
}

TEST(an_id_of_a_lost_tail_resumes_where_the_next_generation_began) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_publish_many(&fixture, "a", 5);
    fixture_kill(&fixture); /* the next five were seen by readers, and a power cut lost them */
    struct place lost = {fixture.log_id, 1, 8, 1, 8};
    struct place kept = {fixture.log_id, 1, 5, 1, 5};
    fixture_open(&fixture);
    EXPECT_EQ(fixture.generation, 2);
    fixture_publish_many(&fixture, "a", 5);
    fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(lost)),
                   "epoch 0-0 5<6,7,8,9,10>10 head");
    fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(kept)), "5<6,7,8,9,10>10 head");
    fixture_kill(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(fixture.generation, 3);
    fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(lost)),
                   "epoch 0-0 5<6,7,8,9,10>10 head");
    fixture_expect(&fixture, QUERY(CHANNEL("a"), AFTER_PLACE(kept)), "5<6,7,8,9,10>10 head");
    fixture_finish(&fixture);
}

TEST(times_begin_at_the_first_message_that_is_not_older) {
    for (enum where where = IN_BATCH; where < WHERE_COUNT; where++) {
        struct fixture fixture;
        struct place places[301];
        begin(&fixture, where, places);
        uint64_t first = 1700000000000;
        fixture_expect(
            &fixture, QUERY(CHANNEL("a"), .start = STORAGE_AFTER_TIME, .time_ms = first + 295 * 10),
            "295<296,297,298,299,300>300 head");
        fixture_expect(
            &fixture,
            QUERY(CHANNEL("a"), .start = STORAGE_AFTER_TIME, .time_ms = first + 295 * 10 - 9),
            "295<296,297,298,299,300>300 head");
        fixture_expect(&fixture,
                       QUERY(CHANNEL("a"), .start = STORAGE_AFTER_TIME, .time_ms = first + 9999),
                       "300<>300 head");
        fixture_expect(&fixture,
                       QUERY(CHANNEL("a"), .start = STORAGE_AFTER_TIME, .limit = 1,
                             .time_ms = first + 288 * 10),
                       "expired 289-290 290<291>291");
        fixture_finish(&fixture);
    }
}

TEST(the_newest_end_at_the_end_or_before) {
    for (enum where where = IN_BATCH; where < WHERE_COUNT; where++) {
        struct fixture fixture;
        struct place places[301];
        begin(&fixture, where, places);
        fixture_expect(&fixture, QUERY(CHANNEL("a"), .start = STORAGE_NEWEST, .limit = 3),
                       "297<298,299,300>300 head");
        fixture_expect(&fixture, QUERY(CHANNEL("a"), .start = STORAGE_NEWEST, .limit = 30),
                       "290<291,292,293,294,295,296,297,298,299,300>300 head");
        fixture_expect(&fixture,
                       QUERY(CHANNEL("a"), .start = STORAGE_NEWEST, .limit = 2, .newest = 5),
                       "295<296,297>297");
        fixture_expect(&fixture,
                       QUERY(CHANNEL("a"), .start = STORAGE_NEWEST, .limit = 3, .has_before = true,
                             .before = {.offset = 295}),
                       "291<292,293,294>294");
        fixture_expect(&fixture,
                       QUERY(CHANNEL("a"), .start = STORAGE_NEWEST, .limit = 3, .has_before = true,
                             .before = places[292]),
                       "290<291>291");
        fixture_expect(&fixture,
                       QUERY(CHANNEL("a"), .start = STORAGE_NEWEST, .limit = 3, .has_before = true,
                             .before = places[5]),
                       "290<>290");
        fixture_expect(
            &fixture,
            QUERY(CHANNEL("a"), AFTER_OFFSET(291), .has_before = true, .before = {.offset = 294}),
            "291<292,293>293");
        fixture_expect(&fixture, QUERY(CHANNEL("a"), .start = STORAGE_NOW), "300<>300 head");
        fixture_finish(&fixture);
    }
}

TEST(at_the_head_a_cursor_moves_on_with_the_log) {
    for (enum where where = IN_BATCH; where < WHERE_COUNT; where++) {
        struct fixture fixture;
        fixture_init(&fixture);
        fixture_open(&fixture);
        fixture_publish_many(&fixture, "quiet", 2);
        fixture_publish_many(&fixture, "busy", 50);
        fixture_tick(&fixture);
        settle(&fixture, where);
        struct storage_query query = QUERY(CHANNEL("quiet"), .limit = 10, .bytes_max = 1000);
        struct storage_page page = fixture_read(&fixture, &query);
        EXPECT_EQ(page.end.position, 53);
        EXPECT_EQ(page.end.offset, 2);
        EXPECT_EQ(page.end.channel_id, 1);
        EXPECT_EQ(page.end.log_id, fixture.log_id);
        EXPECT_EQ(page.end.generation, 1);
        EXPECT_EQ(page.start.position, 0);
        EXPECT_EQ(page.first, 1);
        EXPECT_EQ(page.last, 2);
        fixture_publish_many(&fixture, "quiet", 1);
        fixture_expect(&fixture, QUERY(CHANNEL("quiet"), AFTER_PLACE(page.end)), "2<3>3 head");
        fixture_expect(&fixture, QUERY(CHANNEL("quiet"), AFTER_PLACE(page.start)),
                       "0<1,2,3>3 head");
        storage_page_finish(&page);
        fixture_finish(&fixture);
    }
}

UNIT_TESTS(UNIT(offsets_that_are_gone_are_told_exactly),
           UNIT(ids_of_the_channel_are_told_the_exact_gap),
           UNIT(ids_of_other_channels_resume_by_position),
           UNIT(where_offsets_are_no_longer_known_the_gap_has_no_beginning),
           UNIT(a_quiet_channel_of_which_nothing_was_lost_has_no_gap),
           UNIT(a_channel_born_later_is_read_from_its_first_message),
           UNIT(an_emptied_channel_tells_all_that_was_missed),
           UNIT(ids_of_another_log_are_an_epoch),
           UNIT(an_id_of_a_lost_tail_resumes_where_the_next_generation_began),
           UNIT(times_begin_at_the_first_message_that_is_not_older),
           UNIT(the_newest_end_at_the_end_or_before),
           UNIT(at_the_head_a_cursor_moves_on_with_the_log))
