/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/selectors.h"

#include <stdlib.h>

#include "broker/limits.h"
#include "broker/support/buffer.h"
#include "tests/unit.h"

static struct storage_selector *selectors;
static size_t count;
static struct error why;

static enum error_code read_query(const char *query) {
    free(selectors);
    selectors = NULL;
    why = (struct error){0};
    return selectors_create_of_query(span_of_string(query), &selectors, &count, &why);
}

static int end(void **state) {
    (void)state;
    free(selectors);
    selectors = NULL;
    return 0;
}

TEST(one_text_is_a_channel_or_a_pattern) {
    EXPECT_EQ(selectors_create_one(SPAN("a/b"), false, &selectors, &why), OK);
    EXPECT_SPAN(selectors[0].text, "a/b");
    EXPECT_FALSE(selectors[0].is_pattern);
    free(selectors);
    EXPECT_EQ(selectors_create_one(SPAN("a/*/c"), false, &selectors, &why), OK);
    EXPECT_TRUE(selectors[0].is_pattern);
}

TEST(one_text_against_the_rules_is_refused_and_named) {
    static const char *const texts[] = {"", "a//b", "a/b*", "**/a", "a+b"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        EXPECT_EQ(selectors_create_one(span_of_string(texts[i]), false, &selectors, &why),
                  ERR_BAD_CHANNEL);
        EXPECT_STRING(why.field, "channel");
    }
    EXPECT_EQ(selectors_create_one(SPAN("a//b"), true, &selectors, &why), OK);
}

TEST(a_query_names_many_and_each_once) {
    EXPECT_EQ(read_query("channel=a&since=3&ch%61nnel=b%2F**&channel=%61&channel=a//b&channel=+"),
              OK);
    EXPECT_EQ(count, 4);
    EXPECT_SPAN(selectors[0].text, "a");
    EXPECT_SPAN(selectors[1].text, "b/**");
    EXPECT_TRUE(selectors[1].is_pattern);
    EXPECT_SPAN(selectors[2].text, "a//b");
    EXPECT_SPAN(selectors[3].text, " ");
}

TEST(a_query_without_channels_names_none) {
    EXPECT_EQ(read_query("since=3&channels=a"), OK);
    EXPECT_EQ(count, 0);
    EXPECT_TRUE(selectors == NULL);
}

TEST(one_bad_name_refuses_all_of_them) {
    static const char *const queries[] = {"channel=a&channel=", "channel=a&channel=b%2",
                                          "channel=a&channel", "channel=**%2Fb&channel=a"};
    for (size_t i = 0; i < ARRAY_COUNT(queries); i++) {
        EXPECT_EQ(read_query(queries[i]), ERR_BAD_CHANNEL);
        EXPECT_STRING(why.field, "channel");
        EXPECT_EQ(count, 0);
    }
}

TEST(more_than_the_limit_is_refused) {
    struct buffer query;
    buffer_init(&query, 1048576);
    for (int i = 0; i < SELECTORS_MAX; i++) {
        EXPECT_EQ(buffer_printf(&query, "channel=a%d&", i), OK);
    }
    EXPECT_EQ(selectors_create_of_query(buffer_borrow(&query), &selectors, &count, &why), OK);
    EXPECT_EQ(count, SELECTORS_MAX);
    free(selectors);
    EXPECT_EQ(buffer_put(&query, SPAN("channel=z")), OK);
    EXPECT_EQ(selectors_create_of_query(buffer_borrow(&query), &selectors, &count, &why),
              ERR_BAD_REQUEST);
    buffer_finish(&query);
}

#define SELECTORS(name) cmocka_unit_test_teardown(name, end)

UNIT_TESTS(SELECTORS(one_text_is_a_channel_or_a_pattern),
           SELECTORS(one_text_against_the_rules_is_refused_and_named),
           SELECTORS(a_query_names_many_and_each_once),
           SELECTORS(a_query_without_channels_names_none),
           SELECTORS(one_bad_name_refuses_all_of_them), SELECTORS(more_than_the_limit_is_refused))
