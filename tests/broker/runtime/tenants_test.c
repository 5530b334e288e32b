/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/tenants.h"

#include "broker/admission/accounts.h"
#include "tests/unit.h"

TEST(counters_come_back_as_they_were_stored) {
    struct account account = {.usage = {.published_messages = 1,
                                        .published_bytes = UINT64_MAX,
                                        .refused = 3,
                                        .delivered_messages = 4,
                                        .delivered_bytes = 5,
                                        .connections_peak = 6,
                                        .since_ms = 7}};
    struct account back = {0};
    uint8_t record[USAGE_RECORD_BYTES];
    usage_write(&account, record);
    EXPECT_TRUE(usage_read(span_of(record, sizeof(record)), &back));
    EXPECT_EQ(back.usage.published_messages, 1);
    EXPECT_TRUE(back.usage.published_bytes == UINT64_MAX);
    EXPECT_EQ(back.usage.refused, 3);
    EXPECT_EQ(back.usage.delivered_messages, 4);
    EXPECT_EQ(back.usage.delivered_bytes, 5);
    EXPECT_EQ(back.usage.connections_peak, 6);
    EXPECT_EQ(back.usage.since_ms, 7);
}

TEST(what_a_later_version_stored_or_damage_is_no_usage) {
    struct account account = {0};
    uint8_t record[USAGE_RECORD_BYTES];
    usage_write(&account, record);
    EXPECT_FALSE(usage_read(span_of(record, sizeof(record) - 1), &account));
    EXPECT_FALSE(usage_read((struct span){0}, &account));
    record[0]++;
    EXPECT_FALSE(usage_read(span_of(record, sizeof(record)), &account));
}

UNIT_TESTS(UNIT(counters_come_back_as_they_were_stored),
           UNIT(what_a_later_version_stored_or_damage_is_no_usage))
