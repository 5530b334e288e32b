/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/message_text.h"

#include <stdio.h>

#include "broker/limits.h"
#include "tests/unit.h"

TEST(a_text_has_some_bytes_and_not_too_many) {
    EXPECT_EQ(message_text_check(SPAN("abc"), 3, NULL), OK);
    EXPECT_EQ(message_text_check(SPAN(""), 3, NULL), ERR_BAD_REQUEST);
    EXPECT_EQ(message_text_check(SPAN("abcd"), 3, NULL), ERR_BAD_REQUEST);
}

TEST(a_text_is_utf8_without_control_characters) {
    EXPECT_EQ(message_text_check(SPAN("tsch\xC3\xBC\xC3\x9F \xC2\xA0"), 100, NULL), OK);
    EXPECT_EQ(message_text_check(SPAN("\xC0\x80"), 100, NULL), ERR_BAD_UTF8);
    EXPECT_EQ(message_text_check(SPAN("a\tb"), 100, NULL), ERR_BAD_REQUEST);
    EXPECT_EQ(message_text_check(SPAN("a\x7F"), 100, NULL), ERR_BAD_REQUEST);
    EXPECT_EQ(message_text_check(SPAN("a\xC2\x85"), 100, NULL), ERR_BAD_REQUEST);
    EXPECT_EQ(message_text_check(SPAN("\xE2\x82\x85"), 100, NULL), OK);
}

TEST(a_header_comes_once) {
    struct buffer map;
    struct error why = {0};
    buffer_init(&map, MESSAGE_HEADERS_BYTES_MAX);
    EXPECT_EQ(message_headers_put(&map, SPAN("a"), SPAN("1"), &why), OK);
    EXPECT_EQ(message_headers_put(&map, SPAN("b"), SPAN(""), &why), OK);
    EXPECT_EQ(message_headers_put(&map, SPAN("a"), SPAN("2"), &why), ERR_BAD_REQUEST);
    EXPECT_EQ(map.length, 2 * 5 + 1);
    buffer_finish(&map);
}

TEST(headers_are_bounded_in_number_and_bytes) {
    struct buffer map;
    static const uint8_t large[MESSAGE_HEADERS_BYTES_MAX];
    char name[16];
    buffer_init(&map, MESSAGE_HEADERS_BYTES_MAX);
    for (int i = 0; i < MESSAGE_HEADERS_MAX; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        EXPECT_EQ(message_headers_put(&map, span_of_string(name), SPAN("v"), NULL), OK);
    }
    EXPECT_EQ(message_headers_put(&map, SPAN("more"), SPAN("v"), NULL), ERR_HEADERS_TOO_LARGE);
    buffer_clear(&map);
    EXPECT_EQ(message_headers_put(&map, SPAN("a"), span_of(large, sizeof(large)), NULL),
              ERR_HEADERS_TOO_LARGE);
    EXPECT_EQ(map.length, 0);
    buffer_finish(&map);
}

UNIT_TESTS(UNIT(a_text_has_some_bytes_and_not_too_many),
           UNIT(a_text_is_utf8_without_control_characters), UNIT(a_header_comes_once),
           UNIT(headers_are_bounded_in_number_and_bytes))
