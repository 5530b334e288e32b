/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/amount.h"

#include <stdbool.h>

#include "tests/unit.h"

static uint64_t count_of(const char *text) {
    uint64_t count = 7;
    return amount_parse_count(text, &count) == NULL ? count : 0;
}

static uint64_t duration_of(const char *text) {
    uint64_t ns = 7;
    return amount_parse_duration(text, &ns) == NULL ? ns : 0;
}

static bool is_count(const char *text) {
    uint64_t count;
    return amount_parse_count(text, &count) == NULL;
}

static bool is_rate(const char *text) {
    double rate;
    return amount_parse_rate(text, &rate) == NULL;
}

static bool is_duration(const char *text) {
    uint64_t ns;
    return amount_parse_duration(text, &ns) == NULL;
}

static bool is_share(const char *text) {
    double share;
    return amount_parse_share(text, &share) == NULL;
}

TEST(counts_may_be_written_in_thousands) {
    EXPECT_EQ(count_of("1000"), 1000);
    EXPECT_EQ(count_of("100k"), 100000);
    EXPECT_EQ(count_of("2M"), 2000000);
    EXPECT_TRUE(count_of("18446744073709551615") == UINT64_MAX);
}

TEST(what_is_no_count_is_refused) {
    static const char *const wrong[] = {"",
                                        "-1",
                                        "+1",
                                        " 1",
                                        "1.5",
                                        "0x1",
                                        "1000q",
                                        "k",
                                        "1 k",
                                        "18446744073709551616",
                                        "18446744073709551615k"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        EXPECT_FALSE(is_count(wrong[i]));
    }
}

TEST(rates_may_say_that_they_are_a_second) {
    double rate = 0;
    EXPECT_NULL(amount_parse_rate("20k/s", &rate));
    EXPECT_TRUE(rate == 20000);
    EXPECT_NULL(amount_parse_rate("0.5", &rate));
    EXPECT_TRUE(rate == 0.5);
    EXPECT_FALSE(is_rate("-1"));
    EXPECT_FALSE(is_rate("1/m"));
    EXPECT_FALSE(is_rate("nan"));
    EXPECT_FALSE(is_rate("1.2.3"));
    EXPECT_FALSE(is_rate("/s"));
}

TEST(durations_have_a_unit) {
    EXPECT_EQ(duration_of("10s"), 10000000000);
    EXPECT_EQ(duration_of("250ms"), 250000000);
    EXPECT_EQ(duration_of("1.5m"), 90000000000);
    EXPECT_TRUE(is_duration("0"));
    EXPECT_TRUE(is_duration("0s"));
    EXPECT_FALSE(is_duration("10"));
    EXPECT_FALSE(is_duration("0bananas"));
    EXPECT_FALSE(is_duration("0x1ms"));
    EXPECT_FALSE(is_duration("10 s"));
    EXPECT_FALSE(is_duration("s"));
    EXPECT_FALSE(is_duration("1e3s"));
    EXPECT_FALSE(is_duration("999999999999999h"));
}

TEST(shares_are_numbers_or_percent) {
    double share = 0;
    EXPECT_NULL(amount_parse_share("10%", &share));
    EXPECT_TRUE(share == 0.1);
    EXPECT_NULL(amount_parse_share("0.25", &share));
    EXPECT_TRUE(share == 0.25);
    EXPECT_FALSE(is_share("ten"));
    EXPECT_FALSE(is_share("10 %"));
}

TEST(durations_are_written_in_the_largest_whole_unit) {
    char text[32];
    amount_write_duration(250000000, text, sizeof(text));
    EXPECT_STRING(text, "250ms");
    amount_write_duration(0, text, sizeof(text));
    EXPECT_STRING(text, "0s");
    amount_write_duration(90000000000, text, sizeof(text));
    EXPECT_STRING(text, "90s");
}

UNIT_TESTS(UNIT(counts_may_be_written_in_thousands), UNIT(what_is_no_count_is_refused),
           UNIT(rates_may_say_that_they_are_a_second), UNIT(durations_have_a_unit),
           UNIT(shares_are_numbers_or_percent),
           UNIT(durations_are_written_in_the_largest_whole_unit))
