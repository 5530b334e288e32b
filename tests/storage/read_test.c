/* SPDX-License-Identifier: Apache-2.0 */
/* Pages: what they cost, what they hold, and where they end. */
#include "storage/read.h"

#include <stdlib.h>

#include "tests/storage/fixture.h"

TEST(a_page_costs_the_same_wherever_it_is) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (int i = 0; i < 20; i++) {
        fixture_publish_many(&fixture, "a", 1000);
        fixture_publish_many(&fixture, "b", 10);
        fixture_fold(&fixture);
    }
    struct storage_query query = {
        .channel = SPAN("a"), .start = STORAGE_AFTER_OFFSET, .limit = 10, .bytes_max = 1000};
    for (uint64_t offset = 0; offset < 20000; offset += 997) {
        query.place.offset = offset;
        struct storage_page page = fixture_read(&fixture, &query);
        EXPECT_EQ(page.count, 10);
        EXPECT_EQ(page.messages[0]->place.offset, offset + 1);
        EXPECT_EQ(page.end.offset, offset + 10);
        storage_page_finish(&page);
    }
    fixture_finish(&fixture);
}

TEST(a_page_holds_no_more_than_asked_but_one_message_always) {
    struct fixture fixture;
    char payload[100];
    memset(payload, 'x', sizeof(payload));
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (int where = 0; where < 2; where++) {
        for (int i = 0; i < 5; i++) {
            fixture_publish_bytes(&fixture, where == 0 ? "a" : "b", span_of(payload, 100));
        }
        struct storage_query query = {.channel = where == 0 ? SPAN("a") : SPAN("b")};
        if (where == 1) {
            fixture_fold(&fixture);
        }
        query.bytes_max = 350;
        fixture_expect(&fixture, query, "0<1,2,3>3");
        query.bytes_max = 1;
        fixture_expect(&fixture, query, "0<1>1");
        query.bytes_max = 500;
        fixture_expect(&fixture, query, "0<1,2,3,4,5>5 head");
        query.limit = 5;
        fixture_expect(&fixture, query, "0<1,2,3,4,5>5 head");
        query.limit = 4;
        fixture_expect(&fixture, query, "0<1,2,3,4>4");
    }
    fixture_finish(&fixture);
}

static void publish_ttl(struct fixture *fixture, const char *channel, uint64_t ttl_ms) {
    struct message *plain = fixture_make(fixture, channel, SPAN("x"));
    struct message_fields fields = plain->fields;
    fields.ttl_ms = ttl_ms;
    struct message *message = message_create(&fields);
    message_order(message, &plain->place, plain->time_ms);
    EXPECT_EQ(storage_append(fixture->storage, &message, 1, NULL), OK);
    storage_admit(fixture->storage, &message, 1);
    message_unref(plain);
    message_unref(message);
}

TEST(a_message_past_its_own_time_is_a_hole_before_a_page) {
    for (int where = 0; where < 2; where++) {
        struct fixture fixture;
        fixture_init(&fixture);
        fixture_open(&fixture);
        const uint64_t ttls[] = {50, 0, 50, 50, 0, 0, 50};
        for (size_t i = 0; i < 7; i++) {
            publish_ttl(&fixture, "a", ttls[i]);
        }
        struct storage_query query = {.channel = SPAN("a"), .start = STORAGE_AFTER_OFFSET};
        fixture_expect(&fixture, query, "0<1,2,3,4,5,6,7>7 head");
        fixture.time_ms += 50;
        fixture_tick(&fixture);
        if (where == 1) {
            fixture_fold(&fixture);
        }
        fixture_expect(&fixture, query, "expired 1-1 1<2>2");
        query.place.offset = 2;
        fixture_expect(&fixture, query, "expired 3-4 4<5,6>6");
        query.place.offset = 6;
        fixture_expect(&fixture, query, "expired 7-7 7<>7 head");
        query.start = STORAGE_EARLIEST;
        fixture_expect(&fixture, query, "1<2>2");
        query.start = STORAGE_AFTER_OFFSET;
        query.place.offset = 2;
        query.limit = 1; /* passes over no more than that at once, and still gets on */
        fixture_expect(&fixture, query, "expired 3-3 3<>3");
        fixture_finish(&fixture);
    }
}

TEST(the_newest_are_as_many_as_were_asked_for_whatever_has_expired) {
    for (int where = 0; where < 2; where++) {
        struct fixture fixture;
        fixture_init(&fixture);
        fixture_open(&fixture);
        for (size_t i = 1; i <= 12; i++) {
            publish_ttl(&fixture, "a", i % 3 == 0 ? 50 : 0);
        }
        fixture_delete(&fixture, "a", 7, 8);
        fixture.time_ms += 50;
        fixture_tick(&fixture);
        if (where == 1) {
            fixture_fold(&fixture);
        }
        struct storage_query query = {.channel = SPAN("a"), .start = STORAGE_NEWEST, .limit = 4};
        fixture_expect(&fixture, query, "3<4,5,10,11>12 head");
        query.has_before = true;
        query.before.offset = 5;
        query.limit = 2;
        fixture_expect(&fixture, query, "1<2,4>4");
        fixture_finish(&fixture);
    }
}

TEST(large_payloads_survive_the_journal_the_batch_and_the_store) {
    const size_t sizes[] = {0, 1, 1900, 1995, 1996, 1997, 3999, 4000, 4096, 1 << 20, 16 << 20};
    struct fixture fixture;
    uint8_t *payload = malloc(16 << 20);
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (size_t i = 0; i < 16 << 20; i++) {
        payload[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fixture_publish_bytes(&fixture, "a", span_of(payload + i, sizes[i] - (i == 10 ? i : 0)));
    }
    for (int where = 0; where < 3; where++) {
        struct storage_query query = {
            .channel = SPAN("a"), .start = STORAGE_EARLIEST, .limit = 20, .bytes_max = 40 << 20};
        struct storage_page page = fixture_read(&fixture, &query);
        EXPECT_EQ(page.count, sizeof(sizes) / sizeof(sizes[0]));
        for (size_t i = 0; i < page.count; i++) {
            struct span expected = span_of(payload + i, sizes[i] - (i == 10 ? i : 0));
            EXPECT_TRUE(span_is_equal(page.messages[i]->fields.payload, expected));
        }
        storage_page_finish(&page);
        query.bytes_max = 65536; /* the large ones pass alone */
        query.start = STORAGE_AFTER_OFFSET;
        query.place.offset = 9;
        fixture_expect(&fixture, query, "9<10>10");
        query.place.offset = 10;
        fixture_expect(&fixture, query, "10<11>11 head");
        if (where == 0) {
            fixture_fold(&fixture);
        } else {
            fixture_kill(&fixture);
            fixture_open(&fixture);
        }
    }
    free(payload);
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(a_page_costs_the_same_wherever_it_is),
           UNIT(a_page_holds_no_more_than_asked_but_one_message_always),
           UNIT(a_message_past_its_own_time_is_a_hole_before_a_page),
           UNIT(the_newest_are_as_many_as_were_asked_for_whatever_has_expired),
           UNIT(large_payloads_survive_the_journal_the_batch_and_the_store))
