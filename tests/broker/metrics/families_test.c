/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/metrics/families.h"

#include "tests/unit.h"

static bool has_suffix(const char *text, const char *suffix) {
    size_t length = strlen(text);
    size_t suffix_length = strlen(suffix);
    return length >= suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

TEST(names_say_whose_they_are_their_type_and_unit) {
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        const struct family_row *row = &family_rows[i];
        bool is_counter = row->type == METRICS_COUNTER;
        bool is_time = row->unit == METRICS_MILLISECONDS || row->unit == METRICS_MICROSECONDS;
        const char *prefix = i < FAMILY_SOURCES ? "tidings_sink_" : "tidings_source_";
        EXPECT_TRUE(strncmp(row->name, prefix, strlen(prefix)) == 0);
        EXPECT_STRING(row->subject_label, i < FAMILY_SOURCES ? "sink" : "source");
        if (is_counter != has_suffix(row->name, "_total") ||
            is_time != has_suffix(row->name, "_seconds") ||
            (row->unit == METRICS_BYTES) !=
                has_suffix(row->name, is_counter ? "_bytes_total" : "_bytes")) {
            fail_msg("%s does not say its type and unit", row->name);
        }
    }
}

TEST(help_is_one_line_without_escapes) {
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        EXPECT_TRUE(strlen(family_rows[i].help) > 10);
        EXPECT_NULL(strpbrk(family_rows[i].help, "\n\\|"));
    }
}

UNIT_TESTS(UNIT(names_say_whose_they_are_their_type_and_unit),
           UNIT(help_is_one_line_without_escapes))
