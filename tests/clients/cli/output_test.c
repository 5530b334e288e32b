/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/output.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/unit.h"

static void expect_message(const char *envelope, bool whole, const char *expected) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    EXPECT_TRUE(output_message(stream, envelope, strlen(envelope), whole));
    fclose(stream);
    EXPECT_STRING(text, expected);
    free(text);
}

TEST(json_is_written_as_it_was_published) {
    expect_message("{\"channel\":\"a\",\"data\":{\"x\": 1.10}}", false, "{\"x\": 1.10}\n");
    expect_message("{\"data\":\"zwei\"}", false, "\"zwei\"\n");
    expect_message("{\"data\":\"a\",\"type\":\"application/vnd.x+json\"}", false, "\"a\"\n");
    expect_message("{\"data\":null}", false, "null\n");
}

TEST(text_is_written_without_quotes) {
    expect_message("{\"data\":\"a\\n\\u00fc\\\"b\",\"type\":\"text/plain\"}", false, "a\nü\"b\n");
}

TEST(binary_is_written_as_base64) {
    expect_message("{\"data_base64\":\"AAEC\",\"type\":\"image/png\"}", false, "AAEC\n");
}

TEST(line_ends_between_tokens_become_blanks) {
    expect_message("{\"data\":{\"a\":1,\r\n\"b\":2}}", false, "{\"a\":1,  \"b\":2}\n");
    expect_message("{\"data\":[1,\n2]}", true, "{\"data\":[1, 2]}\n");
}

TEST(what_has_no_payload_is_written_whole) {
    expect_message("nonsense", false, "nonsense\n");
    expect_message("{\"data_base64\":5}", false, "5\n");
}

/* Each way of buffering fails elsewhere: at a byte, at a line's end, at the flush. */
TEST(output_that_cannot_be_written_is_told) {
    static const int modes[] = {_IONBF, _IOLBF, _IOFBF};
    static const char message[] = "{\"data\":\"a\\nb\",\"type\":\"text/plain\"}";
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        FILE *stream = fopen("/dev/full", "we");
        setvbuf(stream, NULL, modes[i], BUFSIZ);
        errno = 0;
        EXPECT_FALSE(output_message(stream, message, sizeof(message) - 1, false));
        EXPECT_EQ(errno, ENOSPC);
        fclose(stream);
    }
}

static void expect_gap(const char *gap, const char *expected) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    output_gap(stream, "a", gap, strlen(gap));
    fclose(stream);
    EXPECT_STRING(text, expected);
    free(text);
}

TEST(gaps_are_told_in_words) {
    expect_gap("{\"from\":44,\"to\":90,\"reason\":\"expired\",\"id\":\"t1\"}",
               "gap: a: offsets 44 to 90 are missing (expired)\n");
    expect_gap("{\"from\":4,\"to\":4,\"reason\":\"expired\"}",
               "gap: a: offset 4 is missing (expired)\n");
    expect_gap("{\"reason\":\"epoch\"}", "gap: a: messages are missing (epoch)\n");
    expect_gap("{\"channel\":\"b\",\"from\":4,\"to\":4,\"reason\":\"deleted\"}",
               "gap: b: offset 4 is missing (deleted)\n");
    expect_gap("{\"pattern\":\"b/**\",\"reason\":\"expired\"}",
               "gap: b/**: messages are missing (expired)\n");
    expect_gap("?", "gap: a: messages are missing (for no reason told)\n");
}

TEST(nothing_is_missing_ahead_of_the_end) {
    expect_gap("{\"from\":3,\"to\":10,\"reason\":\"ahead\",\"first\":1,\"last\":2}",
               "gap: a: the channel has not come to offset 10; it ends at 2 (ahead)\n");
    expect_gap("{\"from\":3,\"to\":3,\"reason\":\"ahead\"}",
               "gap: a: the channel has not come to offset 3; it ends at 2 (ahead)\n");
    expect_gap("{\"from\":1,\"to\":9,\"reason\":\"ahead\"}",
               "gap: a: the channel has not come to offset 9; it is empty (ahead)\n");
    expect_gap("{\"reason\":\"ahead\"}",
               "gap: a: the channel has not come to what was asked for (ahead)\n");
}

TEST(a_farewell_says_whether_to_come_back) {
    static const char draining[] = "{\"code\":\"draining\",\"reconnect\":true}";
    static const char forbidden[] = "{\"code\":\"forbidden\",\"reconnect\":false}";
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    EXPECT_TRUE(output_close(stream, "a", draining, sizeof(draining) - 1));
    EXPECT_FALSE(output_close(stream, "a", forbidden, sizeof(forbidden) - 1));
    EXPECT_TRUE(output_close(stream, "a", "?", 1));
    fclose(stream);
    EXPECT_STRING(text, "tidings: a: closed by the broker (draining)\n"
                        "tidings: a: closed by the broker (forbidden) for good\n"
                        "tidings: a: closed by the broker (for no reason told)\n");
    free(text);
}

UNIT_TESTS(UNIT(json_is_written_as_it_was_published), UNIT(text_is_written_without_quotes),
           UNIT(binary_is_written_as_base64), UNIT(line_ends_between_tokens_become_blanks),
           UNIT(what_has_no_payload_is_written_whole), UNIT(output_that_cannot_be_written_is_told),
           UNIT(gaps_are_told_in_words), UNIT(nothing_is_missing_ahead_of_the_end),
           UNIT(a_farewell_says_whether_to_come_back))
