/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/hash.h"
#include "tests/unit.h"

/* Reference values: SipHash-1-3 of the bytes 00 01 02 … under the key 00 01 … 0f. */
static const struct hash_key KEY = {{0x0706050403020100u, 0x0F0E0D0C0B0A0908u}};

static uint64_t hash_of_count(size_t count) {
    uint8_t bytes[64];
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (uint8_t)i;
    }
    return hash_bytes(&KEY, span_of(bytes, count));
}

TEST(hash_agrees_with_the_reference) {
    EXPECT_TRUE(hash_of_count(0) == 0xABAC0158050FC4DCu);
    EXPECT_TRUE(hash_of_count(1) == 0xC9F49BF37D57CA93u);
}

TEST(another_key_gives_another_hash) {
    struct hash_key one, other;
    hash_key_draw(&one);
    hash_key_draw(&other);
    EXPECT_FALSE(one.words[0] == other.words[0]);
    EXPECT_FALSE(hash_bytes(&one, SPAN("tennis")) == hash_bytes(&other, SPAN("tennis")));
}

TEST(length_counts) {
    static const uint8_t zeros[16] = {0};
    for (size_t i = 0; i < 16; i++) {
        EXPECT_FALSE(hash_bytes(&KEY, span_of(zeros, i)) ==
                     hash_bytes(&KEY, span_of(zeros, i + 1 < 16 ? i + 1 : 0)));
    }
}

UNIT_TESTS(UNIT(hash_agrees_with_the_reference), UNIT(another_key_gives_another_hash),
           UNIT(length_counts))
