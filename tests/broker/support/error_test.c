/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/error.h"

#include "broker/support/utf8.h"
#include "tests/unit.h"

TEST(every_code_has_a_whole_row) {
    for (enum error_code code = OK + 1; code < ERROR_CODE_COUNT; code++) {
        const struct error_row *row = error_row(code);
        EXPECT_TRUE(row->http_status >= 400 && row->http_status < 600);
        EXPECT_TRUE(row->websocket_close >= 1001 && row->websocket_close < 5000);
        EXPECT_TRUE(row->mqtt_reason >= 0x80);
        EXPECT_TRUE(row->slug[0] != '\0');
        EXPECT_EQ(strspn(row->slug, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(row->slug));
        EXPECT_EQ(strcspn(row->title, "\"\\\n"), strlen(row->title));
    }
}

TEST(no_two_codes_share_a_slug) {
    for (enum error_code one = OK + 1; one < ERROR_CODE_COUNT; one++) {
        for (enum error_code other = OK + 1; other < one; other++) {
            EXPECT_TRUE(strcmp(error_row(one)->slug, error_row(other)->slug) != 0);
        }
    }
}

TEST(every_close_reason_may_be_sent_and_read) {
    for (enum close_reason reason = 0; reason < CLOSE_REASON_COUNT; reason++) {
        const struct close_row *row = close_row(reason);
        EXPECT_TRUE(row->websocket_close >= 1000 && row->websocket_close < 5000);
        EXPECT_TRUE(strlen(row->text) > 0 && strlen(row->text) <= 123);
        EXPECT_TRUE(strlen(row->name) > 0 && strchr(row->name, (char)32) == NULL);
    }
}

TEST(an_error_says_why_and_is_cut_where_it_is_too_long) {
    char text[400];
    struct error why;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    EXPECT_EQ(error_set_field(&why, ERR_BAD_REQUEST, text, "%s", text), ERR_BAD_REQUEST);
    EXPECT_EQ(why.code, ERR_BAD_REQUEST);
    EXPECT_EQ(strlen(why.detail), sizeof(why.detail) - 1);
    EXPECT_EQ(strlen(why.field), sizeof(why.field) - 1);
    EXPECT_EQ(error_set(&why, ERR_BUSY, "full: %d", 7), ERR_BUSY);
    EXPECT_STRING(why.detail, "full: 7");
    EXPECT_STRING(why.field, "");
    EXPECT_EQ(error_set(NULL, ERR_BUSY, "nobody asks"), ERR_BUSY);
}

TEST(a_field_is_blamed_afterwards_and_only_for_a_failure) {
    struct error why;
    EXPECT_EQ(error_blame(&why, error_set(&why, ERR_BAD_CHANNEL, "too long"), "channel"),
              ERR_BAD_CHANNEL);
    EXPECT_STRING(why.detail, "too long");
    EXPECT_STRING(why.field, "channel");
    EXPECT_EQ(error_blame(&why, OK, "since"), OK);
    EXPECT_STRING(why.field, "channel");
    EXPECT_EQ(error_blame(&why, ERR_BUSY, "a\xC3"), ERR_BUSY);
    EXPECT_STRING(why.field, "a?");
    EXPECT_EQ(error_blame(NULL, ERR_BUSY, "nobody asks"), ERR_BUSY);
}

/* U+00E9 is two bytes, U+20AC three, U+1F3BE four. */
TEST(an_error_is_text_wherever_a_character_was_cut) {
    static const struct {
        const char *text;
        int shown;
        const char *detail;
    } cases[] = {
        {"caf\xC3\xA9", 5, "caf\xC3\xA9."},       {"caf\xC3\xA9", 4, "caf?."},
        {"1 \xE2\x82\xAC", 5, "1 \xE2\x82\xAC."}, {"1 \xE2\x82\xAC", 4, "1 ??."},
        {"\xF0\x9F\x8E\xBE", 3, "???."},          {"\xF0\x9F\x8E\xBE", 4, "\xF0\x9F\x8E\xBE."},
        {"a\r\nb\x1B[2J\x7F", 9, "a??b?[2J?."},   {"\xC0\xAF\xED\xA0\x80\xFF\x80", 7, "???????."},
    };
    struct error why;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        EXPECT_EQ(error_set(&why, ERR_BUSY, "%.*s.", cases[i].shown, cases[i].text), ERR_BUSY);
        EXPECT_STRING(why.detail, cases[i].detail);
    }
    char text[400];
    for (size_t i = 0; i + 3 < sizeof(text); i += 3) {
        memcpy(text + i, "\xE2\x82\xAC", 4);
    }
    for (size_t before = 0; before < 3; before++) { /* cut by the room, at each place of one */
        EXPECT_EQ(
            error_set_field(&why, ERR_BUSY, text + 3 - before, "%.*s%s", (int)before, "..", text),
            ERR_BUSY);
        EXPECT_TRUE(utf8_is_valid(span_of_string(why.detail)));
        EXPECT_TRUE(utf8_is_valid(span_of_string(why.field)));
        EXPECT_EQ(strlen(why.detail), sizeof(why.detail) - 1);
    }
}

UNIT_TESTS(UNIT(a_field_is_blamed_afterwards_and_only_for_a_failure),
           UNIT(an_error_is_text_wherever_a_character_was_cut), UNIT(every_code_has_a_whole_row),
           UNIT(no_two_codes_share_a_slug), UNIT(every_close_reason_may_be_sent_and_read),
           UNIT(an_error_says_why_and_is_cut_where_it_is_too_long))
