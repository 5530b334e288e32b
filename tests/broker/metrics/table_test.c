/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/metrics/table.h"

#include "broker/metrics/metrics.h"
#include "tests/unit.h"

static bool has_suffix(const char *text, const char *suffix) {
    size_t length = strlen(text);
    size_t suffix_length = strlen(suffix);
    return length >= suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

TEST(rows_lie_behind_each_other_without_a_hole) {
    uint32_t slot = 0;
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metrics_row *row = &metrics_rows[i];
        EXPECT_EQ(row->slot_first, slot);
        EXPECT_EQ(row->series_count,
                  metrics_label_count(row->labels[0]) * metrics_label_count(row->labels[1]));
        slot += row->series_count * row->series_slots;
    }
    EXPECT_EQ(slot, METRICS_SLOTS);
}

TEST(name_says_the_unit) {
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metrics_row *row = &metrics_rows[i];
        bool is_counter = row->type == METRICS_COUNTER;
        bool is_time = row->unit == METRICS_MILLISECONDS || row->unit == METRICS_MICROSECONDS;
        if (is_counter != has_suffix(row->name, "_total") ||
            is_time != has_suffix(row->name, is_counter ? "_seconds_total" : "_seconds") ||
            (row->unit == METRICS_BYTES) !=
                has_suffix(row->name, is_counter ? "_bytes_total" : "_bytes")) {
            fail_msg("%s does not say its type and unit", row->name);
        }
    }
}

TEST(help_is_one_line_without_escapes) {
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        EXPECT_TRUE(strlen(metrics_rows[i].help) > 10);
        EXPECT_NULL(strpbrk(metrics_rows[i].help, "\n\\|"));
    }
}

TEST(histograms_have_units_that_have_buckets) {
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        if (metrics_rows[i].type == METRICS_HISTOGRAM) {
            EXPECT_TRUE(metrics_rows[i].unit != METRICS_MILLISECONDS);
            EXPECT_EQ(metrics_rows[i].series_slots, METRICS_HISTOGRAM_SLOTS);
        } else {
            EXPECT_EQ(metrics_rows[i].series_slots, 1);
        }
    }
}

TEST(open_label_stands_alone) {
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        enum metrics_label first = metrics_rows[i].labels[0];
        EXPECT_TRUE(metrics_rows[i].labels[1] < METRICS_LABEL_MATCH);
        if (first == METRICS_LABEL_THREAD || first == METRICS_LABEL_MATCH) {
            EXPECT_EQ(metrics_rows[i].labels[1], METRICS_LABEL_NONE);
            EXPECT_TRUE(metrics_rows[i].type != METRICS_HISTOGRAM);
        }
    }
}

TEST(every_value_of_a_label_has_a_name_of_its_own) {
    for (size_t label = METRICS_LABEL_NONE + 1; label < METRICS_LABEL_MATCH; label++) {
        size_t count = metrics_label_count((enum metrics_label)label);
        for (size_t i = 0; i < count; i++) {
            const char *name = metrics_label_value((enum metrics_label)label, i);
            EXPECT_TRUE(name[0] != '\0');
            for (size_t k = 0; k < i; k++) {
                EXPECT_TRUE(strcmp(name, metrics_label_value((enum metrics_label)label, k)) != 0);
            }
        }
    }
}

TEST(protocols_are_found_by_name) {
    EXPECT_EQ(metrics_find_protocol("sse"), METRICS_PROTOCOL_SSE);
    EXPECT_EQ(metrics_find_protocol("websocket"), METRICS_PROTOCOL_WEBSOCKET);
    EXPECT_EQ(metrics_find_protocol("gopher"), METRICS_PROTOCOL_OTHER);
}

TEST(statuses_fall_into_five_classes) {
    EXPECT_EQ(metrics_status_of(101), METRICS_STATUS_1XX);
    EXPECT_EQ(metrics_status_of(204), METRICS_STATUS_2XX);
    EXPECT_EQ(metrics_status_of(507), METRICS_STATUS_5XX);
    EXPECT_EQ(metrics_status_of(0), METRICS_STATUS_5XX);
    EXPECT_EQ(metrics_status_of(600), METRICS_STATUS_5XX);
}

UNIT_TESTS(UNIT(rows_lie_behind_each_other_without_a_hole), UNIT(name_says_the_unit),
           UNIT(help_is_one_line_without_escapes), UNIT(histograms_have_units_that_have_buckets),
           UNIT(open_label_stands_alone), UNIT(every_value_of_a_label_has_a_name_of_its_own),
           UNIT(protocols_are_found_by_name), UNIT(statuses_fall_into_five_classes))
