/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/retaining.h"

#include <stdio.h>

#include "storage/parts.h"
#include "tests/storage/fixture.h"

/* `flags` of a message, and its payload; order is as fixture_make() gives it. */
static void publish(struct fixture *fixture, const char *channel, const char *payload,
                    uint32_t flags, uint64_t ttl_ms) {
    struct message *made = fixture_make(fixture, channel, span_of_string(payload));
    struct message_fields fields = made->fields;
    fields.flags = flags;
    fields.ttl_ms = ttl_ms;
    struct message *message = message_create(&fields);
    message_order(message, &made->place, made->time_ms);
    message_unref(made);
    EXPECT_EQ(storage_append(fixture->storage, &message, 1, NULL), OK);
    storage_admit(fixture->storage, &message, 1);
    message_unref(message);
}

/* What a page holds, in words: "a=one@1 >3 head". */
static void describe(const struct storage_page *page, char *text, size_t bytes) {
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < page->count; i++) {
        const struct message *message = page->messages[i];
        length += (size_t)snprintf(
            text + length, bytes - length, "%.*s=%.*s@%llu ", SPAN_PRINTF(message->fields.channel),
            SPAN_PRINTF(message->fields.payload), (unsigned long long)message->place.offset);
    }
}

static void expect(struct fixture *fixture, const char *const *names, size_t count,
                   const char *expected) {
    struct storage_selector selectors[8];
    struct storage_query query = {.selectors = selectors,
                                  .selector_count = count,
                                  .is_retained = true,
                                  .limit = 10,
                                  .bytes_max = 65536};
    char text[300];
    for (size_t i = 0; i < count; i++) {
        selectors[i] = (struct storage_selector){.text = span_of_string(names[i]),
                                                 .is_pattern = strchr(names[i], '*') != NULL};
    }
    struct storage_page page = fixture_read(fixture, &query);
    describe(&page, text, sizeof(text));
    EXPECT_STRING(text, expected);
    EXPECT_TRUE(page.at_head);
    EXPECT_EQ(page.end.position, fixture->position_next - 1);
    storage_page_finish(&page);
}

static void expect_one(struct fixture *fixture, const char *name, const char *expected) {
    expect(fixture, &name, 1, expected);
}

/* Says the same of what is in the open batch, of what was folded, and after a kill. */
static void expect_always(struct fixture *fixture, const char *name, const char *expected) {
    expect_one(fixture, name, expected);
    fixture_fold(fixture);
    expect_one(fixture, name, expected);
    fixture_kill(fixture);
    fixture_open(fixture);
    expect_one(fixture, name, expected);
}

TEST(the_newest_message_with_the_flag_is_retained) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    expect_one(&fixture, "a", "");
    publish(&fixture, "a", "x", 0, 0);
    expect_always(&fixture, "a", "");
    publish(&fixture, "a", "one", MESSAGE_RETAIN, 0);
    publish(&fixture, "a", "y", 0, 0);
    expect_always(&fixture, "a", "a=one@2 ");
    publish(&fixture, "a", "two", MESSAGE_RETAIN, 0);
    expect_always(&fixture, "a", "a=two@4 ");
    publish(&fixture, "a", "", MESSAGE_RETAIN, 0);
    expect_always(&fixture, "a", "");
    publish(&fixture, "a", "three", MESSAGE_RETAIN, 1000);
    expect_always(&fixture, "a", "a=three@6 ");
    fixture.time_ms += 1000;
    fixture_tick(&fixture);
    expect_always(&fixture, "a", "");
    publish(&fixture, "b", "b", MESSAGE_RETAIN, 0);
    publish(&fixture, "c", "c", MESSAGE_RETAIN, 0);
    expect(&fixture, (const char *const[]){"c", "d", "b", "c"}, 4, "b=b@1 c=c@1 ");
    expect_one(&fixture, "**", "b=b@1 c=c@1 ");
    fixture_finish(&fixture);
}

TEST(a_deleted_message_is_not_retained_and_no_older_one_comes_back) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    publish(&fixture, "a", "one", MESSAGE_RETAIN, 0);
    fixture_fold(&fixture);
    publish(&fixture, "a", "two", MESSAGE_RETAIN, 0);
    fixture_delete(&fixture, "a", 2, 2);
    expect_always(&fixture, "a", "");
    publish(&fixture, "a", "three", MESSAGE_RETAIN, 0);
    fixture_delete(&fixture, "a", 1, 2);
    expect_always(&fixture, "a", "a=three@3 ");
    fixture_delete(&fixture, "a", 1, 3);
    expect_always(&fixture, "a", "");
    fixture_finish(&fixture);
}

static bool retains_latest(void *context, struct span channel) {
    (void)context;
    return span_has_prefix(channel, SPAN("latest/"));
}

TEST(a_channel_may_retain_whatever_is_newest_and_outlive_its_messages) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.options.on_retain_latest = retains_latest;
    fixture.retention.messages_max = 1;
    fixture.retention.age_ms_max = 1000;
    fixture_open(&fixture);
    publish(&fixture, "latest/a", "one", 0, 0);
    publish(&fixture, "latest/a", "two", 0, 0);
    publish(&fixture, "b", "b", MESSAGE_RETAIN, 0);
    expect_always(&fixture, "latest/a", "latest/a=two@2 ");
    fixture.time_ms += UINT64_C(30) * 86400 * 1000;
    fixture_tick(&fixture);
    fixture_fold(&fixture);
    fixture_retain(&fixture);
    fixture.time_ms += UINT64_C(30) * 86400 * 1000;
    fixture_tick(&fixture);
    fixture_fold(&fixture);
    fixture_retain(&fixture);
    expect_always(&fixture, "latest/a", "latest/a=two@2 ");
    expect_always(&fixture, "b", "b=b@1 ");
    fixture_finish(&fixture);
}

/* Pages of `limit` messages and `bytes_max` bytes, one after the other, as words; "|" ends one. */
static void read_pages(struct fixture *fixture, const struct retaining_limits *limits,
                       struct storage_query query, char *text, size_t bytes) {
    struct storage_parts parts = storage_borrow_parts(fixture->storage);
    bool is_over = false;
    text[0] = '\0';
    for (size_t pages = 0; !is_over; pages++) {
        struct moment moment;
        struct storage_page page;
        size_t length = strlen(text);
        EXPECT_EQ(moment_init(&moment, parts.store, parts.batch, NULL), OK);
        EXPECT_EQ(retaining_read(&moment, parts.options, limits, &query, &page, NULL), OK);
        moment_finish(&moment);
        EXPECT_TRUE(page.count <= query.limit);
        EXPECT_TRUE(page.at_head || page.channel_id > query.after_channel_id);
        describe(&page, text + length, bytes - length);
        length = strlen(text);
        snprintf(text + length, bytes - length, "|");
        query.after_channel_id = page.channel_id;
        is_over = page.at_head;
        storage_page_finish(&page);
        EXPECT_TRUE(pages < 1000);
    }
}

/* Without the marks between pages. */
static void expect_pages(struct fixture *fixture, const struct retaining_limits *limits,
                         const struct storage_query *query, const char *expected) {
    static char text[65536];
    size_t kept = 0;
    read_pages(fixture, limits, *query, text, sizeof(text));
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (text[i] != '|') {
            text[kept++] = text[i];
        }
    }
    text[kept] = '\0';
    EXPECT_STRING(text, expected);
}

/* Every third channel has one, some folded, some not, one of each kind replaced in the batch. */
static void fill(struct fixture *fixture, char *expected, size_t bytes) {
    size_t length = 0;
    expected[0] = '\0';
    for (size_t i = 0; i < 300; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%s/%zu", i % 2 == 0 ? "even" : "odd", 999 - i);
        publish(fixture, name, "x", i % 3 == 0 ? MESSAGE_RETAIN : 0, 0);
        if (i == 200) {
            fixture_fold(fixture);
        }
    }
    for (size_t i = 0; i < 300; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%s/%zu", i % 2 == 0 ? "even" : "odd", 999 - i);
        if (i % 50 == 0) {
            publish(fixture, name, "new", MESSAGE_RETAIN, 0);
        }
        if (i % 2 == 0 && (i % 3 == 0 || i % 50 == 0)) {
            length += (size_t)snprintf(expected + length, bytes - length, "%s=%s@%d ", name,
                                       i % 50 == 0 ? "new" : "x", i % 50 == 0 ? 2 : 1);
        }
    }
}

TEST(pages_go_through_a_pattern_in_order_of_channel_id_whatever_they_may_cost) {
    static char expected[65536];
    static const struct retaining_limits limits[] = {
        {1000, 1000, 1000}, {10, 1000, 1000}, {10, 7, 1000},   {10, 1000, 5},
        {1000, 1000, 5},    {10, 1, 1},       {1000, 1000, 1},
    };
    static const uint32_t page_limits[] = {1, 7, 1000};
    const struct storage_selector selectors[] = {{SPAN("even/*"), true}, {SPAN("even/999"), false}};
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fill(&fixture, expected, sizeof(expected));
    for (int round = 0; round < 2; round++, fixture_fold(&fixture)) {
        for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
            for (size_t at = 0; at < ARRAY_COUNT(page_limits); at++) {
                struct storage_query query = {.selectors = selectors,
                                              .selector_count = 2,
                                              .is_retained = true,
                                              .limit = page_limits[at],
                                              .bytes_max = i % 2 == 0 ? 2 : 65536};
                expect_pages(&fixture, &limits[i], &query, expected);
            }
        }
    }
    fixture_finish(&fixture);
}

TEST(a_page_of_a_budget_may_be_empty_and_goes_on) {
    static const struct retaining_limits limits = {1, 4, 100};
    struct storage_selector selector = {SPAN("**"), true};
    struct fixture fixture;
    char text[300];
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (int i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%s%d", i == 8 ? "a/" : "b", i);
        publish(&fixture, name, "x", MESSAGE_RETAIN, 0);
    }
    fixture_fold(&fixture);
    struct storage_query query = {.selectors = &selector,
                                  .selector_count = 1,
                                  .is_retained = true,
                                  .limit = 3,
                                  .bytes_max = 65536};
    read_pages(&fixture, &limits, query, text, sizeof(text));
    EXPECT_STRING(text, "b0=x@1 b1=x@1 b2=x@1 |b3=x@1 b4=x@1 b5=x@1 |b6=x@1 b7=x@1 a/8=x@1 |"
                        "b9=x@1 |");
    query.limit = 1; /* of one channel by its id, which its place says */
    for (query.after_channel_id = 0; query.after_channel_id < 10; query.after_channel_id++) {
        struct storage_page page = fixture_read(&fixture, &query);
        EXPECT_EQ(page.count, 1);
        EXPECT_EQ(page.messages[0]->place.channel_id, query.after_channel_id + 1);
        storage_page_finish(&page);
    }
    query.limit = 3;
    query.after_channel_id = 0;
    selector.text = SPAN("a/**");
    read_pages(&fixture, &limits, query, text, sizeof(text));
    EXPECT_STRING(text, "a/8=x@1 |"); /* few names begin with this: the table is not walked */
    const struct storage_selector both[] = {selector, {SPAN("z/*"), true}, {SPAN("*/8"), true}};
    query.selectors = both;
    query.selector_count = 3;
    read_pages(&fixture, &limits, query, text, sizeof(text));
    EXPECT_STRING(text, "||a/8=x@1 |");
    fixture_finish(&fixture);
}

TEST(a_large_message_passes_alone_and_comes_as_it_was) {
    static uint8_t payload[100000];
    struct fixture fixture;
    struct storage_query query = {
        .channel = SPAN("a"), .is_retained = true, .limit = 10, .bytes_max = 1000};
    fixture_init(&fixture);
    fixture_open(&fixture);
    struct place place =
        fixture_publish_fields(&fixture, "a",
                               (struct message_fields){.flags = MESSAGE_RETAIN | MESSAGE_MQTT,
                                                       .qos = 2,
                                                       .type = SPAN("image/png"),
                                                       .payload_kind = PAYLOAD_BINARY,
                                                       .response_topic = SPAN("b"),
                                                       .correlation = SPAN("c"),
                                                       .publisher = SPAN("d"),
                                                       .ttl_ms = 5000,
                                                       .payload = span_of(payload, 100000)});
    for (int round = 0; round < 2; round++, fixture_fold(&fixture)) {
        struct storage_page page = fixture_read(&fixture, &query);
        EXPECT_EQ(page.count, 1);
        const struct message *message = page.messages[0];
        EXPECT_EQ(message->place.position, place.position);
        EXPECT_EQ(message->place.channel_id, page.channel_id);
        EXPECT_EQ(message->fields.payload.length, sizeof(payload));
        EXPECT_EQ(message->fields.flags, MESSAGE_RETAIN | MESSAGE_MQTT);
        EXPECT_EQ(message->fields.qos, 2);
        EXPECT_EQ(message->expiry_ms, message->time_ms + 5000);
        EXPECT_SPAN(message->fields.response_topic, "b");
        EXPECT_SPAN(message->fields.publisher, "d");
        storage_page_finish(&page);
    }
    fixture_finish(&fixture);
}

static void pass_days(struct fixture *fixture, uint64_t days) {
    fixture->time_ms += days * 86400 * 1000;
    fixture_tick(fixture);
    fixture_fold(fixture);
    fixture_retain(fixture);
}

TEST(a_channel_is_forgotten_once_its_retained_message_has_expired) {
    struct fixture fixture;
    struct storage_figures figures;
    fixture_init(&fixture);
    fixture.retention.age_ms_max = 1000;
    fixture_open(&fixture);
    publish(&fixture, "a", "for a month", MESSAGE_RETAIN, UINT64_C(30) * 86400 * 1000);
    publish(&fixture, "b", "for ever", MESSAGE_RETAIN, 0);
    pass_days(&fixture, 15);
    expect_one(&fixture, "*", "a=for a month@1 b=for ever@1 ");
    pass_days(&fixture, 20);
    expect_one(&fixture, "*", "b=for ever@1 ");
    pass_days(&fixture, 1);
    storage_get_figures(fixture.storage, &figures);
    EXPECT_EQ(figures.channel_count, 1);
    expect_one(&fixture, "*", "b=for ever@1 ");
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(the_newest_message_with_the_flag_is_retained),
           UNIT(a_deleted_message_is_not_retained_and_no_older_one_comes_back),
           UNIT(a_channel_may_retain_whatever_is_newest_and_outlive_its_messages),
           UNIT(pages_go_through_a_pattern_in_order_of_channel_id_whatever_they_may_cost),
           UNIT(a_page_of_a_budget_may_be_empty_and_goes_on),
           UNIT(a_large_message_passes_alone_and_comes_as_it_was),
           UNIT(a_channel_is_forgotten_once_its_retained_message_has_expired))
