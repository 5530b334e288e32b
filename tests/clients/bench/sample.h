/* SPDX-License-Identifier: Apache-2.0 */
/* sample.h — results as a load would leave them, made up: what the reports are tried on.
 *
 * Place:   report_test.c, and report_sample.c for the page's test in a browser.
 * Thread:  the test's.
 * Bounds:  a minute, or eight steps.
 */
#pragma once

#include "clients/bench/result.h"

enum sample {
    SAMPLE_GOOD,    /* a minute of an open load in which nothing goes wrong, with --pid */
    SAMPLE_BAD,     /* the same with a stall in the middle, losses and broken assertions */
    SAMPLE_STEPS,   /* a capacity test whose seventh step breaks */
    SAMPLE_EMPTY,   /* nothing came to be measured */
    SAMPLE_HOSTILE, /* names that are HTML, JSON, YAML and not UTF-8 */
};

/* The caller gives it back with sample_destroy. */
struct result *sample_create(enum sample kind);

void sample_destroy(struct result *result);
