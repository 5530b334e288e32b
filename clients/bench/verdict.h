/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.h — assertions on a result: `p99 < 30ms`, `lost == 0`, `publish.rate >= 1000/s`.
 *
 * Place:   settings are checked before a load runs; load.c asks after each step (which ends `steps`
 *          at the limit) and at the end; the reports show each.
 * Thread:  pure.
 * Bounds:  SETTINGS_ASSERTIONS_MAX.
 *
 * MEASURE OPERATOR VALUE: the measures are the rows of measure.c, the operators < <= > >= == and
 * !=; the value has the unit of its measure. What was not measured never holds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "clients/bench/result.h"

struct verdict {
    const char *assertion; /* as it was written */
    bool holds;
    char measured[48]; /* "12.4ms" */
};

/* NULL, or what is wrong with it, in words. */
const char *verdict_check(const char *assertion);

/* Judges the settings' assertions about a step (or the whole); returns how many do not hold. */
size_t verdict_judge(const struct result *result, const struct result_step *step,
                     struct verdict verdicts[SETTINGS_ASSERTIONS_MAX]);

/* What the end of a load is judged by: the whole; of `steps`, the last step before one whose
 * assertions do not hold, or the first where that is the one. */
const struct result_step *verdict_subject(const struct result *result);

/* Every measure, its unit and what it means, for --help. */
void verdict_write_help(FILE *stream);
