/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/api_key.h"

#include "tests/unit.h"

/* FIPS 180-2, appendix B.1. */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

TEST(a_key_is_known_by_its_sha256) {
    uint8_t given[API_KEY_HASH_BYTES], made[API_KEY_HASH_BYTES];
    EXPECT_EQ(api_key_hash(SPAN("abc"), made), OK);
    EXPECT_TRUE(api_key_parse_hash(SPAN("sha256:" ABC), given));
    EXPECT_TRUE(api_key_is_same(given, made));
    EXPECT_EQ(api_key_hash(SPAN("abd"), made), OK);
    EXPECT_FALSE(api_key_is_same(given, made));
    EXPECT_EQ(api_key_hash(SPAN(""), made), OK);
}

TEST(a_hash_may_be_written_in_either_case) {
    uint8_t lower[API_KEY_HASH_BYTES], upper[API_KEY_HASH_BYTES];
    EXPECT_TRUE(api_key_parse_hash(SPAN("sha256:" ABC), lower));
    EXPECT_TRUE(api_key_parse_hash(
        SPAN("sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"), upper));
    EXPECT_TRUE(api_key_is_same(lower, upper));
}

TEST(what_is_no_hash_is_refused) {
    uint8_t hash[API_KEY_HASH_BYTES] = {7};
    EXPECT_FALSE(api_key_parse_hash(SPAN(ABC), hash));
    EXPECT_FALSE(api_key_parse_hash(SPAN("sha256:"), hash));
    EXPECT_FALSE(api_key_parse_hash(SPAN("sha256:" ABC "0"), hash));
    EXPECT_FALSE(api_key_parse_hash(SPAN("sha512:" ABC), hash));
    EXPECT_FALSE(api_key_parse_hash(
        SPAN("sha256:gg7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), hash));
    EXPECT_EQ(hash[0], 7);
}

UNIT_TESTS(UNIT(a_key_is_known_by_its_sha256), UNIT(a_hash_may_be_written_in_either_case),
           UNIT(what_is_no_hash_is_refused))
