/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/crc32c.h"

#include "tests/unit.h"

TEST(the_checksum_is_that_of_rfc_3720) {
    uint8_t bytes[32] = {0};
    EXPECT_EQ(crc32c(0, "123456789", 9), 0xE3069283);
    EXPECT_EQ(crc32c(0, bytes, sizeof(bytes)), 0x8A9136AA);
    memset(bytes, 0xFF, sizeof(bytes));
    EXPECT_EQ(crc32c(0, bytes, sizeof(bytes)), 0x62A8AB43);
    for (uint8_t i = 0; i < 32; i++) {
        bytes[i] = i;
    }
    EXPECT_EQ(crc32c(0, bytes, sizeof(bytes)), 0x46DD794E);
    EXPECT_EQ(crc32c(0, bytes, 0), 0);
}

TEST(parts_sum_to_the_whole) {
    uint8_t bytes[100];
    for (uint8_t i = 0; i < 100; i++) {
        bytes[i] = (uint8_t)(i * 7 + 1);
    }
    uint32_t whole = crc32c(0, bytes, sizeof(bytes));
    for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
        EXPECT_EQ(crc32c(crc32c(0, bytes, cut), bytes + cut, sizeof(bytes) - cut), whole);
    }
}

UNIT_TESTS(UNIT(the_checksum_is_that_of_rfc_3720), UNIT(parts_sum_to_the_whole))
