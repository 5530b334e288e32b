/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit.h"

static const struct result_second seconds[] = {
    {.from_s = 0,
     .length_s = 1,
     .due = 1000,
     .published = 990,
     .delivered = 990000,
     .p50_ns = 1200000,
     .p99_ns = 4050000},
    {.from_s = 1, .length_s = 2, .due = 2000, .published = 2010, .delivered = 0},
};

/* What the calls write to standard error, which a file stands in for meanwhile. */
static char *capture(struct live *live, void (*tell)(struct live *live)) {
    char *said = calloc(1, 4096);
    FILE *file = tmpfile();
    fflush(stderr);
    int kept = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    tell(live);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    size_t length = fread(said, 1, 4095, file);
    said[length] = 0;
    fclose(file);
    return said;
}

static void tell_all(struct live *live) {
    live_tell_connecting(live, 812, 1000);
    live_tell_second(live, &seconds[0]);
    live_tell_second(live, &seconds[1]);
    live_finish(live);
}

TEST(each_second_has_its_rates_and_latencies_and_what_is_behind) {
    struct live live;
    live_init(&live, false);
    live.is_terminal = false;
    char *said = capture(&live, tell_all);
    EXPECT_STRING(said, "connecting 812/1000\n"
                        "1s  published 990/s  delivered 990,000/s  p50 1.20ms  p99 4.05ms"
                        "  behind by 10\n"
                        "3s  published 1,005/s  delivered 0/s  p50 -  p99 -\n");
    free(said);
}

TEST(on_a_terminal_a_line_is_written_over_the_last) {
    struct live live;
    live_init(&live, false);
    live.is_terminal = true;
    live.columns = 0;
    char *said = capture(&live, tell_all);
    EXPECT_EQ(strchr(said, '\n') - said, (ptrdiff_t)strlen(said) - 1);
    const char *last = strrchr(said, '\r');
    EXPECT_TRUE(strlen(last) - 2 >= strlen("1s  published 990/s  delivered 990,000/s"));
    EXPECT_EQ(strncmp(last, "\r3s  published 1,005/s", 22), 0);
    free(said);
}

TEST(a_line_is_cut_where_the_terminal_ends) {
    struct live live;
    live_init(&live, false);
    live.is_terminal = true;
    live.columns = 12;
    char *said = capture(&live, tell_all);
    EXPECT_STRING(said, "\rconnecting \r1s  publish\r3s  publish\n");
    free(said);
}

TEST(quiet_is_quiet) {
    struct live live;
    live_init(&live, true);
    live.is_terminal = true;
    char *said = capture(&live, tell_all);
    EXPECT_STRING(said, "");
    free(said);
}

UNIT_TESTS(UNIT(each_second_has_its_rates_and_latencies_and_what_is_behind),
           UNIT(on_a_terminal_a_line_is_written_over_the_last),
           UNIT(a_line_is_cut_where_the_terminal_ends), UNIT(quiet_is_quiet))
