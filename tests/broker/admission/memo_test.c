/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/memo.h"

#include "tests/unit.h"

static void make_key(size_t number, uint8_t ret_key[MEMO_KEY_BYTES]) {
    struct span part = span_of(&number, sizeof(number));
    EXPECT_TRUE(memo_hash(&part, 1, ret_key));
}

static void put(struct memo *memo, size_t number, struct identity *identity, uint64_t until_ms) {
    uint8_t key[MEMO_KEY_BYTES];
    make_key(number, key);
    memo_put(memo, key, &(struct memo_answer){OK, identity, until_ms});
}

static bool has(struct memo *memo, size_t number, uint64_t now_ms) {
    uint8_t key[MEMO_KEY_BYTES];
    make_key(number, key);
    return memo_find(memo, key, now_ms) != NULL;
}

TEST(an_answer_is_good_until_its_end) {
    struct memo *memo = memo_create(4);
    put(memo, 1, NULL, 100);
    EXPECT_TRUE(has(memo, 1, 99));
    EXPECT_FALSE(has(memo, 1, 100));
    EXPECT_EQ(memo_count(memo), 0);
    memo_destroy(memo);
}

TEST(the_one_that_was_used_least_lately_goes_first) {
    struct memo *memo = memo_create(2);
    put(memo, 1, NULL, 100);
    put(memo, 2, NULL, 100);
    EXPECT_TRUE(has(memo, 1, 0));
    put(memo, 3, NULL, 100);
    EXPECT_TRUE(has(memo, 1, 0));
    EXPECT_FALSE(has(memo, 2, 0));
    EXPECT_TRUE(has(memo, 3, 0));
    memo_destroy(memo);
}

TEST(a_new_answer_takes_the_place_of_the_old_one) {
    struct memo *memo = memo_create(2);
    struct identity *identity = identity_create_everyone();
    put(memo, 1, NULL, 100);
    put(memo, 1, identity, 200);
    EXPECT_EQ(memo_count(memo), 1);
    EXPECT_TRUE(has(memo, 1, 150));
    EXPECT_EQ(atomic_load(&identity->reference_count), 2);
    memo_destroy(memo);
    EXPECT_EQ(atomic_load(&identity->reference_count), 1);
    identity_unref(identity);
}

static bool is_this(const struct identity *identity, const void *context) {
    return identity == context;
}

TEST(what_is_about_an_identity_can_be_forgotten) {
    struct memo *memo = memo_create(4);
    struct identity *first = identity_create_everyone();
    struct identity *second = identity_create_everyone();
    put(memo, 1, first, 100);
    put(memo, 2, second, 100);
    put(memo, 3, NULL, 100);
    memo_forget(memo, is_this, first);
    EXPECT_FALSE(has(memo, 1, 0));
    EXPECT_TRUE(has(memo, 2, 0));
    EXPECT_TRUE(has(memo, 3, 0));
    memo_forget(memo, NULL, NULL);
    EXPECT_EQ(memo_count(memo), 0);
    memo_destroy(memo);
    identity_unref(first);
    identity_unref(second);
}

TEST(parts_are_hashed_with_their_borders) {
    uint8_t first[MEMO_KEY_BYTES];
    uint8_t second[MEMO_KEY_BYTES];
    EXPECT_TRUE(memo_hash((const struct span[]){SPAN("ab"), SPAN("c")}, 2, first));
    EXPECT_TRUE(memo_hash((const struct span[]){SPAN("a"), SPAN("bc")}, 2, second));
    EXPECT_FALSE(memcmp(first, second, sizeof(first)) == 0);
}

UNIT_TESTS(UNIT(an_answer_is_good_until_its_end),
           UNIT(the_one_that_was_used_least_lately_goes_first),
           UNIT(a_new_answer_takes_the_place_of_the_old_one),
           UNIT(what_is_about_an_identity_can_be_forgotten),
           UNIT(parts_are_hashed_with_their_borders))
