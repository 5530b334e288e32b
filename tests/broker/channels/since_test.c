/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/since.h"

#include "broker/channels/id.h"
#include "tests/unit.h"

static struct since parsed(const char *text) {
    struct since since = {0};
    EXPECT_EQ(since_parse(span_of_string(text), &since, NULL), OK);
    return since;
}

TEST(words_offsets_and_counts_are_understood) {
    EXPECT_EQ(parsed("earliest").kind, SINCE_EARLIEST);
    EXPECT_EQ(parsed("now").kind, SINCE_NOW);
    EXPECT_EQ(parsed("0").kind, SINCE_OFFSET);
    EXPECT_EQ(parsed("42").offset, 42);
    EXPECT_EQ(parsed("-20").kind, SINCE_LAST);
    EXPECT_EQ(parsed("-20").count, 20);
}

TEST(times_and_times_ago_are_understood) {
    EXPECT_EQ(parsed("2026-01-31T08:05:09Z").kind, SINCE_TIME);
    EXPECT_EQ(parsed("2026-01-31T08:05:09Z").time_ms, 1769846709000);
    EXPECT_EQ(parsed("2026-01-31T09:05:09 01:00").time_ms, 1769846709000);
    EXPECT_EQ(parsed("-30s").kind, SINCE_AGO);
    EXPECT_EQ(parsed("-30s").ago_ms, 30000);
    EXPECT_EQ(parsed("-5m").ago_ms, 300000);
    EXPECT_EQ(parsed("-2h").ago_ms, 7200000);
    EXPECT_EQ(parsed("-1d").ago_ms, 86400000);
}

TEST(an_id_is_understood) {
    struct place place = {.log_id = 5, .position = 9, .channel_id = 1, .offset = 3};
    char text[ID_TEXT_BYTES_MAX];
    size_t length = id_format(&place, text);
    struct since since;
    EXPECT_EQ(since_parse(span_of(text, length), &since, NULL), OK);
    EXPECT_EQ(since.kind, SINCE_PLACE);
    EXPECT_EQ(since.place.position, 9);
    struct place before;
    EXPECT_EQ(before_parse(span_of(text, length), &before, NULL), OK);
    EXPECT_EQ(before.position, 9);
}

TEST(what_means_nothing_is_refused_and_told) {
    static const char *const bad[] = {"",
                                      "-",
                                      "-0",
                                      "--1",
                                      "+1",
                                      "1.5",
                                      "Earliest",
                                      " now",
                                      "yesterday",
                                      "-5w",
                                      "-s",
                                      "-18446744073709551615d",
                                      "18446744073709551616",
                                      "2026-01-31",
                                      "2026-02-30T00:00:00Z",
                                      "t1garbage",
                                      "1e3",
                                      "-5 m"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct since since;
        struct error why = {0};
        EXPECT_EQ(since_parse(span_of_string(bad[i]), &since, &why), ERR_BAD_SINCE);
        EXPECT_STRING(why.field, "since");
        EXPECT_NOT_NULL(strstr(why.detail, "earliest"));
    }
    char text[200];
    memset(text, '1', sizeof(text));
    struct since since;
    EXPECT_EQ(since_parse(span_of(text, sizeof(text)), &since, NULL), ERR_BAD_SINCE);
}

TEST(before_is_an_offset_or_an_id) {
    struct place before;
    EXPECT_EQ(before_parse(SPAN("7"), &before, NULL), OK);
    EXPECT_EQ(before.offset, 7);
    EXPECT_EQ(before.position, 0);
    static const char *const bad[] = {"", "0", "-1", "now", "earliest", "2026-01-31T08:05:09Z"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct error why = {0};
        EXPECT_EQ(before_parse(span_of_string(bad[i]), &before, &why), ERR_BAD_SINCE);
        EXPECT_STRING(why.field, "before");
    }
}

UNIT_TESTS(UNIT(words_offsets_and_counts_are_understood), UNIT(times_and_times_ago_are_understood),
           UNIT(an_id_is_understood), UNIT(what_means_nothing_is_refused_and_told),
           UNIT(before_is_an_offset_or_an_id))
