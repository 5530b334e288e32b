/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/interests.h"

#include "tests/unit.h"

/* Stands for a sink: counts what it is told. */
struct sink {
    size_t told;
};

static void on_interest(struct sink *sink, struct message *message) {
    (void)message;
    sink->told++;
}

static struct interests interests;

static int set_up(void **state) {
    (void)state;
    return interests_init(&interests) == OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    interests_finish(&interests);
    return 0;
}

static void put(struct sink *sink, struct interest *interest, const char *text) {
    *interest = (struct interest){.sink = sink};
    EXPECT_EQ(interests_put(&interests, span_of_string(text), interest), OK);
}

/* How often the sink is told of a message of that channel. */
static size_t tell(struct sink *sink, const char *channel) {
    struct message_fields fields = {.kind = MESSAGE_DATA, .channel = span_of_string(channel)};
    struct message *message = message_create(&fields);
    EXPECT_NOT_NULL(message);
    sink->told = 0;
    interests_match(&interests, message, on_interest);
    message_unref(message);
    return sink->told;
}

TEST(names_and_patterns_are_told_of_their_channels_alone) {
    struct sink named = {0}, any = {0};
    struct interest name, pattern;
    put(&named, &name, "orders/7");
    put(&any, &pattern, "orders/**");
    EXPECT_EQ(tell(&named, "orders/7"), 1);
    EXPECT_EQ(tell(&named, "orders/8"), 0);
    EXPECT_EQ(tell(&any, "orders/8"), 1);
    EXPECT_EQ(tell(&any, "invoices/8"), 0);
    EXPECT_FALSE(interest_is_pattern(&name));
    EXPECT_TRUE(interest_is_pattern(&pattern));
    interests_remove(&interests, &name);
    interests_remove(&interests, &pattern);
}

TEST(sinks_of_one_text_are_all_told_until_they_go) {
    struct sink first = {0}, second = {0};
    struct interest of_first, of_second;
    put(&first, &of_first, "a/*");
    put(&second, &of_second, "a/*");
    EXPECT_EQ(tell(&first, "a/b"), 1);
    EXPECT_EQ(second.told, 1);
    interests_remove(&interests, &of_first);
    EXPECT_EQ(tell(&first, "a/b"), 0);
    EXPECT_EQ(tell(&second, "a/b"), 1);
    interests_remove(&interests, &of_second);
    EXPECT_EQ(tell(&second, "a/b"), 0);
}

TEST(a_sink_is_told_once_for_each_selector_that_fits) {
    struct sink sink = {0};
    struct interest one, other;
    put(&sink, &one, "a/b");
    put(&sink, &other, "a/**");
    EXPECT_EQ(tell(&sink, "a/b"), 2);
    interests_remove(&interests, &one);
    interests_remove(&interests, &other);
}

TEST(a_pattern_of_everything_is_not_told_of_the_brokers_own) {
    struct sink all = {0}, own = {0};
    struct interest of_all, of_own;
    put(&all, &of_all, "**");
    put(&own, &of_own, "$dlq/**");
    EXPECT_EQ(tell(&all, "$dlq/orders"), 0);
    EXPECT_EQ(tell(&own, "$dlq/orders"), 1);
    interests_remove(&interests, &of_all);
    interests_remove(&interests, &of_own);
}

TEST(what_was_never_put_may_be_removed) {
    struct interest interest = {0};
    interests_remove(&interests, &interest);
}

#define IN_INTERESTS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_INTERESTS(names_and_patterns_are_told_of_their_channels_alone),
        IN_INTERESTS(sinks_of_one_text_are_all_told_until_they_go),
        IN_INTERESTS(a_sink_is_told_once_for_each_selector_that_fits),
        IN_INTERESTS(a_pattern_of_everything_is_not_told_of_the_brokers_own),
        IN_INTERESTS(what_was_never_put_may_be_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
