/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sources/seen.h"

#include <stdio.h>

#include "tests/unit.h"

static void make_key(const char *topic, int number, char key[SEEN_KEY_BYTES]) {
    char text[20];
    snprintf(text, sizeof(text), "id-%d", number);
    EXPECT_EQ(seen_hash(span_of_string(topic), span_of_string(text), key), OK);
}

static size_t put(struct seen *seen, int number) {
    char key[SEEN_KEY_BYTES];
    struct seen_page page;
    make_key("topic", number, key);
    size_t index = seen_plan(seen, key, &page);
    seen_put(seen, index, &page);
    return index;
}

static bool has(const struct seen *seen, const char *topic, int number) {
    char key[SEEN_KEY_BYTES];
    make_key(topic, number, key);
    return seen_has(seen, key);
}

static void learn_all(struct seen *seen, const struct seen *from) {
    for (size_t i = 0; i < SEEN_PAGES; i++) {
        seen_learn(seen, i, span_of(from->pages[i].text, from->pages[i].length));
    }
}

TEST(last_ids_are_known_and_the_oldest_page_is_forgotten) {
    struct seen seen = {0};
    int count = SEEN_PAGES * SEEN_PAGE_IDS + 1;
    for (int i = 0; i < count; i++) {
        put(&seen, i);
    }
    EXPECT_FALSE(has(&seen, "topic", 0));
    EXPECT_FALSE(has(&seen, "topic", SEEN_PAGE_IDS - 1));
    for (int i = count - SEEN_IDS; i < count; i++) {
        EXPECT_TRUE(has(&seen, "topic", i));
    }
    EXPECT_FALSE(has(&seen, "another topic", count - 1));
}

TEST(plan_that_is_not_put_changes_nothing) {
    struct seen seen = {0};
    char key[SEEN_KEY_BYTES];
    struct seen_page page;
    make_key("topic", 1, key);
    EXPECT_EQ(seen_plan(&seen, key, &page), 0);
    EXPECT_EQ(page.length, 2 * SEEN_KEY_BYTES);
    EXPECT_FALSE(seen_has(&seen, key));
}

TEST(pages_bring_back_what_was_known_and_go_on_where_they_stood) {
    struct seen seen = {0}, learned = {0};
    size_t last = 0;
    for (int i = 0; i < 3 * SEEN_PAGES * SEEN_PAGE_IDS / 2; i++) {
        last = put(&seen, i);
    }
    learn_all(&learned, &seen);
    EXPECT_EQ(learned.newest, last);
    EXPECT_EQ(learned.number, seen.number);
    EXPECT_TRUE(has(&learned, "topic", 3 * SEEN_PAGES * SEEN_PAGE_IDS / 2 - 1));
    EXPECT_EQ(put(&learned, 9999), put(&seen, 9999));
}

TEST(text_that_is_no_page_is_nothing) {
    struct seen seen = {0};
    seen_learn(&seen, 1, SPAN("no such text"));
    seen_learn(&seen, 1, SPAN("0000000xabcdefgh"));
    seen_learn(&seen, 1, SPAN("00000007"));
    seen_learn(&seen, 1, (struct span){0});
    EXPECT_EQ(seen.pages[1].length, 0);
    EXPECT_EQ(seen.number, 0);
    seen_learn(&seen, 1, SPAN("00000007abcdefgh"));
    EXPECT_EQ(seen.number, 7);
    EXPECT_TRUE(seen_has(&seen, "abcdefgh"));
}

UNIT_TESTS(UNIT(last_ids_are_known_and_the_oldest_page_is_forgotten),
           UNIT(plan_that_is_not_put_changes_nothing),
           UNIT(pages_bring_back_what_was_known_and_go_on_where_they_stood),
           UNIT(text_that_is_no_page_is_nothing))
