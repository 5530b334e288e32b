/* SPDX-License-Identifier: Apache-2.0 */
/* rows.h — the series of a result: what each second, or several, brought.
 *
 * Place:   stage.c adds a second at a time.
 * Thread:  main.
 * Bounds:  RESULT_SECONDS_MAX rows; what comes later is added to the last.
 */
#pragma once

#include "clients/bench/result.h"

/* The rest of a stage that is shorter has no row of its own: its rates would be chance. */
#define ROWS_SECOND_LEAST_S 0.25

struct rows {
    struct result_second *all;
    size_t count;
    double row_s; /* a row ends when it is so long */
    struct histogram *current;
};

void rows_init(struct rows *rows, double row_s);
void rows_finish(struct rows *rows);

/* `second` has its counts and times; its percentiles are set from `delivery`. */
void rows_add(struct rows *rows, struct result_second *second, const struct histogram *delivery);
