/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/receipt.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit.h"

#define ENVELOPE(offset) "{\"channel\":\"a\",\"offset\":" #offset "}"

/* What is written of a body that was signed well; the caller frees. */
static char *write_of(const char *body, size_t length, bool is_json) {
    struct receipt receipt = {
        .claim = {.id = "msg_1", .timestamp = "1", .body = body, .body_length = length},
        .status = 200,
    };
    char *text = NULL;
    size_t text_length = 0;
    FILE *stream = open_memstream(&text, &text_length);
    EXPECT_TRUE(is_json ? receipt_write_json(stream, &receipt)
                        : receipt_write_line(stream, &receipt));
    fclose(stream);
    return text;
}

static void expect_line(const char *body, const char *expected) {
    char *line = write_of(body, strlen(body), false);
    EXPECT_STRING(line, expected);
    free(line);
}

TEST(a_line_names_the_places_in_runs) {
    expect_line(ENVELOPE(7), "1970-01-01T00:00:00Z 200 good msg_1 a#7 " ENVELOPE(7) "\n");
    expect_line("[" ENVELOPE(1) "," ENVELOPE(2) "," ENVELOPE(9) "]",
                "1970-01-01T00:00:00Z 200 good msg_1 a#1-2 a#9 (3 messages) "
                "[" ENVELOPE(1) "," ENVELOPE(2) "," ENVELOPE(9) "]\n");
    expect_line(ENVELOPE(1) "\n" ENVELOPE(2) "\n",
                "1970-01-01T00:00:00Z 200 good msg_1 a#1-2 (2 messages) " ENVELOPE(1) " " ENVELOPE(
                    2) " \n");
}

TEST(a_cloudevent_has_its_place_in_source_and_extension) {
    expect_line("{\"source\":\"/channels/a\",\"tidingsoffset\":\"12\"}",
                "1970-01-01T00:00:00Z 200 good msg_1 a#12 "
                "{\"source\":\"/channels/a\",\"tidingsoffset\":\"12\"}\n");
}

TEST(what_is_no_envelope_is_shown_all_the_same) {
    expect_line("", "1970-01-01T00:00:00Z 200 good msg_1 \n");
    expect_line("[1,{\"channel\":5}]", "1970-01-01T00:00:00Z 200 good msg_1 [1,{\"channel\":5}]\n");
    expect_line("\x1b[2J\x7f", "1970-01-01T00:00:00Z 200 good msg_1 ?[2J?\n");
}

TEST(a_long_body_is_cut_between_two_characters) {
    char body[2 * RECEIPT_BODY_SHOWN + 2];
    memset(body, 'x', sizeof(body));
    for (size_t i = 1; i + 1 < sizeof(body); i += 2) {
        memcpy(body + i, "\xc3\xa9", 2); /* é, which begins at odd places: the cut is inside one */
    }
    char *line = write_of(body, sizeof(body), false);
    EXPECT_NOT_NULL(strstr(line, "\xc3\xa9… (602 bytes)\n"));
    free(line);
}

TEST(json_has_the_body_as_text_or_as_base64) {
    char *line = write_of("{}", 2, true);
    EXPECT_NOT_NULL(strstr(line, "\"body\":\"{}\""));
    free(line);
    line = write_of("\xff\x00", 2, true);
    EXPECT_NOT_NULL(strstr(line, "\"body_base64\":\"/wA=\""));
    free(line);
}

UNIT_TESTS(UNIT(a_line_names_the_places_in_runs),
           UNIT(a_cloudevent_has_its_place_in_source_and_extension),
           UNIT(what_is_no_envelope_is_shown_all_the_same),
           UNIT(a_long_body_is_cut_between_two_characters),
           UNIT(json_has_the_body_as_text_or_as_base64))
