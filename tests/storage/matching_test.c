/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/matching.h"

#include <stdio.h>

#include "storage/parts.h"
#include "tests/storage/fixture.h"

static enum error_code on_channel(void *context, struct span name, uint64_t folded_id,
                                  struct error *why) {
    char *text = context;
    size_t length = strlen(text);
    (void)why;
    snprintf(text + length, FIXTURE_TEXT_BYTES - length, "%.*s%s ", SPAN_PRINTF(name),
             folded_id == 0 ? "!" : "");
    return OK;
}

static void expect(struct fixture *fixture, const struct storage_selector *selectors, size_t count,
                   size_t looked_max, const char *expected) {
    struct storage_parts parts = storage_borrow_parts(fixture->storage);
    struct moment moment;
    struct matching matching;
    char text[FIXTURE_TEXT_BYTES] = "";
    EXPECT_EQ(moment_init(&moment, parts.store, parts.batch, NULL), OK);
    EXPECT_EQ(matching_init(&matching, &moment, selectors, count, parts.options->on_match, NULL),
              OK);
    matching.looked_max = looked_max;
    EXPECT_EQ(matching_each(&matching, on_channel, text, NULL), OK);
    EXPECT_STRING(text, expected);
    matching_finish(&matching);
    moment_finish(&moment);
}

TEST(each_channel_comes_once_names_first_then_what_is_folded_then_the_batch) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    const char *const folded[] = {"a", "a/1", "a/2", "ab", "b/1"};
    for (size_t i = 0; i < 5; i++) {
        fixture_publish_many(&fixture, folded[i], 1);
    }
    fixture_fold(&fixture);
    fixture_publish_many(&fixture, "a/3", 1);
    fixture_publish_many(&fixture, "a/1", 1);
    const struct storage_selector selectors[] = {{SPAN("a/**"), true},
                                                 {SPAN("none"), false},
                                                 {SPAN("a/2"), false},
                                                 {SPAN("a/2"), false},
                                                 {SPAN("**"), true}};
    expect(&fixture, selectors, 1, 100, "a a/1 a/2 a/3! ");
    expect(&fixture, selectors, 4, 100, "a/2 none! a a/1 a/3! ");
    expect(&fixture, selectors, 5, 100, "a/2 none! a a/1 ab b/1 a/3! ");
    expect(&fixture, selectors, 1, 2, "a a/1 ");
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(each_channel_comes_once_names_first_then_what_is_folded_then_the_batch))
