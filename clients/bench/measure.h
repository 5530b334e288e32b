/* SPDX-License-Identifier: Apache-2.0 */
/* measure.h — every figure that a result has, by its name: p99, lost, server.cpu_per_delivery.
 *
 * Place:   rows of one table: from it come what verdict.c judges, the JSON report and --help.
 * Thread:  pure.
 * Bounds:  the table's rows, and any percentile beside those that have one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "clients/bench/quantity.h"
#include "clients/bench/result.h"

struct measure {
    const char *name;
    enum quantity quantity;
    const char *summary;
    const char *suggestion; /* "there is no such measure; the nearest is p99" */
    bool (*get)(const struct measure *measure, const struct result *result,
                const struct result_step *step, double *ret_value);
    enum measure_of { MEASURE_DELIVERY, MEASURE_ANSWER, MEASURE_CONNECT } of;
    double percent;
    size_t at; /* of a field in struct counts */
};

/* The rows in the order of the table; NULL behind the last. */
const struct measure *measure_at(size_t index);

/* A row, or one made of a percentile's name. False: there is no such measure, and `ret_measure` is
 * the one that was perhaps meant. */
bool measure_find(const char *name, size_t length, struct measure *ret_measure);

/* False: it was not measured, because nothing was there to be, or nobody asked for it. */
bool measure_get(const struct measure *measure, const struct result *result,
                 const struct result_step *step, double *ret_value);
