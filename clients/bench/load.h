/* SPDX-License-Identifier: Apache-2.0 */
/* load.h — the course of a load: preload, connect the readers, warm up, publish, wait, count.
 *
 * Place:   bench.c, once.
 * Thread:  main; starts and ends those of readers and publishers.
 * Bounds:  as the settings say.
 */
#pragma once

#include <stdbool.h>

#include "clients/bench/result.h"

#define LOAD_TOKEN_VARIABLE "TIDINGS_BENCH_TOKEN"

enum load_end {
    LOAD_DONE,
    LOAD_GONE,   /* the server closed every reader; the result says what was until then */
    LOAD_FAILED, /* it did not come to publishing: a word was printed, there is no result */
};

/* The caller ends the result with load_finish, whatever came of it. */
enum load_end load_run(const struct settings *settings, struct result *ret_result);
void load_finish(struct result *result);
