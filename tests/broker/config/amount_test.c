/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/amount.h"

#include "tests/unit.h"

static const struct {
    enum config_type type;
    const char *text;
    uint64_t value;
    const char *written;
} cases[] = {
    {CONFIG_BYTES, "1024KiB", 1048576, "\"1MiB\""},
    {CONFIG_DURATION, "60s", 60000, "\"1m\""},
    {CONFIG_DURATION, "0s", 0, "\"0ms\""},
    {CONFIG_COUNT, "7", 7, "7"},
    {CONFIG_RATE, "1000/s", 1000, "\"1000/s\""},
    {CONFIG_BYTES_RATE, "1024KiB/s", 1048576, "\"1MiB/s\""},
    {CONFIG_BYTES_RATE, "5/s", 5, "\"5/s\""},
};

TEST(amounts_are_read_and_written_in_the_largest_unit) {
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        uint64_t value = 0;
        struct buffer buffer;
        buffer_init(&buffer, 64);
        EXPECT_EQ(amount_parse(cases[i].type, span_of_string(cases[i].text), &value, NULL), OK);
        EXPECT_EQ(value, cases[i].value);
        EXPECT_EQ(amount_put(cases[i].type, value, &buffer), OK);
        EXPECT_SPAN(buffer_borrow(&buffer), cases[i].written);
        buffer_finish(&buffer);
    }
}

TEST(a_rate_is_told_its_second) {
    static const char *const wrong[] = {"1000", "1000/m", "1000 /s", "/s", "-1/s", "1000/s "};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        uint64_t value = 9;
        struct error why = {0};
        EXPECT_EQ(amount_parse(CONFIG_RATE, span_of_string(wrong[i]), &value, &why), ERR_CONFIG);
        EXPECT_NOT_NULL(strstr(why.detail, "`1000/s`"));
        EXPECT_EQ(value, 9);
    }
}

TEST(unlimited_is_written_as_that_word) {
    struct buffer buffer;
    buffer_init(&buffer, 64);
    EXPECT_EQ(amount_put(CONFIG_RATE, CONFIG_UNLIMITED, &buffer), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), "\"unlimited\"");
    buffer_finish(&buffer);
}

UNIT_TESTS(UNIT(amounts_are_read_and_written_in_the_largest_unit), UNIT(a_rate_is_told_its_second),
           UNIT(unlimited_is_written_as_that_word))
