/* SPDX-License-Identifier: Apache-2.0 */
/* What a reader of many channels is told: each selector its own, exact for a channel. */
#include "storage/gaps.h"

#include <stdio.h>

#include "tests/storage/fixture.h"

static const char *describe(const struct storage_page *page, const struct storage_query *query) {
    static const char *const REASONS[] = {"expired", "dropped", "deleted", "ahead", "epoch"};
    static char text[FIXTURE_TEXT_BYTES];
    struct storage_gap gap;
    int length = 0;
    text[0] = '\0';
    for (size_t index = 0; storage_page_next_gap(page, query, &index, &gap);) {
        length += snprintf(text + length, sizeof(text) - (size_t)length, "%.*s %s ",
                           SPAN_PRINTF(gap.selector), REASONS[gap.gap.reason]);
        length +=
            gap.is_pattern
                ? snprintf(text + length, sizeof(text) - (size_t)length, "%llu>%llu; ",
                           (unsigned long long)gap.after.position,
                           (unsigned long long)gap.resumed.position)
                : snprintf(text + length, sizeof(text) - (size_t)length, "%llu-%llu of %llu-%llu; ",
                           (unsigned long long)gap.gap.from, (unsigned long long)gap.gap.to,
                           (unsigned long long)gap.first, (unsigned long long)gap.last);
    }
    return text;
}

static void expect(struct fixture *fixture, enum storage_start start, struct place place,
                   size_t messages, const char *expected) {
    const struct storage_selector selectors[] = {{SPAN("busy"), false},
                                                 {SPAN("quiet"), false},
                                                 {SPAN("quiet/**"), true},
                                                 {SPAN("**"), true}};
    const struct storage_query query = {.selectors = selectors,
                                        .selector_count = 4,
                                        .start = start,
                                        .place = place,
                                        .limit = 100,
                                        .bytes_max = 65536};
    struct storage_page page = fixture_read(fixture, &query);
    EXPECT_STRING(describe(&page, &query), expected);
    EXPECT_EQ(page.count, messages);
    storage_page_finish(&page);
}

TEST(each_selector_is_told_what_it_lost_and_a_quiet_channel_nothing) {
    for (int where = 0; where < 3; where++) {
        struct fixture fixture;
        fixture_init(&fixture);
        fixture_open(&fixture);
        fixture.retention.messages_max = 5;
        fixture_publish_many(&fixture, "quiet", 1);
        struct place place = fixture_publish(&fixture, "busy", "1");
        fixture_publish_many(&fixture, "busy", 9);
        fixture_publish_many(&fixture, "quiet", 1);
        for (int i = 0; i < where; i++) {
            fixture_fold(&fixture);
            fixture_retain(&fixture);
        }
        expect(&fixture, STORAGE_AFTER_PLACE, place, 6,
               "busy expired 2-5 of 6-10; ** expired 2>6; ");
        expect(&fixture, STORAGE_EARLIEST, (struct place){0}, 7, "");
        place.position = 6;
        place.offset = 5;
        expect(&fixture, STORAGE_AFTER_PLACE, place, 6, "");
        fixture_finish(&fixture);
    }
}

TEST(a_place_of_another_log_or_ahead_is_told_to_each_selector) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_publish_many(&fixture, "busy", 3);
    expect(&fixture, STORAGE_AFTER_PLACE, (struct place){.log_id = 1, .position = 2}, 3,
           "busy epoch 0-0 of 0-0; quiet epoch 0-0 of 0-0; quiet/** epoch 2>0; ** epoch 2>0; ");
    expect(&fixture, STORAGE_AFTER_PLACE, (struct place){.position = 9}, 0,
           "busy ahead 0-0 of 0-0; quiet ahead 0-0 of 0-0; quiet/** ahead 9>3; ** ahead 9>3; ");
    fixture_finish(&fixture);
}

TEST(who_drops_is_told_what_stands_between) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    struct place first = fixture_publish(&fixture, "busy", "1");
    fixture_publish_many(&fixture, "busy", 4);
    struct place place = fixture_publish(&fixture, "quiet", "1");
    fixture_fold(&fixture);
    fixture_publish_many(&fixture, "busy", 2);
    expect(&fixture, STORAGE_DROP, place, 0, "busy dropped 6-7 of 1-7; ** dropped 6>8; ");
    expect(&fixture, STORAGE_DROP, first, 0,
           "busy dropped 2-7 of 1-7; quiet dropped 1-1 of 1-1; "
           "quiet/** dropped 1>8; ** dropped 1>8; ");
    struct storage_query query = {.channel = SPAN("busy"), .start = STORAGE_DROP, .place = first};
    fixture_expect(&fixture, query, "dropped 2-7 7<>7 head");
    fixture_finish(&fixture);
}

TEST(deletes_are_told_exactly_and_not_to_who_reads_behind_them) {
    for (int where = 0; where < 2; where++) {
        struct fixture fixture;
        fixture_init(&fixture);
        fixture_open(&fixture);
        struct place first = fixture_publish(&fixture, "busy", "1");
        fixture_publish_many(&fixture, "busy", 5);
        fixture_delete(&fixture, "busy", 2, 3);
        if (where == 1) {
            fixture_fold(&fixture);
        }
        expect(&fixture, STORAGE_AFTER_PLACE, first, 3,
               "busy deleted 2-3 of 1-6; ** deleted 1>3; ");
        struct place behind = {.position = 3, .channel_id = first.channel_id, .offset = 3};
        expect(&fixture, STORAGE_AFTER_PLACE, behind, 3, "");
        struct storage_query query = {
            .channel = SPAN("busy"), .start = STORAGE_AFTER_PLACE, .place = first};
        fixture_expect(&fixture, query, "deleted 2-3 3<4,5,6>6 head");
        query.start = STORAGE_AFTER_OFFSET;
        query.place.offset = 0;
        fixture_expect(&fixture, query, "0<1>1");
        fixture_finish(&fixture);
    }
}

TEST(a_delete_at_the_front_is_told_as_a_delete) {
    for (int where = 0; where < 3; where++) {
        struct fixture fixture;
        fixture_init(&fixture);
        fixture_open(&fixture);
        struct place first = fixture_publish(&fixture, "busy", "1");
        fixture_publish_many(&fixture, "busy", 5);
        fixture_delete(&fixture, "busy", 1, 3);
        for (int i = 0; i < where; i++) {
            fixture_fold(&fixture);
            fixture_retain(&fixture);
        }
        expect(&fixture, STORAGE_AFTER_PLACE, first, 3,
               "busy deleted 2-3 of 4-6; ** deleted 1>3; ");
        struct storage_query query = {
            .channel = SPAN("busy"), .start = STORAGE_AFTER_PLACE, .place = first, .limit = 9};
        fixture_expect(&fixture, query, "deleted 2-3 3<4,5,6>6 head");
        query.start = STORAGE_AFTER_OFFSET;
        fixture_expect(&fixture, query, "deleted 2-3 3<4,5,6>6 head");
        query.start = STORAGE_DROP;
        fixture_expect(&fixture, query, "dropped 2-6 6<>6 head");
        fixture_finish(&fixture);
    }
}

UNIT_TESTS(UNIT(each_selector_is_told_what_it_lost_and_a_quiet_channel_nothing),
           UNIT(a_place_of_another_log_or_ahead_is_told_to_each_selector),
           UNIT(who_drops_is_told_what_stands_between),
           UNIT(deletes_are_told_exactly_and_not_to_who_reads_behind_them),
           UNIT(a_delete_at_the_front_is_told_as_a_delete))
