/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/trie.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/channels/pattern.h"
#include "tests/unit.h"

#define PATTERNS 300
#define SEGMENTS 4
#define TEXT_BYTES 32

struct entry {
    struct trie_leaf leaf;
    char pattern[TEXT_BYTES];
    unsigned matches;
};

static void on_match(void *context, struct trie_leaf *leaf) {
    (void)context;
    CONTAINER_OF(leaf, struct entry, leaf)->matches++;
}

/* The same sequence each time (xorshift). */
static size_t draw_below(size_t end) {
    static uint32_t state = 2463534242;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % end;
}

/* A text of up to SEGMENTS segments out of few words, so that patterns and names meet, of few
 * tenants or none. */
static void draw(char *text, bool is_pattern) {
    static const char *const scopes[] = {"", "", "\1t/", "\1u/"};
    static const char *const words[] = {"a", "b", "", "$c", "ab", "*", "**"};
    size_t count = 1 + draw_below(SEGMENTS);
    size_t scope = (size_t)snprintf(text, TEXT_BYTES, "%s", scopes[draw_below(4)]);
    size_t length = scope;
    for (size_t i = 0; i < count; i++) {
        size_t kinds = !is_pattern ? 5 : i + 1 == count ? 7 : 6;
        length += (size_t)snprintf(text + length, TEXT_BYTES - length, "%s%s", i == 0 ? "" : "/",
                                   words[draw_below(kinds)]);
    }
    if (length == scope) {
        snprintf(text + length, TEXT_BYTES - length, "a");
    }
}

static bool is_there(const struct entry *entries, size_t count, const char *pattern) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(entries[i].pattern, pattern) == 0) {
            return true;
        }
    }
    return false;
}

TEST(it_finds_what_trying_each_pattern_finds) {
    struct entry *entries = calloc(PATTERNS, sizeof(*entries));
    struct trie trie;
    EXPECT_EQ(trie_init(&trie), OK);
    size_t count = 0;
    for (int tries = 0; tries < 5000 && count < PATTERNS; tries++) {
        draw(entries[count].pattern, true);
        if (!is_there(entries, count, entries[count].pattern)) {
            struct span pattern = span_of_string(entries[count].pattern);
            EXPECT_EQ(trie_put(&trie, pattern, &entries[count].leaf), OK);
            count++;
        }
    }
    EXPECT_TRUE(count > 100);
    for (int round = 0; round < 3000; round++) {
        char name[TEXT_BYTES];
        draw(name, false);
        trie_match(&trie, span_of_string(name), on_match, NULL);
        for (size_t i = 0; i < count; i++) {
            bool matches =
                pattern_matches(span_of_string(entries[i].pattern), span_of_string(name));
            EXPECT_EQ(entries[i].matches, matches ? 1 : 0);
            entries[i].matches = 0;
        }
        if (round % 10 == 9 && count > 1) { /* what was taken out is found no more */
            size_t out = draw_below(count);
            trie_remove(&trie, &entries[out].leaf);
            struct entry last = entries[--count];
            if (out < count) {
                trie_remove(&trie, &entries[count].leaf);
                entries[out] = last;
                EXPECT_EQ(trie_put(&trie, span_of_string(last.pattern), &entries[out].leaf), OK);
            }
        }
    }
    while (count > 0) {
        trie_remove(&trie, &entries[--count].leaf);
    }
    EXPECT_EQ(map_count(&trie.edges), 0);
    trie_finish(&trie);
    free(entries);
}

UNIT_TESTS(UNIT(it_finds_what_trying_each_pattern_finds))
