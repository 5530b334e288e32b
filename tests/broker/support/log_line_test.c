/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/log_line.h"

#include "broker/support/json.h"
#include "tests/unit.h"

#define TIME_MS UINT64_C(1769846709123)
#define HEAD "time=2026-01-31T08:05:09.123Z level=error event=FOLD_FAILED "
#define MESSAGE "message=\"the journal could not be folded\" "

static char line[LOG_LINE_BYTES_MAX + 1];

/* FOLD_FAILED with that detail. */
static const char *write_detail(enum log_format format, const char *detail) {
    struct log_values_FOLD_FAILED values = {.code = "io", .detail = detail};
    size_t length = log_line_write(format, LOG_EVENT_FOLD_FAILED, TIME_MS, 0, &values, line);
    EXPECT_EQ(line[length - 1], '\n');
    line[length - 1] = '\0';
    EXPECT_EQ(strlen(line), length - 1);
    EXPECT_EQ(line[strcspn(line, "\n\r\x1B\x7F")], '\0');
    EXPECT_TRUE(format == LOG_FORMAT_LOGFMT || json_check(span_of_string(line), NULL, NULL) == OK);
    return line;
}

/* What stands between the quotes of the detail, which is the same in both formats. */
static const char *quoted(const char *detail) {
    static char in_logfmt[LOG_LINE_BYTES_MAX];
    const char *found = strstr(write_detail(LOG_FORMAT_LOGFMT, detail), " detail=\"");
    EXPECT_NOT_NULL(found);
    found += strlen(" detail=\"");
    size_t length = strlen(found) - 1;
    EXPECT_EQ(found[length], '"');
    memcpy(in_logfmt, found, length);
    in_logfmt[length] = '\0';
    found = strstr(write_detail(LOG_FORMAT_JSON, detail), ",\"detail\":\"");
    EXPECT_NOT_NULL(found);
    found += strlen(",\"detail\":\"");
    EXPECT_EQ(strncmp(found, in_logfmt, strlen(in_logfmt)), 0);
    EXPECT_STRING(found + strlen(in_logfmt), "\"}");
    return in_logfmt;
}

TEST(logfmt_has_words_bare_and_all_else_in_quotes) {
    EXPECT_STRING(write_detail(LOG_FORMAT_LOGFMT, "disk"), HEAD MESSAGE "code=io detail=disk");
    EXPECT_STRING(write_detail(LOG_FORMAT_LOGFMT, "no room"),
                  HEAD MESSAGE "code=io detail=\"no room\"");
    EXPECT_STRING(write_detail(LOG_FORMAT_LOGFMT, "a=b"), HEAD MESSAGE "code=io detail=\"a=b\"");
    EXPECT_STRING(write_detail(LOG_FORMAT_LOGFMT, "a\\b"),
                  HEAD MESSAGE "code=io detail=\"a\\\\b\"");
}

TEST(json_is_one_object_a_line) {
    EXPECT_STRING(write_detail(LOG_FORMAT_JSON, "disk"),
                  "{\"time\":\"2026-01-31T08:05:09.123Z\",\"level\":\"error\","
                  "\"event\":\"FOLD_FAILED\",\"message\":\"the journal could not be folded\","
                  "\"code\":\"io\",\"detail\":\"disk\"}");
}

TEST(numbers_and_switches_have_no_quotes) {
    struct log_values_STORAGE_OPENED values = {
        .data = "d", .clean = true, .position = UINT64_MAX, .took_ms = 7};
    size_t length =
        log_line_write(LOG_FORMAT_JSON, LOG_EVENT_STORAGE_OPENED, TIME_MS, 3, &values, line);
    line[length] = '\0';
    EXPECT_NOT_NULL(strstr(line, ",\"suppressed\":3,\"data\":\"d\",\"clean\":true,\"generation\":0,"
                                 "\"position\":18446744073709551615,"));
    length = log_line_write(LOG_FORMAT_LOGFMT, LOG_EVENT_STORAGE_OPENED, TIME_MS, 0, &values, line);
    line[length] = '\0';
    EXPECT_NOT_NULL(strstr(line, " data=d clean=true generation=0 position=18446744073709551615 "));
    EXPECT_NULL(strstr(line, "suppressed"));
}

TEST(what_is_not_known_is_left_out) {
    EXPECT_STRING(write_detail(LOG_FORMAT_LOGFMT, ""), HEAD MESSAGE "code=io");
    EXPECT_STRING(write_detail(LOG_FORMAT_LOGFMT, NULL), HEAD MESSAGE "code=io");
}

TEST(a_value_can_neither_end_its_line_nor_forge_a_key) {
    EXPECT_STRING(quoted("x\" level=info event=STARTED y=\""),
                  "x\\\" level=info event=STARTED y=\\\"");
    EXPECT_STRING(quoted("a\nb\r\t\x1B[2J\x7F"), "a\\u000ab\\u000d\\u0009\\u001b[2J\\u007f");
    EXPECT_STRING(quoted("\xC2\x9B[2J \xC2\xA0"), "\\u009b[2J \xC2\xA0"); /* C1; a blank is none */
}

TEST(what_ends_a_line_or_turns_its_direction_is_escaped) {
    EXPECT_STRING(quoted("\xE2\x80\xA8level=error"), "\\u2028level=error");
    EXPECT_STRING(quoted("\xD8\x9C \xE2\x80\x8E\xE2\x80\x8F"), "\\u061c \\u200e\\u200f");
    EXPECT_STRING(quoted("\xE2\x80\xA9\xE2\x80\xAA\xE2\x80\xAE"), "\\u2029\\u202a\\u202e");
    EXPECT_STRING(quoted("\xE2\x81\xA6\xE2\x81\xA9"), "\\u2066\\u2069");
    /* their neighbours stand as they are */
    EXPECT_STRING(quoted("\xE2\x80\x8D\xE2\x80\x90\xE2\x80\xA7\xE2\x80\xAF\xE2\x81\xAA"),
                  "\xE2\x80\x8D\xE2\x80\x90\xE2\x80\xA7\xE2\x80\xAF\xE2\x81\xAA");
}

TEST(what_is_no_utf8_is_replaced_byte_for_byte) {
    EXPECT_STRING(quoted("gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x8E\xBE"),
                  "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x8E\xBE");
    EXPECT_STRING(quoted("a\xFF"), "a\xEF\xBF\xBD");
    EXPECT_STRING(quoted("a \xC3"), "a \xEF\xBF\xBD");             /* cut off */
    EXPECT_STRING(quoted("\xC3(x"), "\xEF\xBF\xBD(x");             /* goes on wrongly */
    EXPECT_STRING(quoted("\xC0\xAF"), "\xEF\xBF\xBD\xEF\xBF\xBD"); /* not the shortest */
    EXPECT_STRING(quoted("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"); /* surrogate */
}

TEST(a_long_text_is_cut_between_characters) {
    char text[LOG_TEXT_BYTES_MAX + 2];
    memset(text, 'x', sizeof(text));
    text[LOG_TEXT_BYTES_MAX] = '\0';
    EXPECT_NOT_NULL(strstr(write_detail(LOG_FORMAT_LOGFMT, text), text)); /* as long as may be */
    text[LOG_TEXT_BYTES_MAX] = 'x';
    text[LOG_TEXT_BYTES_MAX + 1] = '\0';
    const char *cut = quoted(text);
    EXPECT_EQ(strlen(cut), LOG_TEXT_BYTES_MAX);
    EXPECT_STRING(cut + LOG_TEXT_BYTES_MAX - 4, "x…");
    for (size_t i = 0; i < 4; i++) { /* whatever the last piece is, the text is whole behind it */
        memset(text, '\n', sizeof(text) - 1);
        memset(text, 'x', i);
        cut = quoted(text);
        EXPECT_TRUE(strlen(cut) <= LOG_TEXT_BYTES_MAX && strlen(cut) > LOG_TEXT_BYTES_MAX - 9);
        EXPECT_STRING(cut + strlen(cut) - 9, "\\u000a…");
    }
}

/* The longest values that each key can have. */
static void fill(const struct log_event_row *row, char *slots, const char *text) {
    for (size_t i = 0; i < row->key_count; i++) {
        void *slot = slots + i * LOG_SLOT_BYTES;
        if (row->keys[i].kind == LOG_KIND_COUNT) {
            *(uint64_t *)slot = UINT64_MAX;
        } else if (row->keys[i].kind == LOG_KIND_SWITCH) {
            *(bool *)slot = false;
        } else if (row->keys[i].kind == LOG_KIND_TEXT) {
            *(const char **)slot = text;
        } else {
            *(struct span *)slot = span_of_string(text);
        }
    }
}

TEST(the_longest_line_of_each_event_fits) {
    static _Alignas(LOG_SLOT_BYTES) char slots[32 * LOG_SLOT_BYTES];
    static char text[10000];
    memset(text, '\x01', sizeof(text) - 1);
    for (size_t i = 0; i < LOG_EVENT_NUMBER; i++) {
        EXPECT_TRUE(log_event_rows[i].key_count <= 32);
        fill(&log_event_rows[i], slots, text);
        size_t length = log_line_write(LOG_FORMAT_JSON, i, TIME_MS, UINT64_MAX, slots, line);
        EXPECT_EQ(json_check(span_of(line, length), NULL, NULL), OK);
        EXPECT_EQ(line[length - 2], '}');
        EXPECT_EQ(line[length - 1], '\n');
        length = log_line_write(LOG_FORMAT_LOGFMT, i, TIME_MS, UINT64_MAX, slots, line);
        EXPECT_EQ(line[length - 1], '\n');
    }
}

UNIT_TESTS(UNIT(logfmt_has_words_bare_and_all_else_in_quotes), UNIT(json_is_one_object_a_line),
           UNIT(numbers_and_switches_have_no_quotes), UNIT(what_is_not_known_is_left_out),
           UNIT(a_value_can_neither_end_its_line_nor_forge_a_key),
           UNIT(what_ends_a_line_or_turns_its_direction_is_escaped),
           UNIT(what_is_no_utf8_is_replaced_byte_for_byte),
           UNIT(a_long_text_is_cut_between_characters), UNIT(the_longest_line_of_each_event_fits))
