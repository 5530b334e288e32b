/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/idempotency.h"

#include "tests/unit.h"

struct hashes {
    uint8_t bytes[IDEMPOTENCY_HASH_BYTES];
};

static struct hashes hash_parts(const char *scope, struct span key, const struct span *parts,
                                size_t count) {
    struct hashes hashes;
    EXPECT_EQ(idempotency_hash(span_of_string(scope), key, parts, count, hashes.bytes), OK);
    return hashes;
}

static struct hashes hash_of(const char *scope, const char *key, const char *body) {
    struct span part = span_of_string(body);
    return hash_parts(scope, span_of_string(key), &part, 1);
}

static bool has_same_key(struct hashes left, struct hashes right) {
    return memcmp(left.bytes, right.bytes, IDEMPOTENCY_KEY_HASH_BYTES) == 0;
}

static bool has_same_body(struct hashes left, struct hashes right) {
    return memcmp(left.bytes + IDEMPOTENCY_KEY_HASH_BYTES, right.bytes + IDEMPOTENCY_KEY_HASH_BYTES,
                  IDEMPOTENCY_HASH_BYTES - IDEMPOTENCY_KEY_HASH_BYTES) == 0;
}

TEST(the_same_publish_is_hashed_alike) {
    EXPECT_TRUE(has_same_key(hash_of("me", "k", "body"), hash_of("me", "k", "body")));
    EXPECT_TRUE(has_same_body(hash_of("me", "k", "body"), hash_of("me", "k", "body")));
}

TEST(key_and_body_are_told_apart) {
    EXPECT_TRUE(has_same_key(hash_of("me", "k", "body"), hash_of("me", "k", "other")));
    EXPECT_FALSE(has_same_body(hash_of("me", "k", "body"), hash_of("me", "k", "other")));
    EXPECT_FALSE(has_same_key(hash_of("me", "k", "body"), hash_of("me", "l", "body")));
    EXPECT_TRUE(has_same_body(hash_of("me", "k", "body"), hash_of("me", "l", "body")));
}

TEST(nobody_meets_the_key_of_another_scope) {
    EXPECT_FALSE(has_same_key(hash_of("me", "k", ""), hash_of("you", "k", "")));
    EXPECT_FALSE(has_same_key(hash_of("a", "bk", ""), hash_of("ab", "k", "")));
    EXPECT_FALSE(has_same_key(hash_of("", "k", ""), hash_of("k", "", "")));
    struct hashes with_nul = hash_parts("a", SPAN("\0k"), NULL, 0);
    EXPECT_FALSE(has_same_key(with_nul, hash_parts("a", SPAN("\0"), NULL, 0)));
    EXPECT_FALSE(has_same_key(with_nul, hash_parts("a", SPAN("k"), NULL, 0)));
}

TEST(parts_that_are_cut_elsewhere_are_another_body) {
    const struct span one[] = {SPAN("ab"), SPAN("c")};
    const struct span other[] = {SPAN("a"), SPAN("bc")};
    const struct span longer[] = {SPAN("ab"), SPAN("c"), SPAN("")};
    struct hashes first = hash_parts("", SPAN("k"), one, 2);
    EXPECT_FALSE(has_same_body(first, hash_parts("", SPAN("k"), other, 2)));
    EXPECT_FALSE(has_same_body(first, hash_parts("", SPAN("k"), longer, 3)));
    EXPECT_FALSE(has_same_body(first, hash_parts("", SPAN("k"), NULL, 0)));
}

/* The layout is on disks: sha256 of the two lengths around "me" and "k", then of "body". */
TEST(the_hashes_are_sha256_with_lengths_before) {
    static const uint8_t EXPECTED[IDEMPOTENCY_HASH_BYTES] = {
        0xda, 0x06, 0xd4, 0x14, 0x52, 0x87, 0xb0, 0x86, 0x5a, 0x07, 0x82, 0xde, 0x6b,
        0xc5, 0x01, 0x23, 0x4d, 0xa9, 0xc1, 0x14, 0x57, 0x78, 0xc2, 0xe7, 0x46, 0x49,
        0x37, 0x59, 0x97, 0xe9, 0x88, 0xae, 0x0f, 0xdb, 0x94, 0x41, 0xc0, 0xd2, 0xa0,
        0x0b, 0x0e, 0x70, 0x1b, 0xbe, 0x36, 0x56, 0x44, 0x74, 0x21, 0xd3, 0xce, 0xaf,
        0x52, 0x3d, 0x90, 0xc5, 0xf6, 0xc6, 0x4f, 0xaa, 0x9f, 0xf8, 0xb4, 0x02,
    };
    struct hashes hashes = hash_of("me", "k", "body");
    EXPECT_TRUE(memcmp(hashes.bytes, EXPECTED, sizeof(EXPECTED)) == 0);
}

UNIT_TESTS(UNIT(the_same_publish_is_hashed_alike), UNIT(key_and_body_are_told_apart),
           UNIT(nobody_meets_the_key_of_another_scope),
           UNIT(parts_that_are_cut_elsewhere_are_another_body),
           UNIT(the_hashes_are_sha256_with_lengths_before))
