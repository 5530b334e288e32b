/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/logger.h"

#include <unistd.h>

#include "tests/unit.h"

/* What one call writes to standard error. */
static size_t logged(const char *text, char *ret_line, size_t size) {
    int ends[2], kept = dup(STDERR_FILENO);
    EXPECT_EQ(pipe(ends), 0);
    EXPECT_TRUE(dup2(ends[1], STDERR_FILENO) >= 0);
    log_warning("FOLD_FAILED", "detail=\"%s\"", text);
    EXPECT_TRUE(dup2(kept, STDERR_FILENO) >= 0);
    ssize_t length = read(ends[0], ret_line, size - 1);
    EXPECT_TRUE(length > 0);
    ret_line[length] = '\0';
    close(kept);
    close(ends[0]);
    close(ends[1]);
    return (size_t)length;
}

TEST(a_line_has_time_level_event_and_text) {
    char line[LOGGER_LINE_BYTES_MAX + 10];
    size_t length = logged("disk", line, sizeof(line));
    EXPECT_NOT_NULL(strstr(line, "Z level=warning event=FOLD_FAILED detail=\"disk\"\n"));
    EXPECT_EQ(line[length - 1], '\n');
}

TEST(an_argument_cannot_begin_a_line_of_its_own) {
    char line[LOGGER_LINE_BYTES_MAX + 10];
    size_t length = logged("a\nb\r\x1B", line, sizeof(line));
    EXPECT_NOT_NULL(strstr(line, "detail=\"a?b??\""));
    EXPECT_EQ(strcspn(line, "\n"), length - 1);
}

TEST(a_long_line_is_cut_and_still_ends) {
    char line[LOGGER_LINE_BYTES_MAX + 10], text[2 * LOGGER_LINE_BYTES_MAX];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    size_t length = logged(text, line, sizeof(line));
    EXPECT_TRUE(length <= LOGGER_LINE_BYTES_MAX);
    EXPECT_EQ(line[length - 1], '\n');
}

TEST(what_is_below_the_level_is_left_out) {
    int ends[2], kept = dup(STDERR_FILENO);
    char line[LOGGER_LINE_BYTES_MAX + 10];
    EXPECT_EQ(pipe(ends), 0);
    EXPECT_TRUE(dup2(ends[1], STDERR_FILENO) >= 0);
    logger_set_level(LOG_LEVEL_ERROR);
    log_warning("QUIET", "a=%d", 1);
    log_error("LOUD", "a=%d", 1);
    logger_set_level(LOG_LEVEL_DEBUG);
    EXPECT_TRUE(dup2(kept, STDERR_FILENO) >= 0);
    ssize_t length = read(ends[0], line, sizeof(line) - 1);
    EXPECT_TRUE(length > 0);
    line[length] = '\0';
    EXPECT_NULL(strstr(line, "QUIET"));
    EXPECT_NOT_NULL(strstr(line, "LOUD"));
    close(kept);
    close(ends[0]);
    close(ends[1]);
}

UNIT_TESTS(UNIT(a_line_has_time_level_event_and_text),
           UNIT(an_argument_cannot_begin_a_line_of_its_own),
           UNIT(a_long_line_is_cut_and_still_ends), UNIT(what_is_below_the_level_is_left_out))
