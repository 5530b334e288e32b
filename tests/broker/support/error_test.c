/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/error.h"

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

UNIT_TESTS(UNIT(every_code_has_a_whole_row), UNIT(no_two_codes_share_a_slug),
           UNIT(every_close_reason_may_be_sent_and_read),
           UNIT(an_error_says_why_and_is_cut_where_it_is_too_long))
