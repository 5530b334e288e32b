/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/filters.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/limits.h"
#include "tests/unit.h"

static struct filters filters;

static struct filter *put(const char *text, const struct filter_options *options) {
    struct filter *filter = NULL;
    EXPECT_EQ(filter_create(span_of_string(text), (struct span){0}, options, &filter, NULL), OK);
    EXPECT_EQ(filters_put(&filters, filter), OK);
    return filter;
}

static void expect_pattern(const char *text, const char *pattern) {
    struct filter_options options = {.kind = FILTER_LOG};
    struct filter *filter = NULL;
    EXPECT_EQ(filter_create(span_of_string(text), (struct span){0}, &options, &filter, NULL), OK);
    EXPECT_TRUE(span_is_equal(filter_pattern(filter), span_of_string(pattern)));
    EXPECT_TRUE(span_is_equal(filter_text(filter), span_of_string(text)));
    free(filter);
}

static struct message message_of(const char *channel, uint64_t position, const char *publisher) {
    struct message message = {.place.position = position};
    message.fields.channel = span_of_string(channel);
    message.fields.publisher = span_of_string(publisher);
    return message;
}

TEST(wildcards_become_those_of_patterns) {
    expect_pattern("a/b", "a/b");
    expect_pattern("+", "*");
    expect_pattern("#", "**");
    expect_pattern("a/+/c/#", "a/*/c/**");
    expect_pattern("/+/", "/*/");
    expect_pattern("$share/group/a/#", "a/**");
}

TEST(what_stands_for_no_channel_is_refused) {
    struct filter_options options = {.kind = FILTER_LOG};
    struct filter *filter = NULL;
    EXPECT_EQ(filter_create(SPAN("a/*"), (struct span){0}, &options, &filter, NULL),
              ERR_BAD_CHANNEL);
    EXPECT_EQ(filter_create(SPAN("a/\001"), (struct span){0}, &options, &filter, NULL),
              ERR_BAD_CHANNEL);
    char text[CHANNEL_NAME_BYTES_MAX + 2];
    memset(text, 'a', sizeof(text));
    EXPECT_EQ(filter_create(span_of(text, CHANNEL_NAME_BYTES_MAX + 1), (struct span){0}, &options,
                            &filter, NULL),
              ERR_BAD_CHANNEL);
    EXPECT_EQ(filter_create(span_of(text, CHANNEL_NAME_BYTES_MAX), (struct span){0}, &options,
                            &filter, NULL),
              OK);
    free(filter);
}

/* [MQTT-3.8.4-3] */
TEST(a_filter_takes_the_place_of_its_equal) {
    put("a/+", &(struct filter_options){.kind = FILTER_LOG, .qos = 0});
    put("b", &(struct filter_options){.kind = FILTER_LOG});
    put("a/+", &(struct filter_options){.kind = FILTER_LOG, .qos = 2});
    EXPECT_EQ(filters.count, 2);
    EXPECT_EQ(filters_find(&filters, SPAN("a/+"))->options.qos, 2);
    EXPECT_TRUE(filters_drop(&filters, SPAN("a/+")));
    EXPECT_FALSE(filters_drop(&filters, SPAN("a/+")));
    EXPECT_EQ(filters.count, 1);
    filters_finish(&filters);
}

static void expect_list(const struct filters *list, const char *const *texts, uint32_t count) {
    EXPECT_EQ(list->count, count);
    for (uint32_t i = 0; i < count; i++) {
        EXPECT_SPAN(filter_text(filters_list(list)[i]), texts[i]);
    }
}

/* One stands in the place of the list; what grew to several stays a list. */
TEST(filters_are_the_same_as_one_and_as_several_and_where_they_are_moved_to) {
    const struct filter_options options = {.kind = FILTER_LOG};
    const struct filter_options other = {.kind = FILTER_LOG, .qos = 1};
    put("a", &options);
    put("a", &other); /* in the place of the one */
    struct filters moved = filters;
    filters = (struct filters){0};
    expect_list(&moved, (const char *const[]){"a"}, 1);
    filters = moved;
    EXPECT_TRUE(filters_drop(&filters, SPAN("a")));
    expect_list(&filters, NULL, 0);
    put("b", &options);
    put("c", &options);
    put("d", &options);
    expect_list(&filters, (const char *const[]){"b", "c", "d"}, 3);
    EXPECT_TRUE(filters_drop(&filters, SPAN("b")));
    EXPECT_TRUE(filters_drop(&filters, SPAN("d")));
    moved = filters;
    filters = (struct filters){0};
    expect_list(&moved, (const char *const[]){"c"}, 1);
    filters = moved;
    EXPECT_TRUE(filters_drop(&filters, SPAN("c")));
    put("e", &options);
    put("f", &options);
    expect_list(&filters, (const char *const[]){"e", "f"}, 2);
    filters_finish(&filters);
    expect_list(&filters, NULL, 0);
}

TEST(no_session_has_more_than_the_limit) {
    struct filter_options options = {.kind = FILTER_LOG};
    struct filter *filter = NULL;
    for (int i = 0; i < SELECTORS_MAX; i++) {
        char text[16];
        snprintf(text, sizeof(text), "c/%d", i);
        put(text, &options);
    }
    EXPECT_EQ(filter_create(SPAN("one/more"), (struct span){0}, &options, &filter, NULL), OK);
    EXPECT_EQ(filters_put(&filters, filter), ERR_FULL);
    free(filter);
    EXPECT_EQ(filters_count(&filters, FILTER_LOG), SELECTORS_MAX);
    EXPECT_EQ(filters_count(&filters, FILTER_SHARED), 0);
    filters_finish(&filters);
}

/* [MQTT-3.3.5-1] */
TEST(of_several_that_match_the_highest_qos_counts) {
    struct filters_choice choice;
    const struct filter *matching[SELECTORS_MAX];
    put("a/#", &(struct filter_options){.kind = FILTER_LOG, .qos = 1, .identifier = 7});
    put("a/b", &(struct filter_options){.kind = FILTER_LOG, .qos = 2, .asks_offset = true});
    put("c", &(struct filter_options){.kind = FILTER_LOG, .qos = 2});
    struct message message = message_of("a/b", 5, "");
    filters_choose(&filters, &message, SPAN("me"), &choice, matching);
    EXPECT_EQ(choice.match_count, 2);
    EXPECT_EQ(choice.qos, 2);
    EXPECT_TRUE(choice.asks_offset);
    EXPECT_FALSE(choice.is_retained_as_published);
    EXPECT_EQ(matching[0]->options.identifier, 7);
    filters_finish(&filters);
}

TEST(what_lies_before_its_start_is_not_for_a_filter) {
    struct filters_choice choice;
    put("a", &(struct filter_options){.kind = FILTER_LOG, .qos = 1, .start = 10});
    struct message old = message_of("a", 10, "");
    struct message new = message_of("a", 11, "");
    filters_choose(&filters, &old, SPAN("me"), &choice, NULL);
    EXPECT_EQ(choice.match_count, 0);
    filters_choose(&filters, &new, SPAN("me"), &choice, NULL);
    EXPECT_EQ(choice.match_count, 1);
    filters_finish(&filters);
}

/* [MQTT-3.8.3-3] */
TEST(no_local_keeps_the_clients_own_away) {
    struct filters_choice choice;
    put("a", &(struct filter_options){.kind = FILTER_LOG, .is_no_local = true});
    struct message own = message_of("a", 1, "me");
    struct message other = message_of("a", 2, "you");
    filters_choose(&filters, &own, SPAN("me"), &choice, NULL);
    EXPECT_EQ(choice.match_count, 0);
    filters_choose(&filters, &other, SPAN("me"), &choice, NULL);
    EXPECT_EQ(choice.match_count, 1);
    filters_finish(&filters);
}

TEST(a_pattern_is_its_tenants_and_the_text_the_clients) {
    struct filter_options options = {.kind = FILTER_LOG};
    struct filter_options sys = {.kind = FILTER_SYS};
    struct filter *filter = NULL;
    EXPECT_EQ(filter_create(SPAN("a"), SPAN("acme"), &options, &filter, NULL), OK);
    EXPECT_SPAN(filter_text(filter), "a");
    EXPECT_SPAN(filter_pattern(filter), "\001acme/a");
    free(filter);
    EXPECT_EQ(filter_create(SPAN("$share/g/a/+"), SPAN("acme"), &options, &filter, NULL), OK);
    EXPECT_SPAN(filter_pattern(filter), "\001acme/a/*");
    free(filter);
    EXPECT_EQ(filter_create(SPAN("$SYS/#"), SPAN("acme"), &sys, &filter, NULL), OK);
    EXPECT_SPAN(filter_pattern(filter), "$SYS/**");
    free(filter);
    EXPECT_EQ(filter_create(SPAN("\001acme/a"), SPAN(""), &options, &filter, NULL),
              ERR_BAD_CHANNEL);
    EXPECT_EQ(filter_create(SPAN("\001"), SPAN(""), &options, &filter, NULL), ERR_BAD_CHANNEL);
}

UNIT_TESTS(UNIT(wildcards_become_those_of_patterns), UNIT(what_stands_for_no_channel_is_refused),
           UNIT(a_filter_takes_the_place_of_its_equal),
           UNIT(filters_are_the_same_as_one_and_as_several_and_where_they_are_moved_to),
           UNIT(no_session_has_more_than_the_limit),
           UNIT(of_several_that_match_the_highest_qos_counts),
           UNIT(what_lies_before_its_start_is_not_for_a_filter),
           UNIT(no_local_keeps_the_clients_own_away),
           UNIT(a_pattern_is_its_tenants_and_the_text_the_clients))
