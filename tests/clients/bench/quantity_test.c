/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/quantity.h"

#include <math.h>

#include "tests/unit.h"

static const struct {
    enum quantity quantity;
    double value;
    const char *text;
} written[] = {
    {QUANTITY_COUNT, 0, "0"},
    {QUANTITY_COUNT, 999, "999"},
    {QUANTITY_COUNT, 1000, "1,000"},
    {QUANTITY_COUNT, 1234567, "1,234,567"},
    {QUANTITY_DURATION, 0, "0ns"},
    {QUANTITY_DURATION, 640, "640ns"},
    {QUANTITY_DURATION, 1000, "1.00us"},
    {QUANTITY_DURATION, 12400, "12.4us"},
    {QUANTITY_DURATION, 4053000, "4.05ms"},
    {QUANTITY_DURATION, 123400000, "123ms"},
    {QUANTITY_DURATION, 999960000, "999.9ms"},
    {QUANTITY_DURATION, 1234000000, "1.23s"},
    {QUANTITY_DURATION, 3600e9, "3600s"},
    {QUANTITY_RATE, 0.5, "0.5/s"},
    {QUANTITY_RATE, 1000000, "1,000,000/s"},
    {QUANTITY_SHARE, 1, "100%"},
    {QUANTITY_SHARE, 0.999999, "99.999%"},
    {QUANTITY_SHARE, 0.9998, "99.98%"},
    {QUANTITY_SHARE, 0.5, "50%"},
    {QUANTITY_SHARE, 1.5, "150%"},
    {QUANTITY_SIZE, 512, "512B"},
    {QUANTITY_SIZE, 1556, "1.52KiB"},
    {QUANTITY_SIZE, 3 << 20, "3.00MiB"},
};
#define WRITTEN (sizeof(written) / sizeof(written[0]))

TEST(numbers_are_written_as_people_read_them) {
    for (size_t i = 0; i < WRITTEN; i++) {
        char text[QUANTITY_BYTES];
        quantity_format(written[i].quantity, written[i].value, text, sizeof(text));
        EXPECT_STRING(text, written[i].text);
    }
}

TEST(what_is_written_can_be_read_again) {
    for (size_t i = 0; i < WRITTEN; i++) {
        double value = -1;
        EXPECT_NULL(quantity_parse(written[i].quantity, written[i].text, &value));
        EXPECT_TRUE(fabs(value - written[i].value) <= 0.005 * written[i].value);
    }
}

TEST(a_number_needs_the_unit_of_its_kind) {
    static const struct {
        enum quantity quantity;
        const char *text;
    } wrong[] = {
        {QUANTITY_COUNT, ""},         {QUANTITY_COUNT, "1.5"},      {QUANTITY_COUNT, "-1"},
        {QUANTITY_COUNT, "5ms"},      {QUANTITY_DURATION, "30"},    {QUANTITY_DURATION, "30KiB"},
        {QUANTITY_DURATION, "1x1ms"}, {QUANTITY_DURATION, "infs"},  {QUANTITY_RATE, "5/ms"},
        {QUANTITY_RATE, "nan"},       {QUANTITY_SHARE, "5ms"},      {QUANTITY_SHARE, "%"},
        {QUANTITY_SIZE, "100"},       {QUANTITY_SIZE, "1.5.5KiB"},  {QUANTITY_SIZE, "KiB"},
        {QUANTITY_SIZE, "1kKiB"},     {QUANTITY_DURATION, "1e3ms"}, {QUANTITY_DURATION, "5ms x"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        double value = -1;
        EXPECT_NOT_NULL(quantity_parse(wrong[i].quantity, wrong[i].text, &value));
    }
}

UNIT_TESTS(UNIT(numbers_are_written_as_people_read_them), UNIT(what_is_written_can_be_read_again),
           UNIT(a_number_needs_the_unit_of_its_kind))
