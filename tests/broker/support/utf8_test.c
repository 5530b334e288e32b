/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/utf8.h"

#include "broker/support/macros.h"
#include "tests/unit.h"

static const struct span GOOD[] = {
    {NULL, 0},
    {(const uint8_t *)"plain ASCII of some length", 26},
    {(const uint8_t *)"\x00", 1},
    {(const uint8_t *)"gr\xC3\xBC\xC3\x9F", 6},
    {(const uint8_t *)"\xE2\x82\xAC", 3},
    {(const uint8_t *)"\xED\x9F\xBF", 3},
    {(const uint8_t *)"\xEE\x80\x80", 3},
    {(const uint8_t *)"\xF0\x9F\x8E\xBE", 4},
    {(const uint8_t *)"\xF4\x8F\xBF\xBF", 4},
};

static const struct span BAD[] = {
    {(const uint8_t *)"\x80", 1},
    {(const uint8_t *)"\xC0\x80", 2},
    {(const uint8_t *)"\xC1\xBF", 2},
    {(const uint8_t *)"\xC3", 1},
    {(const uint8_t *)"\xC3\x28", 2},
    {(const uint8_t *)"\xE0\x9F\xBF", 3},
    {(const uint8_t *)"\xED\xA0\x80", 3},
    {(const uint8_t *)"\xE2\x82", 2},
    {(const uint8_t *)"\xF0\x8F\xBF\xBF", 4},
    {(const uint8_t *)"\xF4\x90\x80\x80", 4},
    {(const uint8_t *)"\xF5\x80\x80\x80", 4},
    {(const uint8_t *)"\xFF", 1},
    {(const uint8_t *)"eight by\xC3", 9},
};

TEST(text_is_told_from_other_bytes) {
    for (size_t i = 0; i < ARRAY_COUNT(GOOD); i++) {
        EXPECT_TRUE(utf8_is_valid(GOOD[i]));
    }
    for (size_t i = 0; i < ARRAY_COUNT(BAD); i++) {
        EXPECT_FALSE(utf8_is_valid(BAD[i]));
    }
}

static bool is_valid_in_pieces(struct span text) {
    struct utf8_state state = {0};
    for (size_t i = 0; i < text.length; i++) {
        if (!utf8_feed(&state, span_of(text.bytes + i, 1))) {
            return false;
        }
    }
    return utf8_is_complete(&state);
}

TEST(pieces_give_the_same_answer_as_the_whole) {
    for (size_t i = 0; i < ARRAY_COUNT(GOOD); i++) {
        EXPECT_TRUE(is_valid_in_pieces(GOOD[i]));
    }
    for (size_t i = 0; i < ARRAY_COUNT(BAD); i++) {
        EXPECT_FALSE(is_valid_in_pieces(BAD[i]));
    }
}

TEST(a_bad_sequence_is_refused_at_its_first_impossible_byte) {
    struct utf8_state state = {0};
    EXPECT_TRUE(utf8_feed(&state, SPAN("\xED")));
    EXPECT_FALSE(utf8_feed(&state, SPAN("\xA0")));
}

TEST(a_text_is_cut_behind_a_whole_character) {
    for (size_t i = 0; i < ARRAY_COUNT(GOOD); i++) {
        struct span all = utf8_cut(GOOD[i], SIZE_MAX);
        EXPECT_EQ(all.length, GOOD[i].length);
        EXPECT_EQ(utf8_cut(GOOD[i], 0).length, 0);
    }
    struct span text = SPAN("a\xC3\xBC\xF0\x9F\x8E\xBEz");
    static const size_t lengths[] = {0, 1, 1, 3, 3, 3, 3, 7, 8, 8};
    for (size_t room = 0; room < ARRAY_COUNT(lengths); room++) {
        EXPECT_EQ(utf8_cut(text, room).length, lengths[room]);
    }
    EXPECT_SPAN(utf8_cut(SPAN("ab\xFFz"), SIZE_MAX), "ab");
    EXPECT_SPAN(utf8_cut(SPAN("ab\xE2\x82"), SIZE_MAX), "ab");
}

UNIT_TESTS(UNIT(a_text_is_cut_behind_a_whole_character), UNIT(text_is_told_from_other_bytes),
           UNIT(pieces_give_the_same_answer_as_the_whole),
           UNIT(a_bad_sequence_is_refused_at_its_first_impossible_byte))
