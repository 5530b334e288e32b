/* SPDX-License-Identifier: Apache-2.0 */
/* report.h — a result for people (a table, a line a second, one HTML file) and programs (JSON).
 *
 * Place:   bench.c, at the end; live.c's line by load.c once a second.
 * Thread:  main.
 * Bounds:  those of the result.
 */
#pragma once

#include <stdio.h>

#include "clients/bench/result.h"

/* Memory by the readers' number says more of the server than of its readers where they are fewer:
 * the JSON has it all the same. */
#define REPORT_MEMORY_READERS_LEAST 100

/* The table at the end, on a terminal or in a log. */
void report_write_text(const struct result *result, FILE *stream);

/* One JSON document; its members are listed in docs/bench.md. 0, or -1: it could not be written. */
int report_write_json(const struct result *result, FILE *stream);

/* One self-contained HTML file: latency by percentile, rates and latencies over time, the steps,
 * the assertions, the settings. 0, or -1: it could not be written. */
int report_write_html(const struct result *result, FILE *stream);
