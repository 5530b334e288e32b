/* SPDX-License-Identifier: Apache-2.0 */
/* fail.h — the end of a load that cannot go on.
 *
 * Place:   bytes.c, and whoever meets what cannot be, or a machine that has no more to give.
 * Thread:  any.
 * Bounds:  none.
 *
 * A load that went on half would measure something else than what was asked for.
 */
#pragma once

#include <stddef.h>

#define BENCH_EXIT_UNTOLD 3 /* of a load that could not run, or whose report was not written */

/* Writes "tidings: bench: …" and a line end to standard error, and exits with BENCH_EXIT_UNTOLD. */
void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Memory, zeroed; where there is none, the end. */
void *bench_need(size_t count, size_t size);
