/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/clock.h"

#include <time.h>

#include "broker/support/macros.h"
#include "tests/unit.h"

TEST(a_time_and_its_text_give_each_other) {
    static const struct {
        uint64_t time_ms;
        const char *text;
    } times[] = {{0, "1970-01-01T00:00:00.000Z"},
                 {951827696789, "2000-02-29T12:34:56.789Z"},
                 {1769846709123, "2026-01-31T08:05:09.123Z"},
                 {4102444799999, "2099-12-31T23:59:59.999Z"},
                 {253402300799999, "9999-12-31T23:59:59.999Z"}};
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        char text[CLOCK_RFC3339_BYTES];
        uint64_t time_ms = 1;
        clock_format_rfc3339(times[i].time_ms, text);
        EXPECT_STRING(text, times[i].text);
        EXPECT_TRUE(clock_parse_rfc3339(span_of_string(text), &time_ms));
        EXPECT_EQ(time_ms, times[i].time_ms);
    }
}

TEST(every_day_of_ninety_years_agrees_with_the_library) {
    for (uint64_t day = 0; day < 33000; day++) {
        char text[CLOCK_RFC3339_BYTES], expected[64];
        time_t seconds = (time_t)(day * 86400 + day % 86400);
        struct tm parts;
        clock_format_rfc3339((uint64_t)seconds * 1000 + day % 1000, text);
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &parts));
        EXPECT_EQ(memcmp(text, expected, strlen(expected)), 0);
    }
}

TEST(every_form_of_a_zone_and_fraction_is_understood) {
    static const char *const same[] = {
        "2026-01-31T08:05:09.5Z",      "2026-01-31t08:05:09.500000000z",
        "2026-01-31T09:05:09.5+01:00", "2026-01-31T09:05:09.5 01:00",
        "2026-01-31 05:35:09.5-02:30", "2026-02-01T07:05:09.5+23:00"};
    for (size_t i = 0; i < ARRAY_COUNT(same); i++) {
        uint64_t time_ms = 1;
        EXPECT_TRUE(clock_parse_rfc3339(span_of_string(same[i]), &time_ms));
        EXPECT_EQ(time_ms, 1769846709500);
    }
}

TEST(what_is_no_time_is_refused) {
    static const char *const bad[] = {"",
                                      "2026-01-31",
                                      "2026-01-31T08:05:09",
                                      "2026-02-29T00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-01-31T24:00:00Z",
                                      "2026-01-31T08:60:00Z",
                                      "2026-01-31T08:05:09.Z",
                                      "1969-12-31T23:59:59Z",
                                      "2026-01-31T08:05:09Z ",
                                      "2026-1-31T08:05:09Z",
                                      "2026-01-31T08:05:09+1:00",
                                      "2026-01-31T08:05:09+0100",
                                      "1970-01-01T00:00:00+00:01"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        uint64_t time_ms;
        EXPECT_FALSE(clock_parse_rfc3339(span_of_string(bad[i]), &time_ms));
    }
}

TEST(the_monotonic_clock_does_not_go_back) {
    uint64_t first_us = clock_monotonic_us();
    EXPECT_TRUE(clock_monotonic_us() >= first_us);
    EXPECT_TRUE(clock_monotonic_ms() >= first_us / 1000);
    EXPECT_TRUE(clock_wall_ms() > 1700000000000u);
}

UNIT_TESTS(UNIT(a_time_and_its_text_give_each_other),
           UNIT(every_day_of_ninety_years_agrees_with_the_library),
           UNIT(every_form_of_a_zone_and_fraction_is_understood), UNIT(what_is_no_time_is_refused),
           UNIT(the_monotonic_clock_does_not_go_back))
