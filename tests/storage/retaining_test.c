/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/retaining.h"

#include <stdio.h>

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

struct told {
    char text[200];
    size_t count;
};

static bool on_message(void *context, const struct message *message) {
    struct told *told = context;
    size_t length = strlen(told->text);
    snprintf(told->text + length, sizeof(told->text) - length, "%.*s=%.*s@%llu ",
             SPAN_PRINTF(message->fields.channel), SPAN_PRINTF(message->fields.payload),
             (unsigned long long)message->place.offset);
    told->count++;
    return true;
}

static void expect(struct fixture *fixture, const char *const *names, size_t count,
                   const char *expected) {
    struct storage_selector selectors[8];
    struct storage_query query = {.selectors = selectors, .selector_count = count};
    struct told told = {0};
    for (size_t i = 0; i < count; i++) {
        selectors[i] = (struct storage_selector){.text = span_of_string(names[i])};
    }
    EXPECT_EQ(storage_each_retained(fixture->storage, &query, 10, on_message, &told, NULL), OK);
    EXPECT_STRING(told.text, expected);
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

UNIT_TESTS(UNIT(the_newest_message_with_the_flag_is_retained),
           UNIT(a_deleted_message_is_not_retained_and_no_older_one_comes_back),
           UNIT(a_channel_may_retain_whatever_is_newest_and_outlive_its_messages))
