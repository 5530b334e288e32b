/* SPDX-License-Identifier: Apache-2.0 */
/* sheet.h — a file that a report goes to: looked at before the load, written behind it.
 *
 * Place:   bench.c, for each of --json and --html.
 * Thread:  main.
 * Bounds:  one open file.
 *
 * A path may be NULL: no report is wanted; and "-": standard output.
 */
#pragma once

#include <stdbool.h>

#include "clients/bench/report.h"

typedef int sheet_writer(const struct result *result, FILE *stream);

/* False: it could not be written now, and a word was printed. Leaves nothing behind, and what is
 * there alone. */
bool sheet_check(const char *path);

/* False: it could not be written, and a word was printed. */
bool sheet_write(const char *path, const struct result *result, sheet_writer *write);
