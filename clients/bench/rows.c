/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/rows.h"

#include <stdlib.h>
#include <string.h>

#include "clients/bench/fail.h"

#define ROW_SHARE 0.999 /* of its length at which a row is full: clocks are not exact */

void rows_init(struct rows *rows, double row_s) {
    *rows = (struct rows){.all = calloc(RESULT_SECONDS_MAX, sizeof(rows->all[0])),
                          .row_s = row_s,
                          .current = histogram_create()};
    if (rows->all == NULL || rows->current == NULL) {
        bench_fail("out of memory");
    }
}

void rows_finish(struct rows *rows) {
    free(rows->all);
    free(rows->current);
    *rows = (struct rows){0};
}

static void set_percentiles(struct result_second *row, const struct histogram *delivery) {
    row->p50_ns = histogram_percentile(delivery, 50);
    row->p99_ns = histogram_percentile(delivery, 99);
    row->highest_ns = delivery->highest;
}

void rows_add(struct rows *rows, struct result_second *second, const struct histogram *delivery) {
    set_percentiles(second, delivery);
    struct result_second *row = rows->count > 0 ? &rows->all[rows->count - 1] : NULL;
    bool is_full = row == NULL || (row->length_s >= rows->row_s * ROW_SHARE &&
                                   second->length_s >= ROWS_SECOND_LEAST_S);
    if (is_full && rows->count < RESULT_SECONDS_MAX) {
        memset(rows->current, 0, sizeof(*rows->current));
        row = &rows->all[rows->count++];
        *row = (struct result_second){.from_s = second->from_s};
    }
    row->length_s = second->from_s + second->length_s - row->from_s;
    row->due += second->due;
    row->published += second->published;
    row->delivered += second->delivered;
    histogram_merge(rows->current, delivery);
    set_percentiles(row, rows->current);
}
