/* SPDX-License-Identifier: Apache-2.0 */
/* How far a place is behind, and the operator's list of channels. */
#include "storage/measure.h"

#include <stdio.h>

#include "tests/storage/fixture.h"

static void expect_behind(struct fixture *fixture, const char *pattern, struct place place,
                          uint64_t messages, uint64_t bytes) {
    const struct storage_selector selectors[] = {{span_of_string(pattern), true}};
    const struct storage_query query = {.selectors = selectors, .selector_count = 1};
    uint64_t found_messages = 0;
    uint64_t found_bytes = 0;
    bool is_exact = false;
    EXPECT_EQ(storage_measure(fixture->storage, &query, &place, &found_messages, &found_bytes,
                              &is_exact, NULL),
              OK);
    EXPECT_EQ(found_messages, messages);
    EXPECT_EQ(found_bytes, bytes);
    EXPECT_TRUE(is_exact);
}

TEST(a_lag_counts_what_is_kept_behind_the_place) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    struct place place = fixture_publish(&fixture, "a/1", "12345");
    for (int i = 0; i < 9; i++) {
        fixture_publish(&fixture, i < 5 ? "a/1" : "a/2", "12345");
        if (i == 6) {
            fixture_fold(&fixture);
        }
    }
    fixture_publish(&fixture, "b", "12345");
    expect_behind(&fixture, "a/*", place, 9, 45);
    expect_behind(&fixture, "a/*", (struct place){0}, 10, 50);
    fixture_delete(&fixture, "a/1", 3, 4);
    expect_behind(&fixture, "a/*", place, 7, 35);
    fixture.retention.messages_max = 1;
    expect_behind(&fixture, "a/*", place, 2, 10);
    fixture_finish(&fixture);
}

/* The rows as words. */
struct rows {
    char text[FIXTURE_TEXT_BYTES];
    int length;
    size_t count_max;
};

static bool on_row(void *context, const struct storage_channel *row) {
    struct rows *rows = context;
    rows->length += snprintf(rows->text + rows->length, sizeof(rows->text) - (size_t)rows->length,
                             "%.*s %llu-%llu/%llu %llu B %llu; ", SPAN_PRINTF(row->name),
                             (unsigned long long)row->first, (unsigned long long)row->last,
                             (unsigned long long)row->offset_last, (unsigned long long)row->bytes,
                             (unsigned long long)row->messages_last_minute);
    return --rows->count_max > 0;
}

static void expect_list(struct fixture *fixture, const char *pattern, const char *after,
                        size_t limit, size_t count_max, const char *expected) {
    struct rows rows = {.count_max = count_max};
    EXPECT_EQ(storage_list_channels(fixture->storage, span_of_string(pattern),
                                    span_of_string(after), limit, on_row, &rows, NULL),
              OK);
    EXPECT_STRING(rows.text, expected);
}

TEST(channels_are_listed_in_order_of_name_folded_or_not) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_publish_many(&fixture, "b", 2);
    fixture_publish_many(&fixture, "a/2", 1);
    fixture_publish_many(&fixture, "d", 1);
    fixture_fold(&fixture);
    fixture.time_ms += MEASURE_MINUTE_MS;
    fixture_publish_many(&fixture, "c", 1);
    fixture_publish_many(&fixture, "b", 1);
    fixture_publish_many(&fixture, "a", 1);
    fixture_publish_many(&fixture, "a/1", 1);
    expect_list(&fixture, "", "", 10, 10,
                "a 1-1/1 3 B 1; a/1 1-1/1 5 B 1; a/2 1-1/1 5 B 0; b 1-3/3 9 B 1; "
                "c 1-1/1 3 B 1; d 1-1/1 3 B 0; ");
    expect_list(&fixture, "", "a/1", 2, 10, "a/2 1-1/1 5 B 0; b 1-3/3 9 B 1; ");
    expect_list(&fixture, "a/**", "", 10, 10, "a 1-1/1 3 B 1; a/1 1-1/1 5 B 1; a/2 1-1/1 5 B 0; ");
    expect_list(&fixture, "a/*", "a/1", 10, 10, "a/2 1-1/1 5 B 0; ");
    expect_list(&fixture, "", "", 10, 1, "a 1-1/1 3 B 1; ");
    fixture_delete(&fixture, "b", 1, 2);
    expect_list(&fixture, "b", "", 10, 10, "b 3-3/3 3 B 1; ");
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(a_lag_counts_what_is_kept_behind_the_place),
           UNIT(channels_are_listed_in_order_of_name_folded_or_not))
