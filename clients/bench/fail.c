/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void bench_fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    flockfile(stderr);
    fputs("tidings: bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    funlockfile(stderr);
    va_end(arguments);
    exit(BENCH_EXIT_UNTOLD);
}

void *bench_need(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (memory == NULL) {
        bench_fail("out of memory");
    }
    return memory;
}
