/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/hex.h"

#include "tests/unit.h"

TEST(sixteen_digits_of_either_case_and_no_others) {
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    int count = 0;
    for (int i = 0; i < 32; i++) {
        EXPECT_EQ(hex_digit((uint8_t)digits[i]), i % 16);
    }
    for (int byte = 0; byte < 256; byte++) {
        count += hex_digit((uint8_t)byte) >= 0;
    }
    EXPECT_EQ(count, 22);
}

UNIT_TESTS(UNIT(sixteen_digits_of_either_case_and_no_others))
