/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/template.h"

#include "tests/unit.h"

static const char *const words[] = {"channel", "key", NULL};
static struct error why;

static enum error_code check(const char *text) {
    why = (struct error){0};
    return template_check(span_of_string(text), words, &why);
}

static void expect(const char *text, const char *expected) {
    const struct template_value values[] = {
        {"channel", SPAN("a/b/c"), '/', '.'},
        {"key", SPAN("k/1"), 0, 0},
    };
    struct buffer buffer;
    buffer_init(&buffer, 100);
    EXPECT_EQ(check(text), OK);
    EXPECT_EQ(template_put(&buffer, span_of_string(text), values, ARRAY_COUNT(values)), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), expected);
    buffer_finish(&buffer);
}

TEST(words_in_braces_stand_for_their_values) {
    expect("{channel}", "a.b.c");
    expect("site-a/{channel}/x", "site-a/a.b.c/x");
    expect("{key}{channel}{key}", "k/1a.b.ck/1");
}

TEST(text_without_braces_is_itself) {
    expect("orders", "orders");
    expect("", "");
}

TEST(a_word_that_nothing_stands_for_is_refused_and_named) {
    EXPECT_EQ(check("a/{topic}"), ERR_CONFIG);
    EXPECT_STRING(why.detail, "`{topic}` stands for nothing");
    EXPECT_EQ(check("{}"), ERR_CONFIG);
    EXPECT_EQ(check("{Channel}"), ERR_CONFIG);
}

TEST(a_brace_alone_is_refused) {
    EXPECT_EQ(check("{channel"), ERR_CONFIG);
    EXPECT_EQ(check("channel}"), ERR_CONFIG);
    EXPECT_EQ(check("{{channel}}"), ERR_CONFIG);
    EXPECT_EQ(check("a{"), ERR_CONFIG);
}

TEST(a_buffer_that_is_full_is_left_as_it_was) {
    const struct template_value values[] = {{"channel", SPAN("0123456789"), 0, 0}};
    struct buffer buffer;
    buffer_init(&buffer, 12);
    EXPECT_EQ(buffer_put(&buffer, SPAN("ab")), OK);
    EXPECT_EQ(template_put(&buffer, SPAN("x{channel}"), values, 1), ERR_TOO_LARGE);
    EXPECT_SPAN(buffer_borrow(&buffer), "ab");
    buffer_finish(&buffer);
}

UNIT_TESTS(UNIT(words_in_braces_stand_for_their_values), UNIT(text_without_braces_is_itself),
           UNIT(a_word_that_nothing_stands_for_is_refused_and_named),
           UNIT(a_brace_alone_is_refused), UNIT(a_buffer_that_is_full_is_left_as_it_was))
