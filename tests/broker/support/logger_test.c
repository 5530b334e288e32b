/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/logger.h"

#include <unistd.h>

#include "broker/support/log_gate.h"
#include "tests/unit.h"

static int kept, ends[2];
static char text[65536];

static void listen_to_stderr(void) {
    EXPECT_EQ(pipe(ends), 0);
    kept = dup(STDERR_FILENO);
    EXPECT_TRUE(dup2(ends[1], STDERR_FILENO) >= 0);
}

/* All that came since; how many lines. */
static size_t hear(void) {
    size_t lines = 0, length = 0;
    EXPECT_TRUE(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    close(ends[1]);
    for (ssize_t part; (part = read(ends[0], text + length, sizeof(text) - 1 - length)) > 0;) {
        length += (size_t)part;
    }
    close(ends[0]);
    text[length] = '\0';
    for (size_t i = 0; i < length; i++) {
        lines += text[i] == '\n';
    }
    return lines;
}

static int start(void **state) {
    (void)state;
    logger_set_level(LOG_LEVEL_INFO);
    logger_set_format(LOG_FORMAT_LOGFMT);
    return 0;
}

static uint64_t count_evaluation(uint64_t *count) {
    return ++*count;
}

TEST(an_event_is_a_line_of_the_chosen_format) {
    listen_to_stderr();
    log_event(STOPPED, .exit_code = 3);
    logger_set_format(LOG_FORMAT_JSON);
    log_event(STOPPED, .exit_code = 4);
    EXPECT_EQ(hear(), 2);
    EXPECT_NOT_NULL(strstr(text, " level=info event=STOPPED message=\"the broker has ended\" "
                                 "exit_code=3 took_ms=0\n{\"time\":"));
    EXPECT_NOT_NULL(strstr(text, "\"exit_code\":4,\"took_ms\":0}\n"));
}

TEST(what_is_below_the_level_is_left_out_and_not_even_looked_at) {
    uint64_t evaluations = 0;
    listen_to_stderr();
    logger_set_level(LOG_LEVEL_ERROR);
    log_event(FOLD_RECOVERED, .failures = count_evaluation(&evaluations));
    log_event(OPEN_BATCH_FULL, .bytes_max = count_evaluation(&evaluations));
    log_event(FOLD_FAILED, .code = "io");
    EXPECT_EQ(hear(), 1);
    EXPECT_NOT_NULL(strstr(text, "event=FOLD_FAILED"));
    EXPECT_EQ(evaluations, 0);
}

TEST(a_flood_is_held_back_and_counted_to_the_line) {
    uint64_t before = logger_suppressed_total();
    listen_to_stderr();
    for (unsigned i = 0; i < LOG_BURST_LINES + 90; i++) {
        log_event(READ_FAILED, .code = "io");
    }
    log_event(RETAIN_FAILED, .code = "io"); /* another event has a bucket of its own */
    logger_tell_suppressed();
    logger_tell_suppressed();
    uint64_t suppressed = logger_suppressed_total() - before;
    size_t lines = hear();
    EXPECT_TRUE(suppressed > 0);
    EXPECT_EQ(lines, LOG_BURST_LINES + 90 - suppressed + 2);
    EXPECT_NOT_NULL(strstr(text, "event=RETAIN_FAILED"));
    char *told = strstr(text, "event=LINES_SUPPRESSED");
    EXPECT_NOT_NULL(told);
    EXPECT_NOT_NULL(strstr(told, " of=READ_FAILED suppressed="));
    EXPECT_NULL(strstr(told + 1, "event=LINES_SUPPRESSED"));
}

TEST(who_asks_for_debug_gets_it_all) {
    listen_to_stderr();
    logger_set_level(LOG_LEVEL_DEBUG);
    for (unsigned i = 0; i < LOG_BURST_LINES * 5; i++) {
        log_event(REQUEST, .method = SPAN("GET"), .status = 200);
    }
    EXPECT_EQ(hear(), LOG_BURST_LINES * 5);
}

#define LOGGER(test) cmocka_unit_test_setup(test, start)

UNIT_TESTS(LOGGER(an_event_is_a_line_of_the_chosen_format),
           LOGGER(what_is_below_the_level_is_left_out_and_not_even_looked_at),
           LOGGER(a_flood_is_held_back_and_counted_to_the_line),
           LOGGER(who_asks_for_debug_gets_it_all))
