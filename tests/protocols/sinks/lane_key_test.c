/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/lane_key.h"

#include "tests/unit.h"

static uint64_t hash_of(enum sink_order order, const char *channel, const char *key) {
    const struct message message = {
        .fields = {.channel = span_of_string(channel), .key = span_of_string(key)}};
    return lane_key_hash(order, &message);
}

TEST(a_hash_is_of_what_the_order_is_of) {
    EXPECT_TRUE(hash_of(SINK_ORDER_ALL, "a", "x") == hash_of(SINK_ORDER_ALL, "b", "y"));
    EXPECT_TRUE(hash_of(SINK_ORDER_CHANNEL, "a", "x") == hash_of(SINK_ORDER_CHANNEL, "a", "y"));
    EXPECT_TRUE(hash_of(SINK_ORDER_CHANNEL, "a", "x") != hash_of(SINK_ORDER_CHANNEL, "b", "x"));
    EXPECT_TRUE(hash_of(SINK_ORDER_KEY, "a", "bc") != hash_of(SINK_ORDER_KEY, "ab", "c"));
}

/* Ledgers that are stored have it. */
TEST(a_hash_is_the_same_for_ever) {
    EXPECT_EQ(hash_of(SINK_ORDER_CHANNEL, "orders/7", ""), UINT64_C(0x62220172898f6621));
}

UNIT_TESTS(cmocka_unit_test(a_hash_is_of_what_the_order_is_of),
           cmocka_unit_test(a_hash_is_the_same_for_ever))
