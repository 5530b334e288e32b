/* SPDX-License-Identifier: Apache-2.0 */
/* With TIDINGS_WRITE_REFERENCE set it writes the page instead of comparing it. */
#include "broker/support/log_event.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit.h"

static bool is_key(const char *name) {
    static const char *const taken[] = {"time", "level", "event", "message", "suppressed"};
    for (size_t i = 0; i < ARRAY_COUNT(taken); i++) {
        if (strcmp(name, taken[i]) == 0) {
            return false;
        }
    }
    return islower((unsigned char)name[0]) &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz_")] == '\0';
}

static enum log_kind type_of(const struct log_key *key) {
    return key->kind == LOG_KIND_SPAN ? LOG_KIND_TEXT : key->kind;
}

TEST(keys_are_words_and_stand_once_in_a_line) {
    for (size_t i = 0; i < LOG_EVENT_NUMBER; i++) {
        const struct log_event_row *row = &log_event_rows[i];
        for (size_t j = 0; j < row->key_count; j++) {
            EXPECT_TRUE(i == LOG_EVENT_LINES_SUPPRESSED || is_key(row->keys[j].name));
            for (size_t k = 0; k < j; k++) {
                EXPECT_TRUE(strcmp(row->keys[j].name, row->keys[k].name) != 0);
            }
        }
    }
}

/* Programs that index the lines by their keys fix the type of each. */
TEST(a_key_has_one_type_wherever_it_stands) {
    for (size_t i = 0; i < LOG_EVENT_NUMBER * LOG_EVENT_NUMBER; i++) {
        const struct log_event_row *left = &log_event_rows[i / LOG_EVENT_NUMBER];
        const struct log_event_row *right = &log_event_rows[i % LOG_EVENT_NUMBER];
        for (size_t j = 0; j < left->key_count; j++) {
            for (size_t k = 0; k < right->key_count; k++) {
                if (strcmp(left->keys[j].name, right->keys[k].name) == 0) {
                    EXPECT_EQ(type_of(&left->keys[j]), type_of(&right->keys[k]));
                }
            }
        }
    }
}

TEST(no_row_has_more_texts_than_a_line_has_room_for) {
    for (size_t i = 0; i < LOG_EVENT_NUMBER; i++) {
        size_t texts = 0;
        for (size_t j = 0; j < log_event_rows[i].key_count; j++) {
            texts += log_event_rows[i].keys[j].kind >= LOG_KIND_TEXT;
        }
        EXPECT_TRUE(texts <= LOG_TEXTS_MAX);
    }
}

TEST(rows_say_what_happened_and_what_to_do) {
    for (size_t i = 0; i < LOG_EVENT_NUMBER; i++) {
        const struct log_event_row *row = &log_event_rows[i];
        EXPECT_EQ(row->name[strspn(row->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_")], '\0');
        EXPECT_EQ(row->advice[strlen(row->advice) - 1], '.');
        EXPECT_TRUE(row->happened[strlen(row->happened) - 1] != '.');
        EXPECT_NULL(strchr(row->happened, '|')); /* the page is a table */
        EXPECT_NULL(strchr(row->advice, '|'));
    }
}

TEST(reference_page_is_current) {
    struct buffer page;
    buffer_init(&page, LOG_REFERENCE_BYTES_MAX);
    EXPECT_EQ(log_event_put_reference(&page), OK);
    bool must_write = getenv("TIDINGS_WRITE_REFERENCE") != NULL;
    FILE *file = fopen(LOG_REFERENCE_FILE, must_write ? "w" : "r");
    EXPECT_NOT_NULL(file);
    if (must_write) {
        EXPECT_EQ(fwrite(page.bytes, 1, page.length, file), page.length);
    } else {
        char *kept = malloc(LOG_REFERENCE_BYTES_MAX);
        EXPECT_NOT_NULL(kept);
        size_t length = fread(kept, 1, LOG_REFERENCE_BYTES_MAX, file);
        if (!span_is_equal(span_of(kept, length), buffer_borrow(&page))) {
            fail_msg("not current; run this test with TIDINGS_WRITE_REFERENCE=1");
        }
        free(kept);
    }
    EXPECT_EQ(fclose(file), 0);
    buffer_finish(&page);
}

UNIT_TESTS(UNIT(keys_are_words_and_stand_once_in_a_line),
           UNIT(a_key_has_one_type_wherever_it_stands),
           UNIT(no_row_has_more_texts_than_a_line_has_room_for),
           UNIT(rows_say_what_happened_and_what_to_do), UNIT(reference_page_is_current))
