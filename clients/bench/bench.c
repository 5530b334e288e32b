/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/bench/fail.h"
#include "clients/bench/load.h"
#include "clients/bench/sheet.h"
#include "clients/bench/verdict.h"

#define EXIT_HOLDS 0
#define EXIT_FAILS 1
#define EXIT_SIGNAL 128 /* and its number, as shells tell it: 130 is SIGINT's */

static int tell(const struct result *result, enum load_end end) {
    const struct settings *settings = result->settings;
    struct verdict verdicts[SETTINGS_ASSERTIONS_MAX];
    size_t failing = verdict_judge(result, verdict_subject(result), verdicts);
    bool is_json_output = settings->json != NULL && strcmp(settings->json, "-") == 0;
    report_write_text(result, is_json_output ? stderr : stdout);
    bool is_written = sheet_write(settings->json, result, report_write_json);
    is_written = sheet_write(settings->html, result, report_write_html) && is_written;
    if (end == LOAD_GONE) {
        fputs("tidings: bench: the server is gone: it closed every reader\n", stderr);
    }
    if (result->signal != 0) {
        return EXIT_SIGNAL + result->signal;
    }
    if (!is_written) {
        return BENCH_EXIT_UNTOLD;
    }
    return failing > 0 || end == LOAD_GONE ? EXIT_FAILS : EXIT_HOLDS;
}

static int run(const struct settings *settings) {
    struct result *result = calloc(1, sizeof(*result)); /* too large for the stack */
    if (result == NULL) {
        fputs("tidings: bench: out of memory\n", stderr);
        return BENCH_EXIT_UNTOLD;
    }
    enum load_end end = load_run(settings, result);
    int leave = BENCH_EXIT_UNTOLD;
    if (end != LOAD_FAILED) {
        leave = tell(result, end);
    } else if (result->signal != 0) {
        leave = EXIT_SIGNAL + result->signal;
    }
    load_finish(result);
    free(result);
    return leave;
}

int bench_run(int count, char *const *words) {
    struct settings settings;
    int leave = EXIT_HOLDS;
    if (!settings_parse(count, words, &settings, &leave)) {
        return leave;
    }
    bool is_writable = sheet_check(settings.json) && sheet_check(settings.html);
    leave = is_writable ? run(&settings) : BENCH_EXIT_UNTOLD;
    settings_finish(&settings);
    return leave;
}
